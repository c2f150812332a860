"""Galinkin (2021), "Who's Afraid of Thomas Bayes?": the grid and the experiments.

One cell trains one victim (network, with dropout or without, seed), attacks it, and measures. Each family of attacks is a module
here, with the settings of its cells and the function that runs one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from lib.papers.galinkin import evasion, membership, scan
from lib.papers.galinkin.evasion import Evasion
from lib.papers.galinkin.grid import DROPOUT, RARE, SEEDS, deviations, grid, main, variants
from lib.papers.galinkin.membership import Membership
from lib.papers.galinkin.scan import Scan
from lib.papers.galinkin.victims import PROFILES, VICTIM, Cell
from lib.runs import Result

TITLE = "Who's Afraid of Thomas Bayes?"
RESUMES = False

# By how much, in percentage points, a recomputed measurement may differ from its record: retraining on another machine
# changes the weights. Set from the binomial error of 100 attempts and of 10,000 judged points, before any record was made.
TOLERANCES = {
    "accuracy": 2.0,
    "success": 15.0,
    "success_vote": 15.0,
    "success_within": 15.0,
    "membership": 3.0,
    "auc": 3.0,
}

CELLS: dict[type[Cell], ModuleType] = {Evasion: evasion, Scan: scan, Membership: membership}

__all__ = [
    "CELLS", "DROPOUT", "PROFILES", "RARE", "RESUMES", "SEEDS", "TITLE", "TOLERANCES", "VICTIM",
    "Cell", "Evasion", "Membership", "Scan", "deviations", "grid", "main", "revive", "run", "variants", "work",
]  # fmt: skip


def work(config: Cell) -> float:
    """Images that pass through the network, forward and backward counted three: what a cell's cost is proportional to."""
    return float(CELLS[type(config)].work(config))


def run(config: Cell, *, device: str, cache: Path | None, fresh: bool = False, progress: bool = False) -> Result:
    """Compute one cell.

    Raises:
        BadValue: the data cannot be read, or a cached checkpoint is damaged (unless `fresh` trains anew).
    """
    result: Result = CELLS[type(config)].run(config, device=device, cache=cache, fresh=fresh, progress=progress)
    return result


def revive(settings: Mapping[str, Any]) -> Cell | None:
    """The cell that has these settings, as a record keeps them; None if they are those of an older experiment."""
    for kind in CELLS:
        if settings.get("attack") in kind.attacks() and settings.keys() == {field.name for field in fields(kind)}:
            return kind(**settings)
    return None
