"""A control: seed 0 of the natural Yale Face victim trained by what `torch.compile` makes of it, as all later victims are.

Its first training was not compiled, and on another processor than the robust one that it is compared with.
"""

from __future__ import annotations

from typing import Literal

from experiments.cell import checked
from experiments.papers.song.threshold import Threshold
from experiments.papers.song.victims import LONG, Cell
from lib.data import Dataset
from lib.errors import BadValue
from lib.training.robust import can_compile


@checked
class Compiled(Threshold):
    """Inference by thresholds on a victim whose training is compiled.

    Raises:
        BadValue: a value outside its range.
    """

    VICTIM = (*Cell.VICTIM, "attack")  # not the weights of the victim that it controls
    TITLES = ("inference by thresholds, compiled control",)

    attack: Literal["threshold_compiled"] = "threshold_compiled"  # type: ignore[assignment]

    def check(self, dataset: Dataset) -> None:
        """Whether it will be compiled, if it is long enough to be worth it."""
        super().check(dataset)
        if self.training_work() >= LONG and not can_compile("cpu"):
            raise BadValue("compiled: expected a machine on which torch.compile works, got one without a C++ compiler")
