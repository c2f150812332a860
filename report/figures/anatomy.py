"""One number as tables write it, large, and what each of its parts says."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.metrics import Interval
from report.figures.looks import BLUE, style
from report.numbers import of_interval

# Where a part stands, as a share of the width, and what it says.
PARTS = (
    (0.13, "the mean over seeds,\nin percent"),
    (0.47, "its 95 % interval"),
    (0.82, "how many seeds:\ntrainings from scratch"),
)


def anatomy(found: Interval | None) -> Figure:
    """The mean, the ends of its interval and the number of seeds, each over a bracket with its meaning."""
    written = re.findall(r"\[.*\]|[^\[\s][^\[]*(?<!\s)", of_interval(found))
    with style():
        figure = plt.figure(figsize=(7.2, 1.7))
        for (x, meaning), part in zip(PARTS, written, strict=False):
            half = 0.014 * len(part) + 0.01
            figure.text(x, 0.78, part, fontsize=22, ha="center", va="center")
            figure.add_artist(Line2D((x - half, x + half), (0.55, 0.55), color=BLUE, lw=1.6))
            figure.add_artist(Line2D((x, x), (0.55, 0.45), color=BLUE, lw=1.6))
            figure.text(x, 0.4, meaning, ha="center", va="top")
    return figure
