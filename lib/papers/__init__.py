"""The papers, one package each: the grid of its cells per profile, and the experiments that compute them.

`grid` is all that is computed; `main` is the part of it that tables are made of, one cell a row and seed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from lib.errors import check_choice
from lib.runs import Cell, Result

NAMES = ("galinkin", "harakeh", "song")


class Paper(Protocol):
    """What a paper's module offers."""

    TITLE: str
    PROFILES: tuple[str, ...]
    SEEDS: int
    RESUMES: bool  # whether a training that was interrupted goes on from a snapshot
    TOLERANCES: dict[str, float]

    def grid(self, profile: str) -> list[Any]: ...
    def main(self, profile: str) -> list[Any]: ...
    def revive(self, settings: Mapping[str, Any]) -> Any | None: ...
    def work(self, config: Any) -> float: ...
    def run(self, config: Any, *, device: str, cache: Path | None, fresh: bool, progress: bool) -> Result: ...


def get(name: str) -> Paper:
    """The module of paper `name`.

    Raises:
        BadValue: unknown paper.
    """
    return cast(Paper, importlib.import_module(f"lib.papers.{check_choice('paper', name, NAMES)}"))


def module_of(cell: Cell) -> str:
    """The dotted name of the module that computes `cell`: the one that defines its settings."""
    return type(cell).__module__
