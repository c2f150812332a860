"""Boxes and arrows of diagrams, on axes that count in inches: so a line of text fits its box whatever the size of the figure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from report.figures.looks import Look, style


@contextmanager
def page(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """An empty figure of that many inches, and its axes, which count them from the left and from above."""
    with style():
        figure = plt.figure(figsize=(width, height))
        axis = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axis.set_axis_off()
        yield figure, axis


def draw_box(axis: Axes, left: float, top: float, width: float, height: float, look: Look) -> None:
    """A box filled with a pale tint of its colour."""
    pale = tuple(1 - 0.15 * (1 - value) for value in to_rgb(look["color"]))
    axis.add_patch(Rectangle((left, top), width, height, ec=look["color"], ls=look["linestyle"], fc=pale, lw=1.2))


def draw_arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], *, bent: bool = False) -> None:
    """An arrow, straight or first across and then down."""
    arrow: dict[str, Any] = {"arrowstyle": "->", "lw": 0.9, "shrinkA": 0, "shrinkB": 0}
    if bent:
        arrow["connectionstyle"] = "angle,angleA=0,angleB=90,rad=0"
    axis.annotate("", xy=end, xytext=start, arrowprops=arrow)
