"""The measured numbers and verdicts that the Harakeh chapter's sentences quote, by the name they are glued under."""

from __future__ import annotations

from itertools import product

from experiments.records import Store
from experiments.results import READINGS, records_of
from lib.evasion import FORMS
from lib.uncertainty import ESTIMATORS
from lib.uncertainty.scores import OF_ESTIMATOR
from report.papers.harakeh_beyond import EVERY, VICTIMS, first_judged, found
from report.papers.harakeh_pages import PAPER
from report.prose import dashed, mean, percent, readings
from report.tables import NOT_RUN, over_seeds, paired

# Of what is no percentage.
FORMATS = {
    "queries": ",.0f",
    "l2": ".3f",
    "sigma": ".3f",
    "adversarial_sigma": ".3f",
    "largest_perturbation": ".3f",
}  # no percentages
EXTRAS = ("unmoved", "adversarial_accuracy_one_draw", "sigma", "adversarial_sigma", "largest_perturbation")
# What a name of `VICTIMS` is called in the names of numbers.
VICTIM_IDS = dict(zip(VICTIMS, ("text", "dense", "reduced-mnist", "reduced-cifar10"), strict=True))


def prose(store: Store) -> dict[str, str]:
    """Every name and its text; what has no record says "not run"."""
    return {
        **readings(store, PAPER, READINGS[PAPER], name_of=_short),
        **_clean(store),
        **_black_box(store),
        **_gains(store),
        **_beyond(store),
        **_judged(store),
    }


def _short(name: str) -> str:
    dataset, attack, estimator, quantity = name.split("/")
    return f"{dataset}-{estimator}-{attack}" + ("-clean" if quantity == "accuracy" else "")


def _clean(store: Store) -> dict[str, str]:
    """`text-mnist-none-clean`, `text-mnist-epistemic-unmoved`, ...: of FGSM's cells, what the table does not have."""
    text = {}
    for one, dataset, estimator in product(READINGS[PAPER], ("mnist", "cifar10"), ESTIMATORS):
        kept = records_of(store, PAPER, one, f"{dataset}/fgsm/{estimator}/accuracy")
        for name, measurement in {"clean": "accuracy", **{name: name for name in EXTRAS}}.items():
            text[f"{one.name}-{dataset}-{estimator}-{dashed(name)}"] = mean(kept, measurement, formats=FORMATS)
    return text


def _black_box(store: Store) -> dict[str, str]:
    """`text-mnist-none-black-box-range`, ...: the least and the most that any seed keeps under the black box."""
    text = {}
    for one, estimator in product(READINGS[PAPER], ESTIMATORS):
        kept = records_of(store, PAPER, one, f"mnist/black_box/{estimator}/adversarial_accuracy")
        values = [record.measurements["adversarial_accuracy"] for record in kept]
        ends = f"{min(values):.1f} to {percent(max(values))}" if values else NOT_RUN
        text[f"{one.name}-mnist-{estimator}-black-box-range"] = ends
    return text


def _gains(store: Store) -> dict[str, str]:
    """`text-mnist-one-draw-gain`, `dense-black-box-gain`, ...: what dropout keeps more than the plain network, paired by seed.

    `text-mnist-one-draw-less-mean` is what FGSM through one draw leaves more than through the mean.
    """
    text, left = {}, "adversarial_accuracy"
    for one, dataset in product(READINGS[PAPER], ("mnist", "cifar10")):
        plain, dropout = (records_of(store, PAPER, one, f"{dataset}/fgsm/{e}/accuracy") for e in ("none", "epistemic"))
        for name, less, more in (
            ("mean-gain", (plain, left), (dropout, left)),
            ("one-draw-gain", (plain, left), (dropout, f"{left}_one_draw")),
            ("one-draw-less-mean", (dropout, left), (dropout, f"{left}_one_draw")),
        ):
            text[f"{one.name}-{dataset}-{name}"] = over_seeds(paired(less, more))
    for victim, short in VICTIM_IDS.items():
        for attack in ("fgsm", "black_box"):
            plain, dropout = (found(store, victim, estimator, attack) for estimator in ("none", "epistemic"))
            text[dashed(f"{short}-{attack}-gain")] = over_seeds(paired((plain, left), (dropout, left)))
    return text


def _judged(store: Store) -> dict[str, str]:
    """`judged-victim`: whose detection the figures show, and over how many seeds."""
    victim = first_judged(store)
    kept = found(store, victim, "epistemic", "pgd", form="mean", steps=20)
    return {"judged-victim": f"{victim}, ×{len(kept)}" if kept else NOT_RUN}


def _beyond(store: Store) -> dict[str, str]:
    """`reduced-mnist-epistemic-cw-one-draw-fooling-rate`, ...: the numbers of the tables beyond his."""
    text = {}
    for victim, short in VICTIM_IDS.items():
        for estimator in EVERY:
            for form in FORMS:
                name = f"{short}-{estimator}-{dashed(form)}"
                for attack in ("cw", "jsma"):
                    kept = found(store, victim, estimator, attack, form=form)
                    for what in ("fooling_rate", "misclassified", "l2"):
                        text[f"{name}-{attack}-{dashed(what)}"] = mean(kept, what, formats=FORMATS)
                for steps, attack in ((1, "fgsm"), (20, "pgd")):
                    kept = found(store, victim, estimator, "pgd", form=form, steps=steps)
                    text[f"{name}-{attack}"] = mean(kept, "adversarial_accuracy")
            kept = found(store, victim, estimator, "black_box")
            for what in ("adversarial_accuracy", "queries", "substitute_agreement", "substitute_accuracy"):
                text[f"{short}-{estimator}-black-box-{dashed(what)}"] = mean(kept, what, formats=FORMATS)
            for score in OF_ESTIMATOR[estimator]:
                for attack, settings in (
                    ("pgd", {"form": "mean", "steps": 20}),
                    ("cw", {"form": "mean"}),
                    ("jsma", {"form": "mean"}),
                    ("black_box", {}),
                ):
                    kept = found(store, victim, estimator, attack, **settings)
                    text[dashed(f"{short}-{estimator}-auroc-{score}-{attack}")] = mean(kept, f"auroc_{score}")
                kept = found(store, victim, estimator, "aware", form="expectation", steps=20, score=score)
                text[dashed(f"{short}-{estimator}-auroc-{score}-aware")] = mean(kept, f"auroc_{score}")
    return text
