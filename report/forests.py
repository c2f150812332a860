"""Forest plots from addresses: which numbers a figure sets beside each other is data, of which this makes marks and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from experiments import published
from experiments.address import parse
from experiments.judging import verdict
from experiments.records import Store
from report.figures.forest import Line
from report.numbers import in_columns
from report.tables import Table, interval_at, values_at


@dataclass(frozen=True)
class Row:
    """One line of a forest plot.

    Attributes:
        label: what stands before it.
        ours: the address of each number of ours, by the key of its look; "A - B" is a difference, paired by seed.
        printed: the id of the paper's number, if it has one, or of those whose mean it is.
        claim: the address of the claim whose verdict stands at the margin, if there is one.
        runs: the measurements that hold the lowest and the highest run of a seed, if they are to be drawn.
    """

    label: str
    ours: Mapping[str, str]
    printed: str | tuple[str, ...] = ""
    claim: str = ""
    runs: tuple[str, str] | None = None


def beside(id_: str, *readings: str, label: str, claim: str = "") -> Row:
    """A printed number beside ours under each of `readings`; "look=reading" draws it as another."""
    pairs = [name.split("=") if "=" in name else (name, name) for name in readings]
    return Row(label, {key: f"{name}:{id_}" for key, name in pairs}, id_, claim)


Rows = Mapping[str, Sequence[Row]]  # by the title of their group


def lines(store: Store, paper: str, rows: Rows) -> dict[str, list[Line]]:
    """The lines of a forest plot; a number without a record has no mark."""
    return {title: [_line(store, paper, row) for row in group] for title, group in rows.items()}


def _line(store: Store, paper: str, row: Row) -> Line:
    found = {key: interval for key, address in row.ours.items() if (interval := interval_at(store, paper, address))}
    ids = (row.printed,) if isinstance(row.printed, str) and row.printed else row.printed
    printed = [published.load(paper)[id_] for id_ in ids]
    word = verdict(store, parse(row.claim, paper)).word if row.claim else ""
    low, high = (fmean(one.low for one in printed), fmean(one.high for one in printed)) if printed else (None, None)
    return Line(row.label, low, high, found, _runs(store, paper, row), word)


def _runs(store: Store, paper: str, row: Row) -> dict[str, tuple[float, float]]:
    """The lowest and the highest run of any seed, by the key of a look; what has no record is left out."""
    found = {}
    for key, address in row.ours.items() if row.runs else ():
        ends = [values_at(store, paper, f"{address}{'&' if '?' in address else '?'}{name}") for name in row.runs or ()]
        if all(ends):
            found[key] = (min(ends[0]), max(ends[1]))
    return found


def data(rows: Rows, found: Mapping[str, Sequence[Line]]) -> Table:
    """The numbers behind the figure, one line a mark."""
    body = []
    for title, group in rows.items():
        for row, line in zip(group, found[title], strict=True):
            printed = (
                "" if line.low is None else f"{line.low:g}" if line.low == line.high else f"{line.low:g}-{line.high:g}"
            )
            for key, address in row.ours.items():
                body.append([title, row.label, printed, key, *in_columns(line.ours.get(key)), line.word, address])
    return Table("group,line,paper,reading,ours,low,high,seeds,verdict,address".split(","), body)
