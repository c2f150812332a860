"""What the Harakeh chapter sets beside each other: the rows of its forest plots, as addresses."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.papers import harakeh
from lib.uncertainty import ESTIMATORS
from report.forests import Row, Rows
from report.specifications import Question, Way

PAPER = "harakeh"
WORDS = {"none": "plain", "epistemic": "epistemic (dropout)", "aleatoric": "aleatoric"}
# The victims that faced every attack, and how their addresses begin.
VICTIMS = {
    "MNIST, text's network": "text:mnist",
    "MNIST, fully connected": "dense:mnist",
    "MNIST, text's, reduced": "reduced:mnist",
    "CIFAR-10, tutorial's, reduced": "reduced:cifar10",
}
LEFT, FOOLED = "accuracy left (%)", "fooling rate (%)"
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

MEASURED = {  # title of a group: attack, and what is measured under it
    f"PGD, one step: {LEFT}": ("pgd", "adversarial_accuracy", "steps=1"),
    f"PGD, 20 steps: {LEFT}": ("pgd", "adversarial_accuracy", "steps=20"),
    f"CW: {FOOLED}": ("cw", "fooling_rate", ""),
    f"JSMA: {FOOLED}": ("jsma", "fooling_rate", ""),
}


def _by_form(victim: str, attack: str, quantity: str, steps: str) -> Row:
    at = f"{VICTIMS[victim]}/{attack}/{{}}/{quantity}"
    forms = {
        {"mean": "text"}.get(form, form): f"{at.format('epistemic')}?{'&'.join(filter(None, (steps, f'form={form}')))}"
        for form in harakeh.FORMS
    }
    return Row(victim, {"plain": at.format("none") + (f"?{steps}" if steps else ""), **forms})


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
        ("Accuracy left by FGSM (%)", "adversarial_accuracy", ("fgsm-drop", "fgsm-epistemic-gain", "fgsm-aleatoric-no-gain")),
    )
}  # fmt: skip


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
    estimators = estimators_of(victim)
    return Row(victim, {one: f"{VICTIMS[victim]}/{attack}/{one}/{quantity}" for one in estimators})


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

PARTS = {
    "The answer": ANSWER,
    "Clean accuracy": CLEAN,
    "Forms of attack": FORMS_BY_NETWORK,
    "CIFAR-10": CIFAR10,
    "Beyond the paper": victims_by_attack(),
}
