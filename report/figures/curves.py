"""Curves of records: the mean over seeds with its 95 % band, over the points at which the records have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.records import Record
from lib.errors import BadValue
from lib.metrics import Interval, mean_interval
from report.figures.looks import REFERENCE, Look, Looks
from report.figures.panels import Lines, held, in_panels
from report.tables import Panels


def curves(
    panels: Panels,
    *,
    x: str,
    y: str,
    looks: Looks,
    scale: float = 1.0,
    highest: float = 100.0,
    compared: str = "",
    then: Callable[[Axes, str, Lines], None] = lambda axis, title, lines: None,
    legend: Sequence[Look] = (),
    **settings: Any,
) -> Figure:
    """One panel a title, one line a key.

    Args:
        panels: title of a panel, then the key of a line, then the records of its seeds.
        x, y: the curves of a record across and up; "{0}" and "{1}" in a name are the parts of the line's key.
        looks: of the lines, by key.
        scale: of `x`, such as 100 where it holds shares and percentages are shown.
        highest: what `y` cannot exceed; a band stays between 0 and it.
        compared: what the curves are compared with, drawn from corner to corner.
        then: draws what else a panel shows, or changes its axes; `legend` has the entries for that.
        settings: what `in_panels` takes, labels with their units among them.

    Raises:
        BadValue: a key without a look; records of one line over different points.
    """

    def draw(axis: Axes, title: str, lines: Lines) -> bool:
        if compared:
            axis.plot([0, highest], [0, highest], **REFERENCE)
        drawn = False
        for key, records in lines.items():
            parts, look = key if isinstance(key, tuple) else (key,), looks[key]
            names = x.format(*parts), y.format(*parts)
            drawn |= draw_curve(axis, records, *names, look, scale=scale, highest=highest)
        then(axis, title, lines)
        return drawn

    entries = [*(looks[key] for key in held(panels, looks)), *legend]
    if compared:
        entries.append({"label": compared, **REFERENCE})
    return in_panels(panels, draw, legend=entries, **settings)


# Members that are found against others that are taken for members, as the threshold of an inference moves.
membership_rates = partial(
    curves,
    highest=1,
    compared="chance",
    across=5,
    xlabel="false-positive rate (of others)",
    ylabel="true-positive rate (of members)",
)


def draw_curve(
    axis: Axes,
    records: Sequence[Record],
    x: str,
    y: str,
    look: Look,
    *,
    scale: float = 1.0,
    highest: float = 100.0,
    band: bool = True,
) -> bool:
    """One line of the figure above, with a band where there are at least two seeds; whether there is a point to show."""
    points, found = over_seeds(records, x, y, scale=scale, highest=highest)
    if not points:
        return False
    axis.plot(points, [interval.mean for interval in found], **look)
    if band and found[0].n > 1:
        ends = [interval.low for interval in found], [interval.high for interval in found]
        axis.fill_between(points, *ends, color=look["color"], alpha=0.18, lw=0)
    return True


def over_seeds(
    records: Sequence[Record], x: str, y: str, *, scale: float = 1.0, highest: float = 100.0
) -> tuple[list[float], list[Interval]]:
    """The points of a curve, times `scale`, and what it has there: mean and interval, which ends at 0 and `highest`.

    Records without the curve are passed over.

    Raises:
        BadValue: records over different points.
    """
    held = [record for record in records if record.curves.get(y)]
    for record in held:
        if record.curves[x] != held[0].curves[x]:
            told = f"{held[0].curves[x]} in {held[0].key}, {record.curves[x]} in {record.key}"
            raise BadValue(f"records: expected one {x}, got {told}")
    points = [scale * at for at in held[0].curves[x]] if held else []
    values = zip(*(record.curves[y] for record in held), strict=True)  # a point's values, one a seed
    return points, [mean_interval(column).within(0, highest) for column in values]


def begin_at_zero(axis: Axes) -> None:
    """Make the horizontal axis linear up to the first point above 0, and logarithmic from there."""
    points = [x for line in axis.lines for x in np.asarray(line.get_xdata(), float) if x > 0]
    if points:
        axis.set_xscale("symlog", linthresh=min(points), linscale=0.3)
        axis.set_xlim(-0.1 * min(points), 1.15 * max(points))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
