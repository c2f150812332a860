"""The networks: their sizes counted by hand, their layers against plain functional code, their weights by seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib import data, models
from lib.errors import BadValue
from lib.layers import Dropout
from lib.models import Network

NAMES = list(models.ARCHITECTURES)
GRAY, COLOUR = (1, 28, 28), (3, 32, 32)


def conv(c: int, filters: int, side: int) -> int:
    return c * filters * side * side + filters


def dense(inputs: int, classes: int) -> int:
    return inputs * classes + classes


@pytest.mark.parametrize(
    ("name", "shape", "printed", "counted"),
    [
        # The two totals that the CleverHans tutorials' networks have.
        ("basic_cnn_tutorial", GRAY, 710_218, conv(1, 64, 8) + conv(64, 128, 6) + conv(128, 128, 5) + dense(128, 10)),
        (
            "fully_convolutional_tutorial",
            COLOUR,
            2_334_730,
            conv(3, 64, 3) + conv(64, 128, 3) + conv(128, 128, 3) + conv(128, 256, 3)
            + conv(256, 256, 3) + conv(256, 512, 3) + conv(512, 10, 3),
        ),
        # Those of the text.
        ("basic_cnn", GRAY, 576_266, conv(1, 64, 3) + 2 * conv(64, 64, 3) + dense(64 * 28 * 28, 10)),
        ("basic_cnn", COLOUR, 731_018, conv(3, 64, 3) + 2 * conv(64, 64, 3) + dense(64 * 32 * 32, 10)),
        ("fully_convolutional", COLOUR, 44_490, conv(3, 64, 3) + conv(64, 64, 3) + conv(64, 10, 3)),
        ("fully_convolutional", GRAY, 43_338, conv(1, 64, 3) + conv(64, 64, 3) + conv(64, 10, 3)),
        # The substitute of the black-box tutorial.
        ("fully_connected", GRAY, 199_210, dense(784, 200) + dense(200, 200) + dense(200, 10)),
        # On 3x32x32 the tutorial's strides leave 2x2 positions: 32 / 2 = 16, (16 - 6) / 2 + 1 = 6, 6 - 4 = 2.
        ("basic_cnn_tutorial", COLOUR, 722_250, conv(3, 64, 8) + conv(64, 128, 6) + conv(128, 128, 5) + dense(512, 10)),
    ],
)  # fmt: skip
def test_parameter_counts(name: str, shape: models.Shape, printed: int, counted: int) -> None:
    width = 200 if name == "fully_connected" else 64
    network = models.build(name, shape=shape, classes=10, seed=0, width=width)
    assert sum(p.numel() for p in network.parameters()) == printed == counted


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dataset", "shape"), data.SHAPES.items())
def test_logits_and_sigma_have_a_row_an_image_and_a_column_a_class(
    name: str, dataset: str, shape: models.Shape
) -> None:
    classes = len(data.CLASSES[dataset])
    network = models.build(
        name, shape=shape, classes=classes, seed=0, width=1, dropout=0.5, heteroscedastic=True
    ).eval()
    x = torch.rand(2, *shape)
    with torch.no_grad():
        logits, sigma = network.logits_and_sigma(x)
        assert logits.shape == sigma.shape == network(x).shape == (2, classes)
    assert bool((sigma > 0).all()) and bool(torch.isfinite(logits).all())


def weights(network: nn.Module) -> list[Tensor]:
    return list(network.parameters())


def same_padding(x: Tensor, side: int, stride: int) -> Tensor:
    """TensorFlow's "same": as many outputs as ceil(size / stride), the odd pixel of padding at the end."""
    total = [max((-(-size // stride) - 1) * stride + side - size, 0) for size in x.shape[2:]]
    return F.pad(x, (total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2))


def tutorial_by_hand(network: Network, x: Tensor) -> Tensor:
    """CleverHans 2.1, `ModelBasicCNN`, written out."""
    w1, b1, w2, b2, w3, b3, w, b = weights(network)
    h = F.conv2d(same_padding(x, 8, 2), w1, b1, stride=2).relu()
    h = F.conv2d(h, w2, b2, stride=2).relu()
    h = F.conv2d(h, w3, b3).relu()
    return h.permute(0, 2, 3, 1).reshape(len(x), -1) @ w.T + b


def all_convolutional_by_hand(network: Network, x: Tensor) -> Tensor:
    """CleverHans 2.1, `ModelAllConvolutional`, written out."""
    *stages, w, b = weights(network)
    for stage in range(3):
        for i in (0, 2):
            kernel, bias = stages[4 * stage + i : 4 * stage + i + 2]
            x = F.leaky_relu(F.conv2d(same_padding(x, 3, 1), kernel, bias), 0.2)
        x = F.avg_pool2d(x, 2)
    return F.leaky_relu(F.conv2d(same_padding(x, 3, 1), w, b), 0.2).mean((2, 3))


def basic_by_hand(network: Network, x: Tensor) -> Tensor:
    """Harakeh, section 3: three convolutions and one dense layer."""
    *stages, w, b = weights(network)
    for i in (0, 2, 4):
        x = F.conv2d(same_padding(x, 3, 1), stages[i], stages[i + 1]).relu()
    return x.permute(0, 2, 3, 1).reshape(len(x), -1) @ w.T + b


def fully_connected_by_hand(network: Network, x: Tensor) -> Tensor:
    """CleverHans's black-box tutorial: two hidden dense layers."""
    w1, b1, w2, b2, w, b = weights(network)
    h = (x.permute(0, 2, 3, 1).reshape(len(x), -1) @ w1.T + b1).relu()
    return (h @ w2.T + b2).relu() @ w.T + b


def fully_convolutional_by_hand(network: Network, x: Tensor) -> Tensor:
    """Harakeh, section 3: two convolutions, average pooling, a convolution of one filter a class, global average."""
    w1, b1, w2, b2, w, b = weights(network)
    h = F.conv2d(same_padding(F.conv2d(same_padding(x, 3, 1), w1, b1).relu(), 3, 1), w2, b2).relu()
    return F.conv2d(same_padding(F.avg_pool2d(h, 2), 3, 1), w, b).mean((2, 3))


@pytest.mark.parametrize("shape", [GRAY, COLOUR])
@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("basic_cnn", basic_by_hand),
        ("basic_cnn_tutorial", tutorial_by_hand),
        ("fully_convolutional", fully_convolutional_by_hand),
        ("fully_convolutional_tutorial", all_convolutional_by_hand),
        ("fully_connected", fully_connected_by_hand),
    ],
)
def test_the_forward_pass_is_that_of_the_source(
    name: str, by_hand: Callable[[Network, Tensor], Tensor], shape: models.Shape
) -> None:
    network = models.build(name, shape=shape, classes=10, seed=3, width=2).eval()
    for parameter in network.parameters():  # biases too, which start at zero
        nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = by_hand(network, x)
        torch.testing.assert_close(
            network(x.contiguous(memory_format=torch.channels_last)), expected, atol=1e-4, rtol=1e-4
        )
    assert expected.std() > 0.01


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("basic_cnn", 3),
        ("basic_cnn_tutorial", 3),
        ("fully_convolutional", 2),
        ("fully_convolutional_tutorial", 6),
        ("fully_connected", 2),
    ],
)
def test_dropout_follows_every_activation_of_the_body(name: str, layers: int) -> None:
    network = models.build(name, shape=COLOUR, classes=10, seed=0, width=2, dropout=0.4)
    order = [type(layer) for layer in network.modules()]
    places = [i for i, kind in enumerate(order) if kind is Dropout]
    assert len(places) == layers and all(order[i - 1] in (nn.ReLU, nn.LeakyReLU) for i in places)
    assert {layer.p for layer in network.modules() if isinstance(layer, Dropout)} == {0.4}


def state(network: nn.Module) -> dict[str, Tensor]:
    return network.state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_alone_makes_the_weights(name: str) -> None:
    """Not the global generator, not the dropout rate, not a second head: body and first head stay the same."""

    def build(**changes: Any) -> dict[str, Tensor]:
        return state(models.build(name, **{"shape": GRAY, "classes": 10, "seed": 5, "width": 2, **changes}))

    reference = build()
    torch.manual_seed(99)
    for same in (build(), build(dropout=0.5), build(heteroscedastic=True)):
        assert all(torch.equal(same[key], value) for key, value in reference.items())
    other = build(seed=6)
    assert not any(torch.equal(other[key], value) for key, value in reference.items() if key.endswith("weight"))


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_hes_and_biases_zero(name: str) -> None:
    network = models.build(name, shape=COLOUR, classes=10, seed=0, width=16, heteroscedastic=True)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            inputs = layer.weight[0].numel()
            spread = math.sqrt(2 / inputs)
            error = 5 * spread / math.sqrt(2 * layer.weight.numel())  # five standard errors
            assert abs(layer.weight.std().item() - spread) < error
            assert abs(layer.weight.mean().item()) < 5 * spread / math.sqrt(layer.weight.numel())
            assert layer.bias is not None and not layer.bias.any()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "fully_connected"])
def test_the_layout_is_channels_last_through_and_through(name: str) -> None:
    network = models.build(name, shape=COLOUR, classes=10, seed=0, width=4, dropout=0.5).train()
    seen = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.is_contiguous(memory_format=torch.channels_last)
        if isinstance(layer, (nn.Conv2d, Dropout)):
            layer.register_forward_hook(lambda _, x, y: seen.append(y.is_contiguous(memory_format=torch.channels_last)))
    network(torch.rand(2, *COLOUR).contiguous(memory_format=torch.channels_last))
    assert len(seen) > 4 and all(seen)


def test_the_second_head_is_the_softplus_of_a_head_like_the_first(untrained: Callable[..., Network]) -> None:
    network = untrained("basic_cnn_tutorial", heteroscedastic=True).eval()
    assert isinstance(network.head, nn.Linear) and isinstance(network.noise, nn.Linear)
    assert network.head.weight.shape == network.noise.weight.shape and not torch.equal(
        network.head.weight, network.noise.weight
    )
    x = torch.rand(3, 1, 28, 28)
    with torch.no_grad():
        features = network.body(x)
        logits, sigma = network.logits_and_sigma(x)
        assert torch.equal(logits, network(x)) and torch.equal(logits, network.head(features))
        torch.testing.assert_close(sigma, torch.log1p(network.noise(features).exp()))


def test_without_a_second_head_there_is_no_sigma(untrained: Callable[..., Network]) -> None:
    with pytest.raises(TypeError, match="heteroscedastic=True"):
        untrained().logits_and_sigma(torch.rand(1, 1, 28, 28))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "lenet"}, "network: unknown 'lenet'; expected one of basic_cnn, basic_cnn_tutorial, fully_"),
        ({"width": 0}, "width: expected a whole number of at least 1, got 0"),
        ({"width": -3}, "width: "),
        ({"width": 2.0}, "width: "),
        ({"dropout": 1.0}, "dropout: expected a finite number in [0, 0.999], got 1.0"),
        ({"dropout": -0.1}, "dropout: "),
        ({"dropout": math.nan}, "dropout: "),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        models.build(**{"name": "basic_cnn", "shape": GRAY, "classes": 10, "seed": 0, **change})
    assert str(caught.value).startswith(told)
