"""The black-box attack's substitute: how often it asks, where it looks, and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from experiments.papers.harakeh.substitute import Oracle, SubstituteConfig, augment, train_substitute
from lib import models
from lib.errors import BadValue

SHAPE, CLASSES = (1, 3, 4), 3
STILL: dict[str, Any] = {"epochs": 1, "learning_rate": 0.0}
"""Settings under which a substitute keeps its weights: what it asks for can then be written down."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """Logits W x."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, math.prod(SHAPE), generator=generator(seed)))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T

    def signs(self, y: Tensor) -> Tensor:
        """sign(w_y), in the shape of images."""
        return self.weight.detach().sign()[y].view(-1, *SHAPE)


def labels_of(network: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x: network(x).argmax(1)


def images(n: int, seed: int = 1) -> Tensor:
    return torch.rand(n, *SHAPE, generator=generator(seed))


def asked_for(oracle: Callable[[Tensor], Tensor], x: Tensor, config: SubstituteConfig) -> list[Tensor]:
    """The batches that a substitute whose weights stay asks labels for, in order."""
    batches = []

    def keep(x: Tensor) -> Tensor:
        batches.append(x)
        return oracle(x)

    train_substitute(keep, Linear(), x, config, generator=generator())
    return batches


# --- the augmentation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0.1, -0.1, 1.0, 0.0])
def test_augmentation_steps_along_the_sign_of_the_labels_weights(step: float) -> None:
    network, x, y = Linear(), images(7), torch.arange(7) % CLASSES
    found = augment(network, x, y, step=step)
    assert torch.equal(found, x + step * network.signs(y)) and not found.requires_grad


def test_it_is_not_clipped_as_in_the_tutorial() -> None:
    network = Linear()
    black, white = torch.zeros(1, *SHAPE), torch.ones(1, *SHAPE)
    assert float(augment(network, black, torch.tensor([0]), step=0.1).min()) == pytest.approx(-0.1)
    assert float(augment(network, white, torch.tensor([0]), step=0.1).max()) == pytest.approx(1.1)


def test_a_feature_without_gradient_stays() -> None:
    network, x = Linear(), images(4)
    with torch.no_grad():
        network.weight[:, :5] = 0
    found = augment(network, x, torch.zeros(4).long(), step=0.5)
    assert torch.equal(found.flatten(1)[:, :5], x.flatten(1)[:, :5])
    assert bool((found != x).flatten(1)[:, 5:].all())


@pytest.mark.parametrize(
    ("sign", "expected"), [("plus", [1, 1, 1, 1, 1, 1]), ("minus_then_plus", [-1, -1, -1, 1, 1, 1])]
)
def test_both_published_rules_for_its_sign(sign: str, expected: list[int]) -> None:
    assert [SubstituteConfig(sign=sign).direction(round_) for round_ in range(6)] == expected


@pytest.mark.parametrize("sign", ["plus", "minus_then_plus"])
def test_every_round_adds_a_step_from_each_point_so_far(sign: str) -> None:
    """All of it in closed form: the points of round r are those before it, moved by +-lambda sign(w_y), y the oracle's."""
    victim, network, x = Linear(seed=7), Linear(), images(3)
    config = SubstituteConfig(rounds=5, step=0.25, sign=sign, **STILL)
    batches = asked_for(labels_of(victim), x, config)
    assert torch.equal(batches[0], x)
    for round_, batch in enumerate(batches[1:]):
        so_far = torch.cat(batches[: round_ + 1])
        step = 0.25 * (-1 if sign == "minus_then_plus" and round_ < 3 else 1)
        assert torch.equal(batch, so_far + step * network.signs(victim(so_far).argmax(1)))
    assert len(batches) == 5


# --- queries ----------------------------------------------------------------------------------------------------------


@given(n=st.integers(1, 9), rounds=st.integers(1, 5))
def test_every_point_is_labelled_once(n: int, rounds: int) -> None:
    oracle = Oracle(labels_of(Linear(seed=3)))
    config = SubstituteConfig(rounds=rounds, **STILL)
    batches = asked_for(oracle, images(n), config)
    assert oracle.queries == sum(map(len, batches)) == n * 2 ** (rounds - 1)
    assert list(map(len, batches)) == [n, *(n * 2**r for r in range(rounds - 1))]


def test_the_agreement_is_counted_on_all_points_of_each_round() -> None:
    victim, x = Linear(seed=7), images(10)
    config = SubstituteConfig(rounds=4, **STILL)
    found = train_substitute(labels_of(victim), Linear(), x, config, generator=generator())
    batches, expected = asked_for(labels_of(victim), x, config), []
    for round_ in range(4):
        points = torch.cat(batches[: round_ + 1])
        expected.append(100 * (Linear()(points).argmax(1) == victim(points).argmax(1)).double().mean().item())
    assert found == pytest.approx(expected) and 0 < min(found) < max(found) < 100


def test_the_victim_takes_no_gradient() -> None:
    victim = Linear(seed=7)
    asked = []

    def oracle(x: Tensor) -> Tensor:
        scores = victim(x)
        asked.append(scores.requires_grad)
        return scores.argmax(1)

    train_substitute(Oracle(oracle), Linear(), images(4), SubstituteConfig(rounds=2, epochs=1), generator=generator())
    assert asked == [False, False] and victim.weight.grad is None


# --- learning ---------------------------------------------------------------------------------------------------------


def substitute(seed: int = 0) -> nn.Module:
    return models.build("fully_connected", shape=SHAPE, classes=CLASSES, seed=seed, width=32)


CONFIG = SubstituteConfig(rounds=4, epochs=20, batch_size=16, learning_rate=5e-3)


def test_a_linear_oracle_is_learnt_from_few_images() -> None:
    """On images that it never saw it agrees far more often than before, and than always with the commonest class."""
    victim, learner, unseen = Linear(seed=3), substitute(), images(1000, seed=9)
    truth = victim(unseen).argmax(1)
    commonest = 100 * torch.bincount(truth).max().item() / 1000
    before = 100 * (learner(unseen).argmax(1) == truth).double().mean().item()
    agreement = train_substitute(labels_of(victim), learner, images(30), CONFIG, generator=generator())
    after = 100 * (learner(unseen).argmax(1) == truth).double().mean().item()
    assert after > 85 > max(before, commonest) + 10 and agreement[-1] > 95


def test_the_generator_alone_makes_the_result() -> None:
    def weights(learner: nn.Module, seed: int) -> Tensor:
        train_substitute(labels_of(Linear(seed=3)), learner, images(40), CONFIG, generator=generator(seed))
        return torch.cat([p.detach().flatten() for p in learner.parameters()])

    first, same, other = substitute(), substitute(), substitute()
    expected = weights(first, 1)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert torch.equal(weights(same, 1), expected) and not torch.equal(weights(other, 2), expected)
    assert torch.equal(torch.get_rng_state(), before)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_substitute_is_trained_in_training_mode_and_ends_in_the_other() -> None:
    learner = nn.Sequential(nn.BatchNorm2d(SHAPE[0]), Linear())
    train_substitute(labels_of(Linear()), learner, images(4), CONFIG, generator=generator())
    assert not any(layer.training for layer in learner.modules())
    assert isinstance(learner[0], nn.BatchNorm2d) and not torch.equal(learner[0].running_mean, torch.zeros(SHAPE[0]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rounds": 0}, "rounds: expected a whole number of at least 1, got 0"),
        ({"rounds": 2.0}, "rounds: "),
        ({"epochs": 0}, "epochs: "),
        ({"batch_size": 0}, "batch_size: "),
        ({"batch_size": True}, "batch_size: "),
        ({"step": -0.1}, "step: expected a finite number in [0, 1], got -0.1"),
        ({"step": 1.5}, "step: "),
        ({"step": math.nan}, "step: "),
        ({"step": "0.1"}, "step: "),
        ({"learning_rate": -1e-3}, "learning_rate: "),
        ({"learning_rate": math.inf}, "learning_rate: "),
        ({"sign": "minus"}, "sign: unknown 'minus'; expected one of plus, minus_then_plus"),
        ({"sign": 1}, "sign: "),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        SubstituteConfig(**change)
    assert str(caught.value).startswith(told)
