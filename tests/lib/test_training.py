"""The training loop: that it learns, that a seed repeats it to the bit, and that its parts do what their names say."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lib import models, seeds
from lib.data import Split
from lib.errors import BadValue
from lib.layers import set_sampling
from lib.models import Network
from lib.training import RobustConfig, TrainingConfig, TrainingFailed, fit, fit_robust
from lib.training import natural as training
from lib.training.natural import AUGMENTATIONS, loss_on


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
    losses = fit(network, few, config(epochs=4, batch_size=32, learning_rate=0.01, precision=precision), seed=0).losses
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
    losses = fit(network, few, config(batch_size=77, learning_rate=0.0, label_smoothing=0.0), seed=0).losses
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


def test_plain_sgd_steps_along_the_gradient_and_remembers_nothing(
    untrained: Callable[..., Network], few: Split
) -> None:
    """Three steps on the whole set, by hand: no momentum, no decay, no state."""
    network = untrained()
    reference = copy.deepcopy(network)
    fit(network, few, config(epochs=3, batch_size=len(few), learning_rate=0.05, optimizer="sgd"), seed=0)
    x, y = few.take(torch.arange(len(few)))
    for _ in range(3):
        loss = F.cross_entropy(reference(x), y, label_smoothing=0.1)
        slopes = torch.autograd.grad(loss, list(reference.parameters()))
        with torch.no_grad():
            for parameter, slope in zip(reference.parameters(), slopes, strict=True):
                parameter.sub_(0.05 * slope)
    torch.testing.assert_close(weights(network), weights(reference), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", [{}, {"dropout": 0.5}], ids=["none", "epistemic"])
def test_adam_is_the_loop_that_made_the_records_to_the_bit(
    kind: dict[str, Any], untrained: Callable[..., Network], few: Split
) -> None:
    """The loop without early stopping, written out: every recorded result depends on it."""
    network = untrained(**kind)
    reference = copy.deepcopy(network).train()
    order, noise = seeds.generator(3, "order"), seeds.generator(3, "training noise")
    set_sampling(reference, sampling=False, generator=noise)
    adam = torch.optim.Adam(reference.parameters(), 0.01, fused=True)
    for _ in range(2):
        for batch in torch.split(torch.randperm(len(few), generator=order), 64):
            x, y = few.take(batch)
            adam.zero_grad()
            x = AUGMENTATIONS["flip_and_shift"](x, noise).contiguous(memory_format=torch.channels_last)
            F.cross_entropy(reference(x), y, label_smoothing=0.1).backward()
            adam.step()
    settings = config(learning_rate=0.01, augmentation="flip_and_shift")
    fit(network, few, settings, seed=3)
    assert torch.equal(weights(network), weights(reference))


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
        losses = fit(network, few, settings, seed=seed).losses
        return weights(network), losses

    before = torch.get_rng_state()
    first = run(1)
    torch.manual_seed(77)
    again, other = run(1), run(2)
    torch.set_rng_state(before)
    assert torch.equal(first[0], again[0]) and first[1] == again[1]
    assert not torch.equal(first[0], other[0]) and first[1] != other[1]


@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("killed", [5, 14])
def test_a_training_that_was_interrupted_ends_as_one_that_was_not(
    killed: int,
    optimizer: str,
    patience: int,
    untrained: Callable[..., Network],
    few: Split,
    digits: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the bit: weights, losses and the end; interrupted at a step, once and again at the same one of what is left."""
    settings = config(
        epochs=5, batch_size=77, optimizer=optimizer, augmentation="flip_and_shift", patience=patience, min_delta=0.05
    )
    validation = digits.test.first(50)
    whole, interrupted = untrained(dropout=0.5), untrained(dropout=0.5)
    expected = fit(whole, few, settings, seed=0, validation=validation)
    snapshot, original, calls = tmp_path / "run.snapshot", training.cross_entropy, list[int]()

    def kill(*arguments: Any, **named: Any) -> Tensor:
        calls.append(1)
        if len(calls) == killed:
            raise KeyboardInterrupt
        return original(*arguments, **named)

    monkeypatch.setattr(training, "cross_entropy", kill)
    for _ in range(2):
        calls.clear()
        with contextlib.suppress(KeyboardInterrupt):
            fit(interrupted, few, settings, seed=0, validation=validation, snapshot=snapshot)
        interrupted = untrained(dropout=0.5, seed=9)  # a process anew: nothing but the file is left
        torch.manual_seed(1)
        if not snapshot.exists():
            interrupted = untrained(dropout=0.5)
    monkeypatch.setattr(training, "cross_entropy", original)
    found = fit(interrupted, few, settings, seed=0, validation=validation, snapshot=snapshot)
    assert (found.losses, found.observed) == (expected.losses, expected.observed)
    assert torch.equal(weights(whole), weights(interrupted)) and not interrupted.training


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
    with pytest.raises(TrainingFailed, match=r"^epoch 1, first step: loss is nan; lower the learning rate or check"):
        fit(network, few, config(), seed=0)


@pytest.mark.parametrize(
    ("poisoned", "told"), [(5, "epoch 2, first step: loss is nan"), (7, "epoch 2, mean: loss is nan")]
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
    with pytest.raises(TrainingFailed, match=r"^epoch 1, first step: loss is (inf|nan)"):
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
        ("optimizer", "rmsprop"),
        ("optimizer", None),
        ("patience", -1),
        ("patience", 1.0),
        ("min_delta", -1e-3),
        ("min_delta", math.nan),
    ],
)
def test_bad_settings_are_named(name: str, value: Any) -> None:
    with pytest.raises(BadValue, match=rf"^{name}: "):
        config(**{name: value})


# --- stopping early ---------------------------------------------------------------------------------------------------


def epochs_in_keras(losses: Sequence[float], patience: int, min_delta: float) -> int:
    """How many epochs `keras.callbacks.EarlyStopping` lets pass, by its documentation."""
    best, wait = math.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        wait += 1
        if loss + min_delta < best:
            best, wait = loss, 0
        elif wait >= patience:
            return epoch
    return len(losses)


def epochs_with(losses: Sequence[float], monkeypatch: pytest.MonkeyPatch, **changes: Any) -> int:
    """How many epochs `fit` runs on four images when its validation losses are these."""
    four = Split(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    network = models.build("fully_connected", shape=(1, 2, 2), classes=2, seed=0, width=1)
    told: Iterator[float] = iter(losses)
    with monkeypatch.context() as patch:
        patch.setattr(training, "loss_on", lambda *_: next(told))
        settings = config(epochs=len(losses), optimizer="sgd", learning_rate=0.0, **changes)
        return len(fit(network, four, settings, seed=0, validation=four).losses)


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "epochs"),
    [
        ([5, 4, 3, 2, 1], 1, 0.0, 5),  # better and better
        ([1, 1, 1, 1, 1], 1, 0.0, 2),  # equal is no better
        ([1, 1, 1, 1, 1], 3, 0.0, 4),
        ([3, 4, 2, 4, 1, 4, 0], 2, 0.0, 7),  # one bad epoch at a time
        ([3, 4, 2, 4, 4, 1, 0], 2, 0.0, 5),  # two in a row
        ([3, 2.5, 2, 1.5, 1, 0.5], 2, 0.75, 6),  # small steps, of which two are enough
        ([3, 2.5, 2, 1.5, 1, 0.5], 1, 0.75, 2),
        ([3, 2.25, 1.5, 0.75], 1, 0.75, 2),  # by min_delta exactly is not below
        ([2, math.nan, math.nan, 1], 2, 0.0, 3),  # a loss that is none is no better
        ([9, 9, 9, 9], 0, 0.0, 4),  # no early stopping
    ],
)
def test_stopping_early(
    losses: list[float], patience: int, min_delta: float, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert epochs_with(losses, monkeypatch, patience=patience, min_delta=min_delta) == epochs


@given(
    losses=st.lists(st.integers(0, 8), min_size=1, max_size=12),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0.0, 0.5, 1.0, 2.5]),
)
@example(losses=[8, 7, 6, 5, 4, 3], patience=2, min_delta=1.0)
def test_stopping_early_is_keras_s(losses: list[int], patience: int, min_delta: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = epochs_with([float(loss) for loss in losses], patch, patience=patience, min_delta=min_delta)
    assert found == epochs_in_keras(losses, patience, min_delta)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_watching_a_validation_split_changes_nothing_until_it_stops(
    optimizer: str, untrained: Callable[..., Network], few: Split, digits: Any
) -> None:
    """Neither the dropout of the training nor its order; and the weights kept are those of the last epoch, not the best."""
    settings: dict[str, Any] = {"optimizer": optimizer, "learning_rate": 0.01, "epochs": 3}
    alone, unwatched, watched, stopped = (untrained(dropout=0.5) for _ in range(4))
    validation = digits.test.first(50)
    losses = fit(alone, few, config(**settings), seed=0).losses
    assert fit(unwatched, few, config(**settings), seed=0, validation=validation).losses == losses
    assert fit(watched, few, config(**settings, patience=9), seed=0, validation=validation).losses == losses
    assert torch.equal(weights(alone), weights(unwatched)) and torch.equal(weights(alone), weights(watched))
    impatient = config(**{**settings, "epochs": 9}, patience=2, min_delta=100.0)  # which only the first epoch satisfies
    assert fit(stopped, few, impatient, seed=0, validation=validation).losses == losses
    assert torch.equal(weights(alone), weights(stopped)) and not stopped.training


def test_patience_needs_something_to_watch(untrained: Callable[..., Network], few: Split) -> None:
    patience = r"^patience: expected 0 without a validation split, got 2$"
    for nothing, told in ((None, patience), (few.first(0), "^validation: expected one image or more, got none$")):
        network = untrained()
        before = weights(network).clone()
        with pytest.raises(BadValue, match=told):
            fit(network, few, config(patience=2), seed=0, validation=nothing)
        assert torch.equal(weights(network), before)


@pytest.mark.parametrize("n", [1, 200, 1000, 1437])
def test_the_validation_loss_is_the_mean_over_images_without_dropout_or_smoothing(n: int, digits: Any) -> None:
    network = models.build("fully_connected", shape=(1, 28, 28), classes=10, seed=0, width=8, dropout=0.5).train()
    x, y = digits.train.take(torch.arange(n))
    found = loss_on(network, digits.train.first(n), config(label_smoothing=0.5))
    assert network.training
    with torch.no_grad():
        expected = F.cross_entropy(network.eval()(x), y).item()
    assert found == pytest.approx(expected, rel=1e-5)


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
    y = AUGMENTATIONS["flip_and_shift"](
        x.contiguous(memory_format=torch.channels_last), torch.Generator().manual_seed(1)
    )
    assert y.shape == x.shape and y.dtype == x.dtype
    for image, augmented in zip(x.numpy(), y.numpy(), strict=True):
        assert sum(np.array_equal(window, augmented) for window in windows(image)) == 1


def test_all_162_windows_are_equally_likely() -> None:
    image = torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(0))
    n = 16_200
    augmented = AUGMENTATIONS["flip_and_shift"](image.expand(n, 1, 12, 12), torch.Generator().manual_seed(1))
    index = {window.tobytes(): i for i, window in enumerate(windows(image.numpy()))}
    counts = np.bincount([index[window.numpy().tobytes()] for window in augmented], minlength=162)
    assert len(index) == 162
    assert ((counts - 100) ** 2 / 100).sum() < 161 + 5 * math.sqrt(2 * 161)  # chi-squared, mean plus five deviations


def test_its_randomness_comes_from_the_generator_alone() -> None:
    x = torch.rand(20, 1, 8, 8)
    before = torch.get_rng_state()
    first, again, other = (
        AUGMENTATIONS["flip_and_shift"](x, torch.Generator().manual_seed(seed)) for seed in (4, 4, 5)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


# --- flipping and cropping --------------------------------------------------------------------------------------------


def crops(image: np.ndarray) -> list[np.ndarray]:
    """The 25 shifts by up to 2 of an image (c, h, w), by index, with nothing where there is no image; and their mirror images."""
    _, h, w = image.shape
    straight = []
    for down in range(-2, 3):
        for right in range(-2, 3):
            window = np.zeros_like(image)
            for i in range(max(0, -down), min(h, h - down)):
                for j in range(max(0, -right), min(w, w - right)):
                    window[:, i, j] = image[:, i + down, j + right]
            straight.append(window)
    return straight + [window[:, :, ::-1] for window in straight]


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 6, 5), (1, 2, 9)])
def test_every_crop_is_one_window_of_its_own_image_with_zeros_around(shape: tuple[int, int, int]) -> None:
    x = torch.rand(60, *shape, generator=torch.Generator().manual_seed(0)) + 0.1  # no zeros of its own
    y = AUGMENTATIONS["flip_and_crop"](
        x.contiguous(memory_format=torch.channels_last), torch.Generator().manual_seed(1)
    )
    assert y.shape == x.shape and y.dtype == x.dtype
    assert set(y.unique().tolist()) <= {0.0, *x.unique().tolist()}
    for image, cropped in zip(x.numpy(), y.numpy(), strict=True):
        found = {window.tobytes() for window in crops(image) if np.array_equal(window, cropped)}
        assert len(found) == 1


def test_all_50_crops_are_equally_likely() -> None:
    image = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(0)) + 0.1
    cropped = AUGMENTATIONS["flip_and_crop"](image.expand(5000, 1, 6, 6), torch.Generator().manual_seed(1))
    index = {window.tobytes(): i for i, window in enumerate(crops(image.numpy()))}
    counts = np.bincount([index[window.numpy().tobytes()] for window in cropped], minlength=50)
    assert len(index) == 50
    assert ((counts - 100) ** 2 / 100).sum() < 49 + 5 * math.sqrt(2 * 49)  # chi-squared, mean plus five deviations


def test_the_randomness_of_a_crop_comes_from_the_generator_alone() -> None:
    x = torch.rand(20, 1, 8, 8)
    before, kept = torch.get_rng_state(), x.clone()
    first, again, other = (AUGMENTATIONS["flip_and_crop"](x, torch.Generator().manual_seed(seed)) for seed in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(x, kept)


# --- flipping and rotating --------------------------------------------------------------------------------------------


def turned(n: int, seed: int, side: int = 8) -> tuple[Tensor, Tensor]:
    """Images of noise (n, side, side) so augmented, and the matrices (n, 2, 2) that they were turned by.

    Beside the noise stand a ramp from left to right and one from top to bottom: where each pixel of the middle comes from.
    """
    ramp = torch.linspace(-1 + 1 / side, 1 - 1 / side, side)
    noise = torch.rand(side, side, generator=torch.Generator().manual_seed(0))
    image = torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side), noise])
    found = AUGMENTATIONS["flip_and_rotate"](image.expand(n, -1, -1, -1), torch.Generator().manual_seed(seed))
    low, step = side // 2 - 1, 2 / side
    middle = found[:, :2, low : low + 2, low : low + 2]
    across, down = middle[..., 0, 1] - middle[..., 0, 0], middle[..., 1, 0] - middle[..., 0, 0]
    return found[:, 2], torch.stack([across, down], 2) / step


def test_a_turn_is_a_rotation_or_a_mirrored_one_and_all_are_equally_likely() -> None:
    """A quarter turn at most to either side, mirrored each way or not: whichever way up, all angles."""
    _, matrices = turned(8000, seed=1)
    identity = torch.eye(2).expand_as(matrices)
    torch.testing.assert_close(matrices @ matrices.transpose(1, 2), identity, atol=1e-4, rtol=0)
    mirrored = torch.linalg.det(matrices) < 0
    assert abs(mirrored.double().mean().item() - 0.5) < 5 * 0.5 / math.sqrt(8000)
    angles = torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0])
    for side in (angles[mirrored], angles[~mirrored]):
        counts = torch.histc(side, 20, -math.pi, math.pi)
        expected = len(side) / 20
        assert ((counts - expected) ** 2 / expected).sum() < 19 + 5 * math.sqrt(2 * 19)


def test_a_turned_image_is_read_between_its_pixels_and_reflected_at_its_edge() -> None:
    """By SciPy, for the matrices found in the middle of each image."""
    found, matrices = turned(12, seed=2)
    noise = torch.rand(8, 8, generator=torch.Generator().manual_seed(0)).double().numpy()
    places = np.stack(np.meshgrid(np.arange(8) - 3.5, np.arange(8) - 3.5))  # across, down
    for image, matrix in zip(found.numpy(), matrices.double().numpy(), strict=True):
        across, down = np.einsum("ij,jyx->iyx", matrix, places) + 3.5
        expected = map_coordinates(noise, [down, across], order=1, mode="reflect")
        np.testing.assert_allclose(image, expected, atol=1e-4)


def test_turning_takes_nothing_from_outside_the_image() -> None:
    """Not even black: an image of one shade stays so, and no new shade is brighter or darker than the old ones."""
    even = torch.full((20, 3, 9, 9), 0.75)
    torch.testing.assert_close(AUGMENTATIONS["flip_and_rotate"](even, torch.Generator().manual_seed(0)), even)
    x = torch.rand(20, 1, 9, 9, generator=torch.Generator().manual_seed(1))
    y = AUGMENTATIONS["flip_and_rotate"](x, torch.Generator().manual_seed(2))
    assert y.shape == x.shape and (y.amin((1, 2, 3)) >= x.amin((1, 2, 3)) - 1e-6).all()
    assert (y.amax((1, 2, 3)) <= x.amax((1, 2, 3)) + 1e-6).all()


def test_the_randomness_of_a_turn_comes_from_the_generator_alone() -> None:
    x = torch.rand(20, 1, 8, 8)
    before = torch.get_rng_state()
    first, again, other = (
        AUGMENTATIONS["flip_and_rotate"](x, torch.Generator().manual_seed(seed)) for seed in (4, 4, 5)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


# --- networks and images of one's own ---------------------------------------------------------------------------------


class Own(nn.Module):
    """As anyone would write it, with batch norm on the features, of which one image has one value each, or on the image."""

    def __init__(self, *, on_features: bool) -> None:
        super().__init__()
        first = [nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(784, 10)]
        later = [nn.Flatten(), nn.Linear(784, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 10)]
        self.layers = nn.Sequential(*(later if on_features else first))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


def own(*, on_features: bool = True) -> Own:
    torch.manual_seed(0)
    return Own(on_features=on_features)


SHORT = TrainingConfig(epochs=2, batch_size=32, precision="float32")


@pytest.mark.parametrize(("on_features", "sizes"), [(True, [32, 33]), (False, [32, 32, 1])])
def test_a_last_image_that_batch_norm_could_make_nothing_of_joins_the_batch_before(
    on_features: bool, sizes: list[int], digits: Any
) -> None:
    network, seen = own(on_features=on_features), []
    network.register_forward_pre_hook(lambda layer, x: seen.append(len(x[0])) if layer.training else None)
    fit(network, digits.train.first(65), SHORT, seed=0)
    assert seen == sizes * 2 and not network.training


def test_one_image_at_a_time_is_refused_for_batch_norm_alone(digits: Any) -> None:
    for n, size in ((5, 1), (1, 8)):
        short = replace(SHORT, batch_size=size)
        with pytest.raises(BadValue, match=r"^batch_size: expected two images or more at once"):
            fit(own(), digits.train.first(n), short, seed=0)
        fit(own(on_features=False), digits.train.first(n), short, seed=0)


@pytest.mark.parametrize("robust", [False, True])
def test_both_trainings_take_plain_modules_and_images_in_any_form(robust: bool, digits: Any) -> None:
    split = digits.train.first(64)
    pair = split.take(torch.arange(64))
    loader = DataLoader(TensorDataset(*pair), batch_size=10)

    def trained(points: Any) -> list[Tensor]:
        network = own()
        if robust:
            settings = RobustConfig(steps=4, batch_size=16, attack_steps=2, precision="float32")
            fit_robust(network, points, settings, seed=0, observations=1)
        else:
            fit(network, points, SHORT, seed=0)
        return [*network.state_dict().values()]

    expected = trained(split)
    for points in (pair, loader):
        assert all(map(torch.equal, trained(points), expected))


@pytest.mark.parametrize("train", [fit, fit_robust])
def test_masks_that_nothing_seeds_are_refused(train: Any, few: Split) -> None:
    settings = RobustConfig() if train is fit_robust else SHORT
    with pytest.raises(
        BadValue, match=r"^network: expected no dropout of PyTorch's own, which nothing seeds; `models.adopt`"
    ):
        train(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10)), few, settings, seed=0)
    with pytest.raises(BadValue, match=r"^network: expected a torch.nn.Module, got 'lenet5' \(str\)"):
        train("lenet5", few, settings, seed=0)
