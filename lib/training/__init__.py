"""Training, natural (`fit`) and adversarial (`fit_robust`), and what of it is kept on disk."""

from . import checkpoints, robust
from .natural import AUGMENTATIONS, TrainingConfig, TrainingFailed, fit
from .robust import RobustConfig, fit_robust

__all__ = [
    "AUGMENTATIONS",
    "RobustConfig",
    "TrainingConfig",
    "TrainingFailed",
    "checkpoints",
    "fit",
    "fit_robust",
    "robust",
]
