"""A heat map: panels of squares by row and column, each with its text, the darker the more there is of what is shown."""

import textwrap
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from report.figures.looks import GREY, ON_DARK, ON_PALE, style

HIGH, WIDE = 0.36, 1.15  # inches of a square
SHADES = plt.get_cmap("Blues")
DARK = 0.719  # from here on pale letters stand out more than dark ones


class Square(NamedTuple):
    """What stands in a square, and how dark it is, from 0 to 1."""

    text: str
    shade: float


Squares = Mapping[tuple[str, str], Square]  # by row and column


def heat(panels: Mapping[str, Squares], *, wide: float = WIDE, high: float = HIGH) -> Figure:
    """A panel a title, one below the other; columns are as many inches `wide`, and rows as `high`, in all of them."""
    sizes = {title: tuple(len({pair[i] for pair in squares}) for i in (0, 1)) for title, squares in panels.items()}
    columns = max((size[1] for size in sizes.values()), default=1)
    ratios = [size[0] for size in sizes.values()]
    with style():
        figure, axes = plt.subplots(
            len(panels),
            1,
            figsize=(2.4 + wide * columns, len(panels) + high * sum(ratios)),
            height_ratios=ratios,
            squeeze=False,
        )
        figure.set_layout_engine("constrained")
        for axis, (title, squares) in zip(axes[:, 0], panels.items(), strict=True):
            _panel(axis, title, squares, columns)
    return figure


def ink_on(shade: float) -> str:
    """The letters on a square, whose fill is the same on every page."""
    return ON_DARK if shade >= DARK else ON_PALE


def _panel(axis: Axes, title: str, squares: Squares, wide: int) -> None:
    rows, columns = (list(dict.fromkeys(pair[i] for pair in squares)) for i in (0, 1))
    for (row, column), (text, shade) in squares.items():
        x, y, fill = columns.index(column), rows.index(row), to_hex(SHADES(shade))
        axis.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=fill, edgecolor=GREY, linewidth=0.6))
        axis.text(x, y, text, ha="center", va="center", fontsize=8.5, color=ink_on(shade))
    axis.set(xlim=(-0.5, wide - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axis.set_title(title, loc="left", weight="bold")
    axis.set_xticks(range(len(columns)), ["\n".join(textwrap.wrap(name, 15)) for name in columns], fontsize=8.5)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
