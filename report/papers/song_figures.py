"""What the figures of the Song chapter show."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments.papers.song.readings import TRAININGS as TRAINED
from lib.errors import check_choice
from report.figures.curves import roc
from report.figures.looks import BLUE, GREEN, GREY, INK, OPEN, PURPLE, REFERENCE, VERMILLION, Look, Looks, look
from report.figures.panels import Lines, in_panels
from report.figures.sliders import Slider
from report.papers.song import INPUTS
from report.papers.song import SCALES as SCALE_OF
from report.papers.song_tables import title
from report.tables import Panels

TRAININGS = Looks(
    "training",
    {"natural": look("natural", BLUE, "o", "-"), "robust": look("robust", VERMILLION, "s", "--")},
    every=TRAINED,
)
# What stands beside a printed number; open marks are smaller than the paper's scale.
SCALES = Looks(
    "scale",
    {
        "text": look("ours: the paper's scale", BLUE, "o"),
        "reduced": look("ours: reduced", BLUE, "o", **OPEN),
        "few": look("ours: reduced, a fifth of the members", VERMILLION, "s", **OPEN),
        "fitting": look("ours: reduced, a tenth of the members", PURPLE, "D", **OPEN),
    },
)
GAP = Looks(
    "inference", {"inference": look("ours: best threshold", BLUE, "o"), "gap": look("ours: gap attack", GREY, "^")}
)
LOSS = Looks(
    "loss",
    {"log_odds": look("ours: log-odds", BLUE, "o"), "cross_entropy": look("ours: cross-entropy", VERMILLION, "s")},
)
INPUTS_SEEN = Looks(
    "inputs", {"benign": look("benign", BLUE, "o"), "adversarial": look("adversarial", VERMILLION, "s")}
)
SEEN = Looks(
    "training and images",
    {
        ("natural", "benign"): look("natural, benign", BLUE, "o", "-", markevery=0.1),
        ("natural", "adversarial"): look("natural, adversarial", BLUE, "o", ":", **OPEN, markevery=0.1),
        ("robust", "benign"): look("robust, benign", VERMILLION, "s", "--", markevery=0.1),
        ("robust", "adversarial"): look("robust, adversarial", VERMILLION, "s", "-.", **OPEN, markevery=0.1),
    },
    every=product(TRAINED, INPUTS),
)
SIDES: Mapping[str, Look] = {
    "train": look("members (training images)", GREEN, "", "-"),
    "test": look("others (test images)", PURPLE, "", "--"),
}
INFERENCES = Looks(
    "inference",
    {
        "inference_benign": look("benign", BLUE, "o", "-"),
        "inference_adversarial": look("adversarial", VERMILLION, "s", "--"),
        "gap_benign": look("gap attack, benign", GREY, "^", ":"),
    },
)
ENDED = look("end of a training", GREY, "*", markersize=13, markeredgecolor=INK)


ROC = roc(
    {
        title(dataset, reading): {(one, inputs): f"{reading}:{dataset}/{one}" for one, inputs in SEEN}
        for dataset, reading in SCALE_OF.items()
    },
    SEEN,
    x="fpr_{1}",
    y="tpr_{1}",
)

THRESHOLD = Slider(
    label="Others that the threshold takes for members (%)",
    told="At the threshold that makes so many mistakes: members found, or the balanced accuracy.",
    x="mistaken",
    y="found",
    looks=SEEN,
    start=10,
)


def loss_histograms(panels: Panels, *, inputs: str = "benign") -> Figure:
    """The loss of members and of others, as shares of each side, means over seeds: robust beside natural (Song, Figure 1).

    Args:
        panels: title of a row, then natural or robust, then the records of its seeds.
        inputs: "benign" or "adversarial", the images behind the loss.
    """
    check_choice("inputs", inputs, INPUTS)

    def draw(axis: Axes, title: str, lines: Lines) -> bool:
        for records in lines.values():
            for side, one in SIDES.items() if records else ():
                shares = np.mean([record.curves[f"loss_log_{side}_{inputs}"] for record in records], axis=0)
                edges = np.array(records[0].curves["loss_log_edges"])
                axis.stairs(shares, edges, fill=True, color=one["color"], alpha=0.3)
                axis.stairs(shares, edges, color=one["color"], linestyle=one["linestyle"], lw=1.2)
        return any(lines.values())

    # Most losses of members are far below 1.
    settings = {"xscale": "log", "xlabel": "loss of the true label (nats)", "ylabel": "share of the images"}
    halves = {
        f"{title}, {name}": {name: lines.get(name, ())}
        for title, lines in panels.items()
        for name in ("robust", "natural")
    }
    legend = [Patch(label=one["label"], fc=one["color"], alpha=0.5) for one in SIDES.values()]
    return in_panels(halves, draw, legend=legend, across=2, high=3.0, sharey=False, **settings)


def inference_against_gap(panels: Panels) -> Figure:
    """The accuracy of inference against the gap of training to test accuracy while each victim trains, one path a seed.

    A star is where a path ends. The dotted line is the gap attack's: one half plus half of the gap.
    """

    def draw(axis: Axes, title: str, lines: Lines) -> bool:
        widest = 1.0
        for training, records in lines.items():
            for one in (record.curves for record in records):
                gap = np.subtract(one["trace_train_accuracy"], one["trace_test_accuracy"])
                axis.plot(gap, one["trace_inference"], **TRAININGS[training], alpha=0.7)
                axis.plot(gap[-1:], one["trace_inference"][-1:], **{**ENDED, "color": TRAININGS[training]["color"]})
                widest = max(widest, gap.max())
        axis.plot([0, 1.1 * widest], [50, 50 + 1.1 * widest / 2], zorder=1.5, **REFERENCE)
        return any(lines.values())

    legend = [*TRAININGS.values(), ENDED, {"label": "gap attack", **REFERENCE}]
    xlabel, ylabel = "training accuracy − test accuracy (points)", "accuracy of inference (%)"
    return in_panels(panels, draw, legend=legend, xlabel=xlabel, ylabel=ylabel)
