"""What the Galinkin chapter derives from several numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from experiments import claims, published
from experiments.address import measured, parse, reading, resolve
from experiments.records import Store
from report.numbers import NOT_RUN, marked, percent
from report.papers.galinkin_membership import PRINTED_AREA, accuracies, equal_rates, honest_area, implied_signal

PAPER = "galinkin"
OVERFITTED_CLAIM = "cifar10/lenet5/plain/membership"  # whose area the paper prints


def _as_coded(store: Store) -> list[bool]:
    """Whether each of LeNet-5's numbers that is on record as coded agrees with the printed one."""
    found, close = measured(store, PAPER, reading(PAPER, "coded")), claims.tolerances(PAPER)
    printed = published.load(PAPER)
    names = [name for name in found if "/lenet5/" in name and not name.endswith("/accuracy")]
    return ["✓" in marked(printed[name], found[name], close[name]) for name in names]


def _implied(_: Store, rounded: float) -> str:
    accuracy = accuracies()[OVERFITTED_CLAIM].value
    return f"{implied_signal('cifar10', accuracy, PRINTED_AREA + rounded):.1f}"


def _equal_rates(_: Store, name: str) -> str:
    return percent(equal_rates(name.split("/")[0], accuracies()[name].value))


def _watched_loss(store: Store, dataset: str) -> str:
    """What early stopping watched of a ResNet-18 with dropout off."""
    found = resolve(store, parse(f"{PAPER}:off:{dataset}/resnet18/bayesian/membership"))
    losses = next((record.curves["watched_loss"] for record in found.records if "watched_loss" in record.curves), [])
    return ", ".join(f"{loss:.1f}" for loss in losses) or NOT_RUN


DERIVED: Mapping[str, Callable[[Store], str]] = {
    "coded_recorded": lambda store: str(len(_as_coded(store))),
    "coded_within": lambda store: str(sum(_as_coded(store))),
    "honest_area": lambda _: percent(honest_area(accuracies()[OVERFITTED_CLAIM].value)),
    "implied_signal_low": partial(_implied, rounded=0.5),
    "implied_signal_high": partial(_implied, rounded=-0.5),
    "watched_loss/mnist": partial(_watched_loss, dataset="mnist"),
    **{f"equal_rates/{name.removesuffix('/membership')}": partial(_equal_rates, name=name) for name in accuracies()},
}
