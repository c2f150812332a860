"""One question to the grid and the records: which of them have these settings?

A *row* is the cells of a grid that differ in nothing but their seed. `find` names a row by as many settings as tell it from
those before it: what is left open is as in the first row that has the rest. The rows behind the tables come first, and then
those with something changed.

    find(store, "galinkin", "paper", network="lenet5", attack="membership")                  # as the text describes it
    find(store, "galinkin", "paper", network="lenet5", attack="membership", shadow="same")   # with one thing changed
"""

import json
from collections.abc import Hashable
from dataclasses import fields
from functools import cache
from typing import Any

from experiments import papers
from experiments.cell import PROFILES
from experiments.records import Record, Store
from lib.errors import BadValue, check_choice, shown


class NoCell(BadValue):
    """No cell of the grid has what is asked for; one of another grid may."""


def find(store: Store, paper: str, profile: str, /, **settings: Any) -> list[Record]:
    """The records of one row of a grid, one a seed, in the order of seeds; none if no row has the settings.

    Settings are fields of a cell, or what it says of itself, such as `estimator`.

    Raises:
        BadValue: unknown paper or profile; a setting, or a value of one, that no cell of any profile has.
    """
    return [record for cell in row(paper, profile, **settings) if (record := store.get(cell)) is not None]


def row(paper: str, profile: str, /, **settings: Any) -> tuple[Any, ...]:
    """The cells, one a seed, of the first row of a grid that has these settings; see `find`."""
    check_choice("profile", profile, PROFILES)
    for name, value in settings.items():
        values = _values(paper, name)
        if not values:
            raise BadValue(f"{name}: unknown setting, no cell of {paper} has it")
        if value not in values:
            expected = ", ".join(sorted(map(str, values)))
            raise BadValue(f"{name}={value!r}: no cell of {paper} has that; expected one of {expected}")
    return _row(paper, profile, frozenset(settings.items()))


@cache
def _row(paper: str, profile: str, settings: frozenset[tuple[str, Hashable]]) -> tuple[Any, ...]:
    missing = object()
    for cells in _rows(paper, profile):
        if any(all(getattr(cell, name, missing) == value for name, value in settings) for cell in cells):
            return cells
    return ()


@cache
def _rows(paper: str, profile: str) -> list[tuple[Any, ...]]:
    """The rows of a grid, those behind the tables first, each in the order of seeds."""
    rows: dict[Hashable, list[Any]] = {}
    module = papers.get(paper)
    for cell in dict.fromkeys([*module.main(profile), *module.grid(profile)]):
        shared = tuple(getattr(cell, one.name) for one in fields(cell) if one.name not in cell.of_seed)
        rows.setdefault((type(cell), shared), []).append(cell)
    return [tuple(sorted(cells, key=lambda cell: int(cell.seed))) for cells in rows.values()]


@cache
def _values(paper: str, name: str) -> set[Any]:
    """Every value that the cells of a paper have of one setting, in any profile."""
    cells = [cell for profile in PROFILES for cells in _rows(paper, profile) for cell in cells]
    return {getattr(cell, name) for cell in cells if hasattr(cell, name) and not callable(getattr(cell, name))}


@cache
def types_of(paper: str) -> dict[str, type]:
    """The type of every field of the cells of a paper."""
    cells = [cells[0] for profile in PROFILES for cells in _rows(paper, profile)]
    return {one.name: type(getattr(cell, one.name)) for cell in cells for one in fields(cell)}


def setting(text: str, types: dict[str, type], *, what: str) -> tuple[str, Any]:
    """`field=value` with the value in the field's own type; errors call it `what`.

    Raises:
        NoCell: a field that is not among `types`.
        BadValue: no "=", or a value of another type.
    """
    name, separator, raw = text.partition("=")
    if not separator:
        raise BadValue(f"{what} {shown(text)}: expected field=value")
    if name not in types:
        raise NoCell(f"{what} {name}: unknown field; expected one of {', '.join(types)}")
    kind = types[name]
    try:
        if kind is str:
            return name, raw
        if kind is tuple:
            return name, tuple(map(float, json.loads(f"[{raw}]")))
        if kind is bool:
            return name, {"true": True, "false": False}[raw.lower()]
        return name, kind(raw)
    except (ValueError, TypeError, KeyError) as error:
        example = {int: "5", float: "0.0314", tuple: "0,0.1,0.3", bool: "true"}[kind]
        raise BadValue(f"{what} {name}: expected a {kind.__name__} such as {example}, got {shown(raw)}") from error
