"""Song, Shokri and Mittal (2019), "Privacy vs Robustness": the grid and the experiments.

One cell trains one victim, naturally or adversarially, and infers membership of its training set. Each family of attacks is a
module here, with the settings of its cells and the function that runs one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from lib.papers.song import targeted, threshold
from lib.papers.song.grid import SEEDS, deviations, grid, main, variants
from lib.papers.song.targeted import METHODS, Targeted
from lib.papers.song.threshold import Threshold
from lib.papers.song.victims import PROFILES, VICTIM, Cell
from lib.runs import Result

TITLE = "Privacy vs Robustness"
RESUMES = True

# By how much, in percentage points, a recomputed measurement may differ from its record: retraining on another machine
# changes the weights. Set before any record was made, from the binomial error of the smallest test set (514 faces).
TOLERANCES = {
    "train_accuracy": 2.0,
    "test_accuracy": 3.0,
    "adv_train_accuracy": 5.0,
    "adv_test_accuracy": 5.0,
    "inference_benign": 3.0,
    "inference_adversarial": 3.0,
    "model_targeted": 3.0,
}

CELLS: dict[type[Cell], ModuleType] = {Threshold: threshold, Targeted: targeted}

__all__ = [
    "CELLS", "METHODS", "PROFILES", "RESUMES", "SEEDS", "TITLE", "TOLERANCES", "VICTIM", "Cell", "Targeted", "Threshold",
    "deviations", "grid", "main", "revive", "run", "variants", "work",
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
