"""The claims file of a paper: its sentences as declared, with their parts, and the tolerance of every published number.

It is TOML, ``papers/<paper>/claims.toml``: a ``[tolerance]`` table, and for each sentence a ``[[sentence]]`` with its
``[[sentence.part]]``, whose keys are those of `rules.Part`. A part with ``each = {network = ["lenet5", "resnet18"]}`` stands for
one part for every choice of such words, which its id and cells name in braces; the only part of a sentence has its id.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, cast

from experiments import published as printed
from experiments.papers import FOLDER
from experiments.published import Published, file_of
from experiments.rules import REST, RULES, Kind, Part, Sentence, Statistic
from lib.errors import BadValue, check_choice, check_kind, check_number, shown


@cache
def load(paper: str, *, folder: Path = FOLDER) -> list[Sentence]:
    """The sentences of `paper` in the order of its file.

    Raises:
        BadValue: an unknown paper or kind, a key too many or too few, a cell of no published number, an id declared twice, or a
            part that the paper's own numbers contradict; the message names the sentence or part.
    """
    numbers = printed.load(paper, folder=folder)
    found = [
        _sentence(entry, numbers, where=f"{paper}.toml, sentence {shown(entry.get('id', f'number {position}'))}")
        for position, entry in enumerate(_read(paper, folder=folder).get("sentence", []), start=1)
    ]
    names = [name for one in found for name in (one.id, *(part.id for part in one.parts if part.id != one.id))]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadValue(f"{paper}.toml: declared twice, expected once: {', '.join(twice)}")
    return found


@cache
def tolerances(paper: str, *, folder: Path = FOLDER) -> dict[str, float]:
    """How far, in percentage points, a measured cell may lie from each published number.

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
            raise BadValue(f"{where}: expected patterns of published ids, got {shown(pattern)}, which matches none")
    chosen: dict[str, float] = {}
    for name in names:
        patterns = [pattern for pattern in table if fnmatchcase(name, pattern)]
        if len(patterns) != 1:
            raise BadValue(f"{where}: expected exactly one pattern for {name}, got {patterns}")
        chosen[name] = check_number(f"{where}, {patterns[0]!r}", table[patterns[0]], low=0)
    return chosen


def _read(paper: str, *, folder: Path) -> dict[str, Any]:
    """The claims file of `paper` as TOML, with none but the two tables that belong there."""
    path = file_of(paper, "claims.toml", folder=folder)
    if not path.is_file():
        raise BadValue(f"{paper}: no claims are declared, expected them in {path}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, tables in tables in tables
        raise BadValue(f"{path}: expected TOML, got {error}") from error
    if unknown := sorted(content.keys() - {"sentence", "tolerance"}):
        raise BadValue(f"{path}: expected only [tolerance] and [[sentence]], got {shown(unknown)}")
    _check_tables(content.get("sentence", []), f"{path}, sentence", "[[sentence]]")
    check_kind(f"{path}, tolerance", content.get("tolerance", {}), dict, "a [tolerance] table")
    return content


def _check_tables(entries: object, where: str, expected: str) -> None:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadValue(f"{where}: expected {expected} tables, got {shown(entries)}")


def _sentence(entry: Mapping[str, Any], numbers: Mapping[str, Published], *, where: str) -> Sentence:
    """One ``[[sentence]]`` of the file, or an error that says what is wrong with it."""
    content = "reason" if "reason" in entry else "part"
    _check_keys(entry, {"id", "quote", "where", content}, where=where)
    for key in entry.keys() - {"part"}:
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise BadValue(f"{where}, {key}: expected words, got {shown(entry[key])}")
    words = {key: entry[key] for key in entry if key != "part"}
    _check_tables(entry.get("part", []), f"{where}, part", "[[sentence.part]]")
    templates = [{"id": entry["id"], **template} for template in entry.get("part", [])]
    parts = [part for template in templates for part in _parts(template, numbers, where=where)]
    if len({part.id for part in parts}) != len(parts) or (
        len(parts) > 1 and entry["id"] in (part.id for part in parts)
    ):
        raise BadValue(f"{where}: expected an id of its own for each of several parts")
    return Sentence(**words, parts=tuple(parts))


def _check_keys(
    entry: Mapping[str, Any], needed: set[str], *, where: str, allowed: frozenset[str] = frozenset()
) -> None:
    missing, unknown = sorted(needed - entry.keys()), sorted(entry.keys() - needed - allowed)
    if missing or unknown:
        raise BadValue(f"{where}: expected {sorted(needed)}; it lacks {missing} and adds {shown(unknown)}")


def _parts(entry: Mapping[str, Any], numbers: Mapping[str, Published], *, where: str) -> Iterator[Part]:
    """The parts that a ``[[sentence.part]]`` stands for: one, or one for every choice of the words of its `each`."""
    words = dict(entry)
    each = check_kind(f"{where}, each", words.pop("each", {}), dict, "a table of lists of words")
    if not all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in each.values()):
        raise BadValue(f"{where}, each: expected a table of lists of words, got {shown(each)}")
    for choice in product(*each.values()):
        chosen = dict(zip(each, choice, strict=True))
        try:
            filled = _filled(words, chosen)
        except (LookupError, ValueError, AttributeError) as error:
            raise BadValue(f"{where}: expected in braces only words of `each`, {shown(list(each))}") from error
        yield _part(filled, numbers, where=where)


def _filled(content: Any, chosen: Mapping[str, str]) -> Any:
    """`content` with the chosen words in its braces."""
    if isinstance(content, dict):
        filled = {key: _filled(value, chosen) for key, value in content.items()}
        return filled | {"id": re.sub("[_/]", "-", str(filled["id"]))} if "id" in filled else filled
    if isinstance(content, list):
        return [_filled(value, chosen) for value in content]
    return content.format_map(chosen) if isinstance(content, str) else content


def _part(entry: Mapping[str, Any], numbers: Mapping[str, Published], *, where: str) -> Part:
    """One part as declared."""
    where = f"{where}, part {shown(entry.get('id'))}"
    kind = cast(Kind, check_choice(f"{where}, kind", entry.get("kind"), RULES))
    limit = RULES[kind].limit
    needed = {"id", "kind", "cells"} | (set() if limit is None else {limit})
    _check_keys(entry, needed, where=where, allowed=frozenset(("statistic", "printed")))
    cells = _cells(entry["cells"], RULES[kind].cells, numbers, where=f"{where}, cells")
    points = {} if limit is None else {"limit": check_number(f"{where}, {limit}", entry[limit], low=0)}
    statistic = check_choice(f"{where}, statistic", entry.get("statistic", "mean"), ("mean", "range"))
    printed = {name: check_number(f"{where}, {name}", value) for name, value in entry.items() if name == "printed"}
    part = Part(str(entry["id"]), kind, cells, statistic=cast(Statistic, statistic), **printed, **points)
    # A part that the paper's own numbers contradict is a slip in the ids or in the limit.
    known = part.expected(numbers)
    if kind in ("value", "difference") and known is None:
        raise BadValue(f"{where}, cells: expected numbers that the paper prints, got {entry['cells']!r}")
    if known is not None and kind == "difference" and known[0] <= 0 <= known[1]:
        raise BadValue(f"{where}: expected a published difference on one side of 0, got {known[0]:g} to {known[1]:g}")
    low, high, _ = part.target(numbers)
    if known is not None and not low <= known[0] <= known[1] <= high:
        ends = f"{low:g} and {high:g}, got {known[0]:g} to {known[1]:g}"
        raise BadValue(f"{where}: expected published numbers that bear it out, between {ends}")
    return part


def _cells(
    cells: Any, counts: Sequence[int], numbers: Mapping[str, Published], *, where: str
) -> tuple[tuple[str, ...], ...]:
    """The cells of a part, each as a tuple of ids."""
    groups = [cell if isinstance(cell, list) else [cell] for cell in cells] if isinstance(cells, list) else []
    if len(groups) not in counts or [] in groups or len(set(map(str, groups))) != len(groups):
        raise BadValue(f"{where}: expected {' or '.join(map(str, counts))} different published ids, got {shown(cells)}")
    for name in (name for group in groups for name in group):
        known = isinstance(name, str) and ("?" in name or not numbers or name.removeprefix(REST) in numbers)
        if not known:
            raise BadValue(f"{where}: expected published ids such as {next(iter(numbers), '')!r}, got {shown(name)}")
    return tuple(map(tuple, groups))
