"""A reading: one column of ours beside the paper's, that is, one way to read what the paper did and where its records are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reading:
    """A profile, which network stands for each data set, and how an attack looks at a random victim."""

    name: str
    title: str
    profile: str
    networks: Mapping[str, str] = field(default_factory=dict)  # data set: network; empty where the rows name them
    form: str = "mean"  # see lib.evasion.forms
