"""Drawings of the victims, read off their own modules: what is drawn cannot differ from what is trained.

A victim is read by sending an image of zeros through its network and noting every layer that the image passes. An
activation has no box of its own, it stands beside the layer before it; dropout at rate 0 does nothing and is not drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from lib import models, seeds
from lib.errors import BadValue
from lib.layers import Dropout, Flatten, set_sampling
from lib.models import Shape
from lib.uncertainty import ESTIMATORS, Deterministic, Heteroscedastic, MonteCarloDropout, Victim, estimate
from report.figures import LOOK, NAMES, style
from report.tables import Table

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Tanh)
# Boxes that only one estimator has: they take its colour. The others take that of the plain network.
ADDED = {"Dropout": "epistemic", "MonteCarloDropout": "epistemic", "Heteroscedastic": "aleatoric"}


class Column(NamedTuple):
    """One architecture: the shape of its images, and its victims by estimator."""

    shape: Shape
    victims: Mapping[str, Victim]


@dataclass(frozen=True)
class Box:
    """A layer of a network, or a step from its logits to the victim's answer."""

    part: str  # input, body, head, noise (the second head) or answer
    kind: str  # the class of the layer, or of the victim whose answer it makes
    label: str
    shape: tuple[int, ...]  # of what comes out for one image
    parameters: int = 0


def column(name: str, *, shape: Shape, classes: int, width: int, dropout: float, draws: int) -> Column:
    """The architecture `name` as the cells of the replication build it, under each estimator.

    Raises:
        BadValue: what `lib.models.build` and `lib.uncertainty.estimate` refuse.
    """
    victims = {}
    for estimator in ESTIMATORS:
        network = models.build(
            name,
            shape=shape,
            classes=classes,
            seed=0,
            width=width,
            dropout=dropout if estimator == "epistemic" else 0.0,
            heteroscedastic=estimator == "aleatoric",
        )
        victims[estimator] = estimate(estimator, network, generator=seeds.generator(0, "diagram"), draws=draws)
    return Column(shape, victims)


# --- reading ------------------------------------------------------------------------------------------------------------


def boxes_of(victim: Victim, shape: Shape) -> list[Box]:
    """The layers that an image of `shape` passes, in that order, and what makes an answer of the logits.

    Raises:
        BadValue: a layer or a victim that no drawing is known for.
    """
    network = copy.deepcopy(victim.network).eval()
    set_sampling(network, sampling=False)
    boxes = [Box("input", "image", "image", shape)]

    def note(part: str, layer: nn.Module, output: Tensor) -> None:
        label, out = label_of(layer), tuple(output.shape[1:])
        if isinstance(layer, Dropout) and layer.p == 0:
            return
        if isinstance(layer, ACTIVATIONS) and boxes[-1].part == part:
            boxes[-1] = replace(boxes[-1], label=f"{boxes[-1].label}, {label}", shape=out)
            return
        parameters = sum(weight.numel() for weight in layer.parameters())
        boxes.append(Box(part, type(layer).__name__, label, out, parameters))

    for name, layer in network.named_modules():
        if not list(layer.children()):
            part = name.split(".")[0]
            layer.register_forward_hook(lambda layer, _, output, part=part: note(part, layer, output))
    with torch.no_grad():
        zeros = torch.zeros(1, *shape)
        network(zeros) if network.noise is None else network.logits_and_sigma(zeros)
    if network.noise is not None:
        boxes[-1] = replace(boxes[-1], label=f"{boxes[-1].label}, softplus")
    return [*boxes, *_answer(victim, boxes[-1].shape)]


def label_of(layer: nn.Module) -> str:
    """What a layer is called, with the settings that tell it from others of its kind.

    Raises:
        BadValue: a layer that has no name here.
    """
    match layer:
        case nn.Conv2d():
            stride = "" if layer.stride == (1, 1) else f", stride {layer.stride[0]}"
            return f"conv {_by(layer.kernel_size)}, {layer.out_channels}{stride}"
        case nn.Linear():
            return f"dense, {layer.out_features}"
        case nn.AvgPool2d():
            return f"average pool {_by(layer.kernel_size)}"
        case nn.MaxPool2d():
            return f"max pool {_by(layer.kernel_size)}"
        case nn.AdaptiveAvgPool2d(output_size=1):
            return "global average pool"
        case Dropout():
            return f"dropout, p = {layer.p:g}"
        case Flatten():
            return "flatten"
        case nn.LeakyReLU():
            return "leaky ReLU"
        case nn.ReLU():
            return "ReLU"
        case nn.Tanh():
            return "tanh"
    raise BadValue(f"layer: expected one that a diagram has a name for, got {layer}")


def _answer(victim: Victim, logits: tuple[int, ...]) -> list[Box]:
    """The steps from logits to probabilities: for one pass, for T passes, for one pass and T draws of noise."""
    softmax = Box("answer", "Softmax", "softmax", logits)
    match victim:
        case Deterministic():
            return [softmax]
        case MonteCarloDropout():
            return [Box("answer", "MonteCarloDropout", f"mean of T = {victim.draws} softmaxes", logits)]
        case Heteroscedastic():
            label = f"mean of T = {victim.draws} samples of $\\mathcal{{N}}(f, \\sigma^2)$"
            return [Box("answer", "Heteroscedastic", label, logits), softmax]
    raise BadValue(f"victim: expected one of the three estimators, got {type(victim).__name__}")


def layer_table(columns: Mapping[str, Column]) -> Table:
    """The boxes of a diagram as rows: where each stands, what it is, what comes out of it and how much it learns."""
    rows = [
        [title, estimator, box.part, _plain(box.label), _by(box.shape), str(box.parameters)]
        for title, (shape, victims) in columns.items()
        for estimator, victim in victims.items()
        for box in boxes_of(victim, shape)
    ]
    return Table(["network", "uncertainty", "part", "layer", "output", "parameters"], rows)


def _plain(label: str) -> str:
    return label.replace("$\\mathcal{N}(f, \\sigma^2)$", "N(f, sigma^2)")


def _by(sizes: int | tuple[int, ...]) -> str:
    """Sizes as "3×3"; one number stands for both sides of a window."""
    return "×".join(map(str, (sizes, sizes) if isinstance(sizes, int) else sizes))


# --- drawing ------------------------------------------------------------------------------------------------------------

# Inches: the axes of a diagram count in them, so that a line of text fits its box whatever the size of the figure.
WIDE, HIGH, LOW, GAP = 3.0, 0.25, 0.21, 0.16  # a box, its height, that of dropout under its layer, and an arrow
LANE, APART, PAD = 1.98, 0.1, 0.07  # a box where two heads stand side by side, between them, and inside their edges
COLUMN, TITLE, HEADER = 4.2, 0.4, 0.5


class Placed(NamedTuple):
    """A box and where it stands, in inches from the middle of its column and down from the top of its stack."""

    box: Box
    x: float  # of its middle
    y: float  # of its upper edge
    width: float
    height: float
    feeds: list[tuple[float, float]]  # where the arrows begin that end on its upper edge

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height


def placed(boxes: list[Box]) -> list[Placed]:
    """Boxes one below the other; the layers of two heads side by side, and dropout right under the layer it follows."""
    forked = any(box.part == "noise" for box in boxes)
    middles = {"trunk": 0.0, "head": -(LANE + APART) / 2, "noise": (LANE + APART) / 2}
    bottoms: dict[str, float] = {}  # of the lanes that the next box may hang on
    found = []
    for box in boxes:
        lane = box.part if forked and box.part in ("head", "noise") else "trunk"
        if lane == "trunk":  # it takes in what both heads give, if they are open
            above = {name: y for name, y in bottoms.items() if name != "trunk"} or bottoms
        else:
            above = {lane: bottoms.get(lane, bottoms["trunk"])}
        dropout = box.kind == "Dropout"
        gap = 0.0 if dropout else GAP
        one = Placed(
            box,
            x=middles[lane],
            y=max(above.values(), default=-gap) + gap,
            width=WIDE if lane == "trunk" else LANE,
            height=LOW if dropout else HIGH,
            feeds=[] if dropout else [(middles[name], y) for name, y in above.items()],
        )
        bottoms = {lane: one.bottom} if lane == "trunk" else {**bottoms, lane: one.bottom}
        found.append(one)
    return found


def network_diagram(columns: Mapping[str, Column]) -> Figure:
    """Every victim from its image down to its answer: a column an architecture, a row an estimator (Harakeh, Figure 1).

    Args:
        columns: title of a column, then what stands in it; an estimator that a column lacks leaves its place empty.

    Raises:
        BadValue: no columns; a layer or a victim that no drawing is known for.
    """
    if not columns:
        raise BadValue("columns: expected at least one, got none")
    rows = [
        {title: placed(boxes_of(one.victims[row], one.shape)) for title, one in columns.items() if row in one.victims}
        for row in ESTIMATORS
    ]
    tall = [max((one.bottom for stack in row.values() for one in stack), default=-HEADER) for row in rows]
    size = COLUMN * len(columns), TITLE + sum(tall) + HEADER * len(rows) + 0.1
    with style():
        figure = plt.figure(figsize=size)
        axis = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))
        axis.set_axis_off()
        for i, title in enumerate(columns):
            middle, top = COLUMN * (i + 0.5), TITLE
            axis.text(middle, TITLE / 2, title, ha="center", va="center", fontsize=11, weight="bold")
            for estimator, row, down in zip(ESTIMATORS, rows, tall, strict=True):
                if title in row:
                    learned = sum(one.box.parameters for one in row[title])
                    name = f"{NAMES[estimator]}: {learned:,} parameters"
                    colour = LOOK[estimator]["color"]
                    axis.text(middle, top + 0.6 * HEADER, name, ha="center", va="center", color=colour)
                    _draw(axis, row[title], middle, top + HEADER)
                top += HEADER + down
    return figure


def _draw(axis: Axes, stack: list[Placed], middle: float, top: float) -> None:
    """A stack of boxes with arrows between them; what two heads give, and what is repeated for every draw."""
    for one in stack:
        left, y = middle + one.x - one.width / 2, top + one.y
        look = LOOK["aleatoric" if one.box.part == "noise" else ADDED.get(one.box.kind, "none")]
        pale = tuple(1 - 0.15 * (1 - value) for value in to_rgb(look["color"]))
        ink = {"ec": look["color"], "ls": look["linestyle"], "fc": pale, "lw": 1.2}
        axis.add_patch(Rectangle((left, y), one.width, one.height, **ink))
        shape = _by(one.box.shape)
        # A letter is about 0.56 of the size of its type wide; there are 72 points to an inch.
        fitting = 72 * (one.width - 2 * PAD) / (0.56 * len(f"{_plain(one.box.label)}  {shape}"))
        line: dict[str, Any] = {"y": y + one.height / 2, "va": "center_baseline", "fontsize": min(8.5, fitting)}
        axis.text(left + PAD, s=one.box.label, ha="left", **line)
        axis.text(left + one.width - PAD, s=shape, ha="right", **line)
        for x, start in one.feeds:
            arrow = {"arrowstyle": "->", "lw": 0.9, "shrinkA": 0, "shrinkB": 0}
            axis.annotate("", xy=(middle + x, y), xytext=(middle + x, top + start), arrowprops=arrow)
        if one.box.kind == "Heteroscedastic":
            for name, (x, _) in zip(("$f$", "$\\sigma$"), one.feeds, strict=True):
                axis.text(middle + x + 0.08, y - GAP / 2, name, ha="left", va="center", fontsize=9)
        if one.box.kind == "MonteCarloDropout":
            passes = [other for other in stack if other.box.part in ("body", "head")]
            x, start, end = middle + WIDE / 2 + 0.1, top + passes[0].y, top + passes[-1].bottom
            axis.plot([x, x + 0.08, x + 0.08, x], [start, start, end, end], color=look["color"], lw=1.2)
            axis.text(x + 0.14, (start + end) / 2, "× T", ha="left", va="center", fontsize=9, color=look["color"])
