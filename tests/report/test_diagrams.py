"""Diagrams: what is drawn is what is built, layer by layer and parameter by parameter, and can be read."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import nn

from lib import data, models
from lib.data import Dataset
from lib.errors import BadValue
from lib.layers import Dropout
from lib.models import Network
from lib.uncertainty import ESTIMATORS, Deterministic, Ensemble, MonteCarloDropout
from report.figures import networks
from report.figures.networks import Column, boxes_of, column, label_of, layer_table, network_diagram, placed

SMALL: dict[str, Any] = {"classes": 10, "width": 4, "dropout": 0.5, "draws": 7}
# All but torchvision's: a diagram is a stack of layers, and its blocks are none.
# ResNets are no row of boxes; Song's networks have no dropout to draw.
NOT_DRAWN = {"resnet18", "yale_cnn", "fashion_cnn", "wide_resnet", "wide_resnet_short"}
EVERY = pytest.mark.parametrize("name", [name for name in models.ARCHITECTURES if name not in NOT_DRAWN])
EACH = pytest.mark.parametrize("estimator", ESTIMATORS)


def shape_of(name: str) -> models.Shape:
    return data.SHAPES["cifar10" if "convolutional" in name else "mnist"]


def of(name: str, **changes: Any) -> Column:
    return column(name, shape=shape_of(name), **{**SMALL, **changes})


def paper_columns() -> dict[str, Column]:
    return {name: of(name, width=64, draws=10) for name in ("basic_cnn", "fully_convolutional")}


def drawn(columns: dict[str, Column]) -> Figure:
    made = network_diagram(columns)
    plt.close(made)
    return made


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


# --- what is read -------------------------------------------------------------------------------------------------------


@EVERY
@EACH
def test_the_boxes_are_the_networks_layers(name: str, estimator: str) -> None:
    """Counted by class, in and out of the two heads; only activations and idle dropout have no box."""
    victim = of(name).victims[estimator]
    for part in ("body", "head", "noise"):
        module = getattr(victim.network, part)
        leaves = [] if module is None else [layer for layer in module.modules() if not list(layer.children())]
        shown = [
            layer
            for layer in leaves
            if not isinstance(layer, (nn.ReLU, nn.LeakyReLU, nn.Tanh))
            and not (isinstance(layer, Dropout) and layer.p == 0)
        ]
        boxes = [box for box in boxes_of(victim, shape_of(name)) if box.part == part]
        assert [box.kind for box in boxes] == [type(layer).__name__ for layer in shown]
        assert [box.parameters for box in boxes] == [sum(w.numel() for w in layer.parameters()) for layer in shown]
        activated = sum(isinstance(layer, (nn.ReLU, nn.LeakyReLU, nn.Tanh)) for layer in leaves)
        assert sum("ReLU" in box.label or "tanh" in box.label for box in boxes) == activated


@EVERY
@EACH
def test_the_parameters_add_up_to_the_networks(name: str, estimator: str) -> None:
    one = of(name)
    table = layer_table({"net": one})
    found = sum(int(row[-1]) for row in table.rows if row[1] == estimator)
    assert found == sum(weight.numel() for weight in one.victims[estimator].network.parameters())


@pytest.mark.parametrize(("name", "parameters"), [("basic_cnn", 576_266), ("fully_convolutional", 44_490)])
def test_the_papers_networks_have_the_parameters_of_their_description(name: str, parameters: int) -> None:
    """3x3 convolutions: 640 + 2 * 36,928 and 50,176 * 10 + 10; 1,792 + 36,928 and 64 * 9 * 10 + 10."""
    figure = drawn(paper_columns())
    assert f"no uncertainty: {parameters:,} parameters" in words(figure)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "basic_cnn",
            [
                ("image", (1, 28, 28)),
                *3 * [("conv 3×3, 64, ReLU", (64, 28, 28))],
                ("flatten", (50_176,)),
                ("dense, 10", (10,)),
                ("softmax", (10,)),
            ],
        ),
        (
            "fully_convolutional",
            [
                ("image", (3, 32, 32)),
                *2 * [("conv 3×3, 64, ReLU", (64, 32, 32))],
                ("average pool 2×2", (64, 16, 16)),
                ("conv 3×3, 10", (10, 16, 16)),
                ("global average pool", (10, 1, 1)),
                ("flatten", (10,)),
                ("softmax", (10,)),
            ],
        ),
    ],
)
def test_the_plain_networks_are_those_of_the_papers_text(name: str, expected: list[Any]) -> None:
    victim = paper_columns()[name].victims["none"]
    assert [(box.label, box.shape) for box in boxes_of(victim, shape_of(name))] == expected


@EVERY
def test_the_estimators_differ_by_what_they_add(name: str) -> None:
    plain, epistemic, aleatoric = (boxes_of(of(name).victims[e], shape_of(name)) for e in ESTIMATORS)
    kept = [box for box in epistemic if box.kind != "Dropout"]
    assert kept[:-1] == plain[:-1]
    assert kept[-1].label == "mean of T = 7 softmaxes"
    assert {box.label for box in epistemic if box.kind == "Dropout"} == {"dropout, p = 0.5"}
    assert [box for box in aleatoric if box.part not in ("noise", "answer")] == plain[:-1]
    head, noise = ([box for box in aleatoric if box.part == part] for part in ("head", "noise"))
    assert [(b.kind, b.shape) for b in head] == [(b.kind, b.shape) for b in noise]
    assert noise[-1].label == f"{head[-1].label}, softplus"  # lib.models.Network.logits_and_sigma
    assert aleatoric[-2].label.startswith("mean of T = 7 samples") and aleatoric[-1] == plain[-1]


@EACH
def test_what_is_drawn_is_what_the_cells_train(estimator: str, tiny_cell: Callable[..., Any], digits: Dataset) -> None:
    cell = tiny_cell(estimator=estimator, width=3, dropout=0.25)
    one = column(cell.network, shape=digits.shape, classes=10, width=3, dropout=0.25, draws=cell.draws)
    assert str(one.victims[estimator].network) == str(cell.untrained(digits))


def test_reading_leaves_the_victim_as_it_was() -> None:
    victim = of("basic_cnn").victims["epistemic"]
    assert isinstance(victim, MonteCarloDropout)
    x, before = torch.rand(2, 1, 28, 28), victim.generator.get_state()
    first = victim(x)
    victim.generator.set_state(before)
    boxes_of(victim, (1, 28, 28))
    assert torch.equal(victim.generator.get_state(), before)
    assert torch.equal(victim(x), first)
    assert not any(layer._forward_hooks for layer in victim.network.modules())


def test_a_strided_convolution_and_a_leaky_activation_are_named() -> None:
    assert label_of(nn.Conv2d(1, 5, (3, 2), stride=2)) == "conv 3×2, 5, stride 2"
    assert label_of(nn.LeakyReLU(0.2)) == "leaky ReLU"
    assert label_of(nn.AvgPool2d((2, 3))) == "average pool 2×3"
    assert label_of(nn.MaxPool2d(2)) == "max pool 2×2"
    assert label_of(nn.Tanh()) == "tanh"


@pytest.mark.parametrize("layer", [nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.BatchNorm2d(4)])
def test_a_layer_without_a_name_is_refused(layer: nn.Module) -> None:
    network = of("fully_convolutional").victims["none"].network
    body = network.body
    assert isinstance(body, nn.Sequential)
    body.append(layer)
    with pytest.raises(BadValue, match=r"^layer: expected one that a diagram has a name for, got "):
        boxes_of(Deterministic(network), (3, 32, 32))


def test_a_victim_without_a_drawing_is_refused(untrained: Callable[..., Network]) -> None:
    with pytest.raises(BadValue, match=r"^victim: expected one of the three estimators, got Ensemble$"):
        boxes_of(Ensemble([untrained(), untrained(seed=1)]), (1, 28, 28))


def test_no_columns_are_refused() -> None:
    with pytest.raises(BadValue, match=r"^columns: expected at least one, got none$"):
        network_diagram({})


# --- where the boxes stand ----------------------------------------------------------------------------------------------


@EVERY
@EACH
def test_boxes_do_not_overlap_and_every_arrow_starts_on_a_box(name: str, estimator: str) -> None:
    stack = placed(boxes_of(of(name).victims[estimator], shape_of(name)))
    for one, other in combinations(stack, 2):
        beside = abs(one.x - other.x) >= (one.width + other.width) / 2
        assert beside or other.y >= one.bottom - 1e-9
    for one in stack:
        for x, y in one.feeds:
            assert y < one.y
            assert any(y == other.bottom and abs(x - other.x) < other.width / 2 for other in stack)
    incoming = Counter(len(one.feeds) for one in stack if one.box.kind != "Dropout")
    assert incoming[0] == 1  # the image alone
    assert incoming[2] == (estimator == "aleatoric")  # the two heads meet once


def test_dropout_hangs_right_under_its_layer() -> None:
    stack = placed(boxes_of(of("basic_cnn").victims["epistemic"], (1, 28, 28)))
    pairs = [(stack[i - 1], one) for i, one in enumerate(stack) if one.box.kind == "Dropout"]
    assert len(pairs) == 3
    assert all(one.y == layer.bottom and not one.feeds and layer.box.kind == "Conv2d" for layer, one in pairs)


# --- what is drawn ------------------------------------------------------------------------------------------------------


def test_the_figure_has_a_rectangle_a_label_and_a_shape_for_each_row_of_its_table() -> None:
    columns = paper_columns()
    figure, table = drawn(columns), layer_table(columns)
    rectangles = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(rectangles) == len(table.rows)
    found = Counter(words(figure))
    for text, count in Counter(row[3] for row in table.rows if "sigma" not in row[3]).items():
        assert found[text] == count
    for text, count in Counter(row[4] for row in table.rows).items():
        assert found[text] == count
    assert found["$f$"] == found["$\\sigma$"] == found["× T"] == len(columns)
    assert all(title in found for title in columns)


@pytest.mark.parametrize(
    ("change", "gone", "come"),
    [
        ({"width": 5}, "conv 3×3, 4, ReLU", "conv 3×3, 5, ReLU"),
        ({"width": 5}, "4×28×28", "5×28×28"),
        ({"dropout": 0.25}, "dropout, p = 0.5", "dropout, p = 0.25"),
        ({"classes": 3}, "dense, 10", "dense, 3"),
        ({"draws": 2}, "mean of T = 7 softmaxes", "mean of T = 2 softmaxes"),
    ],
)
def test_a_changed_setting_changes_the_drawing(change: dict[str, Any], gone: str, come: str) -> None:
    before, after = words(drawn({"net": of("basic_cnn")})), words(drawn({"net": of("basic_cnn", **change)}))
    assert gone in before and come not in before
    assert come in after and gone not in after


def test_an_estimator_that_a_column_lacks_leaves_its_place_empty() -> None:
    whole, part = of("basic_cnn"), of("fully_convolutional")
    found = words(drawn({"a": whole, "b": Column(part.shape, {"none": part.victims["none"]})}))
    assert [text.split(":")[0] for text in found if text.endswith("parameters")].count("no uncertainty") == 2
    assert sum(text.startswith("epistemic") for text in found) == 1
    alone = words(drawn({"b": Column(part.shape, {"aleatoric": part.victims["aleatoric"]})}))
    assert not any(text.startswith(("no uncertainty", "epistemic")) for text in alone)


@EVERY
def test_no_text_overlaps_another_or_leaves_the_page(name: str) -> None:
    columns = {"one": of(name, width=64), "two": of(name, width=64)}
    figure = network_diagram(columns)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    page = figure.bbox
    plt.close(figure)
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1 for box in boxes)
    for one, other in combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        down = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across <= 0 or down <= 0


def test_the_drawing_is_opaque_white_and_as_wide_as_a_page() -> None:
    file = io.BytesIO()
    figure = drawn(paper_columns())
    figure.savefig(file, dpi=150)
    pixels = np.asarray(Image.open(file).convert("RGBA"))
    assert pixels[..., 3].min() == 255
    assert {tuple(pixels[y, x]) for y in (0, -1) for x in (0, -1)} == {(255, 255, 255, 255)}
    assert pixels.shape[1] == 150 * 2 * networks.COLUMN >= 1200


def test_text_stands_inside_its_box() -> None:
    figure = network_diagram(paper_columns())
    figure.canvas.draw()
    axis = figure.axes[0]
    rectangles = [patch.get_window_extent() for patch in axis.patches if isinstance(patch, Rectangle)]
    shapes = {"×".join(map(str, box.shape)) for one in paper_columns().values() for victim in one.victims.values()
              for box in boxes_of(victim, one.shape)}  # fmt: skip
    texts = [text.get_window_extent() for text in axis.texts if text.get_text() in shapes]
    plt.close(figure)
    assert len(texts) == len(rectangles)
    for text in texts:
        assert any(box.x0 < text.x0 and text.x1 < box.x1 and box.y0 < text.y0 < text.y1 < box.y1 for box in rectangles)
