"""What the chapter on all three questions sets beside each other: victims with their looks, and rows of addresses."""

import csv
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import NamedTuple

from experiments.papers.at_once.evasion import ATTACKS
from experiments.papers.at_once.readings import DATASETS
from experiments.papers.at_once.readings import PARTS as FEWER
from experiments.papers.at_once.victims import KINDS
from report.figures.curves import Curves
from report.figures.forest import Row, Rows
from report.figures.looks import Looks
from report.names import DATASET_NAMES

PAPER = "at_once"
VICTIMS = Looks.declared(PAPER, "victim", every=KINDS)
# Victims that differ in nothing but that the first is uncertain, and in nothing but that the first was trained against PGD.
UNCERTAIN = {
    **{kind: "plain" for kind, one in KINDS.items() if not one.robust and kind != "plain"},
    **{kind: "robust" for kind, one in KINDS.items() if one.robust and kind != "robust"},
}
ROBUST_PAIRS = {"robust": "plain", "robust_dropout": "dropout", "robust_ensemble": "ensemble"}
RANDOM = ("dropout", "dropout_rare", "heteroscedastic", "laplace", "robust_dropout")


class Line(NamedTuple):
    """A row of the crossed table: its name, its quantity, and which value leaves an attacker with nothing, and which with all."""

    label: str
    quantity: str
    nothing: float
    all: float


def _crossed() -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    with Path(__file__).with_name("at_once_crossed.csv").open(encoding="utf-8", newline="") as lines:
        for one in csv.DictReader(lines):
            line = Line(one["row"], one["quantity"], float(one["nothing"]), float(one["all"]))
            found.setdefault(one["group"], []).append(line)
    return found


CROSSED = _crossed()
CALLED = {line.quantity: line.label for lines in CROSSED.values() for line in lines}
AXES = {"x": "lira_tpr_at_1pct", "y": "worst_case", "size": "accuracy"}

LOOKS_TRIED, LEAKS, SEEN = (Looks.declared(PAPER, kind) for kind in ("look", "membership", "images"))


def _rows(title: str, kinds: tuple[str, ...], names: Looks, quantity: str, claims: str) -> Rows:
    """A group a data set, a line a victim: a quantity of each of `names`, and the verdict that names the victim."""

    def row(dataset: str, kind: str) -> Row:
        found = {name: f"{dataset}/{kind}/{name if name == 'worst_case' else quantity.format(name)}" for name in names}
        claim = CLAIMED[claims].get(kind)
        return Row(VICTIMS[kind]["label"], found, claim=f"text:{dataset}-{claim}" if claim else "")

    return {f"{DATASET_NAMES[dataset]}: {title}": [row(dataset, kind) for kind in kinds] for dataset in DATASETS}


# The part of a claim whose verdict stands beside a victim.
CLAIMED = {
    "look": {"dropout": "dropout-averaging-finds-more", "robust_dropout": "robust-dropout-averaging-finds-more"},
    "leak": {
        "ensemble": "ensembles-leak-no-less",
        "dropout": "dropout-leaks-no-more",
        "dropout_rare": "dropout-rare-leaks-no-more",
        "robust": "robustness-leaks",
    },
    "seen": {"dropout": "dropout-hidden", "ensemble": "ensemble-hidden"},
}
LOOKED = _rows("accuracy under PGD (%)", RANDOM, LOOKS_TRIED, "accuracy_{}", "look")
LEAKING = _rows("members told from others, AUC (%)", tuple(KINDS), LEAKS, "{}_auc", "leak")
NOTICED = _rows("told from clean images by entropy, AUROC (%)", tuple(KINDS), SEEN, "auroc_{}_entropy", "seen")
# What the scatters are of, a row a victim in the order of `KINDS`, and behind those of all members those of fewer.
CORNER: Rows = {
    DATASET_NAMES[name]: [Row(kind, {axis: f"{name}/{kind}/{one}" for axis, one in AXES.items()}) for kind in KINDS]
    for name in DATASETS
}


def _gap(at: str, kind: str) -> Row:
    return Row(kind, {"x": f"{at}/train_accuracy - {at}/others_accuracy", "y": f"{at}/odds_auc"})


GAPS: Rows = {
    DATASET_NAMES[dataset]: [
        *(_gap(f"{dataset}/{kind}", kind) for kind in KINDS),
        *(_gap(f"{dataset}/{kind}/{part}", kind) for kind, part in product(("plain", "robust"), FEWER)),
    ]
    for dataset in DATASETS
}


def _budgets(norm: str, attacks: Mapping[str, str]) -> Curves:
    """What each of `attacks`, curves of a record by their words, leaves of each kind of network, by its budget."""
    at = "l2/" * (norm == "l2")
    return Curves.declared(
        PAPER,
        norm,
        lines={
            DATASET_NAMES[dataset] + said: {(kind, curve): f"{dataset}/{kind}/{at}worst_case" for kind in KINDS}
            for dataset in DATASETS
            for curve, said in attacks.items()
        },
        looks=Looks("victim", {(kind, curve): VICTIMS[kind] for kind, curve in product(KINDS, attacks)}),
    )


def _every(norm: str) -> dict[str, str]:
    words = {f"accuracy_{one}": CALLED[f"{'l2/' * (norm == 'l2')}accuracy_{one}"] for one in ATTACKS[norm]}
    return {name: f": {one}" for name, one in {"worst_case": "the worst of all attacks", **words}.items()}


# The figures of the worst of all attacks, and what their sliders have: every attack.
BUDGETS = {norm: _budgets(norm, {"worst_case": ""}) for norm in ATTACKS}
LEFT = {norm: _budgets(norm, _every(norm)) for norm in ATTACKS}


def crossed(dataset: str) -> Rows:
    """Every attack on every victim of a data set, a group a kind of attack, a row an attack."""
    return {
        title: [Row(line.label, {kind: f"{dataset}/{kind}/{line.quantity}" for kind in KINDS}) for line in lines]
        for title, lines in CROSSED.items()
    }
