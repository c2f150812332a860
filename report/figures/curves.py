"""Curves of records: the mean over seeds with its 95 % band, over the points at which the records have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.records import Record
from lib.errors import BadValue
from lib.metrics import Interval, mean_interval
from report.declared import declared
from report.figures.looks import GREY, OPEN, REFERENCE, Look, Looks, look, tuples
from report.figures.panels import Lines, held, in_panels
from report.tables import Panels, Table, data_behind, points_of

PAPER = look("paper", GREY, "o", **OPEN, markersize=9, markeredgewidth=1.8)


@dataclass(frozen=True)
class Slider:
    """What moves along the curves, below their figure.

    Attributes:
        label: what moves, with its unit, such as "Budget (images in [0, 1])".
        told: what the percentages say, such as "Images answered right."
        start: the point nearest to which the slider stands at first.
    """

    label: str
    told: str
    start: float


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What a figure of curves shows, as data.

    Attributes:
        lines: title of a panel, then the key of a line, then the address of its records.
        x, y: the curves of a record across and up; "{0}" and "{1}" in a name are the parts of the line's key.
        looks: of the lines, by key.
        scale: of `x`, such as 100 where it holds shares and percentages are shown.
        highest: what `y` cannot exceed; a band stays between 0 and it.
        compared: what the curves are compared with, drawn from corner to corner.
        printed: title of a panel, then the key of a line, then a point of the paper's.
        xlabel, ylabel: with their units.
        settings: what else `in_panels` takes.
        slider: what moves along them, if anything does.
    """

    lines: Mapping[str, Mapping[Any, str]]
    x: str
    y: str
    looks: Looks
    xlabel: str
    ylabel: str
    scale: float = 1.0
    highest: float = 100.0
    compared: str = ""
    printed: Mapping[str, Mapping[Any, tuple[float, float]]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    slider: Slider | None = None

    @classmethod
    def declared(
        cls, whose: str, name: str, *, lines: Mapping[str, Mapping[Any, str]], looks: Looks, **own: Any
    ) -> Self:
        """One of `report/curves.toml`, of a chapter, with its lines."""
        said = dict(declared("curves")[whose][name])
        if "slider" in said:
            said["slider"] = Slider(**said["slider"])
        settings = {one: tuples(value) for one, value in said.pop("settings", {}).items()}
        return cls(lines=lines, looks=looks, settings=settings, **said, **own)

    def names(self, key: Any) -> tuple[str, str]:
        """The curves of a line."""
        parts = key if isinstance(key, tuple) else (key,)
        return self.x.format(*parts), self.y.format(*parts)


def curves(panels: Panels, one: Curves) -> Figure:
    """One panel a title, one line a key.

    Args:
        panels: title of a panel, then the key of a line, then the records of its seeds.

    Raises:
        BadValue: a key without a look; records of one line over different points.
    """

    def draw(axis: Axes, title: str, lines: Lines) -> bool:
        if one.compared:
            axis.plot([0, one.highest], [0, one.highest], **REFERENCE)
        drawn = [_draw(axis, records, *one.names(key), one.looks[key], one) for key, records in lines.items()]
        for key, point in one.printed.get(title, {}).items():
            mark = {name: one.looks[key][name] for name in ("color", "marker")}
            axis.plot(*[[end] for end in point], **{**PAPER, **mark, "label": "_paper"})
        if one.settings.get("xscale") == "symlog":
            _begin_at_zero(axis)
        if one.settings.get("xscale") == "log":
            axis.xaxis.set_major_formatter("{x:,g}")
        return any(drawn)

    entries = [one.looks[key] for key in held(panels, one.looks)]
    entries += [PAPER] if one.printed else []
    entries += [{"label": one.compared, **REFERENCE}] if one.compared else []
    return in_panels(panels, draw, legend=entries, xlabel=one.xlabel, ylabel=one.ylabel, **one.settings)


def data(panels: Panels, one: Curves) -> Table:
    """The numbers behind the figure, one line a point and seed."""

    def points(record: Record, key: Any) -> list[Sequence[str]]:
        x, y = one.names(key)
        return [line[1:] for line in points_of(record, x, [y])]

    return data_behind(panels, f"panel,line,seed,{one.x},value", points, words=lambda key: [one.looks[key]["label"]])


def _draw(axis: Axes, records: Sequence[Record], x: str, y: str, look: Look, one: Curves) -> bool:
    """One line, with a band where there are at least two seeds; whether there is a point to show."""
    points, found = over_seeds(records, x, y, scale=one.scale, highest=one.highest)
    if not points:
        return False
    axis.plot(points, [interval.mean for interval in found], **look)
    if found[0].n > 1:
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


def _begin_at_zero(axis: Axes) -> None:
    """Make the horizontal axis linear up to the first point above 0, and logarithmic from there."""
    points = [x for line in axis.lines for x in np.asarray(line.get_xdata(), float) if x > 0]
    if points:
        axis.set_xscale("symlog", linthresh=min(points), linscale=0.3)
        axis.set_xlim(-0.1 * min(points), 1.15 * max(points))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
