"""What the chapter on all three questions sets beside each other: victims with their looks, and rows of addresses."""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from experiments.papers.at_once.evasion import ATTACKS
from experiments.papers.at_once.grid import SETTINGS
from experiments.papers.at_once.readings import DATASETS
from experiments.papers.at_once.readings import PARTS as FEWER
from experiments.papers.at_once.victims import KINDS
from report.figures.curves import Curves, Slider
from report.figures.forest import Row, Rows
from report.figures.looks import BLUE, GREEN, GREY, OPEN, ORANGE, PURPLE, VERMILLION, Looks, look
from report.names import DATASET_NAMES, QUANTITY_NAMES

PAPER = "at_once"
# Colour and mark by how the victim is uncertain, open and dashed where it was trained against PGD.
VICTIMS = Looks(
    "victim",
    {
        "plain": look("plain", BLUE, "o", "-"),
        "dropout": look("dropout", VERMILLION, "s", "-"),
        "dropout_rare": look("rare dropout", ORANGE, "X", "-"),
        "heteroscedastic": look("heteroscedastic", GREEN, "^", "-"),
        "ensemble": look("ensemble", PURPLE, "D", "-"),
        "laplace": look("Laplace", GREY, "v", "-"),
        "robust": look("PGD-trained", BLUE, "o", "--", **OPEN),
        "robust_dropout": look("PGD-trained with dropout", VERMILLION, "s", "--", **OPEN),
        "robust_ensemble": look("PGD-trained ensemble", PURPLE, "D", "--", **OPEN),
    },
    every=KINDS,
)
# Victims that differ in nothing but that the first is uncertain, and in nothing but that the first was trained against PGD.
UNCERTAIN = {
    **{kind: "plain" for kind, one in KINDS.items() if not one.robust and kind != "plain"},
    **{kind: "robust" for kind, one in KINDS.items() if one.robust and kind != "robust"},
}
ROBUST_PAIRS = {"robust": "plain", "robust_dropout": "dropout", "robust_ensemble": "ensemble"}
RANDOM = ("dropout", "dropout_rare", "heteroscedastic", "laplace", "robust_dropout")

# What the pages call the attacks of the table.
LINES = {
    "noise": "noise, a control",
    "fgsm": "FGSM",
    "pgd_one_draw": "PGD, one draw",
    "pgd_mean": "PGD, mean of draws",
    "pgd_averaged_10": "PGD, 10 gradients averaged",
    "pgd_averaged_100": "PGD, 100 gradients averaged",
    "apgd": "APGD",
    "apgd_targets": "APGD, targeted",
    "square": "Square",
    "carlini_wagner": "Carlini and Wagner",
    "transfer": "transfer from a plain network",
    "hop_skip_jump_naive": "HopSkipJump, naive",
    "hop_skip_jump_aware": "HopSkipJump, aware",
    "boundary_naive": "Boundary, naive",
    "boundary_aware": "Boundary, aware",
}


class Line(NamedTuple):
    """A row of the crossed table: its name, its quantity, and which value leaves an attacker with nothing, and which with all."""

    label: str
    quantity: str
    nothing: float
    all: float


def _evasion(norm: str) -> list[Line]:
    at = "l2/" if norm == "l2" else ""
    lines = [Line(LINES.get(name, name), f"{at}accuracy_{name}", 100, 0) for name in ATTACKS[norm]]
    return [*lines, Line("the worst of all", f"{at}worst_case", 100, 0)]


def membership(*scores: str, rate: str, nothing: float) -> list[Line]:
    """A line a score, called by what is before the comma of its quantity's name."""
    names = {score: QUANTITY_NAMES[f"{score}_{rate}"].rpartition(", ")[0] for score in scores}
    return [Line(name, f"{score}_{rate}", nothing, 100) for score, name in names.items()]


SCORES = ("gap", "entropy", "odds", "adv_odds", "draw", "spread", "lira", "adv_lira", "rmia", "label_only")
CROSSED = {
    "Accuracy under attack within l∞ (%)": _evasion("linf"),
    "Accuracy under attack within l2 (%)": _evasion("l2"),
    "Membership: area under the ROC curve (%)": [
        *membership(*SCORES, rate="auc", nothing=50),
        Line("LiRA on a random deal, a control", "lira_control_auc", 50, 100),
    ],
    "Membership: members found where one other in a hundred is called one (%)": membership(
        "odds", "lira", "rmia", rate="tpr_at_1pct", nothing=1
    ),
    "Uncertainty (%)": [
        Line("clean accuracy", "accuracy", 100, 0),
        Line("calibration error", "ece", 0, 30),
        Line("entropy tells wrong answers (AUROC)", "auroc_wrong_entropy", 100, 50),
        Line("... rotated images", "auroc_rotated_entropy", 100, 50),
        Line("... corrupted images", "auroc_corrupted_entropy", 100, 50),
        Line("... adversarial images", "auroc_adversarial_entropy", 100, 50),
        Line("... whose maker knows of it", "auroc_aware_entropy", 100, 50),
        Line("wrong, and not rejected, if he knows", "evades_aware_entropy", 0, 100),
    ],
}

AXES = {"x": "lira_tpr_at_1pct", "y": "worst_case", "size": "accuracy"}

LOOKS_TRIED = Looks(
    "look",
    {
        "pgd_one_draw": look("one draw", VERMILLION, "s"),
        "pgd_mean": look("mean of ten", ORANGE, "^"),
        "pgd_averaged_10": look("10 gradients averaged", BLUE, "o"),
        "pgd_averaged_100": look("100 averaged", BLUE, "D", **OPEN),
        "worst_case": look("the worst of all attacks", GREY, "X"),
    },
)
LEAKS = Looks(
    "membership",
    {
        "odds": look("one threshold", ORANGE, "^"),
        "lira": look("LiRA", BLUE, "o"),
        "label_only": look("labels alone", VERMILLION, "s"),
        "lira_control": look("control", GREY, "X"),
    },
)
SEEN = Looks(
    "images",
    {
        "wrong": look("wrong", BLUE, "o"),
        "corrupted": look("corrupted", GREEN, "^"),
        "adversarial": look("adversarial", ORANGE, "D"),
        "aware": look("adversarial, knowing of it", VERMILLION, "s"),
    },
)


def _rows(title: str, kinds: tuple[str, ...], names: Looks, quantity: str, claim: str = "") -> Rows:
    """A group a data set, a line a victim: a quantity of each of `names`, and the verdict that names the victim."""

    def row(dataset: str, kind: str) -> Row:
        found = {name: f"{dataset}/{kind}/{name if name == 'worst_case' else quantity.format(name)}" for name in names}
        return Row(VICTIMS[kind]["label"], found, claim=CLAIMED.get((claim, kind), "").format(dataset))

    return {f"{DATASET_NAMES[dataset]}: {title}": [row(dataset, kind) for kind in kinds] for dataset in DATASETS}


# The part of a claim whose verdict stands beside a victim.
CLAIMED = {
    ("look", "dropout"): "text:{}-dropout-averaging-finds-more",
    ("look", "robust_dropout"): "text:{}-robust-dropout-averaging-finds-more",
    ("leak", "ensemble"): "text:{}-ensembles-leak-no-less",
    ("leak", "dropout"): "text:{}-dropout-leaks-no-more",
    ("leak", "dropout_rare"): "text:{}-dropout-rare-leaks-no-more",
    ("leak", "robust"): "text:{}-robustness-leaks",
    ("seen", "dropout"): "text:{}-dropout-hidden",
    ("seen", "ensemble"): "text:{}-ensemble-hidden",
}
LOOKED = _rows("accuracy under PGD (%)", RANDOM, LOOKS_TRIED, "accuracy_{}", "look")
LEAKING = _rows("members told from others, AUC (%)", tuple(KINDS), LEAKS, "{}_auc", "leak")
NOTICED = _rows("told from clean images by entropy, AUROC (%)", tuple(KINDS), SEEN, "auroc_{}_entropy", "seen")
# What the scatters are of, a row a victim in the order of `KINDS`, and behind those of all members those of fewer.
CORNER: Rows = {
    DATASET_NAMES[dataset]: [
        Row(kind, {name: f"{dataset}/{kind}/{quantity}" for name, quantity in AXES.items()}) for kind in KINDS
    ]
    for dataset in DATASETS
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
    at, unit, words = {"linf": ("", r"$\ell_\infty$", "ℓ∞"), "l2": ("l2/", r"$\ell_2$", "ℓ2")}[norm]
    return Curves(
        lines={
            DATASET_NAMES[dataset] + said: {(kind, curve): f"{dataset}/{kind}/{at}worst_case" for kind in KINDS}
            for dataset in DATASETS
            for curve, said in attacks.items()
        },
        x="epsilons",
        y="{1}",
        looks=Looks("victim", {(kind, curve): VICTIMS[kind] for kind, curve in product(KINDS, attacks)}),
        xlabel=f"budget in {unit}, images in [0, 1]",
        ylabel="accuracy under the worst attack (%)",
        settings={"ylim": (-3, 103), "high": 5.0},
        slider=Slider(
            f"Budget ({words}, images in [0, 1])",
            "Test images still answered right, judged by fresh draws.",
            start=SETTINGS["budgets"]["mnist"][norm]["epsilon"],
        ),
    )


# The figures of the worst of all attacks, and what their sliders have: every attack.
BUDGETS = {norm: _budgets(norm, {"worst_case": ""}) for norm in ATTACKS}
LEFT = {
    norm: _budgets(
        norm,
        {"worst_case": ": the worst of all attacks", **{f"accuracy_{one}": f": {LINES[one]}" for one in ATTACKS[norm]}},
    )
    for norm in ATTACKS
}


def crossed(dataset: str) -> Rows:
    """Every attack on every victim of a data set, a group a kind of attack, a row an attack."""
    return {
        title: [Row(line.label, {kind: f"{dataset}/{kind}/{line.quantity}" for kind in KINDS}) for line in lines]
        for title, lines in CROSSED.items()
    }
