"""Song, Shokri and Mittal (2019), "Privacy vs Robustness": the grid and the experiments.

One cell trains one victim, naturally or adversarially, and infers membership of its training set. Each family of attacks is a
module here, with the settings of its cells and how one is measured.
"""

from experiments.cell import PROFILES
from experiments.papers.song.grid import (
    FIT,
    SEEDS,
    SETTINGS,
    SUSPECTS,
    deviations,
    fewer_members,
    fitting,
    grid,
    main,
    other_budgets,
    promised,
    variants,
)
from experiments.papers.song.targeted import METHODS, Targeted
from experiments.papers.song.threshold import Threshold
from experiments.papers.song.victims import Cell

TITLE = "Privacy vs Robustness"
TOLERANCES: dict[str, float] = SETTINGS["recomputed"]
