"""What the papers printed: every number of every results table, by name.

The numbers were copied from the tables of Galinkin (2021), Harakeh (2018) and Song, Shokri and Mittal (2019) into one
CSV a paper, beside the paper's experiments in ``lib/papers``. Nothing else in the project holds a published number: the
tables of the book and the claims read it from here, so that a slip of the pen has one place to be found.

A number keeps its printed text as well as its value. "98.50" and "98.5" are the same value, but only one of them is
what the paper says, and the trailing zero tells how finely the author measured. Harakeh prints the lowest and the
highest fooling rate of ten runs, such as "99-100"; a range counts as one published number and has no single value.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from experiments.papers import NAMES
from lib.errors import BadValue, check_choice

FOLDER: Final = Path(__file__).parent / "papers"
"""Where a paper's published numbers and its claims lie."""

COLUMNS: Final = ("id", "location", "row", "column", "value", "unit")
_ID: Final = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)+")
# Written out rather than left to `float`, which would also take "nan", "1_000" and "1e3".
_VALUE: Final = re.compile(r"(?P<low>\d+(\.\d+)?)(-(?P<high>\d+(\.\d+)?))?")
_UNITS: Final = {"%": 100.0}


@dataclass(frozen=True)
class Published:
    """One published number, or one published range, and where in the paper it stands."""

    id: str
    """The name that code and claims use, such as ``mnist/fgsm/none/accuracy``."""
    location: str
    """The table, such as ``Table 2``."""
    row: str
    """The row in the paper's words; slashes part the levels of a nested row."""
    column: str
    """The heading of the column in the paper's words."""
    low: float
    """The number, or the lower end of the range."""
    high: float
    """The number again, or the upper end of the range."""
    unit: str
    text: str
    """The number as printed, without its unit."""

    @property
    def is_range(self) -> bool:
        """Whether the paper gives two ends instead of one number."""
        return self.low != self.high

    @property
    def value(self) -> float:
        """The number. A range has none: its middle was never measured, so asking for it is an error."""
        if self.is_range:
            raise BadValue(f"{self.id} is the range {self.text} {self.unit}, not one number: use its low and high")
        return self.low


@cache
def load(paper: str, *, folder: Path = FOLDER) -> dict[str, Published]:
    """Every published number of `paper`, by id, in the order of the paper's tables.

    Raises:
        BadValue: an unknown paper, or a line of its file that is wrong; the message names the line.
    """
    path = file_of(paper, "published.csv", folder=folder)
    numbers: dict[str, Published] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines, strict=True)
        header = tuple(next(rows, ()))
        if header != COLUMNS:
            raise BadValue(f"{path}: the columns are {','.join(header)!r}, expected {','.join(COLUMNS)!r}")
        for row in rows:
            number = _parse(row, where=f"{path}, line {rows.line_num}")
            if number.id in numbers:
                raise BadValue(f"{path}, line {rows.line_num}: the id {number.id!r} stands twice, expected it once")
            numbers[number.id] = number
    if not numbers:
        raise BadValue(f"{path}: no number, expected at least one")
    return numbers


def file_of(paper: str, file: str, *, folder: Path = FOLDER) -> Path:
    """The path of a file of a paper, with an error for a paper that nobody replicates here."""
    return folder / check_choice("paper", paper, NAMES) / file


def _parse(row: list[str], *, where: str) -> Published:
    """One line of the CSV as a `Published`; `where` is what an error calls the line."""
    if len(row) != len(COLUMNS):
        raise BadValue(f"{where}: {len(row)} fields, expected {len(COLUMNS)} ({','.join(COLUMNS)})")
    fields = dict(zip(COLUMNS, row, strict=True))
    for name, field in fields.items():
        if not field or field != field.strip():
            raise BadValue(f"{where}: {name} is {field!r}, expected text without spaces around it")
    if _ID.fullmatch(fields["id"]) is None:
        raise BadValue(f"{where}: the id is {fields['id']!r}, expected lower-case words joined by slashes")
    unit, text = fields["unit"], fields["value"]
    if unit not in _UNITS:
        raise BadValue(f"{where}: the unit of {fields['id']} is {unit!r}, expected one of {', '.join(_UNITS)}")
    match = _VALUE.fullmatch(text)
    if match is None:
        raise BadValue(f"{where}: {fields['id']} is {text!r}, expected a number like 99.37 or a range like 99-100")
    low = float(match["low"])
    high = low if match["high"] is None else float(match["high"])
    if match["high"] is not None and not low < high:
        raise BadValue(f"{where}: {fields['id']} is {text!r}, expected a range with its lower end first")
    if high > _UNITS[unit]:
        raise BadValue(f"{where}: {fields['id']} is {text!r}, expected at most {_UNITS[unit]:g} {unit}")
    return Published(fields["id"], fields["location"], fields["row"], fields["column"], low, high, unit, text)
