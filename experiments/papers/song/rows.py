"""What was measured for each of Song's published numbers: at the paper's scale, and at `reduced`.

A published id is `<data set>/<natural or robust>/<quantity>` in Table 1 and `<method>/class<c>` in Table 2, which is about the
robust CIFAR-10 victim; measurements have the names of the quantities.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from experiments.papers import song
from experiments.papers.song import Cell, Targeted, Threshold
from experiments.records import Record, Store
from experiments.results_reading import Reading

READINGS = (Reading("text", "at the paper's scale", "paper"), Reading("reduced", "`reduced`", "reduced"))
DATASETS = ("yale", "fashion_mnist", "cifar10")
TRAININGS = ("natural", "robust")


def values_of(store: Store, one: Reading, published_id: str) -> list[tuple[int, float, int]]:
    """Seed, value in percent and points judged of every record behind a published number."""
    first, *rest = published_id.split("/")
    if rest[0] in TRAININGS:
        kept, quantity = records(store, one.profile, first, rest[0], Threshold), rest[1]
    else:
        kept, quantity = records(store, one.profile, "cifar10", "robust", Targeted), published_id
    return [(r.config["seed"], r.measurements[quantity], int(r.measurements["test_points"])) for r in kept]


def records(store: Store, profile: str, dataset: str, training: str, kind: type[Cell]) -> list[Record]:
    """The records, one a seed, of the cells behind the tables on one victim."""
    cells = _cells(profile).get((dataset, training, kind), [])
    return [record for cell in cells if (record := store.get(cell)) is not None]


@cache
def _cells(profile: str) -> dict[tuple[Any, ...], list[Cell]]:
    """The cells behind the tables of a profile by victim and kind."""
    found: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in song.main(profile):
        found.setdefault((cell.dataset, cell.estimator, type(cell)), []).append(cell)
    return found
