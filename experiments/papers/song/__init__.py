"""Song, Shokri and Mittal (2019), "Privacy vs Robustness": the grid and the experiments.

One cell trains one victim, naturally or adversarially, and infers membership of its training set. Each family of attacks is a
module here, with the settings of its cells and how one is measured.
"""

from __future__ import annotations

from experiments.cell import PROFILES
from experiments.papers.song.grid import (
    FIT,
    SEEDS,
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
