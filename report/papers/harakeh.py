"""The tables of the Harakeh chapter: his Table 2 beside ours, and what lies beyond it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from math import inf
from statistics import median
from typing import Any

from experiments import published
from experiments.address import readings
from experiments.costs import cost
from experiments.papers import harakeh
from experiments.reading import Reading
from experiments.records import Record, Store
from lib.uncertainty import ESTIMATORS
from lib.uncertainty.scores import OF_ESTIMATOR
from report.names import DATASET_NAMES, SCORE_NAMES
from report.numbers import NOT_RUN, over_seeds
from report.tables import Column, Row, Table, beside, mean_as, records_at, row, table, values_at
from report.text import literal

PAPER = "harakeh"
QUANTITIES = {"accuracy": "clean", "adversarial_accuracy": "attacked", "fooling_rate": "fooling rate"}
SAME = "="  # a reading that cannot differ from the first one: its form changes nothing for this row
# The victims that faced every attack, and how their addresses begin.
VICTIMS = {
    "MNIST, text's network": "text:mnist",
    "MNIST, fully connected": "dense:mnist",
    "MNIST, text's network, `reduced`": "reduced:mnist",
    "CIFAR-10, tutorial's network, `reduced`": "reduced:cifar10",
}
RANDOM = ("epistemic", "aleatoric")
DETECTED = {
    "FGSM": "{victim}/pgd/{estimator}/auroc_{score}?steps=1",
    "PGD": "{victim}/pgd/{estimator}/auroc_{score}",
    "CW": "{victim}/cw/{estimator}/auroc_{score}",
    "JSMA": "{victim}/jsma/{estimator}/auroc_{score}",
    "Black box": "{victim}/black_box/{estimator}/auroc_{score}",
    "PGD that knows the score": "{victim}/aware/{estimator}/auroc_{score}",
}


def estimators_of(victim: str) -> tuple[str, ...]:
    """Those that a victim comes with: ensembles only where their members are cheap to train."""
    return ESTIMATORS if VICTIMS[victim] == "text:mnist" else (*ESTIMATORS, "ensemble")


# --- his Table 2 ----------------------------------------------------------------------------------------------------------


def table2(store: Store, *, attack: str) -> Table:
    """The rows of Table 2 for one attack: his number, ours under each reading, and what a seed of ours costs."""
    rows = []
    for name, number in published.load(PAPER).items():
        dataset, of_attack, estimator, quantity = name.split("/")
        if of_attack == attack:
            rows.append(row(DATASET_NAMES[dataset], estimator, QUANTITIES[quantity], number.text, id=name))
    columns: dict[str, Column] = {
        f"Ours: {one.title}": partial(_ours, one=one)
        for one in readings(PAPER)
        if not (_has_form(one) and attack == "black_box")
    }
    if attack == "fgsm":
        columns["Time a seed: text’s / tutorial’s / `reduced`"] = _cost
    return table(store, PAPER, "Data,Uncertainty,%,Paper", rows, columns)


def _has_form(one: Reading) -> bool:
    """Whether the attack looks at a random victim otherwise than through its own answer."""
    return "form" in one.settings


def _ours(store: Store, line: Row, one: Reading) -> str:
    """Our number and, of a fooling rate, the lowest and highest of any run of any seed, as the paper reports it."""
    name = line.names["id"]
    _, attack, estimator, quantity = name.split("/")
    # The expectation's column has images of its own, also for a victim that is not random.
    plain = estimator == "none" and (attack, one.name) != ("fgsm", "expectation")
    if _has_form(one) and (plain or quantity == "accuracy"):
        return SAME
    ours = beside(store, PAPER, one, name)
    if quantity != "fooling_rate" or ours == NOT_RUN:
        return ours
    low, high = (values_at(store, PAPER, f"{one.name}:{name}?fooling_rate_{end}") for end in ("min", "max"))
    return f"{ours}; runs {min(low):.0f}–{max(high):.0f}"


def _cost(store: Store, line: Row) -> str:
    """Median minutes of a seed, training included, under each reading; "–" where there is no record."""
    minutes = []
    for one in (one for one in readings(PAPER) if not _has_form(one)):  # the others share its records
        records = records_at(store, PAPER, f"{one.name}:{line.names['id']}")
        minutes.append(f"{median(cost(record) for record in records) / 60:.1f}" if records else "–")
    return "–" if set(minutes) == {"–"} else " / ".join(minutes) + " min"


# --- beyond it ------------------------------------------------------------------------------------------------------------


def victims_table(store: Store) -> Table:
    """Every victim under every attack, through its own answer: accuracies and fooling rates in percent."""
    rows = [row(v, e, victim=VICTIMS[v], estimator=e) for v in VICTIMS for e in estimators_of(v)]
    columns = {
        "Clean accuracy": "{victim}/fgsm/{estimator}/accuracy",
        "Under FGSM": "{victim}/fgsm/{estimator}/adversarial_accuracy",
        "Under PGD": "{victim}/pgd/{estimator}/adversarial_accuracy",
        "Under the black box": "{victim}/black_box/{estimator}/adversarial_accuracy",
        "CW fooling rate": "{victim}/cw/{estimator}/fooling_rate",
        "JSMA fooling rate": "{victim}/jsma/{estimator}/fooling_rate",
    }
    return table(store, PAPER, "Victim,Uncertainty", rows, columns)


def forms_table(store: Store) -> Table:
    """Accuracy under FGSM and PGD of the random victims in each form, and what fresh draws make of CW and JSMA."""
    rows = [
        row(victim, estimator, form.replace("_", " "), victim=VICTIMS[victim], estimator=estimator, form=form)
        for victim, estimator, form in product(VICTIMS, RANDOM, harakeh.FORMS)
    ]
    columns: dict[str, Column] = {
        "Under FGSM": "{victim}/pgd/{estimator}/adversarial_accuracy?steps=1&form={form}",
        "Under PGD": "{victim}/pgd/{estimator}/adversarial_accuracy?form={form}",
        "CW": "{victim}/cw/{estimator}/fooling_rate?form={form}",
        "CW, vote": mean_as(PAPER, "{victim}/cw/{estimator}/fooling_rate_vote?form={form}", ".1f", missing="–"),
        "JSMA": "{victim}/jsma/{estimator}/fooling_rate?form={form}",
        "JSMA, vote": mean_as(PAPER, "{victim}/jsma/{estimator}/fooling_rate_vote?form={form}", ".1f", missing="–"),
    }
    return table(store, PAPER, "Victim,Uncertainty,Form", rows, columns)


def detection_table(store: Store) -> Table:
    """AUROC in percent of each score for each attack; 50 is chance, below it the adversarial images look the safer ones."""
    rows = [
        row(victim, estimator, SCORE_NAMES[score], victim=VICTIMS[victim], estimator=estimator, score=score)
        for victim in VICTIMS
        for estimator, score in scores_of(victim)
    ]
    return table(store, PAPER, "Victim,Uncertainty,Score", rows, DETECTED)


def scores_of(victim: str) -> list[tuple[str, str]]:
    """The estimators that a victim comes with, each with every score of its uncertainty."""
    return [(estimator, score) for estimator in estimators_of(victim) for score in OF_ESTIMATOR[estimator]]


def deviations_table(store: Store) -> Table:
    """What each setting that the paper leaves open does, paired by seed, in percentage points."""
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in harakeh.deviations("reduced"):
        done = pairs.setdefault((one.title, one.measurement.replace("_", " ")), [])
        both = [
            record.measurements[one.measurement] for cell in (one.usual, one.changed) if (record := store.get(cell))
        ]
        done += [(both[0], both[1])] if len(both) == 2 else []
    rows = []
    for words, done in pairs.items():
        columns = [a for a, _ in done], [b for _, b in done], [b - a for a, b in done]
        rows.append([*words, *map(over_seeds, columns)])
    return Table(["Setting", "Measured (%)", "As in the rows", "Changed", "Effect"], rows)


# --- whether the attacks were adequate ------------------------------------------------------------------------------------


def _measured(name: str) -> Callable[[Record], float | None]:
    return lambda record: record.measurements.get(name)


def _at_zero(record: Record) -> float | None:
    curve = dict(zip(record.curves["epsilon"], record.curves["accuracy"], strict=True))
    return abs(curve[0.0] - record.measurements["accuracy"]) if 0.0 in curve else None


def _loss_gained(record: Record) -> float | None:
    loss = record.curves.get("loss")
    return loss[-1] - loss[0] if loss else None


def _over_budget(record: Record) -> float:
    return float(record.measurements["largest_perturbation"] - record.config["epsilon"])


def _black_less_white(record: Record) -> float | None:
    kept = record.measurements
    return kept["black_box_accuracy"] - kept["white_box_accuracy"] if "white_box_accuracy" in kept else None


# Each check: its words, attacks, what it reads from a record, within what that must lie, and which extreme is the worst.
CHECKS: list[tuple[str, str, Callable[[Record], float | None], float, float, Callable[..., Any]]] = [
    ("FGSM at ε = 0 leaves the clean accuracy: difference, points", "fgsm", _at_zero, 0, 2.5, max),
    ("FGSM images whose gradient vanished, %", "fgsm", _measured("unmoved"), 0, 1, max),
    ("PGD: images whose whole gradient is zero, %", "pgd", _measured("zero_gradients"), 0, 1, max),
    ("PGD: loss after the last of its steps less that after the first, nats", "pgd", _loss_gained, 0, inf, min),
    ("FGSM, PGD: largest change less the budget", "fgsm pgd aware", _over_budget, -1, 1e-5, max),
    ("CW, JSMA: distance outside the range of images", "cw jsma", _measured("outside"), 0, 0, max),
    ("black box less white box: accuracy left, points", "black_box", _black_less_white, 0, 100, min),
    ("untrained network: accuracy, %", "pgd", _measured("untrained_accuracy"), 0, 25, max),
]


def checks_table(store: Store) -> Table:
    """Whether the attacks were adequate: each check, the worst number among the records it covers, and whether it holds."""
    kept = [r for some in (store, store.superseded) for r in some.all(PAPER) if r.config["profile"] != "smoke"]
    rows = []
    for words, attacks, number, low, high, worst in CHECKS:
        covered = [record for record in kept if record.config["attack"] in attacks.split()]
        values = [(value, record) for record in covered if (value := number(record)) is not None]
        if not values:
            rows.append([words, "0", *["–"] * 3, NOT_RUN])
            continue
        value, record = worst(values, key=lambda pair: pair[0])
        asked = f"{low:g} to {high:g}" if high < inf else f"at least {low:g}"
        holds = "yes" if low <= value <= high else "**no**"
        rows.append([words, str(len(values)), f"{value:.2f}", asked, _whose(record), holds])
    return Table(["Check", "Records", "Worst value", "Must be", "Found in", "Holds"], rows)


def _whose(record: Record) -> str:
    """The victim of a record, in words."""
    config = record.config
    network, tutorial = config["network"].removesuffix("_tutorial"), config["network"].endswith("_tutorial")
    whose = network.replace("_", " ") + (" (tutorial’s)" if tutorial else "")
    return literal(f"{DATASET_NAMES[config['dataset']]}, {whose}, {config['estimator']}")
