"""What the chapter on all three questions sets beside each other: victims with their looks, and rows of addresses."""

from __future__ import annotations

from experiments.papers.at_once.readings import DATASETS
from experiments.papers.at_once.victims import KINDS
from report.figures.looks import BLUE, GREEN, OPEN, ORANGE, PURPLE, VERMILLION, Looks, look
from report.forests import Row, Rows
from report.names import DATASET_NAMES

PAPER = "at_once"
# Colour and mark by how the victim is uncertain, open and dashed where it was trained against PGD.
VICTIMS = Looks(
    "victim",
    {
        "plain": look("plain", BLUE, "o", "-"),
        "dropout": look("dropout 0.5", VERMILLION, "s", "-"),
        "dropout_rare": look("dropout 0.1", ORANGE, "X", "-"),
        "heteroscedastic": look("heteroscedastic", GREEN, "^", "-"),
        "ensemble": look("ensemble of five", PURPLE, "D", "-"),
        "laplace": look("last-layer Laplace", "#555555", "v", "-"),
        "robust": look("PGD-trained", BLUE, "o", "--", **OPEN),
        "robust_dropout": look("PGD-trained, dropout", VERMILLION, "s", "--", **OPEN),
        "robust_ensemble": look("PGD-trained ensemble", PURPLE, "D", "--", **OPEN),
    },
    every=KINDS,
)
LEAKS = Looks("membership", {"lira": look("LiRA", BLUE, "o"), "control": look("control", "#767676", "x")})


def _leak(dataset: str, kind: str) -> Row:
    at = f"{dataset}/{kind}"
    return Row(VICTIMS[kind]["label"], {"lira": f"{at}/lira_auc", "control": f"{at}/lira_control_auc"})


MEMBERSHIP: Rows = {
    f"{DATASET_NAMES[dataset]}: AUC of LiRA (%)": [_leak(dataset, kind) for kind in KINDS] for dataset in DATASETS
}
PARTS = {"Membership": MEMBERSHIP}
