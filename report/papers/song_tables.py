"""The tables of the Song chapter: claims about robust victims, beyond accuracy, the fit, the gap; what sentences derive."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain, product
from statistics import fmean

import numpy as np

from experiments import published
from experiments.address import parse, readings
from experiments.judging import verdict
from experiments.papers import song
from experiments.papers.song.readings import DATASETS, TRAININGS
from experiments.records import Record, Store
from lib.metrics import mean_interval
from report.names import DATASET_NAMES, QUANTITY_NAMES
from report.numbers import NOT_RUN, evidence, of_interval, percent
from report.papers.song import FEWER, INPUTS, PAPER, SCALES
from report.prose import quote
from report.tables import Column, Number, Row, Table, across, full, records_at, row, table, values_at

# Claims of the paper, by the end of their names: in words, and the pair of numbers that each compares.
_ROBUST, _NATURAL = "{at}/robust/inference_", "{at}/natural/inference_"
EFFECTS = {
    "robust-leaks": ("robust − natural, benign images", f"{_ROBUST}benign - {_NATURAL}benign"),
    "adversarial-helps": ("robust victim: adversarial − benign images", f"{_ROBUST}adversarial - {_ROBUST}benign"),
    "robust-leaks-most": ("robust, adversarial − natural, benign", f"{_ROBUST}adversarial - {_NATURAL}benign"),
}
LEAKS = EFFECTS["robust-leaks"][1]


def title(dataset: str, reading: str) -> str:
    """A data set's name, with the profile where it is not the paper's."""
    return DATASET_NAMES[dataset] + (", reduced" if reading == "reduced" else "")


def effects_table(store: Store) -> Table:
    """The paper's claims about robust victims, each the difference of two inferences, at the scale of each data set."""
    rows = []
    for dataset, (name, (words, address)) in product(DATASETS, EFFECTS.items()):
        reading = SCALES[dataset]
        claim = f"{dataset.replace('_', '-')}-{name}"
        found = verdict(store, parse(f"{reading}:{claim}", PAPER))
        compared = address.format(at=f"{reading}:{dataset}")
        ours = Number(evidence(found), full(compared, PAPER))
        held_out = across(store, PAPER, compared.replace("inference", "honest"))
        rows.append([title(dataset, reading), words, f"{found.published:.2f}", ours, held_out, found.word])
    return Table(
        ["Data", "Difference of inferences, in points", "Paper", "Ours", "Threshold held out", "Verdict"], rows
    )


def printed_gap_attack(dataset: str, training: str, inputs: str) -> float:
    """The accuracy in percent that the gap attack has by the paper's own Table 1."""
    prefix, printed = "" if inputs == "benign" else "adv_", published.load(PAPER)
    train, test = (printed[f"{dataset}/{training}/{prefix}{side}_accuracy"].value for side in ("train", "test"))
    # one half plus half the gap
    return 50 + (train - test) / 2


def beyond_table(store: Store) -> Table:
    """Beyond accuracy: area, advantage, and the members found where hardly any other is called one."""
    rows = [
        row(
            f"{title(dataset, SCALES[dataset])}, {training}",
            inputs,
            at=f"{SCALES[dataset]}:{dataset}/{training}",
            inputs=inputs,
        )
        for dataset, training, inputs in product(DATASETS, TRAININGS, INPUTS)
    ]
    columns: dict[str, Column] = {
        "AUC": "{at}/auc_{inputs}",
        "Advantage": "{at}/advantage_{inputs}",
        "TPR at 1 % FPR": "{at}/tpr_at_1pct_{inputs}",
        "TPR at 0.1 % FPR": _rarest,
    }
    return table(store, PAPER, "Victim,Inputs", rows, columns)


def _rarest(store: Store, line: Row) -> str:
    at = "{at}/tpr_at_01pct_{inputs}".format_map(line.names)
    kept = records_at(store, PAPER, at)
    # one in a thousand is less than one image
    return "–" if kept and kept[0].measurements["test_points"] < 1000 else across(store, PAPER, at)


# --- is it the fit that decides? --------------------------------------------------------------------------------------

FITTED = ("fashion_mnist", "cifar10")
MEMBERS = {"paper": "the paper", "reduced": "`reduced`", "few": "on a fifth", "fitting": "on a tenth"}  # readings
FITS = {"few": 90.0, "fitting": song.FIT}


def fit_table(store: Store) -> Table:
    """How well robust victims fit, and the paper's three claims: as printed, on the usual and on few members."""
    rows = [
        row(f"{DATASET_NAMES[dataset]}, {words}", at=f"{reading}:{dataset}", dataset=dataset, reading=reading)
        for dataset in FITTED
        for reading, words in MEMBERS.items()
        if reading != "fitting" or (dataset == "cifar10" and records_at(store, PAPER, "fitting:cifar10/robust"))
    ]
    columns: dict[str, Column] = {
        "Robust, under attack: members": partial(_told, address="{at}/robust/adv_train_accuracy"),
        "others": partial(_told, address="{at}/robust/adv_test_accuracy"),
        **{words: partial(_told, address=address) for words, address in EFFECTS.values()},
        "Hypothesis": _outcome,
    }
    return table(store, PAPER, "Victims", rows, columns)


def _outcome(store: Store, line: Row) -> str:
    names = line.names
    return outcome(store, names["dataset"], names["reading"]) if names["reading"] in FITS else "–"


def _told(store: Store, line: Row, address: str) -> str:
    at = address.format_map(line.names)
    return quote(store, at, PAPER).removesuffix(" %") if at.startswith("paper") else across(store, PAPER, at)


def outcome(store: Store, dataset: str, reading: str = "few") -> str:
    """What became of a hypothesis that was written down before any cell of it was run.

    At `reduced` the natural victim leaks more through benign images, in the paper the robust one. Ours have not learnt their
    adversarial training images, the paper's have. The hypothesis: a robust victim with members so few that it learns them under
    attack too leaks more through benign images than a natural one on the same members. It is *borne out* on a data set if the
    difference, paired by seed, lies above 0 with its whole 95 % interval, *refuted* if below, *undecided* if neither; and *not
    tested* if robust victims are right on less than `FITS` percent of their members under attack. On CIFAR-10 a fifth was not few
    enough; the tenth, with a limit nearer to the paper's 100 %, was declared before any record of it.
    """
    at = f"{reading}:{dataset}"
    values = values_at(store, PAPER, LEAKS.format(at=at))
    if not values:
        return NOT_RUN
    if fmean(values_at(store, PAPER, f"{at}/robust/adv_train_accuracy")) < FITS[reading]:
        return "not tested"
    interval = mean_interval(values)
    if interval.low > 0:
        return "borne out"
    return "refuted" if interval.high < 0 else "undecided"


# --- or overfitting? Robust and natural victims at an equal gap -------------------------------------------------------

PLACES = 101  # at which gap two paths are compared, from the least to the most that both have
VICTIMS = {
    f"{at}:{dataset}": DATASET_NAMES[dataset] + (f", {MEMBERS[at]}" if at in MEMBERS else "")
    for dataset, scale in SCALES.items()
    for at in (scale, *FEWER[dataset])
}


def compared(store: Store, at: str) -> Iterator[tuple[float, float, float]]:
    """For each seed whose two paths have gaps in common: the least and the most of these, and by how much robust leaks more.

    While a victim trains, its accuracies and the inference on benign images are looked at ten times. Its path of inference over
    gaps is followed straight from look to look, in the order of gaps; where two paths of one seed have gaps in common, the
    difference is averaged evenly over these. Thought of after the records were there, so no test of a hypothesis.
    """
    natural, robust = (
        {record.config["seed"]: _path(record) for record in records_at(store, PAPER, f"{at}/{training}")}
        for training in ("natural", "robust")
    )
    for seed in sorted(natural.keys() & robust.keys()):
        paths = natural[seed], robust[seed]
        low, high = max(gaps[0] for gaps, _ in paths), min(gaps[-1] for gaps, _ in paths)
        if low <= high:
            less, more = (np.interp(np.linspace(low, high, PLACES), *path) for path in paths)
            yield float(low), float(high), float((more - less).mean())


def _path(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """The gaps of a victim on its way, from the least, and the inference at each."""
    gaps = np.subtract(record.curves["trace_train_accuracy"], record.curves["trace_test_accuracy"])
    order = gaps.argsort(kind="stable")
    return gaps[order], np.asarray(record.curves["trace_inference"])[order]


def difference(store: Store, at: str) -> str:
    """By how much robust victims leak more at an equal gap, in points, over seeds."""
    found = [more for _, _, more in compared(store, at)]
    return of_interval(mean_interval(found)) if found else NOT_RUN


def gap_table(store: Store) -> Table:
    """Robust minus natural inference on benign images at an equal gap, and at the end of the trainings."""

    def common(_: Store, line: Row) -> str:
        ends = [(low, high) for low, high, _ in compared(store, line.names["at"])]
        return "–".join(f"{fmean(end):.0f}" for end in zip(*ends, strict=True)) if ends else NOT_RUN

    columns: dict[str, Column] = {
        "Gaps in common": common,
        "At an equal gap": lambda _, line: difference(store, line.names["at"]),
        "At the end": LEAKS,
    }
    known = {at: words for at, words in VICTIMS.items() if any(compared(store, at))} or VICTIMS
    return table(store, PAPER, "Victims", [row(words, at=at) for at, words in known.items()], columns)


# --- what sentences derive ------------------------------------------------------------------------------------------------


def _best_method(store: Store) -> str:
    """The method of Table 2 with the highest mean over the classes, of the first reading that has records."""
    for one in readings(PAPER):
        means = {m: fmean(v) for m in song.METHODS if (v := values_at(store, PAPER, f"{one.name}:{m}"))}
        if means:
            return QUANTITY_NAMES[max(means, key=lambda method: means[method])]
    return NOT_RUN


def _brightness(store: Store, side: str) -> str:
    """Of the natural Yale Face victims, on benign images: so of either attack's record; the oldest have none."""
    losses = (records_at(store, PAPER, f"text:yale/natural?attack_loss={one}") for one in ("log_odds", "cross_entropy"))
    name = f"{side}_test_accuracy"
    values = {one.config["seed"]: one.measurements[name] for one in chain(*losses) if name in one.measurements}
    return percent(fmean(values.values()) if values else None)


def _printed_gap(_: Store, one: tuple[str, str, str]) -> str:
    return percent(printed_gap_attack(*one))


DERIVED: Mapping[str, Callable[[Store], str]] = {
    "outcome/fitting": partial(outcome, dataset="cifar10", reading="fitting"),
    **{f"outcome/{dataset}": partial(outcome, dataset=dataset) for dataset in FITTED},
    **{f"at_equal_gap/{dataset}": partial(difference, at=f"{scale}:{dataset}") for dataset, scale in SCALES.items()},
    "best_method": _best_method,
    **{f"{side}_test_accuracy": partial(_brightness, side=side) for side in ("dark", "light")},
    **{f"printed_gap/{'/'.join(one)}": partial(_printed_gap, one=one) for one in product(DATASETS, TRAININGS, INPUTS)},
}
