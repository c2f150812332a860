"""What the Song chapter derives from several numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from statistics import fmean

from experiments.address import parse, resolve
from experiments.papers.song.readings import DATASETS, TRAININGS
from experiments.records import Store
from report.numbers import percent
from report.papers.song_fit import few, outcome
from report.papers.song_inference import printed_gap_attack
from report.papers.song_pages import INPUTS, best_method


def _brightness(store: Store, measurement: str) -> str:
    """Of the natural Yale Face victims, on benign images: so of either attack's record; the oldest have none."""
    one = f"song:text:yale/natural/{measurement}"
    values = {**resolve(store, parse(one)).values}
    values |= resolve(store, parse(f"{one}?attack_loss=cross_entropy")).values
    return percent(fmean(values.values()) if values else None)


def _outcome(store: Store, dataset: str) -> str:
    return outcome(few(store, dataset))


def _gap(_: Store, one: tuple[str, str, str]) -> str:
    return percent(printed_gap_attack(*one))


DERIVED: Mapping[str, Callable[[Store], str]] = {
    "best_method": best_method,
    "dark_test_accuracy": partial(_brightness, measurement="dark_test_accuracy"),
    "light_test_accuracy": partial(_brightness, measurement="light_test_accuracy"),
    **{f"outcome/{dataset}": partial(_outcome, dataset=dataset) for dataset in ("fashion_mnist", "cifar10")},
    **{f"printed_gap/{'/'.join(one)}": partial(_gap, one=one) for one in product(DATASETS, TRAININGS, INPUTS)},
}
