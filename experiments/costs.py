"""What a cell costs: measured for recorded cells, priced from them for the others."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments import papers
from experiments.records import Record, settings
from lib import data
from lib.data import Dataset, Split
from lib.sources import DRAWS


def cost(record: Record) -> float:
    """Seconds that the cell takes from nothing: the training of its network counts also where it came from the cache.

    Of this run the seconds that its threads had a processor; of a training in an earlier run, those of the clock.
    """
    parts = [record.measurements.get(name, 0.0) for name in ("training_seconds", "attack_seconds")]
    seconds = float(record.provenance["seconds"])
    return seconds * _share(record, seconds) + max(0.0, sum(parts) - seconds)


def duration(seconds: float | None) -> str:
    """A price in words; None has none."""
    if seconds is None:
        return "no price"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def forecast(prices: Sequence[float | None]) -> str:
    """What missing cells of these prices come to, in words."""
    known = [price for price in prices if price is not None]
    told = f"{duration(sum(known))} on the machines that priced them, " if known else ""
    return f"{len(prices)} cells to compute, {told}{len(prices) - len(known)} without a price"


def is_gpu(record: Record) -> bool:
    """Whether a record was computed on a GPU; records from before its kind was recorded tell by the name of the device."""
    named = "cuda" if "NVIDIA" in str(record.provenance.get("device", "")) else "cpu"
    return bool(record.provenance.get("device_type", named) != "cpu")


def _share(record: Record, seconds: float) -> float:
    """The share of the clock in which the threads of a processor really ran: less than 1 on a busy machine, or in a paused run.

    Records from before processor time was recorded, and those of a GPU, count by the clock.
    """
    processor = record.provenance.get("processor_seconds")
    if processor is None or is_gpu(record) or seconds <= 0:
        return 1.0
    return min(1.0, float(processor) / (seconds * int(record.provenance["threads"])))


def by_arithmetic(cell: Any, speed: float) -> float:
    """Seconds of a cell at `speed`, operations a second: its passes through the network by PyTorch's count for one image."""
    return float(cell.work()) * _operations(cell.trained_as()) / speed


@cache
def _operations(cell: Any) -> int:
    name = data.DIGITS.get(cell.dataset, cell.dataset)
    none = Split(torch.empty(0, *data.SHAPES[name], dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
    network = cell.untrained(Dataset(cell.dataset, none, none, data.CLASSES[name])).eval()
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        network(torch.zeros(1, *data.SHAPES[name]))
    return int(counted.get_total_flops())


class Prices:
    """What cells of a paper will take, in seconds on one kind of device, from what recorded ones took there per unit of work.

        price = Prices("song", records, gpu=True)
        price(cell)      # None: nothing like it was recorded on a GPU
        price.add(record)

    The same cell of other seeds counts; where it has no record, those of its network, estimator and attack; then of its network
    and estimator; then of its network; where there are none, no price. A training that may stop early is taken to stop where
    theirs did.
    """

    def __init__(self, paper: str, records: Iterable[Record] = (), *, gpu: bool = False) -> None:
        self.paper, self.gpu = paper, gpu
        self.rates: dict[tuple[Any, ...], list[float]] = {}
        self.epochs: dict[tuple[Any, ...], list[float]] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Let `record` count, unless it is of the other kind of device or of an older experiment."""
        cell = papers.revive(self.paper, record.config)
        if cell is None or is_gpu(record) != self.gpu:
            return
        epochs = record.measurements.get("training_epochs", getattr(cell, "epochs", 0))
        for kind in _kinds(cell):
            self.rates.setdefault(kind, []).append(cost(record) / _stopped(cell, epochs).work())
            self.epochs.setdefault(kind, []).append(epochs)

    def __call__(self, cell: Any) -> float | None:
        """The price of `cell`, if there is one."""
        kind = next((kind for kind in _kinds(cell) if kind in self.rates), None)
        if kind is None:
            return None
        stopped = _stopped(cell, statistics.median(self.epochs[kind]))
        return float(stopped.work() * statistics.median(self.rates[kind]))


def _stopped(cell: Any, epochs: float) -> Any:
    """`cell` with as many epochs as its training takes, if it may stop before its last."""
    return replace(cell, epochs=max(1, round(epochs))) if getattr(cell, "patience", 0) else cell


def _kinds(cell: Any) -> list[tuple[Any, ...]]:
    itself = tuple(value for name, value in settings(cell).items() if name != "seed")
    faces = "yale" if cell.dataset in DRAWS else cell.dataset  # however they are drawn apart
    one = (cell.network, getattr(cell, "width", 0), faces)  # some networks have one width only
    return [itself, (*one, cell.estimator, cell.attack), (*one, cell.estimator), one]
