"""Whether the measurements bear a claim out: one of five words, by rules that do not know the results.

``value``, ``range``
    Replicated when the mean over seeds lies within the tolerance of the published number or range.
``difference``
    Paired by seed. Replicated when the 95 % interval lies wholly on the paper's side of 0 and the mean is within the
    tolerance of the published difference; replicated in direction when only the side is right.
``double_difference``
    By the same rule. All four cells are paired when they ran with the same seeds; otherwise the two halves are taken as
    independent.
``no_gain``
    Replicated when the upper end of the interval of the difference is at most the margin; not replicated when the lower
    end is above it. When the interval straddles the margin, the data decide neither way: replicated in direction if the
    mean is at most the margin, not replicated if it is above.

Where ranges are compared, the paper published every difference from one end of them to the other.

Intervals are Student's, over seeds. One seed says nothing about the spread over seeds, so its interval comes from the
test points as if they were drawn afresh: Wilson's score interval, because the textbook p +- 1.96 sqrt(p (1 - p) / n)
has no width at 0 % or 100 %, which is where these attacks end. A verdict names which of the two it used: the second
leaves out the variation between training runs. Intervals of independent parts are squared and added (see `_combined`); where
one half has several seeds and the other has one, each half has the interval that it allows, and the verdict says one seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from experiments.claims import RULES, Claim, expected
from experiments.published import Published
from lib.errors import BadValue, check_count, check_number
from lib.metrics import Interval, mean_interval, proportion_interval

Word = Literal["replicated", "replicated in direction", "not replicated", "not testable as written", "not run"]
Source = Literal["seeds", "test points"]

SLACK: Final = 1e-9  # 99.37 - 98.37 is not exactly 1 in binary, and a tolerance includes its end


@dataclass(frozen=True)
class Measured:
    """One cell as measured: a percentage for each seed, each over the same number of test points.

    Raises:
        BadValue: no value, not one value a seed, a seed twice, or a value that is no percentage.
    """

    values: tuple[float, ...]
    seeds: tuple[int, ...]
    points: int

    def __post_init__(self) -> None:
        if not self.values or len(self.values) != len(self.seeds) or len(set(self.seeds)) != len(self.seeds):
            raise BadValue(f"seeds: expected one or more, with one value each, got {self.seeds} for {self.values}")
        for value in self.values:
            check_number("values", value, low=0, high=100)
        check_count("points", self.points)


@dataclass(frozen=True)
class Verdict:
    """The word on one claim, and the numbers that it rests on, in percent or percentage points."""

    word: Word
    estimate: float | None = None
    low: float | None = None  # the ends of the 95 % interval of the estimate
    high: float | None = None
    published_low: float | None = None  # the same quantity in the paper: one number twice, or the ends of a range
    published_high: float | None = None
    seeds: int = 0  # how many the estimate averages: the smaller number where two halves differ
    interval_from: Source | None = None

    @property
    def published(self) -> float | None:
        """The published number, or nothing where the paper gives a range or nothing to compare."""
        return self.published_low if self.published_low == self.published_high else None


def judge(claim: Claim, measured: Mapping[str, Measured], published: Mapping[str, Published]) -> Verdict:
    """The verdict on `claim`; `measured` and `published` are both by published id.

    A claim is "not run" while one of its cells has no measurement, and while cells that are paired share no seed.
    """
    if claim.kind == "not_testable":
        return Verdict("not testable as written")
    low, high = expected(claim, published)
    if any(cell not in measured for cell in claim.cells) or (found := _found(claim, measured)) is None:
        return Verdict("not run", published_low=low, published_high=high)
    interval, source = found
    word = _word(claim, interval, low, high)
    return Verdict(word, interval.mean, interval.low, interval.high, low, high, interval.n, source)


def _word(claim: Claim, found: Interval, low: float, high: float) -> Word:
    """The rules of the module's head, one after another."""
    limit = claim.margin if claim.kind == "no_gain" else claim.tolerance
    if limit is None:  # never so in a claim from `load`
        raise BadValue(f"claim {claim.id!r}: expected a {RULES[claim.kind].limit}, got none")
    limit += SLACK
    if claim.kind == "no_gain":
        if found.high <= limit:
            return "replicated"
        return "replicated in direction" if found.mean <= limit else "not replicated"
    close = low - limit <= found.mean <= high + limit
    if claim.kind in ("value", "range"):
        return "replicated" if close else "not replicated"
    if not (found.low > 0 if low > 0 else found.high < 0):
        return "not replicated"
    return "replicated" if close else "replicated in direction"


def _found(claim: Claim, measured: Mapping[str, Measured]) -> tuple[Interval, Source] | None:
    """What the claim is about, as measured, or nothing when paired cells share no seed."""
    signs, cells = RULES[claim.kind].signs, [measured[cell] for cell in claim.cells]
    halves = [slice(0, 4)]
    if claim.kind == "double_difference" and len({frozenset(cell.seeds) for cell in cells}) > 1:
        halves = [slice(0, 2), slice(2, 4)]
    # One list a half, one row a shared seed, one column a cell.
    rows = [_paired(cells[half]) for half in halves]
    count = min(len(values) for values in rows)
    if count == 0:
        return None
    parts = [_half(signs[half], cells[half], values) for half, values in zip(halves, rows, strict=True)]
    whole = _combined([1] * len(parts), parts, count)
    bounded = whole.within(-100 * signs.count(-1), 100 * signs.count(1))  # percentages cannot leave these
    return bounded, "seeds" if count > 1 else "test points"


def _half(signs: Sequence[int], cells: Sequence[Measured], values: Sequence[Sequence[float]]) -> Interval:
    """The signed sum of `cells`, from their `values`, a row for each shared seed: Student's interval, or that of the points."""
    if len(values) > 1:
        return mean_interval(
            [math.fsum(sign * value for sign, value in zip(signs, row, strict=True)) for row in values]
        )
    parts = []
    for percent, cell in zip(values[0], cells, strict=True):
        share = proportion_interval(percent / 100 * cell.points, cell.points)
        parts.append(Interval(percent, 100 * share.low, 100 * share.high, cell.points))
    # Cells measured on the same points tend to be right on the same ones, which makes the interval of their difference
    # wider than it need be: taking the cells as independent errs on the side of claiming less.
    return _combined(signs, parts, 1)


def _paired(cells: Sequence[Measured]) -> list[tuple[float, ...]]:
    """The values of the cells, side by side, for each seed that all of them share."""
    by_seed = [dict(zip(cell.seeds, cell.values, strict=True)) for cell in cells]
    shared = [seed for seed in cells[0].seeds if all(seed in values for values in by_seed)]
    return [tuple(values[seed] for values in by_seed) for seed in shared]


def _combined(signs: Sequence[int], parts: Sequence[Interval], count: int) -> Interval:
    """The interval of a signed sum of independent means, from the interval of each.

    Each part's distance from its mean to an end is squared and added (Zou and Donner, "Construction of confidence
    limits about effect measures", Statistics in Medicine 27, 2008). For two Wilson intervals this is Newcombe's
    interval of a difference (Statistics in Medicine 17, 1998, method 10); a single part keeps its own interval.
    """
    mean = below = above = 0.0
    for sign, part in zip(signs, parts, strict=True):
        mean += sign * part.mean
        down, up = part.mean - part.low, part.high - part.mean
        if sign < 0:
            down, up = up, down
        below, above = math.hypot(below, down), math.hypot(above, up)
    return Interval(mean, mean - below, mean + above, count)
