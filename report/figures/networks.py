"""Drawings of the victims, read off their own modules: what is drawn cannot differ from what is trained.

A victim is read by sending an image of zeros through its network and noting every layer that the image passes. An
activation has no box of its own, it stands beside the layer before it; dropout at rate 0 does nothing and is not drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import accumulate, product
from typing import Any, NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from lib import models, seeds
from lib.errors import BadValue
from lib.layers import Dropout, Flatten, set_sampling
from lib.models import Shape
from lib.uncertainty import ESTIMATORS, Deterministic, Heteroscedastic, MonteCarloDropout, Victim, estimate
from report.figures import looks
from report.figures.boxes import draw_arrow, draw_box, page
from report.tables import Table

NORMAL = r"$\mathcal{N}(f, \sigma^2)$"
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Tanh)
# What a layer is called, with the settings that tell it from others of its kind; "" where it has no name.
LABELS: Mapping[type[nn.Module], Callable[[Any], str]] = {
    nn.Conv2d: lambda it: f"conv {_by(it.kernel_size)}, {it.out_channels}" + _stride(it),
    nn.Linear: lambda it: f"dense, {it.out_features}",
    nn.AvgPool2d: lambda it: f"average pool {_by(it.kernel_size)}",
    nn.MaxPool2d: lambda it: f"max pool {_by(it.kernel_size)}",
    nn.AdaptiveAvgPool2d: lambda it: "global average pool" if it.output_size == 1 else "",
    Dropout: lambda it: f"dropout, p = {it.p:g}",
    Flatten: lambda it: "flatten",
    nn.LeakyReLU: lambda it: "leaky ReLU",
    nn.ReLU: lambda it: "ReLU",
    nn.Tanh: lambda it: "tanh",
}
# Boxes that only one estimator has: they take its colour. The others take that of the plain network.
ADDED = {"Dropout": "epistemic", "MonteCarloDropout": "epistemic", "Heteroscedastic": "aleatoric"}


class Column(NamedTuple):
    """One architecture: the shape of its images, and its victims by estimator."""

    shape: Shape
    victims: Mapping[str, Victim]


class Box(NamedTuple):
    """A layer of a network, or a step from its logits to the victim's answer."""

    part: str  # input, body, head, noise (the second head) or answer
    kind: str  # the class of the layer, or of the victim whose answer it makes
    label: str
    shape: tuple[int, ...]  # of what comes out for one image
    parameters: int = 0


def column(name: str, *, shape: Shape, classes: int, width: int, dropout: float, draws: int) -> Column:
    """The architecture `name` as the cells of the replication build it, under each estimator."""
    added: dict[str, Any] = {"none": {}, "epistemic": {"dropout": dropout}, "aleatoric": {"heteroscedastic": True}}
    victims = {}
    for estimator in ESTIMATORS:
        network = models.build(name, shape=shape, classes=classes, seed=0, width=width, **added[estimator])
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
        if isinstance(layer, ACTIVATIONS) and boxes[-1].part == part:
            boxes[-1] = boxes[-1]._replace(label=f"{boxes[-1].label}, {label}", shape=out)
        elif not (isinstance(layer, Dropout) and layer.p == 0):
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
        boxes[-1] = boxes[-1]._replace(label=f"{boxes[-1].label}, softplus")
    return [*boxes, *_answer(victim, boxes[-1].shape)]


def label_of(layer: nn.Module) -> str:
    """What a layer is called.

    Raises:
        BadValue: a layer that has no name here.
    """
    if label := LABELS.get(type(layer), lambda it: "")(layer):
        return label
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
            return [
                Box("answer", "Heteroscedastic", f"mean of T = {victim.draws} samples of {NORMAL}", logits),
                softmax,
            ]
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
    return label.replace(NORMAL, "N(f, sigma^2)")


def _by(sizes: int | tuple[int, ...]) -> str:
    """Sizes as "3×3"; one number stands for both sides of a window."""
    return "×".join(map(str, (sizes, sizes) if isinstance(sizes, int) else sizes))


def _stride(layer: nn.Conv2d) -> str:
    return "" if layer.stride == (1, 1) else f", stride {layer.stride[0]}"


# --- drawing ------------------------------------------------------------------------------------------------------------

# Inches.
WIDE, HIGH, LOW, GAP = 3.0, 0.25, 0.21, 0.16  # a box, its height, that of dropout under its layer, and an arrow
LANE, APART, PAD = 1.98, 0.1, 0.07  # a box where two heads stand side by side, between them, and inside their edges
COLUMN, TITLE, HEADER = 4.2, 0.4, 0.5
MIDDLES = {"trunk": 0.0, "head": -(LANE + APART) / 2, "noise": (LANE + APART) / 2}


class Placed(NamedTuple):
    """A box and where it stands, in inches from the middle of its column and down from the top of its stack."""

    box: Box
    x: float  # of its middle
    y: float  # of its upper edge
    bottom: float  # its lower edge
    width: float
    feeds: list[tuple[float, float]]  # where the arrows begin that end on its upper edge


def placed(boxes: list[Box]) -> list[Placed]:
    """Boxes one below the other; the layers of two heads side by side, and dropout right under the layer it follows."""
    forked = any(box.part == "noise" for box in boxes)
    bottoms: dict[str, float] = {}  # of the lanes that the next box may hang on
    found = []
    for box in boxes:
        lane = box.part if forked and box.part in ("head", "noise") else "trunk"
        # The trunk takes in what both heads give, if they are open; a head begins at the trunk.
        heads = {name: y for name, y in bottoms.items() if name != "trunk"}
        above = (heads or bottoms) if lane == "trunk" else {lane: bottoms.get(lane, bottoms["trunk"])}
        dropout = box.kind == "Dropout"
        y = max(above.values()) + (0 if dropout else GAP) if above else 0.0
        feeds = [] if dropout else [(MIDDLES[name], bottom) for name, bottom in above.items()]
        bottom = y + (LOW if dropout else HIGH)
        found.append(Placed(box, MIDDLES[lane], y, bottom, WIDE if lane == "trunk" else LANE, feeds))
        bottoms = {lane: bottom} if lane == "trunk" else {**bottoms, lane: bottom}
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
    stacks = {
        (estimator, i): placed(boxes_of(one.victims[estimator], one.shape))
        for estimator, (i, one) in product(ESTIMATORS, enumerate(columns.values()))
        if estimator in one.victims
    }
    shown = dict.fromkeys(estimator for estimator, _ in stacks)
    tall = [HEADER + max(stack[-1].bottom for key, stack in stacks.items() if key[0] == one) for one in shown]
    tops = dict(zip(shown, accumulate(tall, initial=TITLE), strict=False))
    middle: dict[str, Any] = {"ha": "center", "va": "center"}
    with page(COLUMN * len(columns), TITLE + sum(tall) + 0.1) as (figure, axis):
        for i, title in enumerate(columns):
            axis.text(COLUMN * (i + 0.5), TITLE / 2, title, fontsize=11, weight="bold", **middle)
        for (estimator, i), stack in stacks.items():
            x, y, look = COLUMN * (i + 0.5), tops[estimator], looks.ESTIMATORS[estimator]
            said = f"{look['label']}: {sum(one.box.parameters for one in stack):,} parameters"
            axis.text(x, y + 0.6 * HEADER, said, color=look["color"], **middle)
            _draw(axis, stack, x, y + HEADER)
    return figure


def _draw(axis: Axes, stack: list[Placed], middle: float, top: float) -> None:
    """A stack of boxes with arrows between them; what two heads give, and what is repeated for every draw."""
    for one in stack:
        left, y, height = middle + one.x - one.width / 2, top + one.y, one.bottom - one.y
        look = looks.ESTIMATORS["aleatoric" if one.box.part == "noise" else ADDED.get(one.box.kind, "none")]
        draw_box(axis, left, y, one.width, height, look)
        label, shape = one.box.label, _by(one.box.shape)
        # A letter is about 0.56 of the size of its type wide; there are 72 points to an inch.
        fitting = 72 * (one.width - 2 * PAD) / (0.56 * len(f"{_plain(label)}  {shape}"))
        line: dict[str, Any] = {"va": "center_baseline", "fontsize": min(8.5, fitting)}
        axis.text(left + PAD, y + height / 2, label, ha="left", **line)
        axis.text(left + one.width - PAD, y + height / 2, shape, ha="right", **line)
        for x, start in one.feeds:
            draw_arrow(axis, (middle + x, top + start), (middle + x, y))
        if one.box.kind == "Heteroscedastic":
            for name, (x, _) in zip(("$f$", "$\\sigma$"), one.feeds, strict=True):
                axis.text(middle + x + 0.08, y - GAP / 2, name, ha="left", va="center", fontsize=9)
        if one.box.kind == "MonteCarloDropout":
            passes = [other for other in stack if other.box.part in ("body", "head")]
            x, start, end = middle + WIDE / 2 + 0.1, top + passes[0].y, top + passes[-1].bottom
            axis.plot([x, x + 0.08, x + 0.08, x], [start, start, end, end], color=look["color"], lw=1.2)
            axis.text(x + 0.14, (start + end) / 2, "× T", ha="left", va="center", fontsize=9, color=look["color"])
