"""Galinkin (2021), "Who's Afraid of Thomas Bayes?": the grid and the experiments.

One cell trains one victim (network, with dropout or without, seed), attacks it, and measures. Each family of attacks is a module
here, with the settings of its cells and how one is measured.
"""

from __future__ import annotations

from experiments.cell import PROFILES
from experiments.papers.galinkin.evasion import Evasion
from experiments.papers.galinkin.grid import DROPOUT, RARE, SEEDS, deviations, grid, main, promised, variants
from experiments.papers.galinkin.membership import Membership
from experiments.papers.galinkin.scan import Scan
from experiments.papers.galinkin.victims import Cell

TITLE = "Who's Afraid of Thomas Bayes?"

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
