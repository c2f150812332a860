"""What a paper claims: sentences, quoted, each with the published numbers that it compares and the closeness that counts.

They stand in the paper's ``claims.toml``, written before a result was looked at. The size and the side that a claim expects
follow from the published numbers, which leaves a reader only the tolerances to question. The kinds of claim:

``value``, ``range``        one cell against the published number or range
``difference``              first cell minus second
``double_difference``       (first - second) - (third - fourth)
``no_gain``                 the first cell is not higher than the second
``not_testable``            a sentence that fixes no number to compare; its reason is given
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from experiments import published as printed
from experiments.published import FOLDER, Published, file_of
from lib.errors import BadValue, check_choice, check_number

Kind = Literal["value", "range", "difference", "double_difference", "no_gain", "not_testable"]


class _Rule(NamedTuple):
    signs: tuple[int, ...]  # of the cells in what the claim is about
    limit: str  # the one further key that the kind needs


RULES: Final[Mapping[str, _Rule]] = {
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


@cache
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


@cache
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


def expected(claim: Claim, published: Mapping[str, Published]) -> tuple[float, float]:
    """The lowest and the highest value that the published numbers leave for what the claim is about."""
    low = high = 0.0
    for sign, cell in zip(RULES[claim.kind].signs, claim.cells, strict=True):
        number = published[cell]
        low += number.low if sign > 0 else -number.high
        high += number.high if sign > 0 else -number.low
    return round(low, 6), round(high, 6)  # the numbers are decimals: 12.44 - 9.98 is 2.46, not 2.459999999999999


def _read(paper: str, *, folder: Path) -> dict[str, Any]:
    """The claims file of `paper` as TOML, with none but the two tables that belong there."""
    path = file_of(paper, "claims.toml", folder=folder)
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
    kind = check_choice(f"{where}, kind", entry.get("kind"), RULES)
    signs, limit = RULES[kind]
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
    low, high = expected(claim, numbers)
    if kind in ("difference", "double_difference") and low <= 0 <= high:
        raise BadValue(f"{where}: expected a published difference on one side of 0, got {low:g} to {high:g}")
    if claim.margin is not None and high > claim.margin:
        raise BadValue(f"{where}: expected a published difference of at most the margin {claim.margin:g}, got {high:g}")
    return claim
