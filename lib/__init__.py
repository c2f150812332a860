"""Robust, Private, Uncertain: victims that answer at random, attacks on their predictions and on their training sets.

    import robust_private_uncertain as rpu  # installed; in the project's own folder the same package is `lib`

Every module below is an attribute: `rpu.models.build`, `rpu.uncertainty.estimate`, `rpu.evasion.fgsm`, `rpu.judging.judge`; and
`rpu.evaluate` asks what the worst of several attacks leaves.
"""

from . import counting as counting
from . import data as data
from . import errors as errors
from . import evaluation as evaluation
from . import evasion as evasion
from . import judging as judging
from . import membership as membership
from . import metrics as metrics
from . import models as models
from . import seeds as seeds
from . import training as training
from . import uncertainty as uncertainty
from .worst_case import evaluate as evaluate

__version__ = "0.1.0"
