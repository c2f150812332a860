"""The networks of Song et al.: their sizes by arithmetic, their layers against plain functional code, their first weights."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lib import models
from lib.errors import BadValue
from lib.models import Network, song
from lib.models.song import Residual, Standardise

NAMES = ["yale_cnn", "fashion_cnn", "wide_resnet", "wide_resnet_short"]
RESIDUAL = ["wide_resnet", "wide_resnet_short"]
FACE, GRAY, COLOUR = (1, 192, 168), (1, 28, 28), (3, 32, 32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def narrow(name: str) -> int:
    return 16 if name in RESIDUAL else 2


def build(name: str, *, shape: models.Shape = COLOUR, seed: int = 0, width: int | None = None) -> Network:
    return models.build(name, shape=shape, classes=10, seed=seed, width=narrow(name) if width is None else width)


def with_other_numbers(network: Network) -> Network:
    """Normalisations and biases, too, which start at zero and one, and the statistics of the batches."""
    source = generator(9)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2, generator=source)
        elif value.dim() == 1:
            value.normal_(0.5 if name.endswith("weight") else 0.0, 0.3, generator=source)
    return network.eval()


# --- sizes ------------------------------------------------------------------------------------------------------------


def plain(channels: list[int], features: int, classes: int) -> int:
    """3x3 convolutions without biases, a dense layer of 200 and one of the classes, both with biases."""
    return sum(9 * a * b for a, b in pairwise(channels)) + features * 200 + 200 + 200 * classes + classes


def residual(units: int, width: int) -> int:
    """A convolution to 16 channels; in each unit two normalisations and two convolutions; one normalisation, one dense."""
    total, c = 9 * 3 * 16, 16
    for stage in range(3):
        wide = width << stage
        for _ in range(units):
            total += 2 * c + 9 * c * wide + 2 * wide + 9 * wide * wide
            c = wide
    return total + 2 * c + c * 10 + 10


@pytest.mark.parametrize(
    ("name", "shape", "classes", "width", "printed", "counted"),
    [
        # 192, 96, 48, 24, 12 rows; 168, 84, 42, 21, 11 columns.
        ("yale_cnn", FACE, 38, 8, 1_770_662, plain([1, 8, 8, 16, 16, 32, 32, 64, 64], 64 * 12 * 11, 38)),
        ("fashion_cnn", GRAY, 10, 256, 12_100_002, plain([1, 256, 256, 256, 512, 512, 512], 512 * 7 * 7, 10)),
        ("wide_resnet", COLOUR, 10, 160, 45_901_914, residual(5, 160)),
        ("wide_resnet_short", COLOUR, 10, 32, residual(1, 32), residual(1, 32)),
    ],
)
def test_parameter_counts(name: str, shape: models.Shape, classes: int, width: int, printed: int, counted: int) -> None:
    with torch.device("meta"):  # numbers of weights without the weights
        parts = models.ARCHITECTURES[name](shape, classes, width, 0.0)
        found = sum(w.numel() for part in (parts.body, parts.head()) for w in part.parameters())
    assert found == printed == counted


def test_the_paper_s_widths_are_known() -> None:
    assert {name: models.WIDTHS.get(name) for name in NAMES} == {
        "yale_cnn": 8,
        "fashion_cnn": 256,
        "wide_resnet": 160,
        "wide_resnet_short": None,
    }


@pytest.mark.parametrize(("name", "units"), [("wide_resnet", 5), ("wide_resnet_short", 1)])
def test_a_stage_has_its_units_and_the_second_and_third_halve_the_image(name: str, units: int) -> None:
    found = [layer for layer in build(name).modules() if isinstance(layer, Residual)]
    first = [0, units, 2 * units]
    assert len(found) == 3 * units and song.UNITS == 5
    assert [layer.stride for layer in found] == [2 if i in first[1:] else 1 for i in range(3 * units)]
    assert [layer.shared for layer in found] == [i == 0 for i in range(3 * units)]
    convolutions = [layer for unit in found for layer in unit.convolutions if isinstance(layer, nn.Conv2d)]
    wide = [16 << (i // units) for i in range(3 * units)]
    assert [layer.out_channels for layer in convolutions] == [c for c in wide for _ in range(2)]


@pytest.mark.parametrize("name", NAMES)
def test_the_classes_are_the_columns_for_any_size_of_image(name: str) -> None:
    for shape in ((1, 9, 7), (3, 16, 20)) if name not in RESIDUAL else ((1, 8, 12), (3, 16, 20)):
        network = models.build(name, shape=shape, classes=7, seed=0, width=narrow(name)).eval()
        with torch.no_grad():
            assert network(torch.rand(3, *shape)).shape == (3, 7)


# --- forward passes ---------------------------------------------------------------------------------------------------


def plain_by_hand(network: Network, x: Tensor, strides: list[int]) -> Tensor:
    *kernels, w1, b1, w, b = network.parameters()
    for kernel, stride in zip(kernels, strides, strict=True):
        x = F.conv2d(F.pad(x, (1, 1, 1, 1)), kernel, stride=stride).relu()
    return (x.permute(0, 2, 3, 1).reshape(len(x), -1) @ w1.T + b1).relu() @ w.T + b


def yale_by_hand(network: Network, x: Tensor) -> Tensor:
    return plain_by_hand(network, x, [1, 2, 1, 2, 1, 2, 1, 2])


def fashion_by_hand(network: Network, x: Tensor) -> Tensor:
    return plain_by_hand(network, x, [1, 1, 2, 1, 1, 2])


def residual_by_hand(network: Network, x: Tensor) -> Tensor:
    """Madry's `Model`: the activation before the first unit is shared, later ones are the unit's own; a leaky ReLU of 0.1."""
    values = iter(value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked"))

    def activate(h: Tensor) -> Tensor:
        gamma, beta, mean, variance = (next(values)[:, None, None] for _ in range(4))
        h = (h - mean) / (variance + 1e-3).sqrt() * gamma + beta
        return torch.where(h > 0, h, 0.1 * h)

    def convolve(h: Tensor, stride: int = 1) -> Tensor:
        return F.conv2d(F.pad(h, (1, 1, 1, 1)), next(values), stride=stride)

    pixels = 255 * x.double().flatten(1)
    least = torch.tensor(1 / math.sqrt(pixels.shape[1])).double()
    spread = torch.maximum(pixels.var(1, correction=0).sqrt(), least)
    h = convolve(((pixels - pixels.mean(1, keepdim=True)) / spread[:, None]).float().view(x.shape))
    units = [layer for layer in network.modules() if isinstance(layer, Residual)]
    for i in range(len(units)):
        grown = i > 0 and i % (len(units) // 3) == 0
        active = activate(h)
        around = active if i == 0 else h
        inner = convolve(activate(convolve(active, 2 if grown else 1)))
        if grown:
            around = (
                around[..., ::2, ::2] + around[..., 1::2, ::2] + around[..., ::2, 1::2] + around[..., 1::2, 1::2]
            ) / 4
        margin = torch.zeros(len(x), (inner.shape[1] - around.shape[1]) // 2, *around.shape[2:])
        h = inner + torch.cat([margin, around, margin], 1)
    h = activate(h).mean((2, 3))
    return h @ next(values).T + next(values)


@pytest.mark.parametrize(
    ("name", "shape", "by_hand"),
    [
        ("yale_cnn", (1, 24, 21), yale_by_hand),
        ("yale_cnn", COLOUR, yale_by_hand),
        ("fashion_cnn", GRAY, fashion_by_hand),
        ("fashion_cnn", (3, 9, 10), fashion_by_hand),
        ("wide_resnet", COLOUR, residual_by_hand),
        ("wide_resnet_short", COLOUR, residual_by_hand),
        ("wide_resnet_short", (1, 8, 12), residual_by_hand),
    ],
)
def test_the_forward_pass_is_that_of_the_source(
    name: str, shape: models.Shape, by_hand: Callable[[Network, Tensor], Tensor]
) -> None:
    width = 24 if name == "wide_resnet_short" else None  # wider than the first convolution: a margin there, too
    network = with_other_numbers(build(name, shape=shape, seed=3, width=width))
    x = torch.rand(3, *shape, generator=generator(1))
    with torch.no_grad():
        expected = by_hand(network, x)
        found = network(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert expected.std(0).mean() > 1e-3  # over the images


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    spread=st.sampled_from([0.0, 1e-4, 1e-3, 0.01, 0.1, 1.0]),
    seed=st.integers(0, 999),
)
def test_an_image_is_standardised_by_tensorflow_s_rule(shape: models.Shape, spread: float, seed: int) -> None:
    """`tf.image.per_image_standardization` of pixels 0 to 255: (x - mean) / max(std, 1 / sqrt(number of elements))."""
    x = 0.5 + spread * (torch.rand(3, *shape, generator=generator(seed)) - 0.5)
    pixels = 255 * x.double().numpy()
    least = 1 / math.sqrt(math.prod(shape))
    expected = np.stack([(image - image.mean()) / max(image.std(), least) for image in pixels])
    # A constant image leaves the rounding of its mean, divided by the least deviation.
    np.testing.assert_allclose(Standardise()(x).numpy(), expected, atol=2e-3, rtol=1e-3)


def test_no_images_are_standardised_without_a_warning() -> None:
    """Evaluations call attacks on none, to hear what they refuse."""
    with warnings.catch_warnings(action="error"):
        assert Standardise()(torch.zeros(0, 3, 8, 8)).shape == (0, 3, 8, 8)


def test_a_standardised_image_has_mean_0_and_deviation_1_whatever_its_neighbours() -> None:
    x = torch.rand(4, *COLOUR, generator=generator()) * torch.tensor([1.0, 0.5, 0.1, 0.0])[:, None, None, None]
    found = Standardise()(x)
    assert found.mean((1, 2, 3)).abs().max() < 1e-5 and bool((found[3] == 0).all())
    torch.testing.assert_close(found.std((1, 2, 3), correction=0), torch.tensor([1.0, 1.0, 1.0, 0.0]))
    torch.testing.assert_close(Standardise()(x[1:2]), found[1:2])


@pytest.mark.parametrize(("c", "wide", "stride"), [(4, 4, 1), (4, 8, 1), (4, 8, 2), (6, 10, 2), (4, 4, 2)])
@pytest.mark.parametrize("shared", [False, True])
def test_without_its_convolutions_a_unit_is_its_shortcut(c: int, wide: int, stride: int, shared: bool) -> None:
    """Averaged over blocks of the stride, the channels in the middle; activated where the activation is shared."""
    unit = Residual(c, wide, stride=stride, shared=shared).eval()
    last = unit.convolutions[-1]
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    x = torch.randn(2, c, 6, 4, generator=generator())
    with torch.no_grad():
        found = unit(x.clone()).numpy()
    h = x.numpy() / math.sqrt(1 + 1e-3) if shared else x.numpy()  # a normalisation that has seen nothing yet
    h = np.where(h > 0, h, 0.1 * h) if shared else h
    expected = np.zeros((2, wide, 6 // stride, 4 // stride), dtype=np.float32)
    low = (wide - c) // 2
    for i, j in np.ndindex(*expected.shape[2:]):
        block = h[:, :, i * stride : (i + 1) * stride, j * stride : (j + 1) * stride]
        expected[:, low : low + c, i, j] = block.mean((2, 3))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[:, :low].any() and not found[:, low + c :].any() and found.any()


def test_an_image_is_not_changed_in_place() -> None:
    """The activations are: none of them may be the input of the unit, or the image."""
    x = torch.randn(2, 16, 4, 4, generator=generator())
    for layer, argument in ((Residual(16, 16, stride=1, shared=False).eval(), x), (build("yale_cnn").eval(), None)):
        argument = torch.rand(2, *COLOUR, generator=generator()) if argument is None else argument
        before = argument.clone()
        layer(argument)
        assert torch.equal(argument, before)


def test_normalisations_have_tensorflow_s_numbers() -> None:
    """Epsilon 0.001, and a decay of 0.9: after a batch the mean is nine tenths of what it was and one of the batch's."""
    network = build("wide_resnet_short", shape=(3, 8, 8)).train()
    found = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(found) == 7 and {layer.eps for layer in found} == {1e-3}
    seen: list[Tensor] = []
    found[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    with torch.no_grad():
        found[0].running_mean = torch.ones(16)
        network(torch.rand(6, 3, 8, 8, generator=generator()))
    torch.testing.assert_close(found[0].running_mean, 0.9 + 0.1 * seen[0].mean((0, 2, 3)))


# --- first weights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_convolutions_are_normal_by_their_fan_out_and_dense_layers_uniform_by_their_fan_in(name: str) -> None:
    network = build(name, width=16)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    for layer in convolutions:
        n, spread = layer.weight.numel(), math.sqrt(2 / (9 * layer.out_channels))
        assert layer.bias is None and layer.kernel_size == (3, 3)
        assert abs(layer.weight.std().item() - spread) < 5 * spread / math.sqrt(2 * n)  # five standard errors
        assert abs(layer.weight.mean().item()) < 5 * spread / math.sqrt(n)
        assert n < 2000 or layer.weight.abs().max().item() > 2.5 * spread  # a normal number is, a uniform one never
    dense = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    for linear in dense:
        n, spread = linear.weight.numel(), 1 / math.sqrt(linear.in_features)
        # The fourth moment of a uniform number is 1.8: a standard error of sqrt(0.8 / 4n) of its deviation.
        assert abs(linear.weight.std().item() - spread) < 5 * spread * math.sqrt(0.2 / n)
        assert 0.97 * math.sqrt(3) * spread < linear.weight.abs().max().item() <= math.sqrt(3) * spread * (1 + 1e-6)
        assert not linear.bias.any()
    assert len(dense) == (1 if name in RESIDUAL else 2)
    for norm in (layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)):
        assert bool((norm.weight == 1).all()) and not norm.bias.any()


def test_weights_come_from_the_seed() -> None:
    first, again, other = (build("wide_resnet_short", seed=seed).state_dict() for seed in (4, 4, 5))
    drawn = [name for name, value in first.items() if value.dim() > 1]
    assert len(drawn) == 1 + 6 + 1
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_dropout_is_refused(name: str, dropout: float) -> None:
    with pytest.raises(BadValue) as caught:
        models.build(name, shape=GRAY, classes=10, seed=0, width=16, dropout=dropout)
    assert str(caught.value) == f"dropout: expected 0, for this network has none, got {dropout}"


@pytest.mark.parametrize("name", RESIDUAL)
@pytest.mark.parametrize("width", [1, 15, 17])
def test_a_width_whose_shortcuts_cannot_be_padded_on_both_sides_alike_is_refused(name: str, width: int) -> None:
    with pytest.raises(BadValue, match=r"^width: "):
        build(name, width=width)
