"""Figures: one look, opaque white, colours that the colour-blind can tell apart, every line also marked by its shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from experiments.records import Record
from lib.errors import BadValue, check_choice
from lib.metrics import mean_interval

# Okabe and Ito's palette (2008): distinct under the common forms of colour blindness.
LOOK: dict[str, dict[str, Any]] = {
    "none": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "epistemic": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "aleatoric": {"color": "#009E73", "marker": "^", "linestyle": "-."},
    "ensemble": {"color": "#CC79A7", "marker": "D", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
}
NAMES = {
    "none": "no uncertainty",
    "epistemic": "epistemic (MC dropout)",
    "aleatoric": "aleatoric (Gaussian logits)",
    "ensemble": "ensemble",
}
Lines = Mapping[str, Sequence[Record]]
NOTHING: Mapping[str, Any] = {"no run recorded yet": {}}  # panels, where there are none


def style() -> AbstractContextManager[None]:
    """The settings that every figure of the book shares, as a context."""
    return plt.rc_context(
        {
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "savefig.dpi": 150,
            "font.size": 10,
            "axes.titlesize": 10,
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
    panels: Mapping[str, Lines], *, published: Mapping[str, Mapping[str, float]], at: float = 0.3
) -> Figure:
    """Accuracy under FGSM against its budget, one panel a data set, one line an estimator, a band over seeds.

    Args:
        panels: title of a panel, then estimator, then the records of its seeds.
        published: title of a panel, then estimator, then the paper's accuracy (%) at epsilon `at`, drawn as open marks.
        at: the paper's epsilon.
    """
    with style():
        panels = panels or NOTHING
        figure, axes = panels_for(panels, "accuracy (%)")
        for axis, (title, lines) in zip(axes, panels.items(), strict=True):
            for estimator, records in lines.items():
                draw_curve(axis, records, "epsilon", "accuracy", {**look_of(estimator), "label": NAMES[estimator]})
            for estimator, value in published.get(title, {}).items():
                look = look_of(estimator)
                axis.plot(
                    [at], [value], marker=look["marker"], color=look["color"], mfc="white", ms=9, mew=1.8, ls="none"
                )
            axis.set(xlabel=r"budget $\epsilon$ ($\ell_\infty$, images in [0, 1])", ylim=(-2, 102))
            axis.axhline(10, color="grey", lw=0.8, ls=":")
        handles = estimator_handles(panels)
        handles.append(Line2D([], [], label="paper", marker="o", color="grey", mfc="white", ms=9, mew=1.8, ls="none"))
        add_legend(figure, handles, across=4)
    return figure


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


# --- parts --------------------------------------------------------------------------------------------------------------


def look_of(estimator: str) -> dict[str, Any]:
    """Colour, mark and line of `estimator`.

    Raises:
        BadValue: an estimator that has none.
    """
    return LOOK[check_choice("estimator", estimator, LOOK)]


def panels_for(titles: Iterable[str], ylabel: str) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each title, two in a row as a page is wide, all on one vertical scale."""
    titles = list(titles)
    across, down = min(2, len(titles)), math.ceil(len(titles) / 2)
    figure, grid = plt.subplots(down, across, figsize=(4.6 * across, 3.6 * down), sharey=True, squeeze=False)
    figure.set_layout_engine("constrained", h_pad=0.08)
    for spare in grid.flat[len(titles) :]:
        spare.remove()
    axes = list(grid.flat[: len(titles)])
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title)
    for axis in axes[::across]:
        axis.set_ylabel(ylabel)
    return figure, axes


def draw_curve(
    axis: Axes,
    records: Sequence[Record],
    x: str,
    y: str,
    look: Mapping[str, Any],
    *,
    scale: float = 1.0,
    highest: float = 100.0,
) -> bool:
    """The mean over seeds of the curve `y` over `scale` times `x`, and its 95 % band where there are at least two seeds.

    Records without that curve are passed over; the answer is whether any has it.

    Args:
        look: what the line looks like; the band takes its colour.
        highest: what `y` cannot exceed; the band stays between 0 and it.

    Raises:
        BadValue: records whose `x` differ.
    """
    held = [record for record in records if record.curves.get(y)]
    if not held:
        return False
    across = held[0].curves[x]
    for record in held:
        if record.curves[x] != across:
            raise BadValue(
                f"records: expected one {x}, got {across} in {held[0].key}, {record.curves[x]} in {record.key}"
            )
    values = np.array([record.curves[y] for record in held])  # (seeds, points)
    intervals = [mean_interval(list(column)).within(0, highest) for column in values.T]
    at = scale * np.array(across)
    axis.plot(at, [i.mean for i in intervals], **look)
    if len(held) > 1:
        axis.fill_between(
            at, [i.low for i in intervals], [i.high for i in intervals], color=look["color"], alpha=0.18, lw=0
        )
    return True


def say_if_empty(axis: Axes, *, run: bool, drawn: bool) -> None:
    """Write into a panel in which nothing is drawn whether that was never run or only not measured."""
    if not drawn:
        said = "not measured" if run else "not run yet"
        axis.text(0.5, 0.5, said, transform=axis.transAxes, ha="center", color="dimgrey", bbox={"fc": "white", "lw": 0})


def add_legend(figure: Figure, handles: Sequence[Line2D | Patch], *, across: int) -> None:
    """One legend below all panels: `across` entries in a row where two panels are, and half of that under one."""
    across = across if figure.get_figwidth() > 5 else across // 2
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), across))


def estimator_handles(panels: Mapping[str, Lines]) -> list[Line2D | Patch]:
    """An entry of a legend for every estimator with records in any panel."""
    drawn = {estimator for lines in panels.values() for estimator, records in lines.items() if records}
    return [Line2D([], [], label=NAMES[name], **LOOK[name]) for name in LOOK if name in drawn]
