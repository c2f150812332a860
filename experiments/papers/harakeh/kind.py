"""Which kind of cell a record of Harakeh's is: what of its settings switches code, as words.

harakeh fgsm epistemic        harakeh pgd epistemic expectation        harakeh aware epistemic expectation entropy
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIGN = "minus_then_plus"  # of the augmentation, as in the tutorial


def kind(config: Mapping[str, Any]) -> list[str]:
    """The estimator; the form, unless nothing is random, where all are the same; the known score; the sign of augmentation."""
    words = [config["estimator"]]
    if "form" in config and config["estimator"] != "none":
        words.append(config["form"])
    if config["attack"] == "aware":
        words.append(config["score"])
    sign = config.get("sign", SIGN)
    return words + [sign] * (sign != SIGN)
