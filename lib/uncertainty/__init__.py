"""What turns a network into a victim, and how uncertain a victim is."""

from .laplace import LastLayerLaplace as LastLayerLaplace
from .victims import ESTIMATORS as ESTIMATORS
from .victims import PRECISIONS as PRECISIONS
from .victims import UNCERTAINTY_SCORES as UNCERTAINTY_SCORES
from .victims import Deterministic as Deterministic
from .victims import Ensemble as Ensemble
from .victims import Heteroscedastic as Heteroscedastic
from .victims import MonteCarloDropout as MonteCarloDropout
from .victims import RandomVictim as RandomVictim
from .victims import Victim as Victim
from .victims import estimate as estimate
from .victims import scores_of as scores_of
