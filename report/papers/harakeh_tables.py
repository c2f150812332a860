"""What scores of uncertainty tell in the Harakeh chapter, what open settings do, and whether the attacks were adequate."""

from collections.abc import Callable
from dataclasses import fields
from itertools import product
from math import inf
from typing import NamedTuple

from experiments.papers import harakeh
from experiments.papers.harakeh.victims import OF_ESTIMATOR
from experiments.records import Record, Store
from lib.uncertainty import ESTIMATORS, UNCERTAINTY_SCORES
from report.figures import looks
from report.figures.curves import Curves
from report.figures.looks import OPEN, Looks
from report.names import DATASET_NAMES, SCORE_NAMES
from report.numbers import NOT_RUN
from report.papers.harakeh import PAPER, VICTIMS, WORDS, estimators_of
from report.tables import Table, row, table
from report.text import literal

# Entropy has filled marks and any other score open ones.
JUDGED = Looks(
    "estimator and score",
    {
        (name, score): one | {"label": f"{one['label'].split(' (')[0]}: {said}"} | ({} if score == "entropy" else OPEN)
        for (name, one), (score, said) in product(looks.ESTIMATORS.items(), SCORE_NAMES.items())
    },
    every=product(looks.ESTIMATORS, UNCERTAINTY_SCORES),
)
# Attacks by how well the scores of one victim tell them from clean images: PGD, and that of an attacker who knows the score.
SCORED = "MNIST, fully connected"
JUDGED_AT = f"{VICTIMS[SCORED]}/{{attack}}/{{{{estimator}}}}/auroc_{{{{score}}}}"
DETECTED = {
    "PGD, one step": JUDGED_AT.format(attack="pgd") + "?steps=1",
    **{name: JUDGED_AT.format(attack=name.lower()) for name in ("PGD", "CW", "JSMA")},
    "PGD that knows the score": JUDGED_AT.format(attack="aware"),
}
REJECTION = Curves.declared(
    PAPER,
    "rejection",
    lines={
        title: {
            (estimator, score): at.format(estimator=estimator, score=score)
            for estimator in estimators_of(SCORED)
            for score in OF_ESTIMATOR[estimator]
        }
        for title, at in DETECTED.items()
        if "PGD" in title
    },
    looks=JUDGED,
)


def detection_table(store: Store) -> Table:
    """AUROC in percent of each score for each attack; 50 is chance."""
    rows = [
        row(WORDS[estimator], SCORE_NAMES[score], estimator=estimator, score=score)
        for estimator in ESTIMATORS
        for score in OF_ESTIMATOR[estimator]
    ]
    return table(store, PAPER, "Network,Score", rows, DETECTED)


def deviations_table(store: Store) -> Table:
    """What each setting that the paper leaves open does, paired by seed, in percentage points."""
    words = {"adversarial_accuracy": "accuracy left", "fooling_rate": "fooling rate"}
    pairs = {(one.title, words[one.measurement]): _pair(one) for one in harakeh.deviations("reduced")}
    rows = [row(*told, usual=usual, changed=changed) for told, (usual, changed) in pairs.items()]
    columns = {"As in the rows": "{usual}", "Changed": "{changed}", "Effect": "{changed} - {usual}"}
    return table(store, PAPER, "Setting,Measured (%)", rows, columns)


def _pair(one: harakeh.Deviation) -> tuple[str, str]:
    """The address of the usual number, and that of the one with a setting changed."""
    settings = [{field.name: getattr(cell, field.name) for field in fields(cell)} for cell in (one.usual, one.changed)]
    form = [f"form={settings[0]['form']}"] if settings[0].get("form", "mean") != "mean" else []
    changed = [f"{name}={value}" for name, value in settings[1].items() if value != settings[0][name]]
    at = f"reduced:{one.usual.dataset}/{one.usual.attack}/{one.usual.estimator}/{one.measurement}"
    usual, other = ("?".join(filter(None, (at, "&".join(parts)))) for parts in (form, form + changed))
    return usual, other


# --- checks of the attacks ------------------------------------------------------------------------------------------------


class Check(NamedTuple):
    """What has to hold of every record of some attacks that has the number: it lies from `low` to `high`."""

    words: str
    attacks: str
    number: Callable[[Record], float]
    low: float
    high: float = inf


def _measured(name: str, less: str = "") -> Callable[[Record], float]:
    return lambda record: record.measurements[name] - (record.measurements[less] if less else 0)


def _without_budget(record: Record) -> float:
    at_zero = record.curves["accuracy"][record.curves["epsilon"].index(0.0)]
    return abs(at_zero - record.measurements["accuracy"])


def _gained(record: Record) -> float:
    return record.curves["loss"][-1] - record.curves["loss"][0]


def _beyond_budget(record: Record) -> float:
    return record.measurements["largest_perturbation"] - float(record.config["epsilon"])


BLACK_BOX = _measured("black_box_accuracy", less="white_box_accuracy")
CHECKS = [
    Check("FGSM at ε = 0 leaves the clean accuracy: difference, points", "fgsm", _without_budget, 0, 2.5),
    Check("FGSM images whose gradient vanished, %", "fgsm", _measured("unmoved"), 0, 1),
    Check("PGD: images whose whole gradient is zero, %", "pgd", _measured("zero_gradients"), 0, 1),
    Check("PGD: loss after the last of its steps less that after the first, nats", "pgd", _gained, 0),
    Check("FGSM, PGD: largest change less the budget", "fgsm pgd aware", _beyond_budget, -1, 1e-5),
    Check("CW, JSMA: distance outside the range of images", "cw jsma", _measured("outside"), 0, 0),
    Check("black box less white box: accuracy left, points", "black_box", BLACK_BOX, 0),
    Check("untrained network: accuracy, %", "pgd", _measured("untrained_accuracy"), 0, 25),
]


def checks_table(store: Store) -> Table:
    """Each check, the worst number among the records it covers, and whether it holds."""
    kept = [r for some in (store, store.superseded) for r in some.all(PAPER) if r.config["profile"] != "smoke"]
    rows = []
    for words, attacks, number, low, high in CHECKS:
        found = [(_or_nothing(number, one), one) for one in kept if one.config["attack"] in attacks.split()]
        values = [(value, one) for value, one in found if value is not None]
        told = ["–", "–", "–", NOT_RUN]
        if values:
            value, record = (min if high == inf else max)(values, key=lambda pair: pair[0])
            asked = f"{low:g} to {high:g}" if high < inf else f"at least {low:g}"
            told = [f"{value:.2f}", asked, _whose(record), "yes" if low <= value <= high else "**no**"]
        rows.append([words, str(len(values)), *told])
    return Table(["Check", "Records", "Worst value", "Must be", "Found in", "Holds"], rows)


def _or_nothing(number: Callable[[Record], float], record: Record) -> float | None:
    """A number of a record; older records do not have every one."""
    try:
        return number(record)
    except (KeyError, ValueError, IndexError):
        return None


def _whose(record: Record) -> str:
    """The victim of a record, in words."""
    config, network = record.config, record.config["network"]
    usual = "tutorial’s network" if network.endswith("_tutorial") else "text’s network"
    whose = "fully connected" if network == "fully_connected" else usual
    estimator = WORDS.get(config["estimator"], config["estimator"])
    return literal(f"{DATASET_NAMES[config['dataset']]}, {whose}, {estimator}")
