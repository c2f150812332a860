"""What the figures of the Harakeh chapter show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lib.uncertainty.scores import UNCERTAINTY_SCORES
from report.figures.curves import curves
from report.figures.looks import BLUE, ESTIMATORS, GREEN, GREY, OPEN, REFERENCE, VERMILLION, Looks, look, style
from report.figures.panels import TO_100, Lines
from report.figures.sliders import Slider
from report.names import SCORE_NAMES
from report.tables import Panels

# The forms of an attack on a random network; the names are those of readings.
FORMS = Looks(
    "form",
    {
        "text": look("ours: mean of ten draws", BLUE, "o"),
        "one_draw": look("ours: one draw", VERMILLION, "s"),
        "expectation": look("ours: expectation", GREEN, "^"),
    },
)
FORMS_AND_PLAIN = Looks("form", {"plain": look("plain network", GREY, "x"), **FORMS})
NETWORKS = Looks(
    "network",
    {"text": look("ours: text's network", BLUE, "o"), "tutorial": look("ours: tutorial's network", VERMILLION, "s")},
)
# Entropy has filled marks and any other score open ones.
JUDGED = Looks(
    "estimator and score",
    {
        (name, score): {**ESTIMATORS[name], "label": f"{ESTIMATORS[name]['label'].split(' (')[0]}: {said}"}
        | ({} if score == "entropy" else OPEN)
        for name, (score, said) in product(ESTIMATORS, SCORE_NAMES.items())
    },
    every=product(ESTIMATORS, UNCERTAINTY_SCORES),
)
PAPER = look("paper", GREY, "o", **OPEN, markersize=9, markeredgewidth=1.8)
PUBLISHED_EPSILON = 0.3

# The loss that PGD reaches against its number of steps: an attack that is strong enough rises, and levels off.
loss_against_steps = partial(
    curves,
    x="steps",
    y="loss",
    looks=ESTIMATORS,
    highest=math.inf,
    xlabel="steps of the attack (logarithmic)",
    ylabel="loss of the true label (nats)",
    then=lambda axis, title, lines: _tick_points(axis),
)
BUDGET = Slider(
    label="Budget ε of FGSM (ℓ∞, images in [0, 1])",
    told="Test images still answered right, where the attack follows the mean of ten draws.",
    x="epsilon",
    y="accuracy",
    looks=ESTIMATORS,
    start=0.15,
)
_by_score = partial(curves, looks=JUDGED, scale=100, across=3, xlim=TO_100, ylim=TO_100)
# Accuracy on what is left of clean and adversarial images, half and half, as the most uncertain ones are rejected. The dotted
# line in an estimator's colour is the best that any score could do: it rejects exactly the images that are wrong.
rejection_curves = partial(
    _by_score,
    x="rejected",
    y="kept_{1}",
    xlabel="images rejected (%)",
    ylabel="accuracy on the rest (%)",
    then=lambda axis, title, lines: _draw_ideals(axis, lines),
    legend=[{"label": "ideal: rejects what is wrong", **REFERENCE}],
)


def accuracy_against_epsilon(panels: Panels, *, published: Mapping[str, Mapping[str, float]]) -> Figure:
    """Accuracy under FGSM against its budget by estimator; the paper's, by title of a panel and estimator, as open marks."""

    def draw_published(axis: Axes, title: str, lines: Lines) -> None:
        axis.axhline(10, **REFERENCE)
        for estimator, value in published.get(title, {}).items():
            one = {name: ESTIMATORS[estimator][name] for name in ("color", "marker")}
            axis.plot([PUBLISHED_EPSILON], [value], **{**PAPER, **one, "label": "_paper"})

    return curves(
        panels,
        x="epsilon",
        y="accuracy",
        looks=ESTIMATORS,
        xlabel=r"budget $\epsilon$ ($\ell_\infty$, images in [0, 1])",
        ylabel="accuracy (%)",
        ylim=TO_100,
        then=draw_published,
        legend=[PAPER],
    )


def image_pairs(x: Tensor, adversarial: Mapping[str, Tensor]) -> Figure:
    """A row of clean images (n, c, h, w), and below it a row for each name's adversarial versions of them."""
    rows = {"clean": x, **adversarial}
    with style():
        figure, axes = plt.subplots(len(rows), len(x), figsize=(1.1 * len(x) + 1.6, 1.15 * len(rows)), squeeze=False)
        for line, (name, images) in zip(axes, rows.items(), strict=True):
            for axis, image in zip(line, images, strict=True):
                axis.imshow(image.permute(1, 2, 0).numpy(), cmap="gray", vmin=0, vmax=1)
                axis.set(xticks=[], yticks=[])
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        figure.set_layout_engine("constrained")
    return figure


def _tick_points(axis: Axes) -> None:
    """Make the horizontal axis logarithmic, with a tick at every point of a curve."""
    points = sorted({x for line in axis.lines for x in np.asarray(line.get_xdata(), float)})
    axis.set_xscale("log")
    axis.set_xticks(points, [f"{x:g}" for x in points])
    axis.minorticks_off()


def _draw_ideals(axis: Axes, lines: Lines) -> None:
    """The mean over seeds of the best accuracy at each share of rejected images, given that with none rejected.

    Scores of one estimator share it, for whichever of them rejects, the same images are wrong; unless the attack knew the
    score, for then each has its own images.
    """
    drawn = set()
    for (estimator, score), records in lines.items():
        held = [record.curves for record in records if record.curves.get(f"kept_{score}")]
        starts = tuple(one[f"kept_{score}"][0] for one in held)
        if held and (estimator, starts) not in drawn:
            drawn.add((estimator, starts))
            rejected = np.array(held[0]["rejected"])
            # The wrong ones go first: a / (1 - r), until only right ones are left.
            best = np.minimum(100, np.array(starts)[:, None] / (1 - rejected)).mean(0)
            axis.plot(100 * rejected, best, zorder=1.5, **{**REFERENCE, "color": ESTIMATORS[estimator]["color"]})
