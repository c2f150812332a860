"""The training loop: that it learns, that a seed repeats it to the bit, and that its parts do what their names say."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lib import seeds, training
from lib.data import Split
from lib.errors import BadValue
from lib.models import Network
from lib.training import TrainingConfig, TrainingFailed, fit, flip_and_shift


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig(**{"epochs": 2, "batch_size": 64, "precision": "float32", **changes})


def weights(network: Network) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


KINDS = [{}, {"dropout": 0.5}, {"heteroscedastic": True}]
IDS = ["none", "epistemic", "aleatoric"]


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_the_loss_falls(kind: dict[str, Any], precision: str, untrained: Callable[..., Network], few: Split) -> None:
    network = untrained("basic_cnn", **kind)
    losses = fit(network, few, config(epochs=4, batch_size=32, learning_rate=0.01, precision=precision), seed=0)
    assert len(losses) == 4 and losses[-1] < 0.6 * losses[0] and losses[-1] < math.log(10)
    assert not network.training and {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_what_it_learns_holds_for_images_it_has_not_seen(trained: Network, digits: Any) -> None:
    x, y = digits.test.take(torch.arange(360))
    with torch.no_grad():
        right = (trained(x).argmax(1) == y).double().mean().item()
    assert right > 0.8  # a guess is right once in ten


def test_the_loss_of_an_epoch_is_the_mean_over_images(untrained: Callable[..., Network], few: Split) -> None:
    """Also where the last batch is a small one: at a learning rate of zero it is the loss of the whole set."""
    network = untrained()
    before = weights(network)
    losses = fit(network, few, config(batch_size=77, learning_rate=0.0, label_smoothing=0.0), seed=0)
    x, y = few.take(torch.arange(len(few)))
    with torch.no_grad():
        expected = F.cross_entropy(network(x), y).item()
    assert losses == pytest.approx([expected, expected], rel=1e-5)
    assert torch.equal(weights(network), before)


def test_the_first_step_is_adams(untrained: Callable[..., Network], few: Split) -> None:
    """Adam's first step moves each weight by the learning rate against the sign of its gradient."""
    network = untrained()
    reference = copy.deepcopy(network)
    x, y = few.take(torch.arange(len(few)))
    F.cross_entropy(reference(x), y, label_smoothing=0.1).backward()
    fit(network, few, config(epochs=1, batch_size=len(few), learning_rate=0.01), seed=0)
    checked = 0
    for after, before in zip(network.parameters(), reference.parameters(), strict=True):
        assert before.grad is not None
        clear = before.grad.abs() > 1e-4  # where the rounding of a gradient cannot matter
        expected = before - 0.01 * before.grad / (before.grad.abs() + 1e-8)
        torch.testing.assert_close(after[clear], expected[clear], atol=1e-6, rtol=0)
        checked += int(clear.sum())
    assert checked > 0.5 * len(weights(network))


def test_every_image_is_seen_once_an_epoch_in_an_order_that_changes(
    untrained: Callable[..., Network], few: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    noise: list[int] = []

    def watch(x: Tensor, generator: torch.Generator) -> Tensor:
        seen.extend(image.numpy().tobytes() for image in x)
        noise.append(generator.initial_seed())
        return x

    monkeypatch.setitem(training.AUGMENTATIONS, "none", watch)
    for seed in (0, 1):
        fit(untrained(), few, config(batch_size=64), seed=seed)
    expected = [image.numpy().tobytes() for image in few.take(torch.arange(200))[0]]
    epochs = [seen[start : start + 200] for start in range(0, 800, 200)]  # two of each seed
    assert len(seen) == 800 and all(sorted(epoch) == sorted(expected) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [expected, *epochs]}) == 5
    assert noise == [seeds.derive(0, "training noise")] * 8 + [seeds.derive(1, "training noise")] * 8


def test_the_data_are_left_alone(untrained: Callable[..., Network], few: Split) -> None:
    images, labels = few.images.clone(), few.labels.clone()
    fit(untrained(), few, config(augmentation="flip_and_shift"), seed=0)
    assert torch.equal(few.images, images) and torch.equal(few.labels, labels)


# --- seeds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_a_seed_repeats_the_training_to_the_bit(
    kind: dict[str, Any], precision: str, untrained: Callable[..., Network], few: Split
) -> None:
    settings = config(augmentation="flip_and_shift", precision=precision)

    def run(seed: int) -> tuple[Tensor, list[float]]:
        network = untrained(**kind)
        losses = fit(network, few, settings, seed=seed)
        return weights(network), losses

    before = torch.get_rng_state()
    first = run(1)
    torch.manual_seed(77)
    again, other = run(1), run(2)
    torch.set_rng_state(before)
    assert torch.equal(first[0], again[0]) and first[1] == again[1]
    assert not torch.equal(first[0], other[0]) and first[1] != other[1]


def test_no_purpose_shares_a_stream_with_another() -> None:
    """And the derivation may not change: every recorded result depends on it."""
    assert seeds.derive(0, "weights") == 133_441_691_874_178_746
    derived = [seeds.derive(seed, purpose) for seed in range(50) for purpose in ("weights", "order", "training noise")]
    assert len(set(derived)) == 150 and all(0 <= value < 2**63 for value in derived)
    draws = [torch.rand(8, generator=seeds.generator(0, purpose)) for purpose in ("weights", "order", "weights")]
    assert torch.equal(draws[0], draws[2]) and not torch.equal(draws[0], draws[1])


# --- failing ----------------------------------------------------------------------------------------------------------


def test_weights_that_are_nan_fail_in_the_first_step(untrained: Callable[..., Network], few: Split) -> None:
    network = untrained()
    with torch.no_grad():
        next(network.parameters()).fill_(math.nan)
    with pytest.raises(TrainingFailed, match=r"^epoch 1: loss is nan \(first step\); lower the learning rate or check"):
        fit(network, few, config(), seed=0)


@pytest.mark.parametrize(
    ("poisoned", "told"), [(5, "epoch 2: loss is nan (first step)"), (7, "epoch 2: loss is nan (mean)")]
)
def test_a_loss_that_becomes_nan_later_names_its_epoch(
    poisoned: int, told: str, untrained: Callable[..., Network], few: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps an epoch: the fifth is the first of the second epoch, the seventh is seen at the epoch's end."""
    steps = iter(range(1, 100))

    def poison(x: Tensor, generator: torch.Generator) -> Tensor:
        return x * math.nan if next(steps) == poisoned else x

    monkeypatch.setitem(training.AUGMENTATIONS, "none", poison)
    with pytest.raises(TrainingFailed) as caught:
        fit(untrained(), few, config(epochs=3), seed=0)
    assert str(caught.value).startswith(told)


def test_a_loss_that_overflows_fails(untrained: Callable[..., Network], few: Split) -> None:
    network = untrained()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1e15)
    with pytest.raises(TrainingFailed, match=r"^epoch 1: loss is (inf|nan) \(first step\)"):
        fit(network, few, config(), seed=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 0),
        ("batch_size", -128),
        ("learning_rate", -1e-3),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "1/1000"),
        ("learning_rate", 11),
        ("label_smoothing", 1.0),
        ("label_smoothing", -0.1),
        ("augmentation", "rotate"),
        ("precision", "float16"),
    ],
)
def test_bad_settings_are_named(name: str, value: Any) -> None:
    with pytest.raises(BadValue, match=rf"^{name}: "):
        config(**{name: value})


# --- flipping and shifting --------------------------------------------------------------------------------------------


def windows(image: np.ndarray) -> list[np.ndarray]:
    """The 81 shifts of an image (c, h, w) with reflected edges, then their mirror images: top, left, mirrored."""
    _, h, w = image.shape
    padded = np.pad(image, ((0, 0), (4, 4), (4, 4)), mode="reflect")
    straight = [padded[:, top : top + h, left : left + w] for top in range(9) for left in range(9)]
    return straight + [window[:, :, ::-1] for window in straight]


@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 13, 11), (3, 32, 32)])
def test_every_output_is_one_window_of_its_own_image(shape: tuple[int, int, int]) -> None:
    x = torch.rand(40, *shape, generator=torch.Generator().manual_seed(0))
    y = flip_and_shift(x.contiguous(memory_format=torch.channels_last), torch.Generator().manual_seed(1))
    assert y.shape == x.shape and y.dtype == x.dtype
    for image, augmented in zip(x.numpy(), y.numpy(), strict=True):
        assert sum(np.array_equal(window, augmented) for window in windows(image)) == 1


def test_all_162_windows_are_equally_likely() -> None:
    image = torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(0))
    n = 16_200
    augmented = flip_and_shift(image.expand(n, 1, 12, 12), torch.Generator().manual_seed(1))
    index = {window.tobytes(): i for i, window in enumerate(windows(image.numpy()))}
    counts = np.bincount([index[window.numpy().tobytes()] for window in augmented], minlength=162)
    assert len(index) == 162
    assert ((counts - 100) ** 2 / 100).sum() < 161 + 5 * math.sqrt(2 * 161)  # chi-squared, mean plus five deviations


def test_its_randomness_comes_from_the_generator_alone() -> None:
    x = torch.rand(20, 1, 8, 8)
    before = torch.get_rng_state()
    first, again, other = (flip_and_shift(x, torch.Generator().manual_seed(seed)) for seed in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
