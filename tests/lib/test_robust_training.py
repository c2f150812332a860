"""Adversarial training by steps: against the steps written out, that it defends, and that an interrupted run ends the same."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from lib import models, seeds, training
from lib.data import Split
from lib.errors import BadValue
from lib.evasion import pgd
from lib.models import Network
from lib.training import TrainingFailed, robust, snapshots
from lib.training.checkpoints import NotKept
from lib.training.robust import History, RobustConfig, can_compile, fit_robust
from lib.training.snapshots import State

SHAPE = (3, 8, 8)


def config(**changes: Any) -> RobustConfig:
    usual: dict[str, Any] = {
        "steps": 7,
        "batch_size": 4,
        "learning_rate": 0.01,
        "second_from": 3,
        "second_rate": 0.005,
        "third_from": 5,
        "third_rate": 0.001,
        "epsilon": 0.1,
        "attack_steps": 2,
        "step_size": 0.04,
        "precision": "float32",
    }
    return RobustConfig(**{**usual, **changes})


def images(n: int = 10, shape: tuple[int, int, int] = SHAPE, *, seed: int = 0) -> Split:
    source = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (n, *shape), generator=source, dtype=torch.uint8)
    return Split(pixels, torch.randint(3, (n,), generator=source))


def network(name: str = "fashion_cnn", *, seed: int = 0, **changes: Any) -> Network:
    """Small, of convolutions in channels-last layout; `wide_resnet_short` has batch norm."""
    width = 16 if name == "wide_resnet_short" else 2
    return models.build(name, **{"shape": SHAPE, "classes": 3, "seed": seed, "width": width, **changes})


def state(of: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in of.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def total(z: Tensor, y: Tensor, reduction: str) -> Tensor:
    """Cross-entropy written out."""
    each = z.logsumexp(1) - z[torch.arange(len(y)), y]
    return each.sum() if reduction == "sum" else each.mean()


# --- the settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ramp", "step", "share"),
    [
        (0, 0, 1),
        (0, 9, 1),
        (1, 0, 1),
        (1, 9, 1),
        (2, 0, 0),
        (2, 1, 1),
        (5, 0, 0),
        (5, 1, 0.25),
        (5, 2, 0.5),
        (5, 4, 1),
        (5, 5, 1),
        (5, 99, 1),
        (1000, 0, 0),
        (1000, 333, 1 / 3),
        (1000, 998, 998 / 999),
        (1000, 999, 1),
        (1000, 1000, 1),
        (1000, 20_000, 1),
    ],
)
def test_the_budget_grows_over_the_ramp(ramp: int, step: int, share: float) -> None:
    epsilon, size = config(ramp=ramp, epsilon=0.3, step_size=0.06).budget(step)
    assert (epsilon, size) == (pytest.approx(0.3 * share), pytest.approx(0.06 * share))
    assert share not in (0, 1) or (epsilon, size) == (0.3 * share, 0.06 * share)  # exactly, at both ends


@given(ramp=st.integers(0, 50), step=st.integers(0, 60), epsilon=st.floats(0, 1), step_size=st.floats(0, 1))
def test_the_budget_never_falls_and_never_exceeds_the_whole(
    ramp: int, step: int, epsilon: float, step_size: float
) -> None:
    settings = config(ramp=ramp, epsilon=epsilon, step_size=step_size)
    now, later = settings.budget(step), settings.budget(step + 1)
    assert all(0 <= a <= b <= whole for a, b, whole in zip(now, later, (epsilon, step_size), strict=True))
    assert (step < ramp - 1) or now == (epsilon, step_size)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 1e-4), (9999, 1e-4), (10_000, 5e-5), (14_999, 5e-5), (15_000, 1e-5), (20_000, 1e-5), (10**6, 1e-5)],
)
def test_the_learning_rate_is_the_paper_s_on_faces(step: int, rate: float) -> None:
    assert RobustConfig().rate(step) == rate


@pytest.mark.parametrize(("second", "third", "rates"), [(2, 2, "aacc"), (0, 0, "cccc"), (0, 3, "bbbc"), (9, 9, "aaaa")])
def test_a_part_of_the_schedule_may_be_empty(second: int, third: int, rates: str) -> None:
    settings = config(second_from=second, third_from=third, learning_rate=1, second_rate=2, third_rate=3)
    assert [settings.rate(step) for step in range(4)] == [{"a": 1, "b": 2, "c": 3}[rate] for rate in rates]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        ({"steps": 2.0}, "steps: "),
        ({"batch_size": 0}, "batch_size: expected a whole number of at least 1, got 0"),
        ({"batch_size": True}, "batch_size: "),
        ({"attack_steps": 0}, "attack_steps: expected a whole number of at least 1, got 0"),
        ({"second_from": -1}, "second_from: expected a whole number of at least 0, got -1"),
        ({"third_from": -1}, "third_from: expected a whole number of at least 0, got -1"),
        ({"second_from": 6}, "third_from: expected at least second_from = 6, got 5"),
        ({"ramp": -1}, "ramp: expected a whole number of at least 0, got -1"),
        ({"ramp": 0.5}, "ramp: "),
        ({"learning_rate": -1e-3}, "learning_rate: expected a finite number in [0, 10], got -0.001"),
        ({"learning_rate": math.nan}, "learning_rate: "),
        ({"second_rate": 11}, "second_rate: expected a finite number in [0, 10], got 11"),
        ({"third_rate": "1e-5"}, "third_rate: "),
        ({"l2": math.inf}, "l2: expected a finite number in [0, 10], got inf"),
        ({"l2": -1e-4}, "l2: "),
        ({"epsilon": 1.1}, "epsilon: expected a finite number in [0, 1], got 1.1"),
        ({"epsilon": 8}, "epsilon: "),
        ({"epsilon": "8/255"}, "epsilon: "),
        ({"step_size": -0.1}, "step_size: expected a finite number in [0, 1], got -0.1"),
        ({"optimizer": "sgd"}, "optimizer: unknown 'sgd'; expected one of adam, momentum"),
        ({"loss": "max"}, "loss: unknown 'max'; expected one of sum, mean"),
        ({"augmentation": "mixup"}, "augmentation: unknown 'mixup'"),
        ({"precision": "float16"}, "precision: unknown 'float16'"),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        config(**change)
    assert str(caught.value).startswith(told)


def test_a_batch_larger_than_the_split_is_refused_before_anything_is_trained() -> None:
    trained = network()
    before = state(trained)
    with pytest.raises(BadValue, match=r"^batch_size: expected at most 10, the number of images, got 11$"):
        fit_robust(trained, images(10), config(batch_size=11), seed=0)
    assert same(state(trained), before)


# --- the steps --------------------------------------------------------------------------------------------------------


def by_hand(of: Network, split: Split, settings: RobustConfig, seed: int) -> list[float]:
    """Natural training written out: the losses of its steps, without the decay of the weights."""
    weights, losses = list(of.parameters()), []
    first, second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(settings.steps):
        epoch, place = divmod(step, len(split) // settings.batch_size)
        order = torch.randperm(len(split), generator=seeds.generator(seed, f"order {epoch}"))
        x, y = split.take(order[place * settings.batch_size :][: settings.batch_size])
        loss = total(of(x), y, settings.loss)
        losses.append(loss.item())
        lr = [settings.learning_rate, settings.second_rate, settings.third_rate][
            (step >= settings.second_from) + (step >= settings.third_from)
        ]
        with torch.no_grad():
            for i, (w, slope) in enumerate(zip(weights, torch.autograd.grad(loss, weights), strict=True)):
                slope = slope + (settings.l2 * w if w.dim() > 1 else 0)
                if settings.optimizer == "momentum":
                    first[i] = 0.9 * first[i] + slope
                    w -= lr * first[i]
                else:
                    first[i] = 0.9 * first[i] + 0.1 * slope
                    second[i] = 0.999 * second[i] + 0.001 * slope**2
                    mean, square = first[i] / (1 - 0.9 ** (step + 1)), second[i] / (1 - 0.999 ** (step + 1))
                    w -= lr * mean / (square.sqrt() + 1e-8)
    return losses


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
@pytest.mark.parametrize(("loss", "l2"), [("sum", 0.0), ("mean", 0.0), ("sum", 0.5), ("mean", 0.5)])
def test_natural_training_is_its_steps_written_out(optimizer: str, loss: str, l2: float) -> None:
    """Over both changes of the learning rate; the decay is of convolutions and dense layers, not of biases."""
    trained, reference = (network(width=3) for _ in range(2))
    for one in (trained, reference):
        nn.init.constant_(one.head.bias, 0.3)  # type: ignore[arg-type]  # a bias of zero would not show its decay
    settings = config(optimizer=optimizer, loss=loss, l2=l2, epsilon=0.0)
    history = fit_robust(trained, images(), settings, seed=3, observations=7)
    expected = by_hand(reference, images(), settings, 3)
    assert history.losses == pytest.approx(expected, rel=1e-3)
    for found, other in zip(trained.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found, other, atol=2e-5, rtol=1e-3)
    assert not same(state(trained), state(network(width=3)))


def test_normalisations_and_biases_do_not_decay() -> None:
    """One step of plain size 1 with a decay of 1: what has more than one dimension is gone but for its gradient."""
    light, heavy = (network("wide_resnet_short") for _ in range(2))
    before = state(light)
    for one, l2 in ((light, 0.0), (heavy, 1.0)):
        settings = config(steps=1, optimizer="momentum", learning_rate=0.1, l2=l2, epsilon=0.0)
        fit_robust(one, images(), settings, seed=0)
    kinds = set()
    for (name, a), b in zip(light.named_parameters(), heavy.parameters(), strict=True):
        torch.testing.assert_close(
            a - b, 0.1 * before[name] if a.dim() > 1 else torch.zeros_like(a), atol=1e-6, rtol=1e-4
        )
        kinds.add((a.dim() > 1, bool(before[name].any())))
    assert {(True, True), (False, True)} <= kinds  # weights, and normalisations that would have shown it


def test_a_sum_is_a_mean_at_a_rate_as_many_times_as_large() -> None:
    summed, averaged = (network() for _ in range(2))
    rates = ("learning_rate", "second_rate", "third_rate")
    fast: dict[str, Any] = {name: 4 * 0.01 for name in rates}
    usual: dict[str, Any] = {"optimizer": "momentum", "l2": 0.0, "epsilon": 0.0, "batch_size": 4}
    first = fit_robust(summed, images(), config(**usual, loss="sum", **dict.fromkeys(rates, 0.01)), seed=0)
    second = fit_robust(averaged, images(), config(**usual, loss="mean", **fast), seed=0)
    assert first.losses == pytest.approx([4 * loss for loss in second.losses], rel=1e-4)
    for a, b in zip(summed.parameters(), averaged.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)


def test_every_image_is_used_once_an_epoch_and_the_remainder_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    sizes: list[int] = []

    def watch(x: Tensor, generator: torch.Generator) -> Tensor:
        seen.extend(image.numpy().tobytes() for image in x)
        sizes.append(len(x))
        return x

    monkeypatch.setitem(training.AUGMENTATIONS, "none", watch)
    split = images(11)
    known = [image.numpy().tobytes() for image in split.take(torch.arange(11))[0]]
    for seed in (0, 0, 1):
        fit_robust(network(), split, config(steps=30, batch_size=3, epsilon=0.0), seed=seed)
    epochs = [[known.index(image) for image in seen[start : start + 9]] for start in range(0, 270, 9)]
    assert sizes == [3] * 90 and all(len(set(epoch)) == 9 for epoch in epochs)
    assert epochs[:10] == epochs[10:20] and len({tuple(epoch) for epoch in epochs}) == 20
    assert {image for epoch in epochs for image in epoch} == set(range(11))  # another remainder every time


def test_augmentation_is_that_of_the_config_with_noise_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def watch(x: Tensor, generator: torch.Generator) -> Tensor:
        drawn.append(generator.initial_seed())
        return x.flip(3)

    monkeypatch.setitem(training.AUGMENTATIONS, "flip_and_crop", watch)
    mirrored, usual = network(), network()
    settings = config(epsilon=0.0, augmentation="flip_and_crop")
    fit_robust(mirrored, images(), settings, seed=4)
    other = images()
    fit_robust(usual, Split(other.images.flip(3), other.labels), config(epsilon=0.0), seed=4)
    assert same(state(mirrored), state(usual))
    assert drawn == [seeds.derive(4, f"step {step}") for step in range(7)]


# --- adversarial training ---------------------------------------------------------------------------------------------


def test_each_step_is_trained_on_pgd_from_a_random_start_with_the_budget_of_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[dict[str, Any]] = []

    def watch(of: nn.Module, x: Tensor, y: Tensor, **settings: Any) -> Tensor:
        calls.append({"x": x.clone(), "training": of.training, **settings})
        return x

    monkeypatch.setattr(robust, "perturb", watch)
    fit_robust(network(), images(40), config(steps=6, batch_size=20, ramp=4, attack_steps=3), seed=0)
    grown = [0, 1 / 3, 2 / 3, 1, 1, 1]
    assert [call["epsilon"] for call in calls] == pytest.approx([0.1 * share for share in grown])
    assert [call["step_size"] for call in calls] == pytest.approx([0.04 * share for share in grown])
    assert all(call["steps"] == 3 and call["training"] and not call.get("targeted") for call in calls)
    offsets = [call["start"] - call["x"] for call in calls]
    assert not offsets[0].any()  # nothing to begin with
    for offset, share in zip(offsets[1:], grown[1:], strict=True):
        radius, n = 0.1 * share, offset.numel()
        assert 0.98 * radius < offset.abs().max() <= radius + 1e-6
        assert abs(offset.mean()) < 5 * radius / math.sqrt(3 * n)  # uniform: five standard errors
        assert offset.std().item() == pytest.approx(radius / math.sqrt(3), rel=0.05)
    assert not torch.equal(offsets[4], offsets[5])


@pytest.mark.parametrize("ramp", [0, 3])
def test_without_a_budget_nothing_is_attacked(ramp: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Tensor:
        raise AssertionError("natural training has no attack")

    monkeypatch.setattr(robust, "perturb", never)
    trained, other = network(), network()
    fit_robust(trained, images(), config(epsilon=0.0, ramp=ramp), seed=0)
    fit_robust(other, images(), config(epsilon=0.0, attack_steps=9, step_size=0.3), seed=0)
    assert same(state(trained), state(other))


def test_a_step_of_adversarial_training_written_out() -> None:
    """PGD by CleverHans cannot start outside [0, 1], so: images of the middle grey levels. Then one step of the optimiser."""
    split = images(4)
    split = Split(split.images // 4 + 96, split.labels)
    trained, reference = network(), network()
    settings = config(steps=1, optimizer="momentum", epsilon=0.1, attack_steps=1, step_size=0.1, l2=0.0)
    fit_robust(trained, split, settings, seed=2)
    x, y = split.take(torch.randperm(4, generator=seeds.generator(2, "order 0")))
    start = x + 0.1 * (2 * torch.rand(x.shape, generator=seeds.generator(2, "step 0")) - 1)
    start.requires_grad_()
    (slope,) = torch.autograd.grad(total(reference(start), y, "sum"), start)
    adversarial = torch.maximum(torch.minimum(start + 0.1 * slope.sign(), x + 0.1), x - 0.1).detach()
    loss = total(reference(adversarial), y, "sum")
    slopes = torch.autograd.grad(loss, list(reference.parameters()))
    for found, before, change in zip(trained.parameters(), reference.parameters(), slopes, strict=True):
        torch.testing.assert_close(found, before - 0.01 * change, atol=1e-5, rtol=1e-3)


def faint(n: int, *, seed: int) -> Split:
    """Of 64 pixels one is plainly brighter in one of two classes, four times of five; the others always are, but hardly."""
    source = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (n,), generator=source)
    sign = (2 * y - 1)[:, None].float()
    plain = torch.where(torch.rand(n, 1, generator=source) < 0.8, sign, -sign)
    x = torch.cat([0.5 + 0.3 * plain, 0.5 + 0.04 * sign.expand(-1, 63)], 1)
    x = x + 0.01 * torch.randn(x.shape, generator=source)
    return Split((255 * x.clamp(0, 1)).round().to(torch.uint8).view(n, 1, 8, 8), y)


def attacked(of: nn.Module, split: Split, epsilon: float) -> tuple[float, float]:
    """The loss and the accuracy under an attack that is not the one it was trained with: CleverHans's."""
    x, y = split.take(torch.arange(len(split)))
    x = pgd(of, x, y, epsilon=epsilon, step_size=epsilon / 5, steps=20) if epsilon else x
    with torch.no_grad():
        z = of(x)
    return total(z, y, "mean").item(), (z.argmax(1) == y).double().mean().item()


class Centred(nn.Module):
    """Logits of two classes that are linear in the pixels, from grey: what is to be minimised is convex, with an attack, too."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 64))

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - 0.5) @ self.weight.T


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_adversarial_training_defends(optimizer: str) -> None:
    """The budget is more than twice what the faint pixels differ by: trained with it, a network trusts the plain one alone."""
    found = {}
    for epsilon in (0.0, 0.1):
        trained = Centred()
        settings = config(
            steps=150,
            batch_size=40,
            epsilon=epsilon,
            attack_steps=3,
            step_size=0.1,
            loss="mean",
            ramp=50,
            l2=0.0,
            learning_rate=0.05,
            second_from=50,
            second_rate=0.05,
            third_from=100,
            third_rate=0.005,
            optimizer=optimizer,
        )
        fit_robust(trained, faint(400, seed=0), settings, seed=0)
        found[epsilon] = {budget: attacked(trained, faint(400, seed=1), budget) for budget in (0.0, 0.1)}
    assert found[0.1][0.1][0] < 0.3 * found[0.0][0.1][0]  # the loss under attack
    assert found[0.1][0.1][1] > 0.75 > 0.01 > found[0.0][0.1][1]  # and the accuracy
    assert found[0.0][0.0][1] > 0.99 > 0.85 > found[0.1][0.0][1] > 0.75  # and its price


@pytest.mark.parametrize(
    ("name", "precision", "epsilon"),
    [
        ("fashion_cnn", "float32", 0.0),
        ("fashion_cnn", "bfloat16", 0.02),
        ("wide_resnet_short", "float32", 0.02),
        ("wide_resnet_short", "bfloat16", 0.0),
    ],
)
def test_the_loss_falls(name: str, precision: str, epsilon: float) -> None:
    rates = dict.fromkeys(("learning_rate", "second_rate", "third_rate"), 3e-3)
    settings = config(steps=40, batch_size=10, epsilon=epsilon, step_size=0.01, precision=precision, l2=0.0, **rates)
    trained = network(name, width=16)
    losses = fit_robust(trained, images(), settings, seed=0, observations=4).losses
    assert losses[-1] < 0.6 * losses[0] and {w.dtype for w in trained.parameters()} == {torch.float32}
    assert all(w.requires_grad for w in trained.parameters()) and not trained.training


def test_the_statistics_of_batch_norm_see_the_attack_and_the_step() -> None:
    """As in the code that the paper is built on: each of two steps of the attack passes a batch, and the step another."""
    for epsilon, passes in ((0.0, 3), (0.1, 3 * (2 + 1))):
        trained = network("wide_resnet_short")
        fit_robust(trained, images(), config(steps=3, epsilon=epsilon), seed=0, observe=lambda _: {}, observations=3)
        counted = {int(v) for name, v in trained.state_dict().items() if name.endswith("num_batches_tracked")}
        assert counted == {passes}


# --- observing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "observations", "marks"),
    [(10, 10, [*range(1, 11)]), (10, 2, [5, 10]), (10, 3, [3, 7, 10]), (7, 1, [7]), (3, 5, [1, 2, 3])],
)
def test_it_is_looked_at_evenly_and_between_steps_of_training(steps: int, observations: int, marks: list[int]) -> None:
    trained, told = network("wide_resnet_short"), []

    def look(done: int) -> dict[str, float]:
        assert not trained.training
        told.append(done)
        return {"twice": 2.0 * done}

    history = fit_robust(
        trained, images(), config(steps=steps, epsilon=0.0), seed=0, observe=look, observations=observations
    )
    assert told == marks and history.observed == [{"step": float(mark), "twice": 2.0 * mark} for mark in marks]
    assert len(history.losses) == len(marks) and history.seconds > 0 and not trained.training


def test_looking_changes_nothing() -> None:
    """Also where there is batch norm; nor does how often."""
    watched, alone = network("wide_resnet_short"), network("wide_resnet_short")
    x, _ = images(6, seed=9).take(torch.arange(6))

    def look(_: int) -> dict[str, float]:
        torch.rand(3)  # of the global generator
        with torch.no_grad():
            return {"answer": watched(x).sum().item()}

    first = fit_robust(watched, images(), config(), seed=0, observe=look, observations=7)
    second = fit_robust(alone, images(), config(), seed=0, observations=1)
    assert same(state(watched), state(alone))
    assert np.mean(first.losses) == pytest.approx(second.losses[0], rel=1e-6)
    assert len({row["answer"] for row in first.observed}) == 7 and second.observed == []


def test_losses_are_means_over_the_steps_since_the_last_look() -> None:
    """At rates of zero, of batches that are known."""
    settings = config(steps=5, epsilon=0.0, learning_rate=0.0, second_rate=0.0, third_rate=0.0)
    each = by_hand(network(), images(), settings, 6)
    found = fit_robust(network(), images(), settings, seed=6, observations=2).losses
    assert found == pytest.approx([np.mean(each[:2]), np.mean(each[2:])], rel=1e-5)
    assert len({round(loss, 4) for loss in each}) > 2


def test_a_seed_repeats_the_training_to_the_bit() -> None:
    def run(seed: int) -> tuple[dict[str, Tensor], list[float]]:
        trained = network()
        return state(trained), fit_robust(trained, images(), config(), seed=seed).losses

    (first, losses), (again, once_more), (_, other) = run(1), run(1), run(2)
    assert same(first, again) and losses == once_more != other


def test_masks_of_dropout_are_those_of_the_seed_and_the_step() -> None:
    """Whatever PyTorch's global generator stands at."""

    def run(global_seed: int) -> dict[str, Tensor]:
        trained = models.build("fully_connected", shape=SHAPE, classes=3, seed=0, width=8, dropout=0.5)
        torch.manual_seed(global_seed)
        fit_robust(trained, images(), config(), seed=1)
        return state(trained)

    assert same(run(0), run(1))


def test_dropout_that_nothing_seeds_is_refused() -> None:
    own = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(math.prod(SHAPE), 3))
    with pytest.raises(BadValue, match=r"^network: expected no dropout of PyTorch's own"):
        fit_robust(own, images(), config(), seed=0)


def test_a_second_head_is_refused_for_it_would_stay_as_it_is() -> None:
    two = models.build("fully_connected", shape=SHAPE, classes=3, seed=0, width=8, heteroscedastic=True)
    with pytest.raises(BadValue, match=r"^network: expected one head"):
        fit_robust(two, images(), config(), seed=0)


# --- failing ----------------------------------------------------------------------------------------------------------


def test_weights_that_are_nan_fail_in_the_first_step() -> None:
    broken = network()
    with torch.no_grad():
        next(broken.parameters()).fill_(math.nan)
    with pytest.raises(TrainingFailed, match=r"^step 1: loss is nan; lower the learning rate or check the data$"):
        fit_robust(broken, images(), config(), seed=0)


@pytest.mark.parametrize(("poisoned", "told"), [(2, 3), (3, 3), (4, 6), (6, 6)])
def test_a_loss_that_becomes_nan_later_fails_at_the_next_observation(
    poisoned: int, told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter(range(1, 100))
    monkeypatch.setitem(training.AUGMENTATIONS, "none", lambda x, _: x * math.nan if next(steps) == poisoned else x)
    with pytest.raises(TrainingFailed, match=rf"^step {told}: loss is nan"):
        fit_robust(
            network(), images(), config(steps=6, epsilon=0.0), seed=0, observations=2, snapshot=tmp_path / "snapshot"
        )


# --- going on ---------------------------------------------------------------------------------------------------------

ENDS: list[tuple[str, dict[str, Any]]] = [
    ("fashion_cnn", {"optimizer": "adam", "augmentation": "flip_and_crop", "ramp": 4}),
    ("fashion_cnn", {"optimizer": "momentum", "loss": "mean"}),
    ("fashion_cnn", {"optimizer": "adam", "epsilon": 0.0, "precision": "bfloat16"}),
    ("wide_resnet_short", {"optimizer": "momentum", "augmentation": "flip_and_crop"}),
    ("wide_resnet_short", {"optimizer": "adam", "precision": "bfloat16"}),
]
EACH = pytest.mark.parametrize(("name", "changes"), ENDS, ids=[f"{n}-{c['optimizer']}" for n, c in ENDS])


class Interrupts:
    """An augmentation that is interrupted at some of its calls."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.usual, self.calls, self.at = training.AUGMENTATIONS[name], 0, set[int]()
        monkeypatch.setitem(training.AUGMENTATIONS, name, self)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        self.calls += 1
        if self.calls in self.at:
            raise KeyboardInterrupt
        return self.usual(x, generator)


def run(name: str, settings: RobustConfig, snapshot: Path | None = None, *, seed: int = 0) -> tuple[Network, History]:
    """A run of seven steps that is looked at twice: after the fourth and at the end."""
    trained = network(name, seed=seed)
    x, _ = images(4, seed=5).take(torch.arange(4))

    def look(done: int) -> dict[str, float]:
        with torch.no_grad():
            return {"answer": trained(x).sum().item()}

    return trained, fit_robust(
        trained, images(), settings, seed=1, observe=look, observations=2, snapshot=snapshot, every=0.0
    )


@EACH
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    name: str, changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any step, to the bit: weights, statistics, losses and what was seen, though it goes on in another network."""
    settings, path = config(**changes), tmp_path / "snapshot"
    interrupts = Interrupts(settings.augmentation, monkeypatch)
    whole, expected = run(name, settings)
    for step in range(1, 8):
        interrupts.calls, interrupts.at = 0, {step}
        with pytest.raises(KeyboardInterrupt):
            run(name, settings, path)
        assert path.exists() == (step > 1)  # an interruption in the first step leaves nothing to go on from
        trained, history = run(name, settings, path, seed=0 if step == 1 else 77)
        assert same(state(trained), state(whole)), f"interrupted in step {step}"
        assert (history.losses, history.observed) == (expected.losses, expected.observed)
        assert interrupts.calls == 8  # no step but the interrupted one is made twice
        path.unlink()  # its caller's to remove, once the weights are safe


@EACH
def test_a_run_may_be_interrupted_again_and_again(
    name: str, changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, path = config(**changes), tmp_path / "snapshot"
    interrupts = Interrupts(settings.augmentation, monkeypatch)
    whole, expected = run(name, settings)
    interrupts.calls, interrupts.at = 0, {2, 4, 5, 8, 11}
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            run(name, settings, path)
    trained, history = run(name, settings, path)
    assert same(state(trained), state(whole)) and interrupts.calls == 7 + 5
    assert (history.losses, history.observed) == (expected.losses, expected.observed)


def test_compiled_training_is_the_same_but_for_rounding_and_goes_on_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        works = can_compile("cpu")
    if not works:
        pytest.skip("torch.compile does not work here")

    def trained(*, compiled: bool, snapshot: Path | None = None) -> tuple[dict[str, Tensor], list[float]]:
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(144, 3)
        )
        history = fit_robust(
            net, images(), config(epsilon=0.2), seed=0, compiled=compiled, snapshot=snapshot, every=0.0
        )
        return state(net), history.losses

    (plain, losses), (whole, expected) = trained(compiled=False), trained(compiled=True)
    assert plain.keys() == whole.keys() and expected == pytest.approx(losses, rel=1e-3)
    for name in plain:
        torch.testing.assert_close(whole[name], plain[name], rtol=1e-3, atol=1e-4)
    interrupts = Interrupts("none", monkeypatch)
    interrupts.at = {4}
    with pytest.raises(KeyboardInterrupt):
        trained(compiled=True, snapshot=tmp_path / "snapshot")
    resumed, found = trained(compiled=True, snapshot=tmp_path / "snapshot")
    assert same(resumed, whole) and found == expected


def test_a_network_is_compiled_for_its_own_shapes_whatever_was_compiled_before(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: asked.append("reset"))
    monkeypatch.setattr(torch, "compile", lambda network, **named: asked.append(named) or network)
    fit_robust(network(), images(), config(), seed=0, compiled=True)
    assert asked == ["reset", {"dynamic": False}]
    fit_robust(network(), images(), config(), seed=0)
    assert len(asked) == 2


def test_where_compiling_fails_a_warning_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(network: nn.Module) -> nn.Module:
        def forward(x: Tensor) -> Tensor:
            raise RuntimeError("No working C++ compiler found\nand more")

        network.forward = forward  # type: ignore[method-assign]
        return network

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.warns(UserWarning, match="does not work on cpu.*: No working C.. compiler found$"):
        assert can_compile("cpu") is False


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_run_that_was_interrupted_while_it_was_looked_at_is_looked_at_again(
    optimizer: str, stop: int, tmp_path: Path
) -> None:
    told: list[int] = []

    def look(done: int) -> dict[str, float]:
        told.append(done)
        if told.count(done) == 1 and done == stop and interrupted:
            raise KeyboardInterrupt
        return {"square": float(done**2)}

    settings: dict[str, Any] = {"seed": 1, "observe": look, "observations": 7, "every": 0.0}
    interrupted = False
    whole, trained = network(), network()
    expected = fit_robust(whole, images(), config(optimizer=optimizer), **settings)
    interrupted = True
    told.clear()
    with pytest.raises(KeyboardInterrupt):
        fit_robust(trained, images(), config(optimizer=optimizer), snapshot=tmp_path / "snapshot", **settings)
    trained = network()
    history = fit_robust(trained, images(), config(optimizer=optimizer), snapshot=tmp_path / "snapshot", **settings)
    assert told == [*range(1, stop + 1), *range(stop, 8)]
    assert same(state(trained), state(whole)) and history.losses == expected.losses
    assert history.observed == expected.observed


def test_snapshots_are_as_far_apart_as_asked_and_the_time_before_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that moves by a second whenever it is asked: once to begin, and once a step."""
    ticks: Iterator[int] = iter(range(10**6))
    monkeypatch.setattr(robust.time, "perf_counter", lambda: float(next(ticks)))
    written: list[int] = []
    usual = robust.save

    def watch(path: Path, *arguments: Any) -> None:
        written.append(arguments[-1].step)
        usual(path, *arguments)

    monkeypatch.setattr(robust, "save", watch)
    path = tmp_path / "snapshot"
    for every, expected in ((0.5, [1, 2, 3, 4, 5, 6]), (1.5, [2, 4, 6]), (3.0, [4]), (100.0, [])):
        written.clear()
        assert fit_robust(network(), images(), config(), seed=0, snapshot=path, every=every).seconds == 8
        assert written == expected and list(tmp_path.iterdir()) == ([path] if expected else [])
        path.unlink(missing_ok=True)
    interrupts = Interrupts("none", monkeypatch)
    interrupts.at = {4}
    with pytest.raises(KeyboardInterrupt):
        fit_robust(network(), images(), config(), seed=0, snapshot=path, every=0.5)
    assert fit_robust(network(), images(), config(), seed=0, snapshot=path, every=0.5).seconds == 3 + 5


def test_a_training_whose_snapshots_cannot_be_written_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    path, trained, undisturbed = tmp_path / "snapshot", network(), network()
    with pytest.warns(NotKept, match=rf"^snapshot {path}: cannot be written \(.*No space left on device"):
        fit_robust(trained, images(), config(), seed=0, snapshot=path, every=0.0)
    fit_robust(undisturbed, images(), config(), seed=0)
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), undisturbed.parameters(), strict=True))
    assert not list(tmp_path.iterdir())


def test_without_a_file_for_it_there_is_no_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(robust, "save", lambda *_: pytest.fail("was written"))
    fit_robust(network(), images(), config(), seed=0, every=0.0)
    assert list(tmp_path.iterdir()) == []


# --- the file ---------------------------------------------------------------------------------------------------------

STATE = State([1.5, 0.1], [{"step": 4.0, "accuracy": 33.3}], 12.5, step=5, total=0.1 + 0.2)


def optimizer_of(of: nn.Module, kind: str = "adam") -> torch.optim.Optimizer:
    """One that has made a step, so that it has a state; of two groups, as there are where some weights decay."""
    groups = [{"params": [w for w in of.parameters() if (w.dim() > 1) == many]} for many in (True, False)]
    if kind == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(groups, 0.01, fused=True)
    else:
        optimizer = torch.optim.SGD(groups, 0.01, momentum=0.9, fused=True)
    x, y = images().take(torch.arange(10))
    F.cross_entropy(of(x), y).backward()
    optimizer.step()
    return optimizer


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    trained, path = network(), tmp_path / "cache" / "key.snapshot"
    snapshots.save(path, trained, optimizer_of(trained), STATE)
    return path


@pytest.mark.parametrize("kind", ["adam", "momentum"])
@pytest.mark.parametrize("name", ["fashion_cnn", "wide_resnet_short"])
def test_a_snapshot_comes_back_whole(name: str, kind: str, tmp_path: Path) -> None:
    first, second, path = network(name), network(name, seed=1), tmp_path / "a" / "key.snapshot"
    before, after = optimizer_of(first, kind), optimizer_of(second, kind)
    snapshots.save(path, first, before, STATE)
    assert snapshots.resume(path, second, after) == STATE
    assert same(state(first), state(second)) and list(path.parent.iterdir()) == [path]
    for weight, other in zip(first.parameters(), second.parameters(), strict=True):
        kept, found = before.state[weight], after.state[other]
        assert kept.keys() == found.keys() and len(kept) == (3 if kind == "adam" else 1)
        for what, value in kept.items():
            assert torch.equal(value, found[what]) and value.dtype == found[what].dtype


@pytest.mark.parametrize("kind", ["adam", "momentum"])
def test_what_the_optimiser_keeps_comes_back_in_the_layout_of_the_weights(kind: str, tmp_path: Path) -> None:
    """A fused optimiser walks over weights and moments by their place in memory, whatever their strides say."""
    first, second, path = network(), network(seed=1), tmp_path / "key.snapshot"
    before, after = optimizer_of(first, kind), optimizer_of(second, kind)
    snapshots.save(path, first, before, STATE)
    snapshots.resume(path, second, after)
    for weight in second.parameters():
        for what, value in after.state[weight].items():
            assert what == "step" or value.stride() == weight.stride(), what


def rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Its state is another, the tensors stay."""

    def damage(path: Path) -> None:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        stated = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["state"])
        changed = change(stated)
        save_file(
            load_file(path), path, metadata={"state": changed if isinstance(changed, str) else json.dumps(changed)}
        )

    return damage


def cut(size: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[:size]) and None


def lost(part: str) -> Callable[[Path], None]:
    """Without the tensors whose names begin so."""

    def damage(path: Path) -> None:
        length = int.from_bytes(path.read_bytes()[:8], "little")
        metadata = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]
        save_file(
            {name: t for name, t in load_file(path).items() if not name.startswith(part)}, path, metadata=metadata
        )

    return damage


def flip(at: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(bytes(content))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        cut(0),
        cut(4),
        cut(50),
        cut(-1),
        cut(-1000),
        flip(0),
        flip(8),
        flip(9),
        lambda path: path.write_bytes(b"not a snapshot"),
        lambda path: save_file(load_file(path), path),  # no state
        rewritten(lambda _: "{"),
        rewritten(lambda _: []),
        rewritten(lambda stated: {**stated, "more": 1}),
        rewritten(lambda stated: {**stated, "step": stated["step"] + 4000}),
        rewritten(lambda stated: {name: value for name, value in stated.items() if name != "step"}),
        lost("network/head.weight"),
        lost("network/"),
    ],
)
def test_a_damaged_snapshot_is_refused(damage: Callable[[Path], None], saved: Path) -> None:
    damage(saved)
    with pytest.raises(BadValue) as caught:
        fit_robust(network(), images(), config(), seed=0, snapshot=saved)
    assert str(caught.value).startswith(f"snapshot {saved}: cannot be gone on from (")
    assert str(caught.value).endswith("; delete it to train anew") and saved.exists()


@pytest.mark.parametrize("damage", [flip(-1), flip(-500), lost("optimizer/3/"), lost("optimizer/")])
def test_a_snapshot_whose_numbers_are_damaged_or_missing_is_refused(
    damage: Callable[[Path], None], saved: Path
) -> None:
    """A run that went on from it would end with other weights, and nothing would say so."""
    damage(saved)
    with pytest.raises(BadValue, match=r"^snapshot .*/key\.snapshot: "):
        fit_robust(network(), images(), config(), seed=0, snapshot=saved)


@pytest.mark.parametrize(
    "other", [{"width": 3}, {"classes": 4}, {"shape": (1, 8, 8)}, {"name": "yale_cnn"}, {"name": "wide_resnet_short"}]
)
def test_a_snapshot_of_another_network_is_refused(other: dict[str, Any], saved: Path) -> None:
    shape = other.get("shape", SHAPE)
    with pytest.raises(
        BadValue, match=r"(?s)^snapshot [^\n]*/key\.snapshot: cannot be gone on from \(.*\); delete it to train anew$"
    ):
        fit_robust(network(**{"name": "fashion_cnn", **other}), images(shape=shape), config(), seed=0, snapshot=saved)
    assert saved.exists()


def test_the_error_of_a_snapshot_is_one_message_on_the_way_to_a_user(saved: Path) -> None:
    cut(10)(saved)
    with pytest.raises(BadValue) as caught:
        snapshots.resume(saved, network(), optimizer_of(network()))
    assert caught.value.__cause__ is not None and str(saved) in str(caught.value)
