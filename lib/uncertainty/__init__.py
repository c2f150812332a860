"""What turns a network into a victim, and how uncertain a victim is."""

from .laplace import LastLayerLaplace
from .scores import UNCERTAINTY_SCORES, check_score, scores_of
from .victims import (
    ESTIMATORS,
    PRECISIONS,
    Deterministic,
    Ensemble,
    Heteroscedastic,
    MonteCarloDropout,
    RandomVictim,
    Victim,
    estimate,
)

__all__ = [
    "ESTIMATORS",
    "PRECISIONS",
    "UNCERTAINTY_SCORES",
    "Deterministic",
    "Ensemble",
    "Heteroscedastic",
    "LastLayerLaplace",
    "MonteCarloDropout",
    "RandomVictim",
    "Victim",
    "check_score",
    "estimate",
    "scores_of",
]
