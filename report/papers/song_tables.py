"""The small tables of the Song chapter: the claims about robust victims, what is beyond accuracy, and suspects."""

from __future__ import annotations

from itertools import product

from experiments import published
from experiments.address import parse
from experiments.find import row as cells_of
from experiments.judging import verdict
from experiments.papers import song
from experiments.papers.song.readings import DATASETS, TRAININGS
from experiments.records import Store
from report.names import DATASET_NAMES
from report.numbers import NOT_RUN, evidence
from report.papers.song import INPUTS, PAPER, SCALES
from report.tables import Column, Number, Row, Table, across, full, records_at, row, table

# Claims of the paper, by the end of their names, and the pair of numbers that each compares.
EFFECTS = {
    "robust-leaks": "robust − natural, benign images",
    "adversarial-helps": "robust victim: adversarial − benign images",
    "robust-leaks-most": "robust, adversarial − natural, benign",
}
COMPARED = {
    "robust-leaks": "{at}/robust/inference_benign - {at}/natural/inference_benign",
    "adversarial-helps": "{at}/robust/inference_adversarial - {at}/robust/inference_benign",
    "robust-leaks-most": "{at}/robust/inference_adversarial - {at}/natural/inference_benign",
}


def title(dataset: str, reading: str) -> str:
    """A data set's name, with the profile where it is not the paper's."""
    return DATASET_NAMES[dataset] + (", reduced" if reading == "reduced" else "")


def suspects_table(store: Store) -> Table:
    """The natural Yale Face victims as trained and with one thing changed: test accuracy on the way and what it comes to."""
    usual = {"dataset": "yale", "estimator": "natural", "attack": "threshold"}
    victims = [("as trained", cell) for cell in cells_of(PAPER, "paper", **usual)]
    changes = song.SUSPECTS | {"compiled": {"attack": "threshold_compiled"}, "other faces": {"dataset": "yale_split_3"}}
    victims += [(name, cell) for name, one in changes.items() for cell in cells_of(PAPER, "paper", **usual | one)]
    rows = []
    for name, cell in victims:
        record, numbers = store.get(cell), [NOT_RUN] * 4
        if record is not None:
            ends = (record.measurements[one] for one in ("test_accuracy", "train_accuracy", "inference_benign"))
            numbers = [f"{number:.1f}" for number in (max(record.curves["trace_test_accuracy"]), *ends)]
        rows.append([f"{name}, seed {cell.seed}", *numbers])
    return Table("Victim,Best test accuracy,Test accuracy,Training accuracy,Benign inference".split(","), rows)


def effects_table(store: Store) -> Table:
    """The paper's claims about robust victims, each the difference of two inferences, at the scale of each data set."""
    rows = []
    for dataset, (name, words) in product(DATASETS, EFFECTS.items()):
        reading = SCALES[dataset]
        claim = f"{dataset.replace('_', '-')}-{name}"
        found = verdict(store, parse(f"{reading}:{claim}", PAPER))
        compared = COMPARED[name].format(at=f"{reading}:{dataset}")
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
