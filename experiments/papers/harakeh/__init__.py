"""Harakeh (2018), "Adversarial Robustness of Uncertainty Aware Deep Neural Networks": the grid and the experiments.

One cell trains one victim (network, estimator, seed) as the CleverHans 2.1 tutorials do, attacks it, and measures. Each
family of attacks is a module here, with the settings of its cells and how one is measured.
"""

from experiments.cell import PROFILES
from experiments.papers.harakeh.black_box import BlackBox
from experiments.papers.harakeh.fgsm import FGSM
from experiments.papers.harakeh.gradient import Gradient
from experiments.papers.harakeh.grid import SEEDS, SETTINGS, VARIANTS, Deviation, deviations, grid, main, promised
from experiments.papers.harakeh.targeted import CW, JSMA
from experiments.papers.harakeh.victims import Cell
from lib.evasion import FORMS

TITLE = "Adversarial Robustness of Uncertainty Aware Deep Neural Networks"
TOLERANCES: dict[str, float] = SETTINGS["recomputed"]
