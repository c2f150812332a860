"""The fourth chapter: can a network be robust, private and uncertain at once? The grid and the experiments.

No paper is replicated here. The victims are our own, the same for every experiment, and so are the claims.
"""

from experiments.cell import PROFILES
from experiments.papers.at_once.evasion import Evasion
from experiments.papers.at_once.grid import SEEDS, SETTINGS, grid, main, promised, variants
from experiments.papers.at_once.membership import LabelOnly, Leak
from experiments.papers.at_once.uncertainty import Calibration
from experiments.papers.at_once.victims import KINDS, Cell

TITLE = "Robust, private and uncertain at once"
TOLERANCES: dict[str, float] = SETTINGS["recomputed"]
