"""Names beside the marks of a scatter, each where it covers least of what is drawn already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import cos, radians, sin

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from report.figures.looks import INK

AWAY = (9, 18, 30, 44, 60)  # points from a mark to the nearest end of its name
AROUND = range(0, 360, 30)  # degrees


def name_marks(figure: Figure, axis: Axes, names: Mapping[str, tuple[float, float]]) -> None:
    """Write each name beside its mark at the first place, the nearest first, where it covers least of what is drawn."""
    figure.draw_without_rendering()
    drawn = [
        axis.transData.transform(np.column_stack(line.get_data())) for line in axis.lines if np.size(line.get_xdata())
    ]
    # Marks and their intervals; what slopes is what they are compared with, and has hardly an area.
    taken = [_around(ends, 7 if len(ends) == 1 else 1) for ends in drawn if np.ptp(ends, axis=0).min() < 1]
    inside = axis.get_window_extent()
    for name, at in names.items():
        tried = [_write(axis, name, at, far, angle) for far in AWAY for angle in AROUND]
        boxes = [one.get_window_extent() for one in tried]
        best = min(range(len(tried)), key=lambda i: (round(_covered(boxes[i], taken, inside)), i))
        taken.append(boxes[best])
        for i, one in enumerate(tried):
            if i != best:
                one.remove()


def _write(axis: Axes, name: str, at: tuple[float, float], far: float, angle: float) -> Annotation:
    across, up = far * cos(radians(angle)), far * sin(radians(angle))
    line = {"arrowstyle": "-", "lw": 0.5, "color": INK, "shrinkB": 4} if far > AWAY[0] else None
    side = "left" if across > 1 else "right" if across < -1 else "center"
    settings = {"ha": side, "va": "center", "fontsize": 8.5, "color": INK, "arrowprops": line}
    return axis.annotate(name, at, (across, up), textcoords="offset points", **settings)  # type: ignore[arg-type]


def _around(ends: NDArray[np.float64], by: float) -> Bbox:
    return Bbox([ends.min(0) - by, ends.max(0) + by])


def _covered(box: Bbox, taken: Sequence[Bbox], inside: Bbox) -> float:
    """The area in square pixels that a name shares with what is there, and what of it lies outside."""
    shared = [found for one in taken if (found := Bbox.intersection(box, one)) is not None]
    kept = Bbox.intersection(box, inside)
    return (
        sum(one.width * one.height for one in shared)
        + box.width * box.height
        - (kept.width * kept.height if kept else 0)
    )
