"""The papers, one package each: the grid of its cells per profile, and the experiments that compute them.

`grid` is all that is computed; `main` is the part of it that tables are made of, one cell a row and seed.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, cast

from experiments.records import Cell, Result
from lib.errors import check_choice

NAMES = ("galinkin", "harakeh", "song")


class Paper(Protocol):
    """What a paper's module offers."""

    TITLE: str
    PROFILES: tuple[str, ...]
    SEEDS: int
    RESUMES: bool  # whether a cell is mostly training, so that one that a budget interrupts has not been in vain
    TOLERANCES: dict[
        str, float
    ]  # by how much, in percentage points, a recomputed measurement may differ from its record
    CELLS: tuple[
        type[Any], ...
    ]  # the kinds of cells, each defined beside the functions `run` and `work` of its experiment

    def grid(self, profile: str) -> list[Any]: ...
    def main(self, profile: str) -> list[Any]: ...
    def kind(self, config: Mapping[str, Any]) -> list[str]: ...


def get(name: str) -> Paper:
    """The module of paper `name`.

    Raises:
        BadValue: unknown paper.
    """
    return cast(Paper, importlib.import_module(f"experiments.papers.{check_choice('paper', name, NAMES)}"))


def module_of(cell: Cell) -> str:
    """The dotted name of the module that computes `cell`: the one that defines its settings."""
    return type(cell).__module__


def run(cell: Cell, *, device: str, cache: Path | None, fresh: bool = False, progress: bool = False) -> Result:
    """Compute one cell.

    Raises:
        BadValue: the data cannot be read, or a cached checkpoint is damaged (unless `fresh` trains anew).
    """
    experiment: Any = sys.modules[module_of(cell)]
    return cast(Result, experiment.run(cell, device=device, cache=cache, fresh=fresh, progress=progress))


def work(cell: Cell) -> float:
    """Images that pass through the network, forward and backward counted three: what a cell's cost is proportional to."""
    experiment: Any = sys.modules[module_of(cell)]
    return float(experiment.work(cell))


def revive(paper: str, settings: Mapping[str, Any]) -> Any | None:
    """The cell that has these settings, as a record keeps them; None if they are those of an older experiment."""
    for kind in get(paper).CELLS:
        if settings.get("attack") in kind.attacks() and settings.keys() == {field.name for field in fields(kind)}:
            return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
    return None
