"""The papers, one module each: the grid of its cells per profile, and the experiment that computes one cell."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol, cast

from lib.errors import check_choice
from lib.runs import Cell, Result

NAMES = ("harakeh",)


class Paper(Protocol):
    """What a paper's module offers."""

    TITLE: str
    PROFILES: tuple[str, ...]
    SEEDS: int
    TOLERANCES: dict[str, float]
    Config: type[Any]

    def grid(self, profile: str) -> list[Any]: ...
    def work(self, config: Any) -> float: ...
    def run(self, config: Any, *, device: str, cache: Path | None, fresh: bool, progress: bool) -> Result: ...


def get(name: str) -> Paper:
    """The module of paper `name`.

    Raises:
        BadValue: unknown paper.
    """
    return cast(Paper, importlib.import_module(f"lib.papers.{check_choice('paper', name, NAMES)}"))


def module_of(cell: Cell) -> str:
    """The dotted name of the module that computes `cell`."""
    return f"lib.papers.{cell.paper}"
