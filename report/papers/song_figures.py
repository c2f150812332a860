"""What the figures of the Song chapter show, and the data behind them."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments.papers.song.readings import TRAININGS as TRAINED
from experiments.records import Record, Store
from report.figures.curves import Curves
from report.figures.looks import GREY, INK, REFERENCE, Looks, look
from report.figures.panels import Lines, in_panels
from report.papers.song import INPUTS, PAPER
from report.papers.song import SCALES as SCALE_OF
from report.papers.song_tables import title
from report.tables import Panels, Table, data_behind, panels_at, points_of

TRAININGS = Looks.declared(PAPER, "training", every=TRAINED)
# What stands beside a printed number; open marks are smaller than the paper's scale.
SCALES, LOSS, INPUTS_SEEN, SIDES = (Looks.declared(PAPER, kind) for kind in ("scale", "loss", "inputs", "side"))
SEEN = Looks.declared(PAPER, "seen", every=product(TRAINED, INPUTS))
ENDED = look("end of a training", GREY, "*", markersize=13, markeredgecolor=INK)


ROC = Curves.declared(
    PAPER,
    "roc",
    lines={
        title(dataset, reading): {(one, inputs): f"{reading}:{dataset}/{one}" for one, inputs in SEEN}
        for dataset, reading in SCALE_OF.items()
    },
    looks=SEEN,
)


VICTIMS = {
    title(dataset, reading): {training: f"{reading}:{dataset}/{training}" for training in TRAINED}
    for dataset, reading in SCALE_OF.items()
}


def victims(store: Store) -> Panels:
    """The records of each data set with any, natural and robust, by title."""
    return panels_at(store, PAPER, VICTIMS)


def loss_data(panels: Panels) -> Table:
    """The histograms behind Figure 1, one line a bin."""
    return data_behind(panels, "victim,training,seed,inputs,loss_from,loss_to,share_of_members,share_of_others", _bins)


def _bins(record: Record, _: Any) -> Iterator[list[str]]:
    curves = record.curves
    edges = [f"{edge:.4g}" for edge in curves["loss_log_edges"]]
    for inputs in INPUTS:
        shares = (curves[f"loss_log_{side}_{inputs}"] for side in ("train", "test"))
        for low, high, inside, outside in zip(edges, edges[1:], *shares, strict=False):
            yield [inputs, low, high, f"{inside:g}", f"{outside:g}"]


def curve_data(panels: Panels, x: str, names: Sequence[str]) -> Table:
    """The numbers behind a figure of curves, one line a point, seed and curve."""
    return data_behind(panels, f"victim,training,seed,curve,{x},value", lambda record, _: points_of(record, x, names))


def loss_histograms(panels: Panels) -> Figure:
    """The loss of members and of others on benign images, as shares of each side: robust beside natural (Song, Figure 1)."""

    def draw(axis: Axes, title: str, lines: Lines) -> bool:
        for records in lines.values():
            for side, one in SIDES.items() if records else ():
                shares = np.mean([record.curves[f"loss_log_{side}_benign"] for record in records], axis=0)
                edges = np.array(records[0].curves["loss_log_edges"])
                axis.stairs(shares, edges, fill=True, color=one["color"], alpha=0.3)
                axis.stairs(shares, edges, color=one["color"], linestyle=one["linestyle"], lw=1.2)
        return any(lines.values())

    # Most losses of members are far below 1.
    settings: dict[str, Any] = {
        "xscale": "log",
        "xlabel": "loss of the true label (nats)",
        "ylabel": "share of the images",
    }
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
