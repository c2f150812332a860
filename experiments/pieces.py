"""Trainings of hours on a machine that is lent for minutes: which part of which cell each piece of time has room for.

What trains goes on from its snapshot, so it is cut where a piece ends; a part of a measurement is not. A network that several
cells share is trained once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.costs import duration
from experiments.run import weights_of
from experiments.selection import label
from lib import data
from lib.data import Dataset, Split
from lib.errors import BadValue
from lib.training.checkpoints import SNAPSHOT, SUFFIX, read_tensors

# Seconds of a piece in which nothing is computed: reading data, compiling, and the last snapshot; an estimate.
START = 60.0
LEAST = 30.0  # seconds of training that are worth beginning


@dataclass
class Piece:
    """What one piece of time is for, in words, and how many of its seconds that takes."""

    seconds: float = START
    told: list[str] = field(default_factory=list)

    def take(self, seconds: float, words: str) -> None:
        """Put something in."""
        self.seconds += seconds
        self.told.append(words)


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


def trained(cell: Any, cache: Path) -> float:
    """The share of the training of a cell's network that is done, by what lies in `cache`."""
    path = cache / f"{weights_of(cell)}{SUFFIX}"
    if path.exists():
        return 1.0
    snapshot = path.with_suffix(SNAPSHOT)
    try:
        return float(read_tensors(snapshot)[1]["step"] / cell.steps) if snapshot.exists() else 0.0
    except (OSError, ValueError) as error:
        raise BadValue(f"snapshot {snapshot}: cannot be read ({error}); delete it to train anew") from error


def cut(
    cells: Sequence[Any], price: Callable[[Any], float | None], length: float, done: Callable[[Any], float]
) -> list[Piece]:
    """The pieces of `length` seconds that compute `cells` in their order.

    Args:
        cells: what is missing.
        price: of a cell, in seconds; cells without one are left out.
        done: the share of a cell's training that is done.

    Raises:
        BadValue: pieces that have no room for a part of a measurement, or for a cell that does not go on.
    """
    pieces, known = [Piece()], set[str]()
    for cell in cells:
        seconds, name = price(cell), label(cell)
        if seconds is None:
            continue
        training = seconds * cell.training_work() / cell.work() if cell.RESUMES else 0.0
        share = 1.0 if weights_of(cell) in known else done(cell)
        while cell.RESUMES and share < 1:
            room = _room(pieces, min(LEAST, (1 - share) * training), length, name)
            taken = min(room, (1 - share) * training)
            share = 1.0 if taken < room else share + taken / training
            pieces[-1].take(taken, f"{name}: training to {share:.0%}")
        known.add(weights_of(cell))
        parts = cell.measured_in()
        for part in range(1, parts + 1):
            needed = (seconds - training) / parts
            _room(pieces, needed, length, name)
            pieces[-1].take(needed, f"{name}: measurement" + (f", part {part} of {parts}" if parts > 1 else ""))
    return [piece for piece in pieces if piece.told]


def _room(pieces: list[Piece], needed: float, length: float, name: str) -> float:
    """The seconds that are free in the last piece, or in a new one if they are fewer than `needed`."""
    if START + needed > length:
        raise BadValue(f"--piece: expected at least {START + needed:.0f} seconds, for a part of {name}; got {length:g}")
    if length - pieces[-1].seconds < needed:
        pieces.append(Piece())
    return length - pieces[-1].seconds


def told(pieces: Sequence[Piece]) -> Iterator[str]:
    """A line for each thing that a piece is for, and what all come to."""
    for number, piece in enumerate(pieces, 1):
        for line in piece.told:
            yield f"piece {number:>3}  {line}"
    total = duration(sum(piece.seconds for piece in pieces))
    yield f"{len(pieces)} pieces, {total} in all, {duration(START)} of each to begin and to end"
