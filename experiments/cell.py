"""What a cell of any paper says: which paper, at which scale, on which data and network, by which attack, from which seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lib import data
from lib.errors import check_choice, check_count, check_number
from lib.uncertainty import PRECISIONS

PROFILES = ("smoke", "reduced", "paper")


@dataclass(frozen=True, kw_only=True)
class Common:
    """The settings that cells of every paper have. A paper's own class gives them defaults and adds others.

    Raises:
        BadValue: a value outside its range.
    """

    PAPER: ClassVar[str]
    NETWORKS: ClassVar[tuple[str, ...]]
    OF_SEED: ClassVar[tuple[str, ...]] = ("seed",)  # the settings in which the cells of one row differ

    paper: str
    profile: str = "paper"
    dataset: str
    network: str
    attack: str
    seed: int = 0
    version: int = 1  # of the experiment: raised when what it measures changes
    precision: str = "bfloat16"

    def __post_init__(self) -> None:
        check_choice("paper", self.paper, [self.PAPER])
        check_choice("profile", self.profile, PROFILES)
        check_choice("dataset", self.dataset, data.NAMES)
        check_choice("network", self.network, self.NETWORKS)
        check_choice("attack", self.attack, self.attacks())
        check_choice("precision", self.precision, PRECISIONS)
        check_count("seed", self.seed, low=0)
        check_count("version", self.version)

    @classmethod
    def attacks(cls) -> tuple[str, ...]:
        """The attacks that cells of this class measure."""
        raise NotImplementedError

    def with_numbers(self, **bounds: tuple[float, float]) -> None:
        """Check that each named field lies inside its bounds and keep it as a float: 0 and 0.0 must not have two keys."""
        for name, (low, high) in bounds.items():
            object.__setattr__(self, name, check_number(name, getattr(self, name), low=low, high=high))
