"""Robust, Private, Uncertain: victims that answer at random, attacks on their predictions and on their training sets.

    import robust_private_uncertain as rpu  # installed; in the project's own folder the same package is `lib`

Every module below is an attribute: `rpu.models.build`, `rpu.uncertainty.estimate`, `rpu.evasion.fgsm`, `rpu.judging.judge`; and
`rpu.evaluate` asks what the worst of several attacks leaves.
"""

from . import (
    counting,
    data,
    errors,
    evaluation,
    evasion,
    judging,
    membership,
    metrics,
    models,
    seeds,
    training,
    uncertainty,
)
from .worst_case import evaluate

__version__ = "0.1.0"
__all__ = [
    "counting",
    "data",
    "errors",
    "evaluate",
    "evaluation",
    "evasion",
    "judging",
    "membership",
    "metrics",
    "models",
    "seeds",
    "training",
    "uncertainty",
]
