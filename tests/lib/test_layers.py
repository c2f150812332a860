"""Dropout by what defines it (rate, scale, seed, gradient, independence of its units) and the flattening."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib import seeds
from lib.errors import BadValue
from lib.layers import Conv2d, Dropout, Flatten, set_sampling

RATES = [0.1, 0.4, 0.5, 0.9]
N = 200_000


def sampler(p: float, seed: int = 0) -> Dropout:
    """A layer that draws at inference."""
    layer = Dropout(p).eval()
    set_sampling(layer, sampling=True, generator=seeds.generator(seed, "test"))
    return layer


@pytest.mark.parametrize("p", [*RATES, 0.25, 0.001, 0.999])
def test_the_share_of_kept_units_is_binomial(p: float) -> None:
    kept = int((sampler(p)(torch.ones(N)) != 0).sum())
    # p is exact to 2^-17, which moves the mean by less than two units
    assert abs(kept - (1 - p) * N) < 5 * math.sqrt(p * (1 - p) * N) + 2


@pytest.mark.parametrize("p", RATES)
def test_every_unit_is_kept_equally_often_and_independently(p: float) -> None:
    """Eight units share one random word: neither the place in the word nor a neighbour may matter."""
    mask = (sampler(p)(torch.ones(N)) != 0).double()
    spread = math.sqrt(p * (1 - p))
    by_place = mask.view(-1, 8).mean(0)
    assert float((by_place - (1 - p)).abs().max()) < 5 * spread / math.sqrt(N / 8) + 1e-5
    centred = mask - mask.mean()
    for lag in range(1, 17):
        correlation = float((centred[lag:] * centred[:-lag]).mean()) / spread**2
        assert abs(correlation) < 5 / math.sqrt(N)


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kept_units_are_scaled_by_exactly_the_inverse_of_the_rate(p: float, dtype: torch.dtype) -> None:
    x = torch.linspace(-3, 7, 1001, dtype=dtype)
    y = sampler(p)(x)
    kept = y != 0
    assert 0 < int(kept.sum()) < 1001
    assert y.dtype == dtype and torch.equal(y[kept], x[kept] * torch.tensor(1 / (1 - p), dtype=dtype))


def test_in_bfloat16_the_scale_of_one_half_is_still_exact() -> None:
    y = sampler(0.5)(torch.ones(1000, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16 and set(y.tolist()) == {0.0, 2.0}


def test_the_mean_over_draws_is_the_input() -> None:
    layer, x = sampler(0.4), torch.tensor([[1.0, -2.0, 5.0]])
    draws = layer(x.repeat(100_000, 1))
    error = x.abs() * math.sqrt(0.4 / 0.6 / 100_000)  # of one unit: x² p / (1 - p)
    assert bool(((draws.mean(0) - x).abs() < 5 * error).all())


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 5, 7), (1, 1, 1, 1), (4, 0)])
@pytest.mark.parametrize("p", [0.4, 0.5])
def test_the_same_seed_is_the_same_mask_and_another_call_is_another(shape: tuple[int, ...], p: float) -> None:
    x = torch.ones(shape)
    first, second = sampler(p, 1), sampler(p, 1)
    calls = [first(x) for _ in range(20)]
    assert all(torch.equal(call, second(x)) for call in calls)
    if x.numel():
        assert len({tuple(call.flatten().tolist()) for call in calls}) > 1
        others = [sampler(p, seed)(x) for seed in range(2, 22)]
        assert len({tuple(other.flatten().tolist()) for other in others}) > 1


def test_without_a_generator_of_its_own_the_global_one_is_used() -> None:
    layer, x = Dropout(0.5).train(), torch.ones(100)
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        first = layer(x)
        torch.manual_seed(3)
        assert torch.equal(layer(x), first)


def test_its_own_generator_leaves_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    sampler(0.5)(torch.ones(100))
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_on_while_training_or_sampling_and_off_otherwise() -> None:
    layer, x = Dropout(0.5), torch.ones(100)
    assert layer.training and not torch.equal(layer(x), x)
    layer.eval()
    assert layer(x) is x
    set_sampling(layer, sampling=True)
    assert not torch.equal(layer(x), x)
    set_sampling(layer, sampling=False)
    assert layer(x) is x
    layer.train()
    assert not torch.equal(layer(x), x)


def test_a_rate_of_zero_changes_nothing_and_draws_nothing() -> None:
    generator, x = torch.Generator().manual_seed(0), torch.rand(50)
    layer = Dropout(0.0).train()
    layer.generator = generator
    before = generator.get_state()
    assert layer(x) is x and torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 1, 5, 7), (2, 3, 1, 1), (8, 16, 4, 4)])
def test_the_result_keeps_the_layout_and_is_the_input_or_nothing(layout: torch.memory_format, shape: Any) -> None:
    """The mask is laid out in memory as the images are, so no layout is converted, and each unit has its own bit."""
    x = torch.rand(shape).add_(1).contiguous(memory_format=layout)
    y = sampler(0.5)(x)
    assert y.shape == x.shape and y.is_contiguous(memory_format=layout)
    assert bool(((y == 0) | (y == 2 * x)).all())
    in_memory = torch.as_strided(y, (y.numel(),), (1,))
    assert torch.equal(in_memory != 0, sampler(0.5)(torch.ones(y.numel())) != 0)


def test_a_view_that_is_contiguous_in_neither_way_is_masked_too() -> None:
    x = torch.rand(4, 6, 5, 7).add_(1)[:, ::2].transpose(2, 3)
    y = sampler(0.5)(x)
    assert y.shape == x.shape and bool(((y == 0) | (y == 2 * x)).all()) and 0 < int((y == 0).sum()) < y.numel()


@pytest.mark.parametrize("p", RATES)
def test_the_gradient_is_the_mask(p: float) -> None:
    x = torch.ones(2, 3, 5, 7, requires_grad=True)
    y = sampler(p)(x)
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, y.detach())


def test_sampling_is_set_in_every_nested_layer_and_keeps_a_generator_unless_given_one() -> None:
    inner = Dropout(0.5)
    network = nn.Sequential(Dropout(0.1), nn.Sequential(nn.Linear(2, 2), nn.ModuleList([inner])))
    generator = torch.Generator()
    set_sampling(network, sampling=True, generator=generator)
    assert inner.sampling and inner.generator is generator
    set_sampling(network, sampling=False)
    assert not inner.sampling and inner.generator is generator


@pytest.mark.parametrize("p", [1.0, 1.5, -0.1, math.nan, math.inf, True, "0.5", None])
def test_a_rate_that_is_none_is_refused(p: Any) -> None:
    with pytest.raises(BadValue, match=r"^dropout: expected a finite number in \[0, 0.999\], got "):
        Dropout(p)


def test_the_printed_layer_tells_its_rate() -> None:
    assert repr(Dropout(0.25)) == "Dropout(p=0.25)"


def test_flatten_is_tensorflows_order_and_a_view_of_channels_last() -> None:
    x = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    expected = torch.stack([x[n, c, h, w] for n in range(2) for h in range(4) for w in range(5) for c in range(3)])
    assert torch.equal(Flatten()(x), expected.view(2, 60))
    last = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(Flatten()(last), expected.view(2, 60)) and Flatten()(last).data_ptr() == last.data_ptr()


# --- convolutions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("size", "k", "stride", "padding", "dense"),
    [
        ((1, 1), 3, 1, 1, True),
        ((2, 2), 3, 1, 1, True),
        ((2, 2), 3, 2, 1, True),
        ((1, 2), 3, 1, 1, True),
        ((3, 3), 3, 1, 0, True),
        ((2, 3), 5, 1, 2, True),
        ((3, 3), 5, 2, 2, True),
        ((4, 4), 3, 4, 0, False),
        ((3, 3), 3, 1, 1, False),
        ((2, 3), 3, 1, 1, False),
        ((8, 8), 3, 2, 1, False),
        ((7, 5), 1, 1, 0, False),
    ],
)
def test_a_convolution_is_pytorch_s_and_a_dense_layer_where_every_pixel_sees_every_pixel(
    size: tuple[int, int], k: int, stride: int, padding: int, dense: bool, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    ours = Conv2d(3, 4, k, stride, padding, bias=bias).double()
    theirs = nn.Conv2d(3, 4, k, stride, padding, bias=bias).double()
    theirs.load_state_dict(ours.state_dict())
    asked = []
    monkeypatch.setattr(Conv2d, "_conv_forward", lambda self, *a: asked.append(1) or F.conv2d(*a, stride, padding))
    x = torch.randn(5, 3, *size).double().requires_grad_()
    for source in (x, x.contiguous(memory_format=torch.channels_last)):
        results = []
        for layer in (ours, theirs):
            out = layer(source)
            (out * torch.linspace(-1, 2, out.numel()).double().view(out.shape)).sum().backward()
            results.append([out.detach(), x.grad, *(p.grad for p in layer.parameters())])
            x.grad = None
            layer.zero_grad()
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other)
    assert bool(asked) != dense


@pytest.mark.parametrize("bias", [False, True])
def test_a_dense_layer_answers_in_the_precision_of_a_convolution(bias: bool) -> None:
    for size in (2, 8):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert Conv2d(3, 4, 3, padding=1, bias=bias)(torch.rand(2, 3, size, size)).dtype == torch.bfloat16


def test_an_image_too_small_for_its_kernel_is_pytorch_s_error() -> None:
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size can't be greater"):
        Conv2d(1, 1, 5)(torch.zeros(1, 1, 2, 2))
