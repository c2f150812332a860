"""The fourth chapter: can a network be robust, private and uncertain at once? The grid and the experiments.

No paper is replicated here. The victims are our own, the same for every experiment, and so are the claims.
"""

from __future__ import annotations

from experiments.cell import PROFILES
from experiments.papers.at_once.evasion import Evasion
from experiments.papers.at_once.grid import SEEDS, grid, main, promised, variants
from experiments.papers.at_once.membership import LabelOnly, Leak
from experiments.papers.at_once.uncertainty import Calibration
from experiments.papers.at_once.victims import KINDS, Cell

TITLE = "Robust, private and uncertain at once"

# By how much, in percentage points, a recomputed measurement may differ from its record: retraining on another machine changes
# the weights. Set before any record was made, from the binomial error of 1,000 points and of 100 attacks.
TOLERANCES = {
    "train_accuracy": 2.0,
    "test_accuracy": 3.0,
    "odds_auc": 3.0,
    "lira_auc": 3.0,
    "label_only_auc": 8.0,
    "accuracy": 3.0,
    "worst_case": 10.0,
    "ece": 3.0,
    "auroc_wrong_entropy": 8.0,
}
