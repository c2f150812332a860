"""Figures: one look, opaque white, colours that the colour-blind can tell apart, every line also marked by its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from lib.metrics import mean_interval
from lib.runs import Record

# Okabe and Ito's palette (2008): distinct under the common forms of colour blindness.
LOOK: dict[str, dict[str, Any]] = {
    "none": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "epistemic": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "aleatoric": {"color": "#009E73", "marker": "^", "linestyle": "-."},
}
NAMES = {"none": "no uncertainty", "epistemic": "epistemic (MC dropout)", "aleatoric": "aleatoric (Gaussian logits)"}


def style() -> AbstractContextManager[None]:
    """The settings that every figure of the book shares, as a context."""
    return plt.rc_context(
        {
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "savefig.dpi": 150,
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.3,
            "lines.markersize": 5,
            "legend.frameon": False,
        }
    )


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to `path` and close it."""
    with style():
        figure.savefig(path)
    plt.close(figure)


def accuracy_against_epsilon(
    panels: Mapping[str, Mapping[str, Sequence[Record]]],
    *,
    published: Mapping[str, Mapping[str, float]],
    at: float = 0.3,
) -> Figure:
    """Accuracy under FGSM against its budget, one panel a data set, one line an estimator, a band over seeds.

    Args:
        panels: title of a panel, then estimator, then the records of its seeds.
        published: title of a panel, then estimator, then the paper's accuracy (%) at epsilon `at`, drawn as open marks.
        at: the paper's epsilon.
    """
    with style():
        panels = panels or {"no run recorded yet": {}}
        figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.6), sharey=True, squeeze=False)
        for axis, (title, lines) in zip(axes[0], panels.items(), strict=True):
            for estimator, records in lines.items():
                draw_curves(axis, estimator, records)
            for estimator, value in published.get(title, {}).items():
                look = LOOK[estimator]
                axis.plot(
                    [at], [value], marker=look["marker"], color=look["color"], mfc="white", ms=9, mew=1.8, ls="none"
                )
            axis.set(title=title, xlabel=r"budget $\epsilon$ ($\ell_\infty$, images in [0, 1])", ylim=(-2, 102))
            axis.axhline(10, color="grey", lw=0.8, ls=":")
        axes[0][0].set_ylabel("accuracy (%)")
        drawn = {estimator for lines in panels.values() for estimator, records in lines.items() if records}
        handles = [Line2D([], [], label=NAMES[name], **LOOK[name]) for name in LOOK if name in drawn]
        handles.append(Line2D([], [], label="paper", marker="o", color="grey", mfc="white", ms=9, mew=1.8, ls="none"))
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles) if len(panels) > 1 else 2)
        figure.set_layout_engine("constrained")
    return figure


def draw_curves(axis: Axes, estimator: str, records: Sequence[Record]) -> None:
    """The mean over seeds of one estimator's curve, with its 95 % band where there are at least two seeds."""
    if not records:
        return
    epsilon = records[0].curves["epsilon"]
    values = np.array([record.curves["accuracy"] for record in records])  # (seeds, epsilons)
    intervals = [mean_interval(list(column)) for column in values.T]
    look = LOOK[estimator]
    axis.plot(epsilon, [i.mean for i in intervals], label=NAMES[estimator], **look)
    if len(records) > 1:
        low, high = [max(0, i.low) for i in intervals], [min(100, i.high) for i in intervals]
        axis.fill_between(epsilon, low, high, color=look["color"], alpha=0.18, lw=0)


def image_pairs(x: Tensor, adversarial: Mapping[str, Tensor]) -> Figure:
    """A row of clean images (n, c, h, w), and below it a row for each victim's adversarial versions of them."""
    rows = {"clean": x, **{NAMES[name]: images for name, images in adversarial.items()}}
    with style():
        figure, axes = plt.subplots(len(rows), len(x), figsize=(1.1 * len(x) + 1.6, 1.15 * len(rows)), squeeze=False)
        for line, (name, images) in zip(axes, rows.items(), strict=True):
            for axis, image in zip(line, images, strict=True):
                axis.imshow(image.permute(1, 2, 0).numpy(), cmap="gray", vmin=0, vmax=1)
                axis.set(xticks=[], yticks=[])
            line[0].set_ylabel(name.replace(" (", "\n("), rotation=0, ha="right", va="center")
        figure.set_layout_engine("constrained")
    return figure
