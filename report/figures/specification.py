"""Specification curves (Simonsohn, Simmons and Nelson 2020): what each way to ask gives, sorted, and its choices below.

Every way in which a question was asked is data: its choices, and the address of what it gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import published
from experiments.records import Store
from lib.metrics import Interval
from report.figures.looks import BLUE, GREY, INK, PALE, REFERENCE, style
from report.numbers import in_columns
from report.tables import Table, interval_at

LINE = 0.19  # inches of a choice


@dataclass(frozen=True)
class Way:
    """One way to ask: its choices, by factor, and the address of what it gives."""

    choices: Mapping[str, str]
    address: str


@dataclass(frozen=True)
class Question:
    """A headline claim: every way to ask for it, and the pairs of printed numbers whose differences are the paper's."""

    ways: Sequence[Way]
    ylabel: str
    printed: Sequence[tuple[str, str]] = ()


Answers = Sequence[tuple[Way, Interval | None]]  # every way with what it gives; None without records
Found = Sequence[tuple[Mapping[str, str], Interval]]  # the choices of a way, and what it gives


def answers(store: Store, paper: str, question: Question) -> Answers:
    """Mean and interval of every way; one seed has no interval."""
    return [(way, interval_at(store, paper, way.address)) for way in question.ways]


def printed(paper: str, question: Question) -> tuple[float, float] | None:
    """The smallest and the largest difference that the paper's numbers leave; None where nobody has printed any."""
    if not question.printed:
        return None
    known = published.load(paper)
    pairs = [(known[more], known[less]) for more, less in question.printed]
    return min(a.low - b.high for a, b in pairs), max(a.high - b.low for a, b in pairs)


def data(found: Answers) -> Table:
    """The numbers behind the curve, one line a way to ask."""
    rows = [[*way.choices.values(), *in_columns(interval), way.address] for way, interval in found]
    return Table([*found[0][0].choices, "points", "low", "high", "seeds", "address"], rows)


def specification(answers: Answers, *, printed: tuple[float, float] | None, ylabel: str) -> Figure:
    """What has records, from the lowest to the highest; `printed` are the ends of what the paper has, drawn as a band."""
    known = [(way.choices, interval) for way, interval in answers if interval is not None]
    found = sorted(known, key=lambda one: one[1].mean)
    factors = found[0][0] if found else {}
    levels = {name: dict.fromkeys(choices[name] for choices, _ in known) for name in factors}  # in the question's order
    rows = [(name, level) for name, all_ in levels.items() for level in all_ if len(all_) > 1]  # others are no choice
    with style():
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(9.2, 3.2 + LINE * len(rows)), sharex=True, height_ratios=[2.6, 0.2 + LINE * len(rows)]
        )
        figure.set_layout_engine("constrained")
        _draw_estimates(above, found, printed)
        above.set_ylabel(ylabel)
        _draw_choices(below, found, rows)
    return figure


def _draw_estimates(axis: Axes, found: Found, printed: tuple[float, float] | None) -> None:
    axis.axhline(0, **REFERENCE)
    if printed is not None:
        low, high = printed
        axis.axhspan(low - 0.3, high + 0.3, color=GREY, alpha=0.3, lw=0)
        axis.annotate(
            "the paper", (0.005, (low + high) / 2), xycoords=("axes fraction", "data"), va="center", fontsize=8
        )
    for at, (_, interval) in enumerate(found):
        if interval.n > 1:
            axis.plot([at, at], [interval.low, interval.high], color=BLUE, lw=1.2)
        axis.plot([at], [interval.mean], color=BLUE, marker="o", markersize=5 if interval.n > 1 else 3)
    if not found:
        axis.text(0.5, 0.5, "not run yet", transform=axis.transAxes, ha="center", color=INK)


def _draw_choices(axis: Axes, found: Found, rows: Sequence[tuple[str, str]]) -> None:
    for y, (name, level) in enumerate(rows):
        for at, (choices, _) in enumerate(found):
            chosen = choices[name] == level
            axis.plot([at], [y], marker="s", color=INK if chosen else PALE, markersize=4 if chosen else 1.5)
    axis.set(yticks=range(len(rows)), yticklabels=[f"{name}: {level}" for name, level in rows], xticks=[])
    axis.set(ylim=(max(1, len(rows)) - 0.5, -0.5), xlabel="ways to ask, sorted by what they give")
    axis.tick_params(axis="y", length=0, labelsize=8)
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
