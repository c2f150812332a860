"""Figures of membership inference: how the attack with one shadow network goes, and how well it tells members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from experiments.records import Record
from lib.errors import check_choice
from report.attack_figures import REFERENCE
from report.figures import LOOK, NOTHING, add_legend, draw_curve, panels_for, say_if_empty, style

Networks = Mapping[tuple[str, bool], Sequence[Record]]  # architecture, and whether with dropout: records of its seeds

# The architecture tells line and mark; dropout tells the colour and, for a reader without colours, opens the mark.
NETWORKS: dict[tuple[str, bool], dict[str, Any]] = {
    ("lenet5", False): {"label": "LeNet-5", "color": "#0072B2", "marker": "o", "linestyle": "-"},
    ("lenet5", True): {"label": "LeNet-5 with dropout", "color": "#D55E00", "marker": "o", "linestyle": "-"},
    ("resnet18", False): {"label": "ResNet-18", "color": "#0072B2", "marker": "s", "linestyle": "--"},
    ("resnet18", True): {"label": "ResNet-18 with dropout", "color": "#D55E00", "marker": "s", "linestyle": "--"},
}
LOWEST = 1e-4  # where logarithmic axes begin
# Which procedure judges tells the mark; the victim the colour and, for a reader without colours, whether the mark is filled.
COUNTED: dict[tuple[str, bool], dict[str, Any]] = {
    ("written", False): {"label": "as written, plain", "color": "#0072B2", "marker": "o"},
    ("written", True): {"label": "as written, Bayesian", "color": "#D55E00", "marker": "o", "mfc": "white"},
    ("coded", False): {"label": "as coded, plain", "color": "#0072B2", "marker": "s"},
    ("coded", True): {"label": "as coded, Bayesian", "color": "#D55E00", "marker": "s", "mfc": "white"},
}
PRINTED: dict[str, Any] = {"label": "the paper, if nothing is told", "color": "black", "marker": "x", "mew": 1.6}


def roc_panels(panels: Mapping[str, Networks], *, logarithmic: bool = False) -> Figure:
    """Members found against others taken for members, one panel a data set (Galinkin, Figures 2 and 3); chance is dotted.

    A curve is the mean over seeds, with a band where there are at least two. Logarithmic axes show what is found where hardly
    any other is taken for a member; where nothing is found, the curve runs along the lower edge.

    Args:
        panels: title of a panel, then network and whether with dropout, then the records of its seeds.
        logarithmic: whether both axes are, from 10⁻⁴ on.

    Raises:
        BadValue: a network that has no look.
    """
    with style():
        panels = panels or NOTHING
        figure, axes = panels_for(panels, "true-positive rate (of members)")
        for axis, lines in zip(axes, panels.values(), strict=True):
            axis.plot(*2 * [[LOWEST if logarithmic else 0, 1]], **REFERENCE)
            drawn = []
            for key, records in lines.items():
                shown = [_from_lowest(record) for record in records] if logarithmic else records
                drawn.append(draw_curve(axis, shown, "fpr", "tpr", _look(key), highest=1))
            if logarithmic:
                for line in axis.lines:
                    line.set_ydata(np.maximum(np.asarray(line.get_ydata(), float), LOWEST))
                axis.set(xscale="log", yscale="log")
            ends = (LOWEST, 1.2) if logarithmic else (-0.02, 1.02)
            axis.set(xlabel="false-positive rate (of others)", xlim=ends, ylim=ends)
            say_if_empty(axis, run=any(lines.values()), drawn=any(drawn))
        held = {key for lines in panels.values() for key, records in lines.items() if records}
        handles = [Line2D([], [], **_look(key)) for key in NETWORKS if key in held]
        add_legend(figure, [*handles, Line2D([], [], label="chance", **REFERENCE)], across=5)
    return figure


def counted_by_rate(
    panels: Mapping[str, Networks],
    *,
    members: Mapping[str, float],
    printed: Mapping[str, Sequence[tuple[float, float]]],
) -> Figure:
    """The code's accuracy against how often "member" is said, one panel a data set and one mark a record, all in percent.

    The dotted line is an attack that cannot tell members from others. A record stands above it by 2 w (1 - w) (TPR - FPR).

    Args:
        panels: title of a panel, then a key of `COUNTED`, then the records.
        members: title of a panel, then w, the share of members among all judged images.
        printed: title of a panel, then the paper's accuracies, each after the rate at which it lies on the line.
    """
    with style():
        panels, shares = panels or NOTHING, {**dict.fromkeys(NOTHING, 0.5), **members}
        figure, axes = panels_for(panels, "accuracy as the code counts (%)")
        for axis, (title, lines) in zip(axes, panels.items(), strict=True):
            w = shares[title]
            # a = w r + (1 - w) (1 - r)
            axis.plot([0, 100], [100 * (1 - w), 100 * w], **REFERENCE)
            drawn = False
            for key, records in lines.items():
                look = COUNTED[check_choice("victim", key, COUNTED)]
                rates = [(m["tpr"], m["fpr"]) for m in (r.measurements for r in records) if {"tpr", "fpr"} <= m.keys()]
                said = [w * tpr + (1 - w) * fpr for tpr, fpr in rates]
                axis.plot(said, [w * tpr + (1 - w) * (100 - fpr) for tpr, fpr in rates], ls="none", **look)
                drawn |= bool(rates)
            crosses = printed.get(title, [])
            axis.plot([rate for rate, _ in crosses], [accuracy for _, accuracy in crosses], ls="none", **PRINTED)
            axis.set(xlabel='says "member", of all judged images (%)', xlim=(-2, 102), ylim=(-2, 102))
            say_if_empty(axis, run=any(lines.values()), drawn=drawn)
        held = {key for lines in panels.values() for key, records in lines.items() if records}
        handles = [Line2D([], [], ls="none", **look) for key, look in COUNTED.items() if key in held]
        handles += [Line2D([], [], ls="none", **PRINTED), Line2D([], [], label="nothing told", **REFERENCE)]
        add_legend(figure, handles, across=4)
    return figure


def _look(key: tuple[str, bool]) -> dict[str, Any]:
    """Line, mark, colour and name of a network; marks of different networks do not hide each other."""
    look, first = NETWORKS[check_choice("network", key, NETWORKS)], 0.03 * list(NETWORKS).index(key)
    return {**look, "markerfacecolor": "white" if key[1] else look["color"], "markevery": (first, 0.12)}


def _from_lowest(record: Record) -> Record:
    """`record` with the part of its curve that logarithmic axes have room for."""
    curve = zip(record.curves.get("fpr", []), record.curves.get("tpr", []), strict=False)
    kept = [point for point in curve if point[0] >= LOWEST]
    return replace(record, curves={"fpr": [fpr for fpr, _ in kept], "tpr": [tpr for _, tpr in kept]})


# --- the attack with one shadow network ---------------------------------------------------------------------------------

# Inches: the axes of the diagram count in them, so that a line of text fits its box.
SIZE = (9.2, 4.0)
HIGH = 0.46  # a box of one line
LANES = {"owner": (0.1, 1.7), "adversary": (1.85, 3.9)}  # upper and lower edge of the part of each
INK = {"owner": "none", "adversary": "epistemic"}  # whose colour and line it takes
PALE = "#F4F4F4"


class Place(NamedTuple):
    """A box of the diagram: its middle from the left and from above, its width and what it says."""

    x: float
    y: float
    width: float
    label: str

    @property
    def height(self) -> float:
        """Enough for its lines."""
        return HIGH + 0.16 * self.label.count("\n")


BOXES: dict[str, Place] = {
    "one half of the data": Place(0.8, 1.0, 1.1, "one half\nof the data"),
    "target's members": Place(2.15, 0.69, 0.9, "members"),
    "target's others": Place(2.15, 1.31, 0.9, "others"),
    "target": Place(4.05, 1.0, 0.9, "target"),
    "target's top-3 posteriors": Place(5.6, 1.0, 1.4, "top-3 posteriors"),
    "other half of the data": Place(0.8, 2.95, 1.1, "other half\nof the data"),
    "shadow's members": Place(2.15, 2.5, 0.9, "members"),
    "shadow's others": Place(2.15, 3.4, 0.9, "others"),
    "shadow": Place(4.05, 2.95, 0.9, "shadow"),
    "shadow's top-3 posteriors, in": Place(5.6, 2.5, 1.4, "top-3 posteriors\nof members (in)"),
    "shadow's top-3 posteriors, out": Place(5.6, 3.4, 1.4, "top-3 posteriors\nof others (out)"),
    "attack network": Place(7.45, 2.95, 0.9, "attack\nnetwork"),
    "member?": Place(8.6, 2.95, 0.8, "member?"),
}
# The attack as (from, to), in the order in which it goes.
DIAGRAM_STEPS: tuple[tuple[str, str], ...] = (
    ("one half of the data", "target's members"),
    ("one half of the data", "target's others"),
    ("target's members", "target"),
    ("other half of the data", "shadow's members"),
    ("other half of the data", "shadow's others"),
    ("shadow's members", "shadow"),
    ("shadow's others", "shadow"),
    ("shadow", "shadow's top-3 posteriors, in"),
    ("shadow", "shadow's top-3 posteriors, out"),
    ("shadow's top-3 posteriors, in", "attack network"),
    ("shadow's top-3 posteriors, out", "attack network"),
    ("target's others", "target"),
    ("target", "target's top-3 posteriors"),
    ("target's top-3 posteriors", "attack network"),
    ("attack network", "member?"),
)
# What stands on an arrow where it is not plain that one thing is made of the other.
SAID = {
    ("target's members", "target"): "train, ask",
    ("target's others", "target"): "ask",
    ("shadow's members", "shadow"): "train, ask",
    ("shadow's others", "shadow"): "ask",
    ("shadow's top-3 posteriors, in", "attack network"): "train",
    ("shadow's top-3 posteriors, out", "attack network"): "train",
    ("target's top-3 posteriors", "attack network"): "judge",
}


def membership_diagram() -> Figure:
    """The attack with one shadow network (Salem et al. 2019, the first adversary), as `DIAGRAM_STEPS` has it."""
    with style():
        figure = plt.figure(figsize=SIZE)
        axis = figure.add_axes((0, 0, 1, 1), xlim=(0, SIZE[0]), ylim=(SIZE[1], 0))
        axis.set_axis_off()
        for lane, (top, bottom) in LANES.items():
            axis.add_patch(Rectangle((0.1, top), SIZE[0] - 0.2, bottom - top, fc=PALE, ec="none"))
            axis.text(0.2, top + 0.17, f"the {lane}", va="center", style="italic", color=LOOK[INK[lane]]["color"])
        for place in BOXES.values():
            _draw_box(axis, place)
        for step in DIAGRAM_STEPS:
            _draw_step(axis, BOXES[step[0]], BOXES[step[1]], SAID.get(step, ""))
    return figure


def _draw_box(axis: Axes, place: Place) -> None:
    look = LOOK[INK[_lane(place)]]
    pale = tuple(1 - 0.15 * (1 - value) for value in to_rgb(look["color"]))
    corner = (place.x - place.width / 2, place.y - place.height / 2)
    ink = {"ec": look["color"], "ls": look["linestyle"], "fc": pale, "lw": 1.2}
    axis.add_patch(Rectangle(corner, place.width, place.height, **ink))
    axis.text(place.x, place.y, place.label, ha="center", va="center", fontsize=9)


def _lane(place: Place) -> str:
    return next(lane for lane, (top, bottom) in LANES.items() if top < place.y < bottom)


def _draw_step(axis: Axes, start: Place, end: Place, said: str) -> None:
    """An arrow from the right edge of one box to the left edge of another, or down into it from the other lane."""
    arrow: dict[str, Any] = {"arrowstyle": "->", "lw": 0.9, "shrinkA": 0, "shrinkB": 0}
    begin = (start.x + start.width / 2, start.y)
    goal = (end.x - end.width / 2, end.y)
    middle = ((begin[0] + goal[0]) / 2, (begin[1] + goal[1]) / 2)
    if _lane(start) != _lane(end):
        goal = (end.x, end.y - end.height / 2)
        middle = (end.x, (LANES[_lane(end)][0] + goal[1]) / 2)
        arrow["connectionstyle"] = "angle,angleA=0,angleB=90,rad=0"
    axis.annotate("", xy=goal, xytext=begin, arrowprops=arrow)
    if said:
        behind = {"fc": PALE, "ec": "none", "pad": 1}
        axis.text(*middle, said, ha="center", va="center", fontsize=8, style="italic", bbox=behind)
