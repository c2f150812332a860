"""Training, natural and adversarial (`robust`), and what of it is kept on disk."""

from . import checkpoints, robust
from .natural import AUGMENTATIONS, TrainingConfig, TrainingFailed, fit

__all__ = ["AUGMENTATIONS", "TrainingConfig", "TrainingFailed", "checkpoints", "fit", "robust"]
