"""What was measured of one cell, and how one compares with others: mean, 95 % interval, and where one more training would lie.

Intervals are Student's, over seeds, paired by seed. Where four cells did not run with the same seeds, the two halves are taken as
independent, and the distances from their means to the ends are squared and added (Zou and Donner, "Construction of confidence
limits about effect measures", Statistics in Medicine 27, 2008). Where no two seeds differ, as at 100 %, there is no spread, and
the interval is that of the distinct test images, which all seeds share: Wilson's, and for differences Newcombe's (Statistics
in Medicine 17, 1998, method 10), which combines Wilson's as above.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

from lib.errors import BadValue, check_count, check_number
from lib.metrics import Interval, mean_interval, proportion_interval

SLACK: Final = 1e-9  # 99.37 - 98.37 is not exactly 1 in binary, and a tolerance includes its end


@dataclass(frozen=True)
class Measured:
    """One cell as measured: a percentage for each seed, each over the same number of test images.

    Raises:
        BadValue: no value, not one value a seed, a seed twice, or a value that is no percentage.
    """

    values: tuple[float, ...]
    seeds: tuple[int, ...]
    points: int  # distinct images: CW aims each of a hundred at ten classes
    made: tuple[str, ...] = ()  # for each seed what computed it: processor, compiled or not; empty if nobody asks

    def __post_init__(self) -> None:
        if not self.values or len(self.values) != len(self.seeds) or len(set(self.seeds)) != len(self.seeds):
            raise BadValue(f"seeds: expected one or more, with one value each, got {self.seeds} for {self.values}")
        for value in self.values:
            check_number("values", value, low=0, high=100)
        check_count("points", self.points)

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the mean; for one seed its ends mean nothing."""
        return _over_seeds((1,), [[value] for value in self.values], [self.points]).interval.within(0, 100)

    @property
    def rest(self) -> Self:
        """What is left of 100 %."""
        return replace(self, values=tuple(100 - value for value in self.values))


def of_seeds(values: Sequence[float]) -> Interval | None:
    """Student's interval of the mean of values, one a seed; of one seed the number alone, of none nothing."""
    if len(values) == 1:
        return Interval(values[0], values[0], values[0], 1)
    return mean_interval(values) if values else None


class Contrast(NamedTuple):
    """A signed sum of cells."""

    interval: Interval  # of the mean over seeds; on one seed its ends mean nothing
    prediction: Interval  # for one more training
    reasons: tuple[str, ...] = ()  # to trust it less


def joined(cells: Sequence[Measured], of: Callable[[Sequence[float]], float]) -> Measured | None:
    """Several cells as one: a statistic of theirs, for each seed that all of them have; None if they share none."""
    if len(cells) == 1 or not (seeds := _shared(cells)):
        return cells[0] if len(cells) == 1 else None
    values = tuple(of(row) for row in _rows(cells, seeds))
    made = tuple(" + ".join(sorted({*row})) for row in zip(*(_made(cell, seeds) for cell in cells), strict=True))
    return Measured(values, tuple(seeds), sum(cell.points for cell in cells), made)


def contrast(signs: Sequence[int], cells: Sequence[Measured]) -> Contrast | None:
    """The signed sum of `cells`, or nothing when paired cells share no seed."""
    halves = [slice(0, len(cells))]
    if len(cells) == 4 and len({frozenset(cell.seeds) for cell in cells}) > 1:
        halves = [slice(0, 2), slice(2, 4)]
    found = []
    for half in halves:
        seeds = _shared(cells[half])
        if not seeds:
            return None
        one = _over_seeds(signs[half], _rows(cells[half], seeds), [cell.points for cell in cells[half]])
        found.append(one._replace(reasons=(*one.reasons, *_mixed(cells[half], seeds))))
    lowest, highest = -100 * list(signs).count(-1), 100 * list(signs).count(1)  # percentages cannot leave these
    interval, prediction = (
        _combined([1] * len(found), list(parts)).within(lowest, highest)
        for parts in zip(*((one.interval, one.prediction) for one in found), strict=True)
    )
    return Contrast(interval, prediction, tuple(reason for one in found for reason in one.reasons))


def _over_seeds(signs: Sequence[int], rows: Sequence[Sequence[float]], points: Sequence[int]) -> Contrast:
    """The signed sum of each of `rows`, one a seed, one column a cell: over seeds, or over images where no two seeds differ."""
    sums = [math.fsum(sign * value for sign, value in zip(signs, row, strict=True)) for row in rows]
    interval = mean_interval(sums)
    if interval.n == 1 or max(sums) - min(sums) > SLACK:
        # mean ± t s sqrt(1 + 1/n), where the interval is mean ± t s / sqrt(n)
        wide = (interval.high - interval.mean) * math.sqrt(interval.n + 1)
        return Contrast(interval, Interval(interval.mean, interval.mean - wide, interval.mean + wide, interval.n), ())
    parts = []
    for column, count in zip(zip(*rows, strict=True), points, strict=True):
        percent = math.fsum(column) / len(column)
        share = proportion_interval(percent / 100 * count, count)
        parts.append(Interval(percent, 100 * share.low, 100 * share.high, len(rows)))
    # Cells on the same images tend to be right on the same ones: as if independent, their difference is less certain than it is.
    over_images = _combined(signs, parts)
    return Contrast(over_images, over_images, (f"no two seeds differ: interval over {min(points)} images",))


def _combined(signs: Sequence[int], parts: Sequence[Interval]) -> Interval:
    """The interval of a signed sum of independent means, from the interval of each; see the module's head."""
    mean = below = above = 0.0
    for sign, part in zip(signs, parts, strict=True):
        mean += sign * part.mean
        down, up = part.mean - part.low, part.high - part.mean
        if sign < 0:
            down, up = up, down
        below, above = math.hypot(below, down), math.hypot(above, up)
    return Interval(mean, mean - below, mean + above, min(part.n for part in parts))


def _mixed(cells: Sequence[Measured], seeds: Sequence[int]) -> Iterable[str]:
    """A warning if cells that are compared were not computed alike: bfloat16 rounds otherwise from one processor to the next."""
    pairs = list(zip(*(_made(cell, seeds) for cell in cells), strict=True))
    if unlike := sum(len(set(pair)) > 1 for pair in pairs):
        yield f"{unlike} of {len(pairs)} pairs were not computed alike"


def _made(cell: Measured, seeds: Sequence[int]) -> list[str]:
    made = dict(zip(cell.seeds, cell.made or [""] * len(cell.seeds), strict=True))
    return [made[seed] for seed in seeds]


def _shared(cells: Sequence[Measured]) -> list[int]:
    """The seeds that all cells have, in the order of the first."""
    return [seed for seed in cells[0].seeds if all(seed in cell.seeds for cell in cells)]


def _rows(cells: Sequence[Measured], seeds: Iterable[int]) -> list[list[float]]:
    """The values of the cells, side by side, for each of `seeds`."""
    by_seed = [dict(zip(cell.seeds, cell.values, strict=True)) for cell in cells]
    return [[values[seed] for values in by_seed] for seed in seeds]
