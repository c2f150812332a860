"""Figures of inference by thresholds on natural and robust victims: losses, ROC curves, the gap, the budget of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.records import Record
from lib.errors import check_choice
from lib.metrics import mean_interval
from report.attack_figures import REFERENCE
from report.figures import NOTHING, add_legend, draw_curve, panels_for, say_if_empty, style

Victims = Mapping[
    str, Mapping[str, Sequence[Record]]
]  # title of a panel, then natural or robust, then the records of its seeds

# The training tells colour, mark and line.
TRAININGS: dict[str, dict[str, Any]] = {
    "natural": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "robust": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
}
SIDES = {
    "train": {"label": "members (training images)", "color": "#009E73", "linestyle": "-"},
    "test": {"label": "others (test images)", "color": "#CC79A7", "linestyle": "--"},
}
ENDED: dict[str, Any] = {"marker": "*", "markersize": 13, "markeredgecolor": "black", "linestyle": "none"}
LOWEST = 1e-3  # where logarithmic axes of rates begin


def loss_histograms(victims: Victims, *, inputs: str = "benign") -> Figure:
    """The loss of members and of others, as shares of each side: a row a data set, robust and natural (Song et al., Figure 1).

    Bars are means over seeds. The axis is logarithmic, for most losses of members are far below 1.

    Args:
        victims: see `Victims`.
        inputs: "benign" or "adversarial", the images behind the loss.
    """
    check_choice("inputs", inputs, ("benign", "adversarial"))
    with style():
        rows = list(victims.items()) or list(NOTHING.items())
        figure, grid = plt.subplots(len(rows), 2, figsize=(9.2, 3.0 * len(rows)), squeeze=False)
        figure.set_layout_engine("constrained", h_pad=0.08)
        for line, (title, trainings) in zip(grid, rows, strict=True):
            for axis, training in zip(line, ("robust", "natural"), strict=True):
                records = trainings.get(training, ())
                for side, look in SIDES.items():
                    _draw_shares(axis, records, f"loss_log_{side}_{inputs}", look)
                say_if_empty(axis, run=bool(records), drawn=bool(records))
                axis.set(xscale="log", xlabel="loss of the true label (nats)", title=f"{title}, {training}")
            line[0].set_ylabel("share of the images")
        handles = [Patch(label=look["label"], fc=look["color"], alpha=0.5) for look in SIDES.values()]
        add_legend(figure, handles, across=2)
    return figure


def _draw_shares(axis: Axes, records: Sequence[Record], name: str, look: Mapping[str, Any]) -> None:
    if not records:
        return
    edges = np.array(records[0].curves["loss_log_edges"])
    shares = np.mean([record.curves[name] for record in records], axis=0)
    axis.stairs(shares, edges, fill=True, color=look["color"], alpha=0.3)
    axis.stairs(shares, edges, color=look["color"], linestyle=look["linestyle"], lw=1.2)


def rates(victims: Victims) -> Figure:
    """ROC curves of inference by the log-odds of the true label, on logarithmic axes: filled marks for benign images, open ones
    for adversarial.

    A curve is the mean over seeds, with a band where there are at least two; chance is dotted.
    """
    with style():
        victims = victims or NOTHING
        figure, axes = panels_for(victims, "true-positive rate (of members)")
        for axis, lines in zip(axes, victims.values(), strict=True):
            axis.plot(*2 * [[LOWEST, 1]], **REFERENCE)
            drawn = [
                draw_curve(axis, records, f"fpr_{inputs}", f"tpr_{inputs}", _look(training, inputs), highest=1)
                for training, records in lines.items()
                for inputs in ("benign", "adversarial")
            ]
            for line in axis.lines:
                line.set_ydata(np.maximum(np.asarray(line.get_ydata(), float), LOWEST))
            axis.set(xscale="log", yscale="log", xlim=(LOWEST, 1.2), ylim=(LOWEST, 1.2))
            axis.set(xlabel="false-positive rate (of others)")
            say_if_empty(axis, run=any(lines.values()), drawn=any(drawn))
        kinds = [(training, inputs) for training in TRAININGS for inputs in ("benign", "adversarial")]
        handles = [Line2D([], [], label=f"{t}, {inputs}", **_look(t, inputs)) for t, inputs in kinds]
        add_legend(figure, [*handles, Line2D([], [], label="chance", **REFERENCE)], across=5)
    return figure


def _look(training: str, inputs: str) -> dict[str, Any]:
    look = TRAININGS[check_choice("training", training, TRAININGS)]
    face = look["color"] if inputs == "benign" else "white"
    return {**look, "markerfacecolor": face, "markevery": (0.03 if inputs == "benign" else 0.09, 0.14)}


def inference_against_gap(victims: Victims) -> Figure:
    """The accuracy of inference against the gap of training to test accuracy while each victim trains, one path a seed.

    A star is where a path ends. The dotted line is the gap attack's: one half plus half of the gap.
    """
    with style():
        victims = victims or NOTHING
        figure, axes = panels_for(victims, "accuracy of inference (%)")
        for axis, lines in zip(axes, victims.values(), strict=True):
            gaps = {training: [_gap(record) for record in records] for training, records in lines.items()}
            widest = 1.1 * max([1.0, *(gap.max() for some in gaps.values() for gap in some)])
            axis.plot([0, widest], [50, 50 + widest / 2], **REFERENCE)
            for training, records in lines.items():
                for gap, record in zip(gaps[training], records, strict=True):
                    found, look = record.curves["trace_inference"], TRAININGS[training]
                    axis.plot(gap, found, alpha=0.7, **look)
                    axis.plot(gap[-1:], found[-1:], **{**look, **ENDED})
            axis.set(xlabel="training accuracy − test accuracy (points)")
            say_if_empty(axis, run=any(lines.values()), drawn=any(lines.values()))
        handles = [Line2D([], [], label=training, **look) for training, look in TRAININGS.items()]
        handles.append(Line2D([], [], label="end of a training", color="grey", **ENDED))
        add_legend(figure, [*handles, Line2D([], [], label="gap attack", **REFERENCE)], across=4)
    return figure


def _gap(record: Record) -> np.ndarray[Any, Any]:
    """Training less test accuracy while the victim was trained."""
    train, test = (np.array(record.curves[f"trace_{side}_accuracy"]) for side in ("train", "test"))
    return np.asarray(train - test)


def inference_against_budget(panels: Mapping[str, Sequence[Record]]) -> Figure:
    """Inference on benign and adversarial images, and the gap attack, against the budget that each victim was trained with.

    Args:
        panels: title of a panel, then the records of victims of every budget and seed.
    """
    looks: dict[str, dict[str, Any]] = {
        "inference_benign": {"label": "benign", "color": "#0072B2", "marker": "o", "linestyle": "-"},
        "inference_adversarial": {"label": "adversarial", "color": "#D55E00", "marker": "s", "linestyle": "--"},
        "gap_benign": {"label": "gap attack, benign", "color": "dimgrey", "marker": "^", "linestyle": ":"},
    }
    with style():
        panels = panels or {title: [] for title in NOTHING}
        figure, axes = panels_for(panels, "accuracy of inference (%)")
        for axis, records in zip(axes, panels.values(), strict=True):
            budgets = sorted({record.config["train_epsilon"] for record in records})
            for name, look in looks.items():
                of = {b: [r.measurements[name] for r in records if r.config["train_epsilon"] == b] for b in budgets}
                found = [mean_interval(values) for values in of.values()]
                line = (
                    look if len(budgets) > 2 else {**look, "linestyle": "none"}
                )  # two ends say nothing of what is between
                axis.plot(budgets, [interval.mean for interval in found], **line)
                axis.vlines(budgets, [i.low for i in found], [i.high for i in found], color=look["color"], lw=1)
            axis.set(xlabel=r"budget $\epsilon$ of the training ($\ell_\infty$, images in [0, 1])")
            widest = max([*budgets, 8 / 255])
            axis.set_xlim(-0.05 * widest, 1.05 * widest)
            say_if_empty(axis, run=bool(records), drawn=bool(records))
        add_legend(figure, [Line2D([], [], **look) for look in looks.values()], across=3)
    return figure
