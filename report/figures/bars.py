"""Stacked bars of counts: how far the evidence behind each table reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from report.figures.looks import GREY, style
from report.figures.theme import ink_on

HIGH = 0.34  # inches of a bar
# The more evidence, the darker: told apart without hue as well.
SHADES = ("#08519c", "#2878b5", "#6baed6", "#bdbdbd", "#e8e8e8", "#fafafa")


def stacked(rows: Mapping[str, Sequence[int]], parts: Sequence[str], *, xlabel: str) -> Figure:
    """A bar for each row, its counts side by side in the order of `parts`, each with its number inside."""
    with style():
        figure, axis = plt.subplots(figsize=(9.2, 1.3 + HIGH * len(rows)))
        figure.set_layout_engine("constrained")
        begun = [0] * len(rows)
        for i, (part, shade) in enumerate(zip(parts, SHADES, strict=True)):
            counts = [row[i] for row in rows.values()]
            if any(counts):
                axis.barh(range(len(rows)), counts, left=begun, color=shade, edgecolor=GREY, height=0.8, label=part)
            for place, (start, count) in enumerate(zip(begun, counts, strict=True)):
                if count:
                    axis.text(
                        start + count / 2, place, str(count), ha="center", va="center", fontsize=8, color=ink_on(shade)
                    )
            begun = [start + count for start, count in zip(begun, counts, strict=True)]
        axis.set(yticks=range(len(rows)), yticklabels=list(rows), xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))
        axis.grid(visible=False, axis="y")
        axis.tick_params(axis="y", length=0)
        figure.legend(loc="outside lower center", ncols=3)
    return figure
