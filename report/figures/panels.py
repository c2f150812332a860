"""Panels side by side with one legend below: the frame of every figure over records."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.records import Record
from report.figures.looks import INK, WHITE, Look, Looks, style
from report.tables import Panels

Lines = Mapping[Any, Sequence[Record]]  # of a panel: by what tells the lines apart, the records of its seeds
NOTHING: Panels = {"no run recorded yet": {}}
TO_100 = (-3, 103)  # the ends of an axis of percentages


def in_panels(
    panels: Mapping[str, Any],
    draw: Callable[[Axes, str, Any], bool],
    *,
    legend: Sequence[Look | Patch],
    across: int = 4,
    side_by_side: int = 2,
    wide: float = 4.6,
    high: float = 3.6,
    sharey: bool = True,
    ylabel: str,
    **settings: Any,
) -> Figure:
    """A figure with a panel for each title, usually two in a row as a page is wide; where nothing is drawn, the panel says why.

    Args:
        panels: title of a panel, then what is drawn: marks, or what tells its lines apart with the records of their seeds.
        draw: draws the panel of a title and answers whether there was anything to draw.
        legend: looks of its entries, which stand where a panel is left over, or else below: `across` in a row, half as many
            below a single panel.
        side_by_side: panels in a row.
        wide, high: inches of a panel.
        sharey: whether all panels have one vertical scale.
        ylabel: stands at the first panel of each row.
        settings: of every panel, as `Axes.set` takes them.
    """
    panels = panels or NOTHING
    columns, rows = min(side_by_side, len(panels)), math.ceil(len(panels) / side_by_side)
    with style():
        figure, grid = plt.subplots(rows, columns, figsize=(wide * columns, high * rows), sharey=sharey, squeeze=False)
        figure.set_layout_engine("constrained", h_pad=0.08)
        for i, (axis, (title, lines)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
            axis.set(title=title, ylabel="" if i % columns else ylabel, **settings)
            if not draw(axis, title, lines):
                said = "not measured" if any(lines.values() if isinstance(lines, Mapping) else lines) else "not run yet"
                paper = {"fc": WHITE, "lw": 0}
                axis.text(0.5, 0.5, said, transform=axis.transAxes, ha="center", color=INK, bbox=paper)
        entries = min(len(legend), across if columns > 1 else across // 2)
        handles = [Line2D([], [], **one) if isinstance(one, dict) else one for one in legend]
        if spare := [*grid.flat[len(panels) :]]:
            spare[0].remove()
            figure.legend(handles=handles, loc="center", bbox_to_anchor=(0.77, 0.55 / rows))
        else:
            figure.legend(handles=handles, loc="outside lower center", ncols=entries)
    return figure


def held(panels: Panels, looks: Looks) -> list[Any]:
    """The keys that have records in any panel, in the order of their looks.

    Raises:
        BadValue: a key without a look, even if it has no records.
    """
    found = {key for lines in panels.values() for key, records in lines.items() if looks[key] and records}
    return [key for key in looks if key in found]
