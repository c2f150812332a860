"""Tables: the paper's numbers beside ours, and whatever is measured at an address.

A table is a list of rows of strings under a head; the same rows become the Markdown of a page and the CSV that a reader
downloads. A cell without a record says "not run".
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Self

from experiments.address import parse, resolve
from experiments.contrasts import of_seeds
from experiments.records import Record, Store
from lib.errors import BadValue
from lib.metrics import Interval
from report.numbers import NOT_RUN, of_interval
from report.text import unmarked


class Number(str):
    """The text of a cell that stands at an address, which on a page is a link to where it comes from."""

    address: str

    def __new__(cls, text: str, address: str) -> Self:
        made = super().__new__(cls, text)
        made.address = address
        return made


def full(address: str, paper: str) -> str:
    """An address, or a pair of them, with their paper in front."""
    return re.sub(rf"(^| - | beside )(?!{paper}:)", rf"\g<1>{paper}:", address)


def place(address: str) -> str:
    """Where a page of the book finds the origins of the number at a whole address."""
    anchor = re.sub(r"[^\w:/-]", ".", address)
    return f"../book/origins_{address.partition(':')[0]}.html#{anchor}"


def linked(text: str, address: str, where: str = "") -> str:
    """A number as a link to where it comes from; its address is shown to who rests on it."""
    return f'<a class="number" href="{escape(where or place(address))}" data-said="{escape(address)}">{text}</a>'


@dataclass(frozen=True)
class Table:
    """A head and rows of as many strings."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, head: str, rows: Sequence[Sequence[str]], *, empty: str = NOT_RUN) -> Self:
        """`rows` under a head of names joined by commas; without any, one that says so."""
        names = head.split(",")
        return cls(names, rows or [[empty, *["–"] * (len(names) - 1)]])

    def markdown(self, *, name: str, caption: str) -> str:
        """A numbered MyST table, called `name`.

        Raises:
            BadValue: a backtick in the caption, which would end the fence that it stands in.
        """
        if "`" in caption:
            raise BadValue(f"caption of {name}: expected no backtick, got {caption!r}")
        rows = [[linked(one, one.address) if isinstance(one, Number) else one for one in line] for line in self.rows]
        return f"```{{table}} {caption}\n:name: {name}\n\n{Table(self.head, rows).plain()}\n```"

    def plain(self) -> str:
        """The rows as plain Markdown, for a notebook that is not being built into a page."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

    def csv(self) -> str:
        """The same cells as CSV, without the marks of Markdown."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerows([unmarked(cell) for cell in line] for line in (self.head, *self.rows))
        return buffer.getvalue()


@dataclass(frozen=True)
class Row:
    """The words that stand before a row's numbers, and what the addresses of its columns are completed with."""

    words: tuple[str, ...]
    names: Mapping[str, str]


# An address with names of the row in braces, or whatever else gives the text of a cell.
Column = str | Callable[[Store, Row], str]
Panels = Mapping[str, Mapping[Any, Sequence[Record]]]  # title of a panel, then what a line of it is called, then seeds


def table(store: Store, paper: str, head: str, rows: Iterable[Row], columns: Mapping[str, Column]) -> Table:
    """A table that is data: a row of numbers, one for each of `columns`, by what stands over it, for each of `rows`.

    Args:
        head: what stands over the words of the rows, joined by commas.

    Raises:
        BadValue: an address of nothing.
    """
    made = [[*one.words, *(_cell(store, paper, column, one) for column in columns.values())] for one in rows]
    return Table([*head.split(","), *columns], made)


def row(*words: str, **names: str) -> Row:
    """A row by its words and names."""
    return Row(words, names)


def _cell(store: Store, paper: str, column: Column, one: Row) -> str:
    return across(store, paper, column.format_map(one.names)) if isinstance(column, str) else column(store, one)


def across(store: Store, paper: str, address: str) -> Number:
    """The measured percentage at an address over seeds, or, for "A - B", the difference of two, paired by seed."""
    return Number(of_interval(interval_at(store, paper, address)), full(address, paper))


def interval_at(store: Store, paper: str, address: str) -> Interval | None:
    """Mean and 95 % interval over seeds of what was measured at an address, or of "A - B", paired by seed; None without any."""
    if " - " not in address:
        return resolve(store, parse(address, paper)).interval
    return of_seeds(values_at(store, paper, address))


def values_at(store: Store, paper: str, address: str) -> list[float]:
    """What was measured at an address, a number a seed; for "A - B" by how much A is larger, for each seed that has both."""
    more, *less = (resolve(store, parse(one, paper)).values for one in address.split(" - "))
    return [more[seed] - sum(one[seed] for one in less) for seed in more if all(seed in one for one in less)]


def records_at(store: Store, paper: str, address: str) -> list[Record]:
    """The records behind an address, one a seed."""
    return list(resolve(store, parse(address, paper)).records)


def panels_at(
    store: Store, paper: str, addresses: Mapping[str, Mapping[Any, str]], *, empty: bool = False
) -> dict[str, dict[Any, list[Record]]]:
    """The records behind the addresses of each line of each panel; panels without any are left out, unless `empty`."""
    found = {
        title: {key: records_at(store, paper, address) for key, address in lines.items()}
        for title, lines in addresses.items()
    }
    return {title: lines for title, lines in found.items() if empty or any(lines.values())}


def data_behind(
    panels: Panels,
    head: str,
    lines: Callable[[Record, Any], Iterable[Sequence[str]]],
    *,
    words: Callable[[Any], Sequence[str]] = lambda key: (key,),
) -> Table:
    """The numbers behind a figure: the panel, the words of the line, the seed, and what `lines` makes of each record."""
    rows = [
        [title, *words(key), str(record.config["seed"]), *line]
        for title, kept in panels.items()
        for key, records in kept.items()
        for record in records
        for line in lines(record, key)
    ]
    return Table.of(head, rows)


def points_of(record: Record, x: str, names: Sequence[str], *, places: str = ".6g") -> Iterator[list[str]]:
    """A line for each point of the curves `names` over `x`: its name, where, and how high; curves that it lacks have none."""
    for name in names:
        for at, value in zip(record.curves.get(x, []), record.curves.get(name, []), strict=True):
            yield [name, f"{at:.6g}", format(value, places)]
