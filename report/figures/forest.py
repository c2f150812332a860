"""A forest plot: a line for each number, the paper's as an open mark, ours beside it with its interval, a word at the margin.

Which numbers a figure sets beside each other is data, addresses, of which this makes marks and a table.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments import published
from experiments.address import parse
from experiments.judging import verdict
from experiments.records import Store
from lib.metrics import Interval
from report.figures.looks import GREY, INK, WHITE, Look, Looks, look, style
from report.numbers import in_columns
from report.tables import Table, interval_at, values_at

HIGH = 0.3  # inches of a line
LETTERS = 120  # of the legend, in one line
APART = 0.22  # of a line's height, between the marks of one line; three have room in `HIGH`
PAPER: Look = {**look("the paper", INK, "o"), "markerfacecolor": WHITE, "markersize": 8, "markeredgewidth": 1.4}


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


def beside(label: str, id_: str, readings: Iterable[str], claim: str = "") -> Row:
    """A printed number beside ours under each of `readings`; "look=reading" draws it as another."""
    pairs = [name.split("=") if "=" in name else (name, name) for name in readings]
    return Row(label, {key: f"{name}:{id_}" for key, name in pairs}, id_, claim)


Rows = Mapping[str, Sequence[Row]]  # by the title of their group


@dataclass(frozen=True)
class Line:
    """One published number and what was measured of it, in percent.

    Attributes:
        label: what stands before the line.
        low, high: the printed number twice, or the ends of a printed range; None where the paper has none.
        ours: mean and 95 % interval, under each key of the figure's looks that has a record. One seed has a small mark alone.
        runs: the lowest and the highest of our runs, as the paper's range is of its runs; a pale bar.
        word: what stands at the right margin.
    """

    label: str
    low: float | None
    high: float | None
    ours: Mapping[str, Interval] = field(default_factory=dict)
    runs: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    word: str = ""


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


def forest(
    groups: Mapping[str, Sequence[Line]],
    looks: Looks,
    *,
    xlabel: str,
    ends: tuple[float, float] = (-3, 103),
    xscale: str = "linear",
) -> Figure:
    """All lines, from the top, under the title of their group."""
    count = sum(len(lines) for lines in groups.values()) + len(groups)
    most = max((len(line.ours) for lines in groups.values() for line in lines), default=0)
    with style():
        figure, axis = plt.subplots(figsize=(9.2, 1.3 + HIGH * max(1, most / 3) * count))
        figure.set_layout_engine("constrained")
        axis.set(xscale=xscale, xlim=ends, ylim=(count - 0.4, -0.6), xlabel=xlabel)
        axis.grid(visible=False, axis="y")
        axis.xaxis.set_major_formatter("{x:g}")
        places = {}
        at = 0
        for title, lines in groups.items():
            axis.text(0, at, title, transform=axis.get_yaxis_transform(), weight="bold", va="center", ha="left")
            for line in lines:
                at += 1
                _draw(axis, at, line, looks, apart=APART * min(1, 3 / max(1, most)))
                places[at] = line.label
            at += 1
        axis.set_yticks(list(places), list(places.values()))
        axis.tick_params(axis="y", length=0)
        handles = _legend(groups, looks)
        longest = max((len(str(one.get_label())) for one in handles), default=0)
        # As many side by side as the figure is wide enough for.
        figure.legend(handles=handles, loc="outside lower center", ncols=min(4, LETTERS // (longest + 5)))
    return figure


def _legend(groups: Mapping[str, Sequence[Line]], looks: Looks) -> list[Line2D]:
    lines = [line for group in groups.values() for line in group]
    shown = [PAPER] if any(line.low is not None for line in lines) else []
    shown += [one for key, one in looks.items() if any(key in line.ours for line in lines)]
    return [Line2D([], [], **{**one, "linestyle": "none"}) for one in shown]


def _draw(axis: Axes, at: float, line: Line, looks: Looks, *, apart: float) -> None:
    if at % 2:
        axis.axhspan(at - 0.5, at + 0.5, color=GREY, alpha=0.06, lw=0)
    if line.low is not None and line.high is not None:
        axis.plot([line.low, line.high], [at, at], color=INK, lw=4, alpha=0.3, solid_capstyle="round")
        axis.plot([(line.low + line.high) / 2], [at], **PAPER)
    if not line.ours:
        axis.text(0.01, at, "not run", transform=axis.get_yaxis_transform(), va="center", fontsize=8.5, color=INK)
    for i, (key, interval) in enumerate(line.ours.items()):
        one, y = looks[key], at + apart * (i - (len(line.ours) - 1) / 2)
        if key in line.runs:
            axis.plot(line.runs[key], [y, y], color=one["color"], lw=4, alpha=0.25, solid_capstyle="round")
        if interval.n > 1:
            axis.plot([interval.low, interval.high], [y, y], color=one["color"], lw=1.3)
        axis.plot([interval.mean], [y], **{**one, "linestyle": "none", "markersize": 5.5 if interval.n > 1 else 3.5})
    axis.text(1.01, at, line.word, transform=axis.get_yaxis_transform(), va="center", ha="left", fontsize=8.5)
