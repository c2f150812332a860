"""The networks: their sizes counted by hand, their layers against plain functional code, their weights by seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

from lib import data, models
from lib.errors import BadValue
from lib.layers import Dropout, set_sampling
from lib.models import Network

NAMES = list(models.ARCHITECTURES)
GRAY, COLOUR = (1, 28, 28), (3, 32, 32)
SONG = ["yale_cnn", "fashion_cnn", "wide_resnet", "wide_resnet_short"]
"""Without dropout, and with first weights of their own: `test_song_models` has the rest."""
WIDTHS = {
    "fully_connected": 200,
    "lenet5": 6,
    "shadow_coded": 32,
    "yale_cnn": 8,
    "fashion_cnn": 256,
    "wide_resnet": 160,
}
"""Of the papers, where it is not 64."""


def narrow(name: str, width: int) -> int:
    """A small width, if the network can have one."""
    return {"resnet18": 64, "wide_resnet": 16, "wide_resnet_short": 16}.get(name, width)


def rate(name: str, dropout: float) -> float:
    """Of dropout, if the network can have any."""
    return 0.0 if name in SONG else dropout


def conv(c: int, filters: int, side: int) -> int:
    return c * filters * side * side + filters


def dense(inputs: int, classes: int) -> int:
    return inputs * classes + classes


def residual(c: int) -> int:
    """The four stages of He et al. (2016) for 18 layers; a convolution has no bias, a normalisation two numbers a channel."""
    total = c * 64 * 49 + 2 * 64
    for before, filters in ((64, 64), (64, 128), (128, 256), (256, 512)):
        total += 9 * filters * (before + 3 * filters) + 4 * 2 * filters
        total += before * filters + 2 * filters if before != filters else 0  # the way around
    return total


HIDDEN = dense(120, 84) + dense(84, 10)  # LeNet-5's last layers


@pytest.mark.parametrize(
    ("name", "shape", "printed", "counted"),
    [
        # The two totals that the CleverHans tutorials' networks have.
        ("basic_cnn_tutorial", GRAY, 710_218, conv(1, 64, 8) + conv(64, 128, 6) + conv(128, 128, 5) + dense(128, 10)),
        (
            "fully_convolutional_tutorial",
            COLOUR,
            2_334_730,
            conv(3, 64, 3)
            + conv(64, 128, 3)
            + conv(128, 128, 3)
            + conv(128, 256, 3)
            + conv(256, 256, 3)
            + conv(256, 512, 3)
            + conv(512, 10, 3),
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
        # LeNet-5, whose 400 features are 16 maps of 5x5, whether 28x28 with a margin or 32x32.
        ("lenet5", GRAY, 61_706, conv(1, 6, 5) + conv(6, 16, 5) + dense(400, 120) + HIDDEN),
        ("lenet5", COLOUR, 62_006, conv(3, 6, 5) + conv(6, 16, 5) + dense(400, 120) + HIDDEN),
        # 28 rows: 24, 12, 8, 4, 2, 1; a filter looks at five or three rows of all columns, or of all channels.
        (
            "lenet5_coded",
            GRAY,
            125_886,
            (28 * 5 * 64 + 64) + (64 * 5 * 128 + 128) + (128 * 3 * 128 + 128) + dense(128, 120) + HIDDEN,
        ),
        ("resnet18", COLOUR, 11_181_642, residual(3) + dense(512, 10)),
        ("resnet18", GRAY, 11_175_370, residual(1) + dense(512, 10)),
        # 28: 26, 13, 11, 5; 32: 30, 15, 13, 6.
        ("shadow_coded", GRAY, 221_950, conv(1, 32, 3) + conv(32, 64, 3) + dense(64 * 25, 120) + HIDDEN),
        ("shadow_coded", COLOUR, 307_006, conv(3, 32, 3) + conv(32, 64, 3) + dense(64 * 36, 120) + HIDDEN),
    ],
)
def test_parameter_counts(name: str, shape: models.Shape, printed: int, counted: int) -> None:
    network = models.build(name, shape=shape, classes=10, seed=0, width=WIDTHS.get(name, 64))
    assert sum(p.numel() for p in network.parameters()) == printed == counted


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dataset", "shape"), data.SHAPES.items())
def test_logits_and_sigma_have_a_row_an_image_and_a_column_a_class(
    name: str, dataset: str, shape: models.Shape
) -> None:
    classes = len(data.CLASSES[dataset])
    network = models.build(
        name, shape=shape, classes=classes, seed=0, width=narrow(name, 1), dropout=rate(name, 0.5), heteroscedastic=True
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


def lenet_by_hand(network: Network, x: Tensor) -> Tensor:
    """LeCun et al. (1998), Figure 2, with ReLU: images smaller than 32x32 stand in the middle of such a one."""
    w1, b1, w2, b2, *dense = weights(network)
    margin = (32 - x.shape[2]) // 2
    h = F.avg_pool2d(F.conv2d(F.pad(x, (margin,) * 4), w1, b1).relu(), 2)
    return three_dense(F.avg_pool2d(F.conv2d(h, w2, b2).relu(), 2), dense, torch.relu)


def shadow_by_hand(network: Network, x: Tensor) -> Tensor:
    """Two convolutions without padding, each with max pooling, and LeNet-5's dense layers."""
    w1, b1, w2, b2, *dense = weights(network)
    h = F.max_pool2d(F.conv2d(x, w1, b1).relu(), 2)
    return three_dense(F.max_pool2d(F.conv2d(h, w2, b2).relu(), 2), dense, torch.relu)


def three_dense(h: Tensor, parameters: list[Tensor], activation: Callable[[Tensor], Tensor]) -> Tensor:
    w1, b1, w2, b2, w, b = parameters
    h = activation(h.permute(0, 2, 3, 1).reshape(len(h), -1) @ w1.T + b1)
    return activation(h @ w2.T + b2) @ w.T + b


@pytest.mark.parametrize("shape", [GRAY, COLOUR])
@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("basic_cnn", basic_by_hand),
        ("basic_cnn_tutorial", tutorial_by_hand),
        ("fully_convolutional", fully_convolutional_by_hand),
        ("fully_convolutional_tutorial", all_convolutional_by_hand),
        ("fully_connected", fully_connected_by_hand),
        ("lenet5", lenet_by_hand),
        ("shadow_coded", shadow_by_hand),
    ],
)
def test_the_forward_pass_is_that_of_the_source(
    name: str, by_hand: Callable[[Network, Tensor], Tensor], shape: models.Shape
) -> None:
    network = with_other_weights(models.build(name, shape=shape, classes=10, seed=3, width=2).eval())
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = by_hand(network, x)
        torch.testing.assert_close(
            network(x.contiguous(memory_format=torch.channels_last)), expected, atol=1e-4, rtol=1e-4
        )
    assert expected.std() > 0.01


def with_other_weights(network: Network) -> Network:
    for parameter in network.parameters():  # biases too, which start at zero
        nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    return network


def test_what_the_code_calls_lenet_reads_a_grey_image_row_by_row() -> None:
    """As the code has it: 1-D convolutions and pooling over a sequence of rows, whose channels are the columns."""
    network = with_other_weights(models.build("lenet5_coded", shape=GRAY, classes=10, seed=3, width=2).eval())
    x = torch.rand(3, *GRAY, generator=torch.Generator().manual_seed(1))
    w1, b1, w2, b2, w3, b3, *dense = weights(network)
    h = x[:, 0].transpose(1, 2)  # (n, columns, rows)
    for w, b in ((w1.squeeze(1).transpose(1, 2), b1), (w2[..., 0], b2), (w3[..., 0], b3)):
        h = F.avg_pool1d(F.conv1d(h, w, b).tanh(), 2)
    assert h.shape == (3, 4, 1)
    with torch.no_grad():
        torch.testing.assert_close(network(x), three_dense(h[..., None], dense, torch.tanh), atol=1e-5, rtol=1e-4)
        assert network(x).std() > 0.01


def test_resnet_is_torchvisions_but_for_the_channels_of_its_first_layer() -> None:
    reference = resnet18(num_classes=10).eval()
    network = models.build("resnet18", shape=COLOUR, classes=10, seed=3, dropout=0.4).eval()
    known = {f"body.{name}": value for name, value in reference.state_dict().items() if not name.startswith("fc.")}
    network.load_state_dict({**known, "head.weight": reference.fc.weight, "head.bias": reference.fc.bias})
    x = torch.rand(2, *COLOUR, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network(x), reference(x), atol=1e-5, rtol=1e-4)
        reference.conv1.weight.copy_(reference.conv1.weight[:, :1].clone().expand(-1, 3, -1, -1))
        grey = models.build("resnet18", shape=GRAY, classes=10, seed=3).eval()
        first = {"body.conv1.weight": reference.conv1.weight[:, :1]}
        grey.load_state_dict({**network.state_dict(), **first})
        spread_out = x[:, :1].expand(-1, 3, -1, -1) / 3  # the three channels of such an image sum to the grey one
        torch.testing.assert_close(grey(x[:, :1]), reference(spread_out), atol=1e-5, rtol=1e-4)


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


@pytest.mark.parametrize("name", ["lenet5", "lenet5_coded", "shadow_coded"])
def test_dropout_stands_before_every_layer_with_weights_but_the_first(name: str) -> None:
    network = models.build(name, shape=COLOUR, classes=10, seed=0, width=6, dropout=0.4)
    order = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear, Dropout))]
    weighted = order[::2]
    assert not any(isinstance(layer, Dropout) for layer in weighted) and isinstance(weighted[-1], nn.Linear)
    assert len(weighted) == (6 if name == "lenet5_coded" else 5) == len(order) // 2 + 1
    assert all(isinstance(layer, Dropout) and layer.p == 0.4 for layer in order[1::2])


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_before_the_first_dropout_and_the_rest_are_the_network(name: str) -> None:
    dropout = 0.0 if name in SONG else 0.4
    shape = data.SHAPES["yale"] if name == "yale_cnn" else COLOUR if "wide" in name else GRAY
    width = {"resnet18": 64, "wide_resnet": 16, "wide_resnet_short": 16}.get(name, 4)
    network = models.build(name, shape=shape, classes=10, seed=0, width=width, dropout=dropout).eval()
    x = torch.rand(2, *shape)
    with torch.no_grad():
        before, after = network.around_dropout()
        shared = before(x)
        assert torch.equal(after(shared), network(x))
        set_sampling(network, sampling=True, generator=torch.Generator().manual_seed(0))
        assert torch.equal(before(x), shared)


def test_in_resnet_dropout_follows_every_relu() -> None:
    network = models.build("resnet18", shape=GRAY, classes=10, seed=0, dropout=0.4).eval()
    called: list[nn.Module] = []
    for layer in network.modules():
        if isinstance(layer, (nn.ReLU, Dropout)):
            layer.register_forward_hook(lambda layer, *_: called.append(layer))
    with torch.no_grad():
        network(torch.rand(1, *GRAY))
    assert [type(layer) for layer in called] == [nn.ReLU, Dropout] * 17  # of the stem, and two in each of eight blocks
    assert {layer.p for layer in called if isinstance(layer, Dropout)} == {0.4}


def state(network: nn.Module) -> dict[str, Tensor]:
    return network.state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_alone_makes_the_weights(name: str) -> None:
    """Not the global generator, not the dropout rate, not a second head: body and first head stay the same."""

    def build(**changes: Any) -> dict[str, Tensor]:
        usual = {"shape": GRAY, "classes": 10, "seed": 5, "width": narrow(name, 2)}
        return state(models.build(name, **{**usual, **changes}))

    reference = build()
    torch.manual_seed(99)
    for same in (build(), build(dropout=rate(name, 0.5)), build(heteroscedastic=True)):
        assert all(torch.equal(same[key], value) for key, value in reference.items())
    other = build(seed=6)
    drawn = [key for key, value in reference.items() if value.dim() > 1]  # a normalisation starts at one
    assert len(drawn) >= 3 and not any(torch.equal(other[key], reference[key]) for key in drawn)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SONG])
def test_weights_are_hes_and_biases_zero(name: str) -> None:
    network = models.build(name, shape=COLOUR, classes=10, seed=0, width=narrow(name, 16), heteroscedastic=True)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            inputs = layer.weight[0].numel()
            spread = math.sqrt(2 / inputs)
            error = 5 * spread / math.sqrt(2 * layer.weight.numel())  # five standard errors
            assert abs(layer.weight.std().item() - spread) < error
            assert abs(layer.weight.mean().item()) < 5 * spread / math.sqrt(layer.weight.numel())
            if isinstance(layer, nn.Conv2d) and name == "resnet18":  # the normalisation behind it has one
                assert layer.bias is None
            else:
                assert layer.bias is not None and not layer.bias.any()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "fully_connected"])
def test_the_layout_is_channels_last_through_and_through(name: str) -> None:
    settings = {"width": narrow(name, 4), "dropout": rate(name, 0.5)}
    network = models.build(name, shape=COLOUR, classes=10, seed=0, **settings).train()
    seen: list[Tensor] = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.is_contiguous(memory_format=torch.channels_last)
        if isinstance(layer, (nn.Conv2d, Dropout)):
            layer.register_forward_hook(lambda _, x, y: seen.append(y))
    network(torch.rand(2, *COLOUR).contiguous(memory_format=torch.channels_last))
    maps, rows = ([y for y in seen if y.dim() == dimensions] for dimensions in (4, 2))
    assert len(seen) > 4 and len(maps) >= 3 and len(maps) + len(rows) == len(seen)
    assert all(y.is_contiguous(memory_format=torch.channels_last) for y in maps)
    assert all(y.is_contiguous() for y in rows)


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
        ({"name": "resnet18", "width": 32}, "width: expected 64, which torchvision's ResNet-18 has, got 32"),
        ({"dropout": 1.0}, "dropout: expected a finite number in [0, 0.999], got 1.0"),
        ({"dropout": -0.1}, "dropout: "),
        ({"dropout": math.nan}, "dropout: "),
        ({"classes": 0}, "classes: expected a whole number of at least 1, got 0"),
        ({"shape": (28, 28)}, "shape: expected channels, height and width, got (28, 28)"),
        ({"shape": (1, 28, 0)}, "shape: expected a whole number of at least 1, got 0"),
        ({"seed": 1.0}, "seed: expected a whole number of at least 0, got 1.0"),
        ({"seed": None}, "seed: "),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        models.build(**{"name": "basic_cnn", "shape": GRAY, "classes": 10, "seed": 0, **change})
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(("name", "counted"), [("lenet5", 61_706), ("fashion_cnn", 12_100_002)])
def test_a_network_has_the_width_of_its_paper_unless_it_is_told(name: str, counted: int) -> None:
    network = models.build(name, shape=GRAY, classes=10, seed=0)
    assert sum(weight.numel() for weight in network.parameters()) == counted


def test_building_a_network_leaves_pytorchs_own_generator_where_it_was() -> None:
    before = torch.get_rng_state()
    models.build("basic_cnn", shape=GRAY, classes=10, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore:std_mean")  # of nothing
@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_no_images_have_no_logits(name: str) -> None:
    shape = data.SHAPES["yale"] if name == "yale_cnn" else COLOUR if "wide" in name or name == "resnet18" else GRAY
    assert models.build(name, shape=shape, classes=10, seed=0)(torch.rand(0, *shape)).shape == (0, 10)


def test_the_widths_of_a_paper_are_those_of_its_networks() -> None:
    """`models.WIDTHS` has them where they are not 64, which the parameter counts above rely on too."""
    assert models.WIDTHS == WIDTHS


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lenet5", (1, 8, 8)),
        ("basic_cnn_tutorial", (1, 8, 8)),
        ("lenet5_coded", (1, 2, 2)),
        ("wide_resnet_short", (3, 27, 27)),
    ],
)
def test_images_that_a_network_cannot_take_are_refused_when_it_is_built(name: str, shape: tuple[int, int, int]) -> None:
    with pytest.raises(BadValue) as caught:
        models.build(name, shape=shape, classes=10, seed=0)
    assert str(caught.value).startswith(f"shape: expected images that {name} can take, got {shape} (")
