"""What a paper claims, and whether the measurements bear it out.

A paper's claims stand in ``lib/papers/<paper>.toml``, each with the sentence that makes it, the published numbers that
it compares and the closeness that would count, all fixed before a result was looked at. The size and the side that a
claim expects are never typed there: they follow from the published numbers (`lib.published`), which leaves a reader
only the tolerances to question. `load` reads the declarations, `judge` holds measurements against one, by its kind:

``value``, ``range``
    one cell. Replicated when the mean over seeds lies within the tolerance of the published number or range.
``difference``
    first cell minus second, paired by seed. Replicated when the 95 % interval lies wholly on the paper's side of 0 and
    the mean is within the tolerance of the published difference; replicated in direction when only the side is right.
``double_difference``
    (first - second) - (third - fourth), by the same rule. All four cells are paired when they ran with the same seeds;
    otherwise the two halves are taken as independent.
``no_gain``
    the first cell is not higher than the second. Replicated when the upper end of the interval of the difference is at
    most the margin; not replicated when the lower end is above it. When the interval straddles the margin, the data
    decide neither way: replicated in direction if the mean is at most the margin, not replicated if it is above.
``not_testable``
    a sentence that fixes no number to compare; its reason is given.

Where ranges are compared, the paper published every difference from one end of them to the other.

Intervals are Student's, over seeds. One seed says nothing about the spread over seeds, so its interval comes from the
test points as if they were drawn afresh: Wilson's score interval, because the textbook p +- 1.96 sqrt(p (1 - p) / n)
has no width at 0 % or 100 %, which is where these attacks end. A verdict names which of the two it used: the second
leaves out the variation between training runs. Intervals of independent parts are squared and added (see `_combined`).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal, NamedTuple

from lib import published as printed
from lib.errors import BadValue, check_choice, check_count, check_number
from lib.metrics import Interval, mean_interval, proportion_interval
from lib.published import FOLDER, Published, file_of

Kind = Literal["value", "range", "difference", "double_difference", "no_gain", "not_testable"]
Word = Literal["replicated", "replicated in direction", "not replicated", "not testable as written", "not run"]
Source = Literal["seeds", "test points"]

_SLACK: Final = 1e-9  # 99.37 - 98.37 is not exactly 1 in binary, and a tolerance includes its end


class _Rule(NamedTuple):
    signs: tuple[int, ...]  # of the cells in what the claim is about
    limit: str  # the one further key that the kind needs


_RULES: Final[Mapping[str, _Rule]] = {
    "value": _Rule((1,), "tolerance"),
    "range": _Rule((1,), "tolerance"),
    "difference": _Rule((1, -1), "tolerance"),
    "double_difference": _Rule((1, -1, -1, 1), "tolerance"),
    "no_gain": _Rule((1, -1), "margin"),
    "not_testable": _Rule((), "reason"),
}


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, as declared before any result was looked at; tolerance and margin in percentage points."""

    id: str
    quote: str
    where: str
    kind: Kind
    cells: tuple[str, ...] = ()  # published ids, in the order in which the kind subtracts them
    tolerance: float | None = None  # how far from the published number still counts
    margin: float | None = None  # the largest gain that still counts as none: for `no_gain` alone
    reason: str | None = None  # why nothing can be compared: for `not_testable` alone


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


def load(paper: str, *, folder: Path = FOLDER) -> list[Claim]:
    """The claims of `paper` in the order of its file.

    Raises:
        BadValue: an unknown paper or kind, a key too many or too few, a cell that is not published, or a claim that the
            paper's own numbers contradict; the message names the claim.
    """
    numbers = printed.load(paper, folder=folder)
    claims: dict[str, Claim] = {}
    for position, entry in enumerate(_read(paper, folder=folder).get("claim", []), start=1):
        where = f"{paper}.toml, claim {entry.get('id', f'number {position}')!r}"
        claim = _declared(entry, numbers, where=where)
        if claim.id in claims:
            raise BadValue(f"{where}: declared twice, expected once")
        claims[claim.id] = claim
    return list(claims.values())


def tolerances(paper: str, *, folder: Path = FOLDER) -> dict[str, float]:
    """How far, in percentage points, a measured cell may lie from each published number and still be marked as close.

    The ``[tolerance]`` table of the claims file maps patterns of ids (``mnist/*/accuracy``) to points.

    Raises:
        BadValue: a pattern matches no published number, or a number matches no pattern, or several, which would let the
            order of the table matter.
    """
    where = f"{paper}.toml, [tolerance]"
    table = _read(paper, folder=folder).get("tolerance", {})
    names = printed.load(paper, folder=folder)
    for pattern in table:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise BadValue(f"{where}: expected patterns of published ids, got {pattern!r}, which matches none")
    chosen: dict[str, float] = {}
    for name in names:
        patterns = [pattern for pattern in table if fnmatchcase(name, pattern)]
        if len(patterns) != 1:
            raise BadValue(f"{where}: expected exactly one pattern for {name}, got {patterns}")
        chosen[name] = check_number(f"{where}, {patterns[0]!r}", table[patterns[0]], low=0)
    return chosen


def judge(claim: Claim, measured: Mapping[str, Measured], published: Mapping[str, Published]) -> Verdict:
    """The verdict on `claim`; `measured` and `published` are both by published id.

    A claim is "not run" while one of its cells has no measurement, and while cells that are paired share no seed.
    """
    if claim.kind == "not_testable":
        return Verdict("not testable as written")
    low, high = _expected(claim, published)
    if any(cell not in measured for cell in claim.cells) or (found := _found(claim, measured)) is None:
        return Verdict("not run", published_low=low, published_high=high)
    interval, source = found
    word = _word(claim, interval, low, high)
    return Verdict(word, interval.mean, interval.low, interval.high, low, high, interval.n, source)


def _word(claim: Claim, found: Interval, low: float, high: float) -> Word:
    """The rules of the module's head, one after another."""
    limit = claim.margin if claim.kind == "no_gain" else claim.tolerance
    if limit is None:  # never so in a claim from `load`
        raise BadValue(f"claim {claim.id!r}: expected a {_RULES[claim.kind].limit}, got none")
    limit += _SLACK
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


def _expected(claim: Claim, published: Mapping[str, Published]) -> tuple[float, float]:
    """The lowest and the highest value that the published numbers leave for what the claim is about."""
    low = high = 0.0
    for sign, cell in zip(_RULES[claim.kind].signs, claim.cells, strict=True):
        number = published[cell]
        low += number.low if sign > 0 else -number.high
        high += number.high if sign > 0 else -number.low
    return round(low, 6), round(high, 6)  # the numbers are decimals: 12.44 - 9.98 is 2.46, not 2.459999999999999


def _found(claim: Claim, measured: Mapping[str, Measured]) -> tuple[Interval, Source] | None:
    """What the claim is about, as measured, or nothing when paired cells share no seed."""
    signs, cells = _RULES[claim.kind].signs, [measured[cell] for cell in claim.cells]
    halves = [slice(0, 4)]
    if claim.kind == "double_difference" and len({frozenset(cell.seeds) for cell in cells}) > 1:
        halves = [slice(0, 2), slice(2, 4)]
    # One list a half, one row a shared seed, one column a cell: all that follows is sums and means over these.
    rows = [_paired(cells[half]) for half in halves]
    count = min(len(values) for values in rows)
    if count == 0:
        return None
    if count > 1:
        samples = [
            [math.fsum(sign * value for sign, value in zip(signs[half], row, strict=True)) for row in values]
            for half, values in zip(halves, rows, strict=True)
        ]
        return _combined([1] * len(samples), [mean_interval(sample) for sample in samples], count), "seeds"
    means = [fmean(column) for values in rows for column in zip(*values, strict=True)]
    parts = []
    for percent, cell in zip(means, cells, strict=True):
        share = proportion_interval(percent / 100 * cell.points, cell.points)
        parts.append(Interval(percent, 100 * share.low, 100 * share.high, cell.points))
    # Cells measured on the same points tend to be right on the same ones, which makes the interval of their difference
    # wider than it need be: taking the cells as independent errs on the side of claiming less.
    return _combined(signs, parts, count), "test points"


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


def _read(paper: str, *, folder: Path) -> dict[str, Any]:
    """The claims file of `paper` as TOML, with none but the two tables that belong there."""
    path = file_of(paper, "toml", folder=folder)
    if not path.is_file():
        raise BadValue(f"{paper}: no claims are declared, expected them in {path}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadValue(f"{path}: expected TOML, got {error}") from error
    if unknown := sorted(content.keys() - {"claim", "tolerance"}):
        raise BadValue(f"{path}: expected only [tolerance] and [[claim]], got {unknown}")
    entries = content.get("claim", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadValue(f"{path}, claim: expected [[claim]] tables, got {entries!r}")
    if not isinstance(table := content.get("tolerance", {}), dict):
        raise BadValue(f"{path}, tolerance: expected a [tolerance] table, got {table!r}")
    return content


def _declared(entry: Mapping[str, Any], numbers: Mapping[str, Published], *, where: str) -> Claim:
    """One ``[[claim]]`` of the file as a `Claim`, or an error that says what is wrong with it."""
    kind = check_choice(f"{where}, kind", entry.get("kind"), _RULES)
    signs, limit = _RULES[kind]
    needed = {"id", "quote", "where", "kind", limit} | ({"cells"} if signs else set())
    if entry.keys() != needed:
        missing, unknown = sorted(needed - entry.keys()), sorted(entry.keys() - needed)
        raise BadValue(f"{where}: expected {sorted(needed)} for a {kind}; it lacks {missing} and adds {unknown}")
    for key in needed & {"id", "quote", "where", "reason"}:
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise BadValue(f"{where}, {key}: expected words, got {entry[key]!r}")
    points = {key: check_number(f"{where}, {key}", entry[key], low=0) for key in needed & {"tolerance", "margin"}}
    cells = entry.get("cells", [])
    if not isinstance(cells, list) or len(cells) != len(signs) or len(set(map(str, cells))) != len(cells):
        raise BadValue(f"{where}, cells: expected {len(signs)} different published ids, got {cells!r}")
    for cell in cells:
        if not isinstance(cell, str) or cell not in numbers:
            raise BadValue(f"{where}, cells: expected published ids such as {next(iter(numbers))!r}, got {cell!r}")
        if kind in ("value", "range") and numbers[cell].is_range != (kind == "range"):
            raise BadValue(f"{where}, cells: expected a {kind}, but the paper prints {numbers[cell].text} for {cell}")
    claim = Claim(**{**entry, **points, "cells": tuple(cells)})
    # A claim that the paper's own numbers contradict is a slip in the ids or in the margin.
    low, high = _expected(claim, numbers)
    if kind in ("difference", "double_difference") and low <= 0 <= high:
        raise BadValue(f"{where}: expected a published difference on one side of 0, got {low:g} to {high:g}")
    if claim.margin is not None and high > claim.margin:
        raise BadValue(f"{where}: expected a published difference of at most the margin {claim.margin:g}, got {high:g}")
    return claim
