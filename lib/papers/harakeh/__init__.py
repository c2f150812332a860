"""Harakeh (2018), "Adversarial Robustness of Uncertainty Aware Deep Neural Networks": the grid and the experiments.

One cell trains one victim (network, estimator, seed) as the CleverHans 2.1 tutorials do, attacks it, and measures. Each
family of attacks is a module here, with the settings of its cells and the function that runs one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from lib.evasion import FORMS
from lib.papers.harakeh import black_box, fgsm, gradient, targeted
from lib.papers.harakeh.black_box import BlackBox
from lib.papers.harakeh.fgsm import FGSM
from lib.papers.harakeh.gradient import Gradient
from lib.papers.harakeh.grid import SEEDS, VARIANTS, Deviation, deviations, grid, main
from lib.papers.harakeh.targeted import CW, JSMA
from lib.papers.harakeh.victims import PROFILES, VICTIM, Cell
from lib.runs import Result

TITLE = "Adversarial Robustness of Uncertainty Aware Deep Neural Networks"
RESUMES = False

# By how much, in percentage points, a recomputed measurement may differ from its record: retraining on another machine
# changes the weights. Set from the binomial error of 1,000 test points, and of 90 to 100 attacks a run, before any record
# of the kind was made.
TOLERANCES = {
    "accuracy": 1.5,
    "adversarial_accuracy": 5.0,
    "adversarial_accuracy_one_draw": 5.0,
    "unmoved": 5.0,
    "fooling_rate": 10.0,
    "misclassified": 10.0,
    "auroc_entropy": 10.0,
    "auroc_mutual_information": 10.0,
}

CELLS: dict[type[Cell], ModuleType] = {
    FGSM: fgsm,
    CW: targeted,
    JSMA: targeted,
    BlackBox: black_box,
    Gradient: gradient,
}

__all__ = [
    "CELLS", "CW", "FGSM", "FORMS", "JSMA", "PROFILES", "RESUMES", "SEEDS", "TITLE", "TOLERANCES", "VARIANTS", "VICTIM",
    "BlackBox", "Cell", "Deviation", "Gradient", "deviations", "grid", "main", "revive", "run", "work",
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
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
            return kind(**values)
    return None
