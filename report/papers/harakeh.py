"""What the Harakeh chapter shows, as addresses: the rows of its forest plots, the lines of its curves, and how they look."""

import re
from collections.abc import Sequence
from itertools import product

from experiments import published
from experiments.address import reading
from experiments.papers import harakeh
from experiments.papers.harakeh.readings import TEXT
from lib.uncertainty import ESTIMATORS
from report.figures import looks
from report.figures.curves import Curves
from report.figures.forest import Row, Rows, beside
from report.figures.looks import Looks
from report.figures.specification import Question, Way
from report.names import ATTACK_NAMES, DATASET_NAMES

PAPER = "harakeh"
PRINTED = published.load(PAPER)
WORDS = {"none": "plain", "epistemic": "epistemic (dropout)", "aleatoric": "aleatoric"}
READINGS = ("text", "reduced")  # whose records stand for a number on the first page: the first that has any
# The victims that faced every attack, and how their addresses begin.
VICTIMS = {
    "MNIST, text's network": "text:mnist",
    "MNIST, fully connected": "dense:mnist",
    "MNIST, text's, reduced": "reduced:mnist",
    "CIFAR-10, tutorial's, reduced": "reduced:cifar10",
}
LEFT, FOOLED = "accuracy left (%)", "fooling rate (%)"
# The forms of an attack on a random network; the names are those of readings.
FORMS_AND_PLAIN = FORMS = Looks.declared(PAPER, "form")
NETWORKS = Looks.declared(PAPER, "network")
FORMS_TRIED = ("text", "one_draw", "expectation")
GAINS = ("drop", "epistemic-gain", "aleatoric-no-gain")
DROPS, NONE = ("", "epistemic-drop", "aleatoric-drop"), ("", "epistemic-no-gain", "aleatoric-no-gain")
# By the title of a group: an attack, under which readings, and the claims that the text makes of its rows.
ATTACKED = {
    f"MNIST, FGSM: {LEFT}": ("mnist/fgsm", FORMS_TRIED, GAINS),
    f"MNIST, CW: {FOOLED}": ("mnist/cw", FORMS_TRIED, DROPS),
    f"MNIST, JSMA: {FOOLED}": ("mnist/jsma", FORMS_TRIED, DROPS),
    f"MNIST, black box: {LEFT}": ("mnist/black_box", ("text",), NONE),
    f"CIFAR-10, FGSM: {LEFT}": ("cifar10/fgsm", ("text",), GAINS),
}


def _attacked(title: str, attack: str, readings: Sequence[str], claims: Sequence[str]) -> list[Row]:
    quantity, runs = "adversarial_accuracy", None
    if FOOLED in title:
        quantity, runs = "fooling_rate", ("fooling_rate_min", "fooling_rate_max")
    rows = []
    for (estimator, words), claim in zip(WORDS.items(), claims, strict=True):
        id_ = f"{attack}/{estimator}/{quantity}"
        # To a plain network the form makes no difference.
        ours = {name: f"{name}:{id_}" for name in (readings if estimator != "none" else ("text",))}
        name = "-".join(filter(None, (re.sub("[/_]", "-", attack), claim)))
        rows.append(Row(words, ours, id_, f"text:{name}", runs))
    return rows


ANSWER: Rows = {title: _attacked(title, *rows) for title, rows in ATTACKED.items()}
EXAMPLE = {title: group for title, group in ANSWER.items() if "CW" in title}, FORMS  # of how to read a figure

MEASURED = {  # title of a group: attack, and what is measured under it
    f"PGD, one step: {LEFT}": ("pgd", "adversarial_accuracy", "steps=1"),
    f"PGD, 20 steps: {LEFT}": ("pgd", "adversarial_accuracy", "steps=20"),
    f"CW: {FOOLED}": ("cw", "fooling_rate", ""),
    f"JSMA: {FOOLED}": ("jsma", "fooling_rate", ""),
}


def _by_form(victim: str, attack: str, quantity: str, steps: str) -> Row:
    at = f"{VICTIMS[victim]}/{attack}/{{}}/{quantity}"
    found = {"plain": at.format("none") + (f"?{steps}" if steps else "")}
    for form in harakeh.FORMS:
        found[{"mean": "text"}.get(form, form)] = f"{at.format('epistemic')}?{steps and f'{steps}&'}form={form}"
    return Row(victim, found)


FORMS_BY_NETWORK: Rows = {
    title: [_by_form(victim, *measured) for victim in VICTIMS] for title, measured in MEASURED.items()
}


def _networks(label: str, id_: str, claim: str = "") -> Row:
    return beside(label, id_, ("text", "tutorial"), claim and f"tutorial:cifar10-{claim}")


CIFAR10: Rows = {
    title: [
        _networks(words, f"cifar10/fgsm/{estimator}/{quantity}", claim)
        for (estimator, words), claim in zip(WORDS.items(), claims, strict=True)
    ]
    for title, quantity, claims in (
        ("Clean accuracy (%)", "accuracy", ("accuracy", "", "")),
        ("Accuracy left by FGSM (%)", "adversarial_accuracy", [f"fgsm-{claim}" for claim in GAINS]),
    )
}
CLEAN: Rows = {
    "MNIST: clean accuracy of each row (%)": [
        _networks(f"{ATTACK_NAMES[attack]}, {words}", f"mnist/{attack}/{estimator}/accuracy")
        for attack, (estimator, words) in product(("fgsm", "cw", "jsma", "black_box"), WORDS.items())
    ]
}


def estimators_of(victim: str) -> tuple[str, ...]:
    """Those that a victim comes with: ensembles only where their members are cheap to train."""
    return ESTIMATORS if VICTIMS[victim] == "text:mnist" else (*ESTIMATORS, "ensemble")


def victims_by_attack() -> dict[str, list[Row]]:
    """Every victim under every attack, through its own answer."""
    measured = {
        "Clean accuracy (%)": ("fgsm", "accuracy"),
        f"FGSM: {LEFT}": ("fgsm", "adversarial_accuracy"),
        f"PGD, 20 steps: {LEFT}": ("pgd", "adversarial_accuracy"),
        f"Black box: {LEFT}": ("black_box", "adversarial_accuracy"),
        f"CW: {FOOLED}": ("cw", "fooling_rate"),
        f"JSMA: {FOOLED}": ("jsma", "fooling_rate"),
    }
    rows = {title: [_by_estimator(victim, *what) for victim in VICTIMS] for title, what in measured.items()}
    return rows


def _by_estimator(victim: str, attack: str, quantity: str) -> Row:
    return Row(victim, {one: f"{VICTIMS[victim]}/{attack}/{one}/{quantity}" for one in estimators_of(victim)})


# Data set and reading of each panel of accuracies, by its title.
PANELS = {
    f"{DATASET_NAMES[dataset]}, {reading(PAPER, name).title}": (dataset, name)
    for dataset, name in product(TEXT, ("text", "tutorial"))
}
CURVE = Curves.declared(
    PAPER,
    "accuracy",
    lines={
        title: {estimator: f"{name}:{dataset}/fgsm/{estimator}" for estimator in ESTIMATORS}
        for title, (dataset, name) in PANELS.items()
    },
    looks=looks.ESTIMATORS,
    # At the tutorial's budget: he does not state his.
    printed={
        title: {one: (0.3, PRINTED[f"{dataset}/fgsm/{one}/adversarial_accuracy"].value) for one in ESTIMATORS}
        for title, (dataset, _) in PANELS.items()
    },
)
LOSS = Curves.declared(
    PAPER,
    "loss",
    lines={victim: {one: f"{at}/pgd/{one}" for one in estimators_of(victim)} for victim, at in VICTIMS.items()},
    looks=looks.ESTIMATORS,
)

# What dropout does to the fooling rate, in every way in which it was asked.
QUESTION = Question(
    [
        Way(
            {"attack": attack.upper(), "network": victim, "form": form.replace("_", " ")},
            f"{at}/{attack}/epistemic/fooling_rate?form={form} - {at}/{attack}/none/fooling_rate",
        )
        for attack in ("cw", "jsma")
        for victim, at in VICTIMS.items()
        for form in harakeh.FORMS
    ],
    printed=[
        (f"mnist/{attack}/epistemic/fooling_rate", f"mnist/{attack}/none/fooling_rate") for attack in ("cw", "jsma")
    ],
    ylabel="dropout − plain: fooling rate (points)",
)
