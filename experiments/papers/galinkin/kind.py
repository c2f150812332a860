"""Which kind of cell a record of Galinkin's is: what of its settings switches code, as words.

galinkin hop_skip_jump epistemic mean aware linf        galinkin membership none off as_coded unsorted same raw whole
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def kind(config: Mapping[str, Any]) -> list[str]:
    """The estimator, how it answers, what the attacker knows; networks of the code; a training that is never stopped early."""
    words = ["epistemic" if config["bayesian"] else "none"]
    if config["attack"] == "membership":
        usual = {"adversary": "salem", "features": "top3", "shadow": "disjoint", "inputs": "unit", "nonmembers": "test"}
        words += [config["answers"], *_unusual(config, **usual, part="target")]
    elif config["attack"].endswith("_scan"):  # answers as the code does: without draws, as it was trained
        words += _unusual(config, scale="raw")
    else:
        words += [config["answers"], *["aware"] * config["aware"], config["norm"]]
    if config["network"].endswith("_coded"):
        words.append(config["network"])
    if config["patience"] == 0:
        words.append("unstopped")
    if not config["attack"].endswith("_scan"):
        precision = config.get("answer_precision", config["precision"])
        words += [f"answers-{precision}"] * (precision != "float32")
    return words


def _unusual(config: Mapping[str, Any], **usual: str) -> list[str]:
    """The values of those settings that are not as usual."""
    return [config[name] for name, value in usual.items() if config.get(name, value) != value]
