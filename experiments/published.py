"""What the papers printed: every number of every results table, by name, copied into one CSV a paper.

Nothing else in the project holds a published number. Each keeps its printed text: "98.50" and "98.5" are the same value, but only
one of them is what the paper says. Harakeh prints the lowest and the highest fooling rate of ten runs, such as "99-100"; a range
counts as one published number and has no single value.
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from experiments.papers import FOLDER, NAMES, REPLICATED
from lib.errors import BadValue, check_choice

COLUMNS: Final = ("id", "location", "row", "column", "value", "unit")
# Written out rather than left to `float`, which would also take "nan", "1_000" and "1e3".
_VALUE: Final = re.compile(r"(?P<low>\d+(\.\d+)?)(-(?P<high>\d+(\.\d+)?))?")
_UNITS: Final = {"%": 100.0}


@dataclass(frozen=True)
class Published:
    """One published number, or one published range, and where in the paper it stands."""

    id: str  # such as mnist/fgsm/none/accuracy
    location: str  # the table
    row: str  # in the paper's words; slashes part the levels of a nested row
    column: str  # its heading, in the paper's words
    low: float
    high: float  # the number again, or the upper end of a range
    unit: str
    text: str  # as printed, without its unit

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
    """Every published number of `paper`, by id, in the order of the paper's tables; none of a study of our own.

    Raises:
        BadValue: an unknown paper, or a line of its file that is wrong; the message names the line.
    """
    path = file_of(paper, "published.csv", folder=folder)
    numbers: dict[str, Published] = {}
    if paper not in REPLICATED:
        return numbers
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines, strict=True)
        header = tuple(next(rows, ()))
        if header != COLUMNS:
            raise BadValue(f"{path}: the columns are {','.join(header)!r}, expected {','.join(COLUMNS)!r}")
        for row in rows:
            try:
                number = _parse(row)
                if number.id in numbers:
                    raise BadValue(f"the id {number.id!r} stands twice, expected it once")
            except BadValue as error:
                raise BadValue(f"{path}, line {rows.line_num}: {error}") from error
            numbers[number.id] = number
    if not numbers:
        raise BadValue(f"{path}: no number, expected at least one")
    return numbers


def file_of(paper: str, file: str, *, folder: Path = FOLDER) -> Path:
    """The path of a file of a paper, with an error for a paper that nobody replicates here."""
    return folder / check_choice("paper", paper, NAMES) / file


def _parse(row: list[str]) -> Published:
    """One line of the CSV."""
    if len(row) != len(COLUMNS):
        raise BadValue(f"{len(row)} fields, expected {len(COLUMNS)} ({','.join(COLUMNS)})")
    for name, field in zip(COLUMNS, row, strict=True):
        if not field or field != field.strip():
            raise BadValue(f"{name} is {field!r}, expected text without spaces around it")
    *place, text, unit = row
    name, location, line, column = place
    match = _VALUE.fullmatch(text)
    if re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+)+", name) is None:
        raise BadValue(f"the id is {name!r}, expected lower-case words joined by slashes")
    if unit not in _UNITS:
        raise BadValue(f"the unit of {name} is {unit!r}, expected one of {', '.join(_UNITS)}")
    if match is None:
        raise BadValue(f"{name} is {text!r}, expected a number like 99.37 or a range like 99-100")
    low, high = (float(match[end] or match["low"]) for end in ("low", "high"))
    if match["high"] and not low < high:
        raise BadValue(f"{name} is {text!r}, expected a range with its lower end first")
    if high > _UNITS[unit]:
        raise BadValue(f"{name} is {text!r}, expected at most {_UNITS[unit]:g} {unit}")
    return Published(name, location, line, column, low, high, unit, text)
