"""Whether the attacks of the Harakeh chapter were adequate: the worst value of each check among all of its records."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from experiments.records import Record, Store
from report.names import DATASET_NAMES
from report.numbers import NOT_RUN
from report.papers.harakeh import PAPER
from report.tables import Table
from report.text import literal


def _measured(name: str) -> Callable[[Record], float | None]:
    return lambda record: record.measurements.get(name)


def _at_zero(record: Record) -> float | None:
    curve = dict(zip(record.curves["epsilon"], record.curves["accuracy"], strict=True))
    return abs(curve[0.0] - record.measurements["accuracy"]) if 0.0 in curve else None


def _loss_gained(record: Record) -> float | None:
    loss = record.curves.get("loss")
    return loss[-1] - loss[0] if loss else None


def _over_budget(record: Record) -> float:
    return float(record.measurements["largest_perturbation"] - record.config["epsilon"])


def _black_less_white(record: Record) -> float | None:
    kept = record.measurements
    return kept["black_box_accuracy"] - kept["white_box_accuracy"] if "white_box_accuracy" in kept else None


# Each check: its words, attacks, what it reads from a record, within what that must lie, and which extreme is the worst.
CHECKS: list[tuple[str, str, Callable[[Record], float | None], float, float, Callable[..., Any]]] = [
    ("FGSM at ε = 0 leaves the clean accuracy: difference, points", "fgsm", _at_zero, 0, 2.5, max),
    ("FGSM images whose gradient vanished, %", "fgsm", _measured("unmoved"), 0, 1, max),
    ("PGD: images whose whole gradient is zero, %", "pgd", _measured("zero_gradients"), 0, 1, max),
    ("PGD: loss after the last of its steps less that after the first, nats", "pgd", _loss_gained, 0, inf, min),
    ("FGSM, PGD: largest change less the budget", "fgsm pgd aware", _over_budget, -1, 1e-5, max),
    ("CW, JSMA: distance outside the range of images", "cw jsma", _measured("outside"), 0, 0, max),
    ("black box less white box: accuracy left, points", "black_box", _black_less_white, 0, 100, min),
    ("untrained network: accuracy, %", "pgd", _measured("untrained_accuracy"), 0, 25, max),
]


def checks_table(store: Store) -> Table:
    """Whether the attacks were adequate: each check, the worst number among the records it covers, and whether it holds."""
    kept = [r for some in (store, store.superseded) for r in some.all(PAPER) if r.config["profile"] != "smoke"]
    rows = []
    for words, attacks, number, low, high, worst in CHECKS:
        covered = [record for record in kept if record.config["attack"] in attacks.split()]
        values = [(value, record) for record in covered if (value := number(record)) is not None]
        if not values:
            rows.append([words, "0", *["–"] * 3, NOT_RUN])
            continue
        value, record = worst(values, key=lambda pair: pair[0])
        asked = f"{low:g} to {high:g}" if high < inf else f"at least {low:g}"
        holds = "yes" if low <= value <= high else "**no**"
        rows.append([words, str(len(values)), f"{value:.2f}", asked, _whose(record), holds])
    return Table(["Check", "Records", "Worst value", "Must be", "Found in", "Holds"], rows)


def _whose(record: Record) -> str:
    """The victim of a record, in words."""
    config = record.config
    network, tutorial = config["network"].removesuffix("_tutorial"), config["network"].endswith("_tutorial")
    whose = network.replace("_", " ") + (" (tutorial’s)" if tutorial else "")
    return literal(f"{DATASET_NAMES[config['dataset']]}, {whose}, {config['estimator']}")
