"""Every published number against ours: on the line of identity where the two agree, within the band where they nearly do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.errors import BadValue
from lib.metrics import Interval
from report.figures.looks import BLUE, GREY, ORANGE, REFERENCE, VERMILLION, WHITE, Look, Looks, look, style

BAND = 5.0  # points on either side of the line: the tolerance of most numbers

MARKS = Looks(
    "word",
    {
        "replicated": look("within the declared tolerance", BLUE, "o"),
        "not replicated": look("outside", VERMILLION, "s"),
        "inconclusive": look("interval meets both", ORANGE, "D"),
        "one seed": look("one seed: no verdict", GREY, "^"),
    },
)


@dataclass(frozen=True)
class Pair:
    """One published number beside ours, both in percent.

    Attributes:
        low, high: the printed number twice, or the ends of a printed range.
        ours: mean and 95 % interval.
        mark: the key of one of `MARKS`.
        full: whether ours is at the paper's own scale.
    """

    id: str
    low: float
    high: float
    ours: Interval
    mark: str
    full: bool

    def __post_init__(self) -> None:
        if self.mark not in MARKS:
            raise BadValue(f"mark: expected one of {', '.join(MARKS)}, got {self.mark!r}")


def agreement(panels: Mapping[str, Sequence[Pair]]) -> Figure:
    """A square panel a title: the paper's numbers across, ours upward with intervals; open marks are smaller than its scale."""
    with style():
        figure, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 5.0), sharey=True, squeeze=False)
        figure.set_layout_engine("constrained", h_pad=0.1)
        for axis, (title, pairs) in zip(axes.flat, panels.items(), strict=True):
            _frame(axis, f"{title} ({len(pairs)} numbers)")
            for pair in pairs:
                _draw(axis, pair)
        axes[0, 0].set_ylabel("measured here (%)")
        figure.legend(handles=_legend(panels), loc="outside lower center", ncols=3)
    return figure


def _frame(axis: Axes, title: str) -> None:
    ends = (-3, 103)
    axis.set(title=title, xlabel="printed in the paper (%)", xlim=ends, ylim=ends, aspect="equal")
    axis.plot(ends, ends, **REFERENCE)
    axis.fill_between(ends, [end - BAND for end in ends], [end + BAND for end in ends], color=GREY, alpha=0.15, lw=0)


def _draw(axis: Axes, pair: Pair) -> None:
    one, at = MARKS[pair.mark], (pair.low + pair.high) / 2
    ours = pair.ours.within(0, 100)
    axis.plot([at, at], [ours.low, ours.high], color=one["color"], lw=0.8, alpha=0.7)
    axis.plot([pair.low, pair.high], [ours.mean] * 2, color=one["color"], lw=0.8, alpha=0.7)
    axis.plot([at], [ours.mean], **_filled(one, full=pair.full))


def _filled(one: Look, *, full: bool) -> Look:
    return {**one, "markerfacecolor": one["color"] if full else WHITE, "markersize": 5, "markeredgewidth": 1}


def _legend(panels: Mapping[str, Sequence[Pair]]) -> list[Line2D | Patch]:
    marks = {pair.mark for pairs in panels.values() for pair in pairs}
    shown = [Line2D([], [], **_filled(one, full=True)) for key, one in MARKS.items() if key in marks]
    small = look("open: smaller than the paper's scale", GREY, "o")
    return [
        *shown,
        Line2D([], [], **_filled(small, full=False)),
        Line2D([], [], **REFERENCE, label="equal"),
        Patch(color=GREY, alpha=0.15, lw=0, label=f"within {BAND:g} points"),
    ]
