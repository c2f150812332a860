"""What a sentence of a paper is taken to say, and when it is borne out: sentences, their parts, and the rule of each kind.

A part compares numbers; the side and the size that it expects follow from the published ones. With m the measured mean,
difference or difference of differences, in points, it wants

``value``         one cell               m within `tolerance` of the published number or range
``difference``    two cells, or four     m on the paper's side of 0 and within `tolerance` of the published difference
``more``          two cells, or four     m above 0: the sentence says more, and not by how much
``no_gain``       two cells              m at most `margin`
``same``          two cells              m between -`margin` and `margin`
``at_least``      one cell or two        m at least `limit`
``at_most``       one cell or two        m at most `limit`

Two cells are subtracted, first minus second; four are (first - second) - (third - fourth). A cell is a published id or the
address of another measurement of its records (``mnist/lenet5/plain/membership?auc``), with ``100 - `` in front for what is left
of 100 %. A list of them stands for their mean or, with ``statistic = "range"``, for how far the largest is from the smallest.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from experiments.published import Published

Kind = Literal["value", "difference", "more", "no_gain", "same", "at_least", "at_most"]
Statistic = Literal["mean", "range"]

SIGNS: Final[Mapping[int, tuple[int, ...]]] = {1: (1,), 2: (1, -1), 4: (1, -1, -1, 1)}  # by the number of cells
REST: Final = "100 - "  # in front of a cell: what is left of 100 %


class Rule(NamedTuple):
    cells: tuple[int, ...]  # how many a part may compare
    limit: str | None  # the one further key that the kind needs


RULES: Final[Mapping[str, Rule]] = {
    "value": Rule((1,), "tolerance"),
    "difference": Rule((2, 4), "tolerance"),
    "more": Rule((2, 4), None),
    "no_gain": Rule((2,), "margin"),
    "same": Rule((2,), "margin"),
    "at_least": Rule((1, 2), "limit"),
    "at_most": Rule((1, 2), "limit"),
}


class Target(NamedTuple):
    """Where a measurement has to lie, in percent or points, and the side of 0 that the paper found, or 0 for none."""

    low: float
    high: float
    side: int = 0


@dataclass(frozen=True)
class Part:
    """One comparison that a sentence stands for."""

    id: str
    kind: Kind
    cells: tuple[tuple[str, ...], ...]  # each as the numbers whose statistic it is, in the order of subtraction
    limit: float = math.nan  # tolerance, margin or limit in points: the kind says which
    statistic: Statistic = "mean"
    printed: float | None = None  # a number that the paper prints outside its tables

    @property
    def names(self) -> list[str]:
        """The address of every number that it needs."""
        return [name.removeprefix(REST) for cell in self.cells for name in cell]

    def expected(self, published: Mapping[str, Published]) -> tuple[float, float] | None:
        """The lowest and the highest value that the published numbers leave for it; None where they do not say."""
        if self.printed is not None:
            return self.printed, self.printed
        if not all(name in published for name in self.names):
            return None
        low = high = 0.0
        for sign, cell in zip(SIGNS[len(self.cells)], self.cells, strict=True):
            ends = [(published[name.removeprefix(REST)], name.startswith(REST)) for name in cell]
            lowest = self.of([100 - one.high if rest else one.low for one, rest in ends])
            highest = self.of([100 - one.low if rest else one.high for one, rest in ends])
            low, high = low + sign * (lowest if sign > 0 else highest), high + sign * (highest if sign > 0 else lowest)
        return round(low, 6), round(high, 6)  # the numbers are decimals: 12.44 - 9.98 is 2.46, not 2.459999999999999

    def of(self, values: Sequence[float]) -> float:
        """The statistic of the numbers of one cell."""
        return max(values) - min(values) if self.statistic == "range" else math.fsum(values) / len(values)

    def target(self, published: Mapping[str, Published]) -> Target:
        """Where the measurement has to lie for the part to be replicated, by the rules of the module's head."""
        if self.kind in ("no_gain", "at_most"):
            return Target(-math.inf, self.limit)
        if self.kind in ("more", "at_least"):
            return Target(0, math.inf, 1) if self.kind == "more" else Target(self.limit, math.inf)
        if self.kind == "same":
            return Target(-self.limit, self.limit)
        low, high = self.expected(published) or (math.nan, math.nan)
        near = Target(low - self.limit, high + self.limit)
        if self.kind == "value":
            return near
        return Target(max(near.low, 0), near.high, 1) if low > 0 else Target(near.low, min(near.high, 0), -1)


@dataclass(frozen=True)
class Sentence:
    """One sentence of a paper: it holds if all of its parts do; without parts it says why nothing can be compared."""

    id: str
    quote: str
    where: str
    parts: tuple[Part, ...] = ()
    reason: str | None = None
