"""The measured numbers and verdicts that the Harakeh chapter's sentences quote, by the name they are glued under."""

from __future__ import annotations

from statistics import fmean

from lib import claims, published
from lib.evasion import FORMS
from lib.papers.harakeh_beyond import EVERY, VICTIMS, found
from lib.papers.harakeh_pages import PAPER
from lib.results import READINGS, measured, records_of
from lib.runs import Record, Store
from lib.scores import OF_ESTIMATOR
from lib.tables import NOT_RUN, interval_of
from lib.uncertainty import ESTIMATORS
from lib.verdicts import judge

EXTRAS = ("unmoved", "adversarial_accuracy_one_draw", "sigma", "adversarial_sigma", "largest_perturbation")
# What a name of `VICTIMS` is called in the names of numbers.
VICTIM_IDS = dict(zip(VICTIMS, ("text", "dense", "reduced-mnist", "reduced-cifar10"), strict=True))


def prose(store: Store) -> dict[str, str]:
    """Every name and its text; what has no record says "not run"."""
    return {**_readings(store), **_beyond(store)}


def _readings(store: Store) -> dict[str, str]:
    """`paper-mnist-none-cw`, `text-mnist-none-cw`, `text-verdict-mnist-cw`, ...: what the tables and claims say."""
    text, declared, printed = {}, claims.load(PAPER), published.load(PAPER)
    for name, number in printed.items():
        dataset, attack, estimator, quantity = name.split("/")
        short = attack if quantity != "accuracy" else f"{attack}-clean"
        text[f"paper-{dataset}-{estimator}-{short}"] = number.text.replace("-", " to ") + " %"
    for one in READINGS[PAPER]:
        kept = measured(store, PAPER, one)
        for name in printed:
            dataset, attack, estimator, quantity = name.split("/")
            value = None if name not in kept else interval_of(kept[name]).mean
            short = attack if quantity != "accuracy" else f"{attack}-clean"
            text[f"{one.name}-{dataset}-{estimator}-{short}"] = percent(value)
        for dataset in ("mnist", "cifar10"):
            for estimator in ESTIMATORS:
                text[f"{one.name}-{dataset}-{estimator}-clean"] = text[f"{one.name}-{dataset}-{estimator}-fgsm-clean"]
                for extra in EXTRAS:
                    name = f"{one.name}-{dataset}-{estimator}-{extra.replace('_', '-')}"
                    text[name] = mean(records_of(store, PAPER, one, f"{dataset}/fgsm/{estimator}/accuracy"), extra)
        for claim in declared:
            text[f"{one.name}-verdict-{claim.id}"] = judge(claim, kept, printed).word
    return text


def _beyond(store: Store) -> dict[str, str]:
    """`reduced-mnist-epistemic-cw-one-draw-fooling-rate`, ...: the numbers of the tables beyond his."""
    text = {}
    for victim, short in VICTIM_IDS.items():
        for estimator in EVERY:
            for form in FORMS:
                name = f"{short}-{estimator}-{form.replace('_', '-')}"
                for attack in ("cw", "jsma"):
                    kept = found(store, victim, estimator, attack, form=form)
                    for what in ("fooling_rate", "misclassified", "l2"):
                        text[f"{name}-{attack}-{what.replace('_', '-')}"] = mean(kept, what)
                for steps, attack in ((1, "fgsm"), (20, "pgd")):
                    kept = found(store, victim, estimator, "pgd", form=form, steps=steps)
                    text[f"{name}-{attack}"] = mean(kept, "adversarial_accuracy")
            kept = found(store, victim, estimator, "black_box")
            for what in ("adversarial_accuracy", "queries", "substitute_agreement", "substitute_accuracy"):
                text[f"{short}-{estimator}-black-box-{what.replace('_', '-')}"] = mean(kept, what)
            for score in OF_ESTIMATOR[estimator]:
                for attack, settings in (
                    ("pgd", {"form": "mean", "steps": 20}),
                    ("cw", {"form": "mean"}),
                    ("black_box", {}),
                ):
                    kept = found(store, victim, estimator, attack, **settings)
                    text[f"{short}-{estimator}-auroc-{score}-{attack}".replace("_", "-")] = mean(kept, f"auroc_{score}")
                kept = found(store, victim, estimator, "aware", form="expectation", steps=20, score=score)
                text[f"{short}-{estimator}-auroc-{score}-aware".replace("_", "-")] = mean(kept, f"auroc_{score}")
    return text


def percent(value: float | None) -> str:
    """A percentage as the prose writes it."""
    return NOT_RUN if value is None else f"{value:.1f} %"


def mean(records: list[Record], measurement: str) -> str:
    """The mean over seeds of one measurement, in percent unless it is a number of its own."""
    values = [record.measurements[measurement] for record in records if measurement in record.measurements]
    if not values:
        return NOT_RUN
    if measurement == "queries":
        return f"{fmean(values):,.0f}"
    plain = measurement in ("l2", "sigma", "adversarial_sigma", "largest_perturbation")
    return f"{fmean(values):.3f}" if plain else percent(fmean(values))
