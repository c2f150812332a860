"""A specification curve (Simonsohn, Simmons and Nelson 2020): an estimate for each way to ask, sorted, its choices below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.metrics import Interval
from report.figures.looks import BLUE, GREY, INK, PALE, REFERENCE, style

LINE = 0.19  # inches of a choice


@dataclass(frozen=True)
class Estimate:
    """What one way to ask gives: its choices, by factor, and the mean with its 95 % interval; one seed has none."""

    choices: Mapping[str, str]
    found: Interval


def specification(estimates: Sequence[Estimate], *, printed: tuple[float, float] | None, ylabel: str) -> Figure:
    """The estimates from the lowest to the highest; `printed` are the ends of what the paper has, drawn as a band."""
    found = sorted(estimates, key=lambda one: one.found.mean)
    factors = found[0].choices if found else {}
    levels = {name: sorted({one.choices[name] for one in found}) for name in factors}
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


def _draw_estimates(axis: Axes, found: Sequence[Estimate], printed: tuple[float, float] | None) -> None:
    axis.axhline(0, **REFERENCE)
    if printed is not None:
        low, high = printed
        axis.axhspan(low - 0.3, high + 0.3, color=GREY, alpha=0.3, lw=0)
        axis.annotate(
            "the paper", (0.005, (low + high) / 2), xycoords=("axes fraction", "data"), va="center", fontsize=8
        )
    for at, one in enumerate(found):
        interval = one.found
        if interval.n > 1:
            axis.plot([at, at], [interval.low, interval.high], color=BLUE, lw=1.2)
        axis.plot([at], [interval.mean], color=BLUE, marker="o", markersize=5 if interval.n > 1 else 3)
    if not found:
        axis.text(0.5, 0.5, "not run yet", transform=axis.transAxes, ha="center", color=INK)


def _draw_choices(axis: Axes, found: Sequence[Estimate], rows: Sequence[tuple[str, str]]) -> None:
    for y, (name, level) in enumerate(rows):
        for at, one in enumerate(found):
            chosen = one.choices[name] == level
            axis.plot([at], [y], marker="s", color=INK if chosen else PALE, markersize=4 if chosen else 1.5)
    axis.set(yticks=range(len(rows)), yticklabels=[f"{name}: {level}" for name, level in rows], xticks=[])
    axis.set(ylim=(max(1, len(rows)) - 0.5, -0.5), xlabel="ways to ask, sorted by what they give")
    axis.tick_params(axis="y", length=0, labelsize=8)
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
