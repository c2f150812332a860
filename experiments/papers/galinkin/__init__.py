"""Galinkin (2021), "Who's Afraid of Thomas Bayes?": the grid and the experiments.

One cell trains one victim (network, with dropout or without, seed), attacks it, and measures. Each family of attacks is a module
here, with the settings of its cells and how one is measured.
"""

from experiments.cell import PROFILES
from experiments.papers.galinkin.evasion import Evasion
from experiments.papers.galinkin.grid import DROPOUT, RARE, SEEDS, SETTINGS, deviations, grid, main, promised, variants
from experiments.papers.galinkin.membership import Membership
from experiments.papers.galinkin.scan import Scan
from experiments.papers.galinkin.victims import Cell

TITLE = "Who's Afraid of Thomas Bayes?"
TOLERANCES: dict[str, float] = SETTINGS["recomputed"]
