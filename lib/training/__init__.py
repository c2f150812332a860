"""Training, natural and adversarial, and what of it is kept on disk."""

from __future__ import annotations

from .natural import AUGMENTATIONS, TrainingConfig, TrainingFailed, fit

__all__ = ["AUGMENTATIONS", "TrainingConfig", "TrainingFailed", "fit"]
