"""What the Harakeh chapter shows beyond his tables: other victims, rejection by uncertainty, checks, changed settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from experiments.papers import harakeh
from experiments.records import Record, Store
from experiments.results import REDUCED, TEXT, records
from lib.uncertainty import ESTIMATORS
from lib.uncertainty.scores import NAMES as SCORE_NAMES
from lib.uncertainty.scores import OF_ESTIMATOR
from report.numbers import NOT_RUN, over_seeds
from report.tables import DATASET_NAMES, Table, of

PAPER = "harakeh"
EVERY = (*ESTIMATORS, "ensemble")
# The victims that faced every attack: title, profile, data set, network.
VICTIMS: dict[str, tuple[str, str, str]] = {
    "MNIST, text's network": ("paper", "mnist", TEXT["mnist"]),
    "MNIST, fully connected": ("paper", "mnist", "fully_connected"),
    "MNIST, text's network, `reduced`": ("reduced", "mnist", REDUCED["mnist"]),
    "CIFAR-10, tutorial's network, `reduced`": ("reduced", "cifar10", REDUCED["cifar10"]),
}


def found(store: Store, victim: str, estimator: str, attack: str, **settings: Any) -> list[Record]:
    """The records, one a seed, of one victim of `VICTIMS` under one attack; the form of a victim without one is "mean"."""
    profile, dataset, network = VICTIMS[victim]
    if attack in ("cw", "jsma", "pgd") and estimator in ("none", "ensemble"):
        settings["form"] = "mean"
    one = {"dataset": dataset, "network": network, "estimator": estimator, "attack": attack}
    return records(store, PAPER, profile, **one, **settings)


def victims_table(store: Store) -> Table:
    """Every victim under every attack, through its own answer: accuracies and fooling rates in percent."""
    rows = [
        [
            victim,
            estimator,
            of(found(store, victim, estimator, "fgsm"), "accuracy"),
            of(found(store, victim, estimator, "fgsm"), "adversarial_accuracy"),
            of(found(store, victim, estimator, "pgd", form="mean", steps=20), "adversarial_accuracy"),
            of(found(store, victim, estimator, "black_box"), "adversarial_accuracy"),
            of(found(store, victim, estimator, "cw", form="mean"), "fooling_rate"),
            of(found(store, victim, estimator, "jsma", form="mean"), "fooling_rate"),
        ]
        for victim in VICTIMS
        for estimator in _estimators(victim)
    ]
    head = (
        "Victim,Uncertainty,Clean accuracy,Under FGSM,Under PGD,Under the black box,CW fooling rate,JSMA fooling rate"
    )
    return Table(head.split(","), rows)


def _estimators(victim: str) -> tuple[str, ...]:
    """Those that a victim comes with: ensembles only where their members are cheap to train."""
    return ESTIMATORS if victim == "MNIST, text's network" else EVERY


def forms_table(store: Store) -> Table:
    """Accuracy under FGSM and PGD of the random victims in each form, and what fresh draws make of CW and JSMA."""
    rows = []
    for victim in VICTIMS:
        for estimator in ("epistemic", "aleatoric"):
            for form in harakeh.FORMS:
                fgsm = found(store, victim, estimator, "pgd", form=form, steps=1)
                pgd = found(store, victim, estimator, "pgd", form=form, steps=20)
                cw, jsma = (found(store, victim, estimator, name, form=form) for name in ("cw", "jsma"))
                numbers = [of(fgsm, "adversarial_accuracy"), of(pgd, "adversarial_accuracy")]
                fooled = [text for kept in (cw, jsma) for text in (of(kept, "fooling_rate"), _vote(kept))]
                rows.append([victim, estimator, form.replace("_", " "), *numbers, *fooled])
    return Table(
        ["Victim", "Uncertainty", "Form", "Under FGSM", "Under PGD", "CW", "CW, vote", "JSMA", "JSMA, vote"], rows
    )


def _vote(kept: Sequence[Record]) -> str:
    """The mean fooling rate by majority vote."""
    return f"{fmean(record.measurements['fooling_rate_vote'] for record in kept):.1f}" if kept else "–"


def detection_table(store: Store) -> Table:
    """AUROC in percent of each score for each attack; 50 is chance, below it the adversarial images look the safer ones."""
    rows = []
    for victim in VICTIMS:
        for estimator in _estimators(victim):
            for score in OF_ESTIMATOR[estimator]:
                kept = [
                    found(store, victim, estimator, "pgd", form="mean", steps=1),
                    found(store, victim, estimator, "pgd", form="mean", steps=20),
                    found(store, victim, estimator, "cw", form="mean"),
                    found(store, victim, estimator, "jsma", form="mean"),
                    found(store, victim, estimator, "black_box"),
                    found(store, victim, estimator, "aware", form="expectation", steps=20, score=score),
                ]
                rows.append([victim, estimator, SCORE_NAMES[score], *(of(some, f"auroc_{score}") for some in kept)])
    head = ["Victim", "Uncertainty", "Score", "FGSM", "PGD", "CW", "JSMA", "Black box", "PGD that knows the score"]
    return Table(head, rows)


def deviations_table(store: Store) -> Table:
    """What each setting that the paper leaves open does, paired by seed, in percentage points."""
    pairs: dict[tuple[str, str], list[tuple[Record | None, Record | None]]] = {}
    for one in harakeh.deviations("reduced"):
        pairs.setdefault((one.title, one.measurement), []).append((store.get(one.usual), store.get(one.changed)))
    rows = []
    for (title, measurement), both in pairs.items():
        done = [(a.measurements[measurement], b.measurements[measurement]) for a, b in both if a and b]
        numbers = [
            over_seeds([a for a, _ in done]),
            over_seeds([b for _, b in done]),
            over_seeds([b - a for a, b in done]),
        ]
        rows.append([title, measurement.replace("_", " "), *numbers])
    return Table(["Setting", "Measured (%)", "As in the rows", "Changed", "Effect"], rows)


def checks_table(store: Store) -> Table:
    """Whether the attacks were adequate: each check, the worst number among the records it covers, and whether it holds."""
    everything = [r for r in store.all(PAPER) if r.config["profile"] in ("paper", "reduced")]
    rows = []
    for title, attacks, measurement, worst, (low, high) in _checks():
        values = [
            (value, record)
            for record in everything
            if record.config["attack"] in attacks and (value := measurement(record)) is not None
        ]
        if values:
            value, record = worst(values, key=lambda pair: pair[0])
            config = record.config
            network = config["network"].removesuffix("_tutorial").replace("_", " ")
            whose = " (tutorial’s)" if config["network"].endswith("_tutorial") else ""
            where = f"{DATASET_NAMES[config['dataset']]}, {network}{whose}, {config['estimator']}"
            asked = f"{low:g} to {high:g}" if high < math.inf else f"at least {low:g}"
            holds = "yes" if low <= value <= high else "**no**"
            rows.append([title, str(len(values)), f"{value:.2f}", asked, where, holds])
        else:
            rows.append([title, "0", *["–"] * 3, NOT_RUN])
    return Table(["Check", "Records", "Worst value", "Must be", "Found in", "Holds"], rows)


def _checks() -> list[tuple[Any, ...]]:
    """Each check: its words, attacks, what it reads from a record, which extreme is the worst, and within what it must lie."""

    def number(name: str) -> Any:
        return lambda record: record.measurements.get(name)

    def black_less_white(record: Record) -> float | None:
        kept = record.measurements
        return kept["black_box_accuracy"] - kept["white_box_accuracy"] if "white_box_accuracy" in kept else None

    def at_zero(record: Record) -> float | None:
        curve = dict(zip(record.curves["epsilon"], record.curves["accuracy"], strict=True))
        return abs(curve[0.0] - record.measurements["accuracy"]) if 0.0 in curve else None

    def loss_gained(record: Record) -> float | None:
        loss = record.curves.get("loss") or []
        return loss[-1] - loss[0] if loss else None

    def over_budget(record: Record) -> float | None:
        return float(record.measurements["largest_perturbation"] - record.config["epsilon"])

    return [
        ("FGSM at ε = 0 leaves the clean accuracy: difference, points", ["fgsm"], at_zero, max, (0, 2.5)),
        ("FGSM images whose gradient vanished, %", ["fgsm"], number("unmoved"), max, (0, 1)),
        ("PGD: images whose whole gradient is zero, %", ["pgd"], number("zero_gradients"), max, (0, 1)),
        (
            "PGD: loss after the last of its steps less that after the first, nats",
            ["pgd"],
            loss_gained,
            min,
            (0, math.inf),
        ),
        ("FGSM, PGD: largest change less the budget", ["fgsm", "pgd", "aware"], over_budget, max, (-1, 1e-5)),
        ("CW, JSMA: distance outside the range of images", ["cw", "jsma"], number("outside"), max, (0, 0)),
        ("black box less white box: accuracy left, points", ["black_box"], black_less_white, min, (0, 100)),
        ("untrained network: accuracy, %", ["pgd"], number("untrained_accuracy"), max, (0, 25)),
    ]


def fooling_panels(store: Store) -> Mapping[str, Mapping[tuple[str, str], list[Record]]]:
    """The records of CW and JSMA by panel, then by estimator and form, for the figure of fooling rates."""
    panels = {}
    for victim in VICTIMS:
        for attack, name in (("cw", "CW"), ("jsma", "JSMA")):
            lines = {("none", "mean"): found(store, victim, "none", attack, form="mean")}
            for estimator in ("epistemic", "aleatoric"):
                lines |= {
                    (estimator, form): found(store, victim, estimator, attack, form=form) for form in harakeh.FORMS
                }
            if any(lines.values()):
                panels[f"{name}: {victim.replace('`', '')}"] = lines
    return panels


def detection_panels(store: Store, victim: str) -> Mapping[str, Mapping[tuple[str, str], list[Record]]]:
    """The records by attack, then by estimator and score, for the figures of detection and rejection."""
    panels: dict[str, Mapping[tuple[str, str], list[Record]]] = {}
    for title, attack, settings in (
        ("FGSM", "pgd", {"form": "mean", "steps": 1}),
        ("PGD", "pgd", {"form": "mean", "steps": 20}),
        ("PGD that knows the score", "aware", {"form": "expectation", "steps": 20}),
        ("CW", "cw", {"form": "mean"}),
        ("JSMA", "jsma", {"form": "mean"}),
    ):
        panels[title] = {
            (estimator, score): found(
                store, victim, estimator, attack, **settings, **({"score": score} if attack == "aware" else {})
            )
            for estimator in _estimators(victim)
            for score in OF_ESTIMATOR[estimator]
        }
    return panels


def loss_panels(store: Store) -> Mapping[str, Mapping[str, list[Record]]]:
    """The records of PGD that carry the loss against its steps, by victim that has any, then by estimator."""
    panels = {}
    for victim in VICTIMS:
        lines = {e: found(store, victim, e, "pgd", form="mean", steps=20) for e in _estimators(victim)}
        if any(lines.values()):
            panels[victim.replace("`", "")] = lines
    return panels


def first_judged(store: Store) -> str:
    """The first of `VICTIMS` whose detection has been measured; the first of all where none has."""
    judged = (victim for victim in VICTIMS if found(store, victim, "epistemic", "pgd", form="mean", steps=20))
    return next(judged, next(iter(VICTIMS)))


def rates_data(panels: Mapping[str, Mapping[tuple[str, str], list[Record]]]) -> Table:
    """The numbers behind the figure of fooling rates, one line a record."""
    names = ("fooling_rate", "fooling_rate_min", "fooling_rate_max", "fooling_rate_vote")
    rows = [
        [panel, estimator, form, str(record.config["seed"]), *(f"{record.measurements[name]:.4f}" for name in names)]
        for panel, lines in panels.items()
        for (estimator, form), kept in lines.items()
        for record in kept
    ]
    return Table(["panel", "uncertainty", "form", "seed", *(f"{name}_percent" for name in names)], rows)


def curves_data(panels: Mapping[str, Mapping[Any, list[Record]]], x: str, y: str) -> Table:
    """The numbers behind a figure of curves, one line a point; `y` names a curve, "{score}" in it the score of its line."""
    rows = [
        [panel, *line, str(record.config["seed"]), f"{at:.6g}", f"{value:.4f}"]
        for panel, lines in panels.items()
        for key, kept in lines.items()
        for line in [(key, "") if isinstance(key, str) else key]
        for record in kept
        for at, value in zip(record.curves[x], record.curves[y.format(score=line[1])], strict=True)
    ]
    return Table(["panel", "uncertainty", "score", "seed", x, y.format(score="").rstrip("_")], rows)
