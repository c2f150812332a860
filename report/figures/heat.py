"""A heat map of what is recorded: a panel a paper, a square for each data set with a network under each attack."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from report.figures.looks import style

HIGH, WIDE = 0.36, 1.15  # inches of a square
SHADES = plt.get_cmap("Blues")
DARK = 0.72  # from this shade on, white letters stand out more than black ones

Counts = Mapping[tuple[str, str], tuple[int, int]]  # by row and column: how many are recorded, of how many


def heat(panels: Mapping[str, Counts]) -> Figure:
    """A square for each pair that is planned, the darker the more of it is recorded, with both counts in it."""
    sizes = {title: tuple(len({pair[i] for pair in counts}) for i in (0, 1)) for title, counts in panels.items()}
    columns = max((size[1] for size in sizes.values()), default=1)
    ratios = [size[0] for size in sizes.values()]
    with style():
        figure, axes = plt.subplots(
            len(panels),
            1,
            figsize=(2.4 + WIDE * columns, len(panels) + HIGH * sum(ratios)),
            height_ratios=ratios,
            squeeze=False,
        )
        figure.set_layout_engine("constrained")
        for axis, (title, counts) in zip(axes[:, 0], panels.items(), strict=True):
            _panel(axis, title, counts, columns)
    return figure


def _panel(axis: Axes, title: str, counts: Counts, wide: int) -> None:
    rows, columns = (list(dict.fromkeys(pair[i] for pair in counts)) for i in (0, 1))
    for (row, column), (done, planned) in counts.items():
        x, y, shade = columns.index(column), rows.index(row), 0.9 * done / planned
        square = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=SHADES(shade), edgecolor="#777777", linewidth=0.6)
        axis.add_patch(square)
        ink = "white" if shade > DARK else "black"
        axis.text(x, y, f"{done} of {planned}", ha="center", va="center", fontsize=8.5, color=ink)
    axis.set(xlim=(-0.5, wide - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axis.set_title(title, loc="left", weight="bold")
    axis.set_xticks(range(len(columns)), ["\n".join(textwrap.wrap(name, 15)) for name in columns], fontsize=8.5)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
