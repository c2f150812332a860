"""What the Harakeh chapter shows, as addresses: the rows of its forest plots, the lines of its curves, and how they look."""

import math
from collections.abc import Sequence
from itertools import product

from experiments import published
from experiments.address import reading
from experiments.papers import harakeh
from experiments.papers.harakeh.readings import TEXT
from lib.uncertainty import ESTIMATORS
from report.figures import looks
from report.figures.curves import Curves, Slider
from report.figures.forest import Row, Rows
from report.figures.looks import BLUE, GREEN, GREY, VERMILLION, Looks, look
from report.figures.panels import TO_100
from report.figures.specification import Question, Way
from report.names import DATASET_NAMES

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
FORMS = Looks(
    "form",
    {
        "text": look("ours: mean of ten draws", BLUE, "o"),
        "one_draw": look("ours: one draw", VERMILLION, "s"),
        "expectation": look("ours: expectation", GREEN, "^"),
    },
)
FORMS_AND_PLAIN = Looks("form", {"plain": look("plain network", GREY, "x"), **FORMS})
NETWORKS = Looks(
    "network",
    {"text": look("ours: text's network", BLUE, "o"), "tutorial": look("ours: tutorial's network", VERMILLION, "s")},
)

ATTACKED = {
    f"MNIST, FGSM: {LEFT}": ("mnist/fgsm/{0}/adversarial_accuracy", ("text", "one_draw", "expectation")),
    f"MNIST, CW: {FOOLED}": ("mnist/cw/{0}/fooling_rate", ("text", "one_draw", "expectation")),
    f"MNIST, JSMA: {FOOLED}": ("mnist/jsma/{0}/fooling_rate", ("text", "one_draw", "expectation")),
    f"MNIST, black box: {LEFT}": ("mnist/black_box/{0}/adversarial_accuracy", ("text",)),
    f"CIFAR-10, FGSM: {LEFT}": ("cifar10/fgsm/{0}/adversarial_accuracy", ("text",)),
}
# The claim that the text makes of a row, where it makes one.
CLAIMED = {
    "mnist/fgsm": ("mnist-fgsm-drop", "mnist-fgsm-epistemic-gain", "mnist-fgsm-aleatoric-no-gain"),
    "mnist/cw": ("mnist-cw", "mnist-cw-epistemic-drop", "mnist-cw-aleatoric-drop"),
    "mnist/jsma": ("mnist-jsma", "mnist-jsma-epistemic-drop", "mnist-jsma-aleatoric-drop"),
    "mnist/black_box": ("mnist-black-box", "mnist-black-box-epistemic-no-gain", "mnist-black-box-aleatoric-no-gain"),
    "cifar10/fgsm": ("cifar10-fgsm-drop", "cifar10-fgsm-epistemic-gain", "cifar10-fgsm-aleatoric-no-gain"),
}


def _attacked(pattern: str, readings: Sequence[str]) -> list[Row]:
    claims = CLAIMED["/".join(pattern.split("/")[:2])]
    return [
        Row(
            WORDS[estimator],
            # To a plain network the form makes no difference.
            {name: f"{name}:{pattern.format(estimator)}" for name in (readings if estimator != "none" else ("text",))},
            printed=pattern.format(estimator),
            claim=f"text:{claim}",
            runs=("fooling_rate_min", "fooling_rate_max") if "fooling_rate" in pattern else None,
        )
        for estimator, claim in zip(WORDS, claims, strict=True)
    ]


ANSWER: Rows = {title: _attacked(*cells) for title, cells in ATTACKED.items()}
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

CIFAR10: Rows = {
    title: [
        Row(
            WORDS[estimator],
            {name: f"{name}:cifar10/fgsm/{estimator}/{quantity}" for name in ("text", "tutorial")},
            printed=f"cifar10/fgsm/{estimator}/{quantity}",
            claim=f"tutorial:cifar10-{claim}" if claim else "",
        )
        for estimator, claim in zip(WORDS, claims, strict=True)
    ]
    for title, quantity, claims in (
        ("Clean accuracy (%)", "accuracy", ("accuracy", "", "")),
        (
            "Accuracy left by FGSM (%)",
            "adversarial_accuracy",
            ("fgsm-drop", "fgsm-epistemic-gain", "fgsm-aleatoric-no-gain"),
        ),
    )
}
CLEAN: Rows = {
    "MNIST: clean accuracy of each row (%)": [
        Row(
            f"{attack_words}, {WORDS[estimator]}",
            {name: f"{name}:mnist/{attack}/{estimator}/accuracy" for name in ("text", "tutorial")},
            printed=f"mnist/{attack}/{estimator}/accuracy",
        )
        for attack, attack_words in (("fgsm", "FGSM"), ("cw", "CW"), ("jsma", "JSMA"), ("black_box", "black box"))
        for estimator in WORDS
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
CURVE = Curves(
    lines={
        title: {estimator: f"{name}:{dataset}/fgsm/{estimator}" for estimator in ESTIMATORS}
        for title, (dataset, name) in PANELS.items()
    },
    x="epsilon",
    y="accuracy",
    looks=looks.ESTIMATORS,
    # At the tutorial's budget: he does not state his.
    printed={
        title: {one: (0.3, PRINTED[f"{dataset}/fgsm/{one}/adversarial_accuracy"].value) for one in ESTIMATORS}
        for title, (dataset, _) in PANELS.items()
    },
    xlabel=r"budget $\epsilon$ ($\ell_\infty$, images in [0, 1])",
    ylabel="accuracy (%)",
    settings={"ylim": TO_100},
    slider=Slider(
        "Budget ε of FGSM (ℓ∞, images in [0, 1])",
        "Test images still answered right. FGSM follows the network's own answer.",
        start=0.3,
    ),
)
# The loss that PGD reaches against its number of steps: an attack that is strong enough rises, and levels off.
LOSS = Curves(
    lines={
        victim: {estimator: f"{at}/pgd/{estimator}" for estimator in estimators_of(victim)}
        for victim, at in VICTIMS.items()
    },
    x="steps",
    y="loss",
    looks=looks.ESTIMATORS,
    highest=math.inf,
    xlabel="steps of the attack (logarithmic)",
    ylabel="loss of the true label (nats)",
    settings={"xscale": "log"},
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
