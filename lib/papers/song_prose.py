"""The measured numbers and verdicts that the Song chapter's sentences quote, by the name they are glued under."""

from __future__ import annotations

from statistics import fmean

from lib import claims, published
from lib.papers.song import METHODS, Targeted
from lib.papers.song_pages import ADVERSARIES, INPUTS, PAPER, QUANTITIES, best_method, by_loss, kept
from lib.papers.song_rows import DATASETS, READINGS, TRAININGS, records
from lib.results import measured
from lib.runs import Record, Store
from lib.tables import NOT_RUN, interval_of
from lib.verdicts import judge

BEYOND = ("auc", "advantage", "tpr_at_1pct", "tpr_at_01pct")


def prose(store: Store) -> dict[str, str]:
    """Every name and its text; what has no record says "not run"."""
    return {**_readings(store), **_thresholds(store), **_targeted(store)}


def _readings(store: Store) -> dict[str, str]:
    """`paper-yale-robust-inference-benign`, `text-...`, `reduced-verdict-...`: what the tables and claims say."""
    text, declared, printed = {}, claims.load(PAPER), published.load(PAPER)
    for name, number in printed.items():
        text[f"paper-{_dashed(name)}"] = f"{number.text} %"
    for one in READINGS:
        found = measured(store, PAPER, one)
        for name in printed:
            text[f"{one.name}-{_dashed(name)}"] = _percent(interval_of(found[name]).mean if name in found else None)
        for claim in declared:
            text[f"{one.name}-verdict-{claim.id}"] = judge(claim, found, printed).word
    return text


def _thresholds(store: Store) -> dict[str, str]:
    """`cifar10-robust-honest-benign`, `yale-natural-gap-of-accuracies`, ...: of the scale that has records."""
    text: dict[str, str] = {}
    for dataset in DATASETS:
        for training in TRAININGS:
            found = kept(store, dataset, training)
            names = [f"{name}_{inputs}" for name in (*ADVERSARIES, *BEYOND) for inputs in INPUTS]
            one = f"{dataset}-{training}"
            text |= {_dashed(f"{one}-{name}"): _mean(found, name) for name in (*names, *QUANTITIES)}
            other = by_loss(store, dataset, training)[1]["cross_entropy"]
            text |= {_dashed(f"{one}-cross-entropy-{name}"): _mean(other, name) for name in QUANTITIES}
            gaps = [r.measurements["train_accuracy"] - r.measurements["test_accuracy"] for r in found]
            text[_dashed(f"{one}-gap-of-accuracies")] = f"{fmean(gaps):.1f} points" if gaps else NOT_RUN
            text[_dashed(f"{one}-scale")] = f"`{found[0].config['profile']}`" if found else NOT_RUN
    return text


def _targeted(store: Store) -> dict[str, str]:
    """`targeted-reduced-model-benign`, ...: Table 2 averaged over the classes; `best-method`."""
    text = {"best-method": best_method(store)}
    for one in READINGS:
        found = records(store, one.profile, "cifar10", "robust", Targeted)
        logs = [f"{method}_log" for method in METHODS if method.startswith("model")]
        text |= {_dashed(f"targeted-{one.name}-{name}"): _mean(found, name) for name in (*METHODS, *logs)}
    return text


def _mean(found: list[Record], measurement: str) -> str:
    values = [record.measurements[measurement] for record in found if measurement in record.measurements]
    return _percent(fmean(values) if values else None)


def _percent(value: float | None) -> str:
    return NOT_RUN if value is None else f"{value:.1f} %"


def _dashed(name: str) -> str:
    return name.replace("_", "-").replace("/", "-")
