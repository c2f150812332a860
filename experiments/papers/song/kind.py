"""Which kind of cell a record of Song's is: what of its settings switches code, as words.

song threshold fashion_mnist robust shadow        song targeted cifar10 robust
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def kind(config: Mapping[str, Any]) -> list[str]:
    """Data set, with which network and optimizer change, and training; whether there is a shadow; the loss that is attacked."""
    words = [config["dataset"].removeprefix("digits_as_"), "robust" if config["train_epsilon"] > 0 else "natural"]
    if config.get("shadow"):
        words.append("shadow")
    loss = config.get("attack_loss", "cross_entropy")
    return words if loss == "log_odds" else [*words, loss]
