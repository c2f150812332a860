"""The measured numbers and verdicts that the Galinkin chapter's sentences quote, by the name they are glued under."""

from __future__ import annotations

from itertools import product
from typing import Any

from experiments import claims, published
from experiments.papers.galinkin import RARE, Evasion, Membership, Scan
from experiments.papers.galinkin.rows import ATTACKS, NETWORKS, READINGS, VICTIMS
from experiments.records import Record, Store
from experiments.results import measured, reading
from report.papers.galinkin_attacks import SCANNED, SEEN
from report.papers.galinkin_membership import (
    HYPOTHESES,
    POSTERIORS,
    PRINTED_AREA,
    RARELY,
    TRAINED,
    accuracies,
    coded,
    equal_rates,
    honest_area,
    implied_signal,
    written,
)
from report.papers.galinkin_pages import DATASETS, PAPER, records
from report.prose import dashed, mean, percent, readings
from report.tables import NOT_RUN, marked, of

# Short names of the settings of `HYPOTHESES` and `POSTERIORS`, in their order.
CHANGED = dict(zip(HYPOTHESES, ("written", "same", "raw", "inverted", "overfit"), strict=True))
SEES = dict(zip(POSTERIORS, ("off", "one-draw", "mean", "spread"), strict=True))
# Bayesian victims trained otherwise: with the membership code's rate of dropout, and without early stopping.
OTHERWISE: dict[str, dict[str, Any]] = {"rare": {"dropout": RARE}, "unstopped": {"patience": 0}}
OF_MEMBERSHIP = (
    "membership membership_as_coded tpr fpr auc auc_as_coded tpr_at_1pct tpr_at_01pct odds_auc control accuracy "
    "train_accuracy training_epochs"
).split()
OF_EVASION = (
    "started success success_vote success_within success_one_answer_within found answers passes median_distance accuracy"
).split()
OF_SCAN = "success success_untargeted success_targeted first_label_right accuracy".split()
# Of what is no percentage.
FORMATS = {"answers": ",.0f", "passes": ",.0f", "training_epochs": ",.0f", "median_distance": ".2g"}


def prose(store: Store) -> dict[str, str]:
    """Every name and its text; what has no record says "not run"."""
    return {
        **readings(store, PAPER, READINGS),
        **_equal_rates(),
        **_coded(store),
        **_evasion(store),
        **_membership(store),
    }


def _equal_rates() -> dict[str, str]:
    """`equal-rates-mnist-lenet5-plain-membership`, ...: what an attack that tells nothing would have to say.

    `paper-difference-mnist-lenet5-membership`, ...: by how many points the paper's Bayesian network leaks more.
    `implied-signal-low` and `-high`, `honest-area`: what the one printed area says with and without the code's way of counting.
    """
    printed = accuracies()
    text = {
        f"equal-rates-{dashed(name)}": percent(equal_rates(name.split("/")[0], number.value))
        for name, number in printed.items()
    }
    for dataset, network in product(DATASETS, NETWORKS):
        plain, bayesian = (printed[f"{dataset}/{network}/{victim}/membership"].value for victim in VICTIMS)
        text[f"paper-difference-{dataset}-{network}-membership"] = f"{bayesian - plain:.2f}"
    accuracy = printed["cifar10/lenet5/plain/membership"].value
    for end, rounded in (("low", 0.5), ("high", -0.5)):
        text[f"implied-signal-{end}"] = f"{implied_signal('cifar10', accuracy, PRINTED_AREA + rounded):.1f}"
    return {**text, "honest-area": percent(honest_area(accuracy))}


def _coded(store: Store) -> dict[str, str]:
    """`coded-recorded`, `coded-within`: how many of LeNet-5's numbers are on record as coded, and how many agree."""
    found, close = measured(store, PAPER, reading(PAPER, "coded")), claims.tolerances(PAPER)
    printed = published.load(PAPER)
    names = [name for name in found if "/lenet5/" in name and not name.endswith("/accuracy")]
    ticks = ["✓" in marked(printed[name], found[name], close[name]) for name in names]
    return {"coded-recorded": str(len(ticks)), "coded-within": str(sum(ticks))}


def _evasion(store: Store) -> dict[str, str]:
    """`mnist-lenet5-hop-skip-jump-one-draw-naive-success-vote`, `mnist-lenet5-plain-boundary-scan-raw-success`, ..."""
    text: dict[str, str] = {}
    for dataset, network, attack in product(DATASETS, NETWORKS, ATTACKS):
        for answers, aware in [("none", False), *SEEN]:
            seen = {} if answers == "none" else {"answers": answers, "aware": aware}
            victim = "plain" if answers == "none" else "bayesian"
            kept = records(store, dataset, network, victim, Evasion, attack=attack, **seen)
            name = f"{dataset}-{network}-{attack}-{answers}-{'aware' if aware else 'naive'}"
            text |= _all(name, kept, OF_EVASION)
        rounded = {"attack": attack, "answer_precision": "bfloat16"}
        kept = records(store, dataset, network, "plain", Evasion, **rounded)
        text |= _all(f"{dataset}-{network}-plain-{attack}-bfloat16", kept, OF_EVASION)
        beside = _of_same_seeds(kept, records(store, dataset, network, "plain", Evasion, attack=attack))
        text |= _all(f"{dataset}-{network}-plain-{attack}-float32", beside, OF_EVASION)
    for dataset, network, victim, attack in product(DATASETS, (*NETWORKS, "lenet5_coded"), VICTIMS, ATTACKS):
        one = f"{dataset}-{network}-{victim}-{attack}-scan"
        scans = {
            name: records(store, dataset, network, victim, Scan, attack=f"{attack}_scan", **changes)
            for name, changes in SCANNED.items()
        }
        scans["as-drawn"] = _of_same_seeds(scans["short"], scans["raw"])
        for name, kept in scans.items():
            text |= _all(f"{one}-{name}", kept, OF_SCAN)
    return text


def _membership(store: Store) -> dict[str, str]:
    """`mnist-lenet5-plain-written-auc`, `mnist-lenet5-bayesian-sees-spread-auc`, `mnist-lenet5-plain-coded-tpr`, ..."""
    text: dict[str, str] = {}
    for dataset, network, victim in product(DATASETS, NETWORKS, VICTIMS):
        for name, wanted in _quoted(victim).items():
            one = f"{dataset}-{network}-{victim}-{name}"
            kept = records(store, dataset, network, victim, Membership, **wanted)
            text |= _all(one, kept, OF_MEMBERSHIP)
            text |= _ends(one, kept, "membership_as_coded")
            text[f"{one}-odds-auc-over-seeds"] = of(kept, "odds_auc")
        if victim == "bayesian":
            text |= _trained(store, dataset, network)
    return text


def _quoted(victim: str) -> dict[str, dict[str, Any]]:
    """The cells of membership that sentences quote, by their short names, and what tells each from all others."""
    changed = {CHANGED[title]: changes for title, changes in HYPOTHESES.items()}
    if victim == "bayesian":
        changed |= {f"sees-{SEES[title]}": changes for title, changes in POSTERIORS.items()}
        changed |= dict(zip(("overfit-rare", "overfit-rare-spread"), RARELY.values(), strict=True))
    cells = {name: {"part": "target", **written(victim, **changes)} for name, changes in changed.items()}
    return cells | {name: coded(victim, code) for name, code in zip(("coded", "membership-code"), TRAINED, strict=True)}


def _trained(store: Store, dataset: str, network: str) -> dict[str, str]:
    """`mnist-resnet18-bayesian-rare-accuracy`, `mnist-resnet18-bayesian-watched-loss`, ...: how targets are trained."""
    one = (store, dataset, network, "bayesian", Membership)
    name, text = f"{dataset}-{network}-bayesian", dict[str, str]()
    for title, changes in OTHERWISE.items():
        wanted = {"part": "target", **written("bayesian"), **changes}
        text |= _all(f"{name}-{title}", records(*one, **wanted), OF_MEMBERSHIP)
    stopped = records(*one, part="target", answers="off", patience=2)
    watched = next((record.curves["watched_loss"] for record in stopped if "watched_loss" in record.curves), [])
    return {**text, f"{name}-watched-loss": ", ".join(f"{loss:.1f}" for loss in watched) or NOT_RUN}


def _of_same_seeds(few: list[Record], many: list[Record]) -> list[Record]:
    """Those of `many` that can stand beside `few`."""
    seeds = {record.config["seed"] for record in few}
    return [record for record in many if record.config["seed"] in seeds]


def _all(name: str, kept: list[Record], measurements: list[str]) -> dict[str, str]:
    return {dashed(f"{name}-{one}"): mean(kept, one, formats=FORMATS) for one in measurements}


def _ends(name: str, kept: list[Record], measurement: str) -> dict[str, str]:
    """`...-lowest` and `...-highest`: of all seeds."""
    values = [record.measurements[measurement] for record in kept]
    ends = {"lowest": min(values, default=None), "highest": max(values, default=None)}
    return {dashed(f"{name}-{measurement}-{end}"): percent(value) for end, value in ends.items()}
