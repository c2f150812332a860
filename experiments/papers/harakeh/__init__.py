"""Harakeh (2018), "Adversarial Robustness of Uncertainty Aware Deep Neural Networks": the grid and the experiments.

One cell trains one victim (network, estimator, seed) as the CleverHans 2.1 tutorials do, attacks it, and measures. Each
family of attacks is a module here, with the settings of its cells and how one is measured.
"""

from __future__ import annotations

from experiments.cell import PROFILES
from experiments.papers.harakeh.black_box import BlackBox
from experiments.papers.harakeh.fgsm import FGSM
from experiments.papers.harakeh.gradient import Gradient
from experiments.papers.harakeh.grid import SEEDS, VARIANTS, Deviation, deviations, grid, main, promised
from experiments.papers.harakeh.targeted import CW, JSMA
from experiments.papers.harakeh.victims import Cell
from lib.evasion import FORMS

TITLE = "Adversarial Robustness of Uncertainty Aware Deep Neural Networks"

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
