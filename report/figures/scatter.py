"""A scatter of two measured quantities: a mark a victim, with 95 % intervals both ways, its size by a third."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.metrics import Interval
from report.figures.looks import REFERENCE, Look, Looks
from report.figures.panels import in_panels

SMALL, LARGE = 4.0, 11.0  # points of the marks at the ends of the scale of sizes
USUAL = 7.0
NO_LINE = {"linestyle": "none"}  # whose mark it is may have one elsewhere


@dataclass(frozen=True)
class Point:
    """One mark.

    Attributes:
        key: of its look.
        x, y: mean and 95 % interval across and up; one seed has none.
        size: from 0 to 1, what the area of the mark grows with; None for marks that all have one size.
    """

    key: str
    x: Interval
    y: Interval
    size: float | None = None


def scatter(
    panels: Mapping[str, Sequence[Point]],
    looks: Looks,
    *,
    compared: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    then: Callable[[Axes], None] = lambda axis: None,
    legend: Sequence[Look] = (),
    wide: float = 4.6,
    high: float | None = None,
    **settings: Any,
) -> Figure:
    """A panel a title, side by side.

    Args:
        panels: title of a panel, then its marks; a panel without any says "not run yet".
        looks: of the marks, by key.
        compared: title of a panel, then where the dotted line goes that its marks are compared with, across and up.
        then: draws what the marks are compared with; `legend` has the entries for that.
        wide, high: inches of a panel; without `high` it is a little higher than wide.
        settings: of every panel, as `Axes.set` takes them; `ylabel` stands at the first.
    """

    def draw(axis: Axes, title: str, points: Sequence[Point]) -> bool:
        then(axis)
        axis.plot(*(compared or {}).get(title, ((), ())), **REFERENCE)
        for point in points:
            _draw(axis, point, looks[point.key])
        return bool(points)

    shown = {point.key for points in panels.values() for point in points}
    # What has no name of its own is told by another entry.
    entries = [one | NO_LINE for key, one in looks.items() if key in shown and one["label"] != "_"]
    return in_panels(
        panels,
        draw,
        legend=[*entries, *legend],
        across=min(4, round(wide * len(panels) / 2.3)) * (2 if len(panels) == 1 else 1),
        side_by_side=len(panels),
        wide=wide,
        high=high or wide + 1.0,
        **settings,
    )


def _draw(axis: Axes, point: Point, look: Look) -> None:
    x, y = point.x, point.y
    if x.n > 1:
        axis.plot([x.low, x.high], [y.mean, y.mean], color=look["color"], lw=0.9, alpha=0.7)
    if y.n > 1:
        axis.plot([x.mean, x.mean], [y.low, y.high], color=look["color"], lw=0.9, alpha=0.7)
    area = point.size if point.size is None else SMALL**2 + point.size * (LARGE**2 - SMALL**2)
    axis.plot([x.mean], [y.mean], **{**look, "markersize": USUAL if area is None else area**0.5})
