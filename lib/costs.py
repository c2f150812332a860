"""What a cell costs: measured for recorded cells, priced from them for the others."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from lib import papers
from lib.runs import Record


def cost(record: Record) -> float:
    """Seconds that the cell takes from nothing: the training of its network counts also where it came from the cache."""
    parts = [
        record.measurements[name] for name in ("training_seconds", "attack_seconds") if name in record.measurements
    ]
    seconds = float(record.provenance["seconds"])
    return max(sum(parts), seconds) * _share(record, seconds)


def is_gpu(record: Record) -> bool:
    """Whether a record was computed on a GPU."""
    return "NVIDIA" in str(record.provenance["device"])


def _share(record: Record, seconds: float) -> float:
    """The share of the clock in which the threads of a processor really ran: less than 1 on a busy machine, or in a paused run.

    Records from before processor time was recorded, and those of a GPU, count by the clock.
    """
    processor = record.provenance.get("processor_seconds")
    if processor is None or is_gpu(record) or seconds <= 0:
        return 1.0
    return min(1.0, float(processor) / (seconds * int(record.provenance["threads"])))


def prices(records: Iterable[Record], paper: str) -> Callable[[Any], float | None]:
    """A function that prices a cell in seconds, from what cells of the same network and estimator cost per unit of work.

    Where no record has the same network and estimator, any record of the network will do; where there is none, no price.
    """
    module = papers.get(paper)
    rates: dict[tuple[Any, ...], list[float]] = {}
    for record in records:
        cell = module.revive(record.config)
        if cell is None:
            continue  # of an older experiment
        for kind in _kinds(cell):
            rates.setdefault(kind, []).append(cost(record) / module.work(cell))

    def price(cell: Any) -> float | None:
        found = next((rates[kind] for kind in _kinds(cell) if kind in rates), None)
        return None if found is None else module.work(cell) * statistics.median(found)

    return price


def _kinds(cell: Any) -> list[tuple[Any, ...]]:
    one = (cell.network, getattr(cell, "width", 0), cell.dataset)  # some networks have one width only
    return [(*one, cell.estimator), one]
