"""The inner loop of adversarial training: CleverHans's PGD without a random start, closed forms, bounds, and no traces left."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadValue
from lib.evasion import pgd
from lib.evasion.perturb import LOSSES, perturb
from lib.models import Network
from lib.uncertainty import Deterministic

ROUNDING = 1e-6  # x + epsilon and back, in float32
SHAPE = (3, 4, 5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """Logits W x + b."""

    def __init__(self, classes: int, shape: tuple[int, ...], seed: int = 0) -> None:
        super().__init__()
        source = generator(seed)
        self.weight = nn.Parameter(torch.randn(classes, math.prod(shape), generator=source))
        self.bias = nn.Parameter(torch.randn(classes, generator=source))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias


class Smooth(Linear):
    """Logits of one smooth layer."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(super().forward(x) / 3)


def problem(n: int, shape: tuple[int, int, int], classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    source = generator(seed + 1000)
    return torch.rand(n, *shape, generator=source), torch.randint(classes, (n,), generator=source)


def losses(of: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return F.cross_entropy(of(x), y, reduction="none")


# --- against others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("epsilon", "step_size", "steps"), [(8 / 255, 2 / 255, 10), (0.1, 0.02, 8), (0.3, 0.3, 1), (0.05, 0.05 / 8, 20)]
)
def test_it_is_cleverhans_s_pgd_from_the_image(seed: int, epsilon: float, step_size: float, steps: int) -> None:
    network, (x, y) = Smooth(4, SHAPE, seed), problem(12, SHAPE, 4, seed)
    settings: dict[str, Any] = {"epsilon": epsilon, "step_size": step_size, "steps": steps}
    found = perturb(network, x, y, **settings)
    torch.testing.assert_close(found, pgd(network, x, y, **settings), atol=ROUNDING, rtol=0)
    assert (found - x).abs().amax().item() == pytest.approx(min(epsilon, steps * step_size), abs=ROUNDING)


def test_it_is_cleverhans_s_pgd_on_a_trained_network(trained: Network, digits: Any) -> None:
    """Black and white pixels, at the bounds from the start. A sign that rounding decides may differ, and little else."""
    x, y = digits.test.take(torch.arange(30))
    victim = Deterministic(trained)  # dropout off, and log-probabilities: the same cross-entropy as of logits
    settings: dict[str, Any] = {"epsilon": 0.2, "step_size": 0.04, "steps": 8}
    found, expected = perturb(victim, x, y, **settings), pgd(victim, x, y, **settings)
    assert ((found - expected).abs() > ROUNDING).double().mean() < 1e-3
    torch.testing.assert_close(losses(victim, found, y), losses(victim, expected, y), atol=0.05, rtol=0.02)
    assert losses(victim, found, y).mean() > losses(victim, x, y).mean() + 0.5


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("step_size", "steps"), [(0.1, 20), (0.03, 9), (0.02, 3)])
def test_between_two_classes_it_moves_along_the_sign_of_their_difference(
    step_size: float, steps: int, targeted: bool
) -> None:
    """The gradient is (1 - p_y)(w_other - w_y): its sign knows nothing of the image; pixels of no weight do not move."""
    network, (x, y) = Linear(2, SHAPE), problem(6, SHAPE, 2)
    with torch.no_grad():
        network.weight[:, :7] = 0
        sign = (network.weight[1 - y] - network.weight[y]).sign().view(x.shape)
    moved = min(0.1, step_size * steps) * (-sign if targeted else sign)
    found = perturb(network, x, y, epsilon=0.1, step_size=step_size, steps=steps, targeted=targeted)
    torch.testing.assert_close(found, (x + moved).clamp(0, 1), atol=ROUNDING, rtol=0)
    assert torch.equal(found.flatten(1)[:, :7], x.flatten(1)[:, :7])


def test_the_first_step_is_taken_from_the_start() -> None:
    """Clipped only after it: from outside the ball, or outside [0, 1], it still ends inside both."""
    network, (x, y) = Linear(2, SHAPE), problem(6, SHAPE, 2)
    sign = (network.weight[1 - y] - network.weight[y]).detach().sign().view(x.shape)
    for offset in (0.05, -0.05, 0.15):
        found = perturb(network, x, y, epsilon=0.1, step_size=0.02, steps=1, start=x + offset)
        expected = torch.clamp((x + offset + 0.02 * sign).clamp(0, 1), x - 0.1, x + 0.1)
        torch.testing.assert_close(found, expected, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_to_a_target_the_loss_of_the_target_falls_and_from_a_label_that_of_the_label_rises(seed: int) -> None:
    network, (x, y) = Smooth(5, SHAPE, seed), problem(30, SHAPE, 5, seed)
    settings: dict[str, Any] = {"epsilon": 0.05, "step_size": 0.005, "steps": 20}
    to, away = (perturb(network, x, y, **settings, targeted=targeted) for targeted in (True, False))
    clean = losses(network, x, y)
    assert bool((losses(network, to, y) < clean).all()) and bool((losses(network, away, y) > clean).all())


def test_an_image_is_perturbed_by_its_own_loss_whatever_the_batch(trained: Network, digits: Any) -> None:
    x, y = digits.test.take(torch.arange(7))
    network, settings = trained.eval(), {"epsilon": 0.1, "step_size": 0.03, "steps": 4}
    one_by_one = [perturb(network, x[i : i + 1], y[i : i + 1], **settings) for i in range(7)]
    torch.testing.assert_close(torch.cat(one_by_one), perturb(network, x, y, **settings), atol=ROUNDING, rtol=0)


# --- bounds -----------------------------------------------------------------------------------------------------------


@given(
    epsilon=st.floats(0, 1),
    step_size=st.floats(0, 1),
    steps=st.integers(1, 4),
    spread=st.sampled_from([None, 0.0, 1.0, 3.0]),
    values=st.sampled_from(["uniform", "black and white"]),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 1e3]),
    targeted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_result_stays_in_the_ball_and_in_the_range_of_images(
    epsilon: float,
    step_size: float,
    steps: int,
    spread: float | None,
    values: str,
    scale: float,
    targeted: bool,
    seed: int,
) -> None:
    network, (x, y) = Linear(3, (1, 3, 4), seed), problem(3, (1, 3, 4), 3, seed)
    with torch.no_grad():
        network.weight.mul_(scale)
    x = x if values == "uniform" else x.round()
    start = None if spread is None else x + spread * (2 * torch.rand(x.shape, generator=generator(seed)) - 1)
    before = [t.clone() for t in (x, y, *([] if start is None else [start]))]
    found = perturb(network, x, y, epsilon=epsilon, step_size=step_size, steps=steps, start=start, targeted=targeted)
    assert found.shape == x.shape and found.dtype == x.dtype and not found.requires_grad
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    assert float((found - x).abs().max()) <= epsilon + ROUNDING
    assert all(torch.equal(a, b) for a, b in zip((x, y, *([] if start is None else [start])), before, strict=True))


@pytest.mark.parametrize("start", [None, 0.0, 0.4])
def test_a_budget_of_zero_gives_the_image_back(start: float | None) -> None:
    network, (x, y) = Linear(2, SHAPE), problem(6, SHAPE, 2)
    begin = None if start is None else x + start
    assert torch.equal(perturb(network, x, y, epsilon=0.0, step_size=0.1, steps=3, start=begin), x)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_under_autocast_images_stay_in_float32_and_inside_the_budget(precision: torch.dtype) -> None:
    network, (x, y) = nn.Sequential(nn.Flatten(), nn.Linear(60, 3)), problem(6, SHAPE, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        found = perturb(network, x, y, epsilon=0.1, step_size=0.02, steps=10)
    assert found.dtype == torch.float32 and float((found - x).abs().max()) <= 0.1 + ROUNDING
    assert bool((losses(network, found, y) > losses(network, x, y)).all())


# --- traces -----------------------------------------------------------------------------------------------------------


def test_weights_get_no_gradients_and_may_have_them_again_afterwards() -> None:
    """Those that were frozen stay so; inside, none of them is followed."""
    network, (x, y) = Linear(3, SHAPE), problem(6, SHAPE, 3)
    network.bias.requires_grad_(False)
    inside: list[list[bool]] = []
    network.register_forward_hook(lambda of, *_: inside.append([w.requires_grad for w in of.parameters()]))
    perturb(network, x, y, epsilon=0.1, step_size=0.02, steps=3)
    assert inside == [[False, False]] * 3
    assert [w.grad for w in network.parameters()] == [None, None]
    assert [w.requires_grad for w in network.parameters()] == [True, False]


def test_gradients_that_were_there_are_left_alone() -> None:
    network, (x, y) = Linear(3, SHAPE), problem(6, SHAPE, 3)
    F.cross_entropy(network(x), y).backward()
    before = [w.grad.clone() for w in network.parameters() if w.grad is not None]
    perturb(network, x, y, epsilon=0.1, step_size=0.02, steps=3)
    after = [w.grad for w in network.parameters() if w.grad is not None]
    assert len(after) == len(before) == 2 and all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_weights_are_released_also_where_the_network_fails() -> None:
    network, (x, y) = Linear(3, SHAPE), problem(6, SHAPE, 3)
    with pytest.raises(RuntimeError, match=r"shape|size"):
        perturb(network, x[:, :1], y, epsilon=0.1, step_size=0.02, steps=1)
    assert all(w.requires_grad for w in network.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_the_network_stays_in_its_mode(training: bool) -> None:
    """In the training mode batch norm sees every step, as in Madry's code; otherwise it is left as it was."""
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(60, 3)).train(training)
    x, y = problem(6, SHAPE, 3)
    perturb(network, x, y, epsilon=0.1, step_size=0.02, steps=5)
    assert all(layer.training == training for layer in network.modules())
    assert network[0].num_batches_tracked == (5 if training else 0)


def test_anything_that_gives_logits_can_be_perturbed() -> None:
    network, (x, y) = Smooth(4, SHAPE), problem(6, SHAPE, 4)
    settings: dict[str, Any] = {"epsilon": 0.1, "step_size": 0.02, "steps": 5}
    assert torch.equal(perturb(lambda z: network(z), x, y, **settings), perturb(network, x, y, **settings))


def test_nothing_is_random() -> None:
    network, (x, y) = Smooth(4, SHAPE), problem(6, SHAPE, 4)
    before = torch.get_rng_state()
    first = perturb(network, x, y, epsilon=0.1, step_size=0.02, steps=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert torch.equal(perturb(network, x, y, epsilon=0.1, step_size=0.02, steps=5), first)


# --- the two losses -----------------------------------------------------------------------------------------------------


def dense(scale: float) -> nn.Module:
    """A network of one layer whose logits grow with `scale`, in float64."""
    layer = nn.Linear(12, 4, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(scale * torch.randn(4, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    return nn.Sequential(nn.Flatten(), layer)


def test_both_losses_make_the_same_steps_while_probabilities_are_told_from_one() -> None:
    network = dense(1.0)
    x = torch.rand(50, 3, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.arange(50) % 4
    settings: dict[str, Any] = {"epsilon": 0.1, "step_size": 0.02, "steps": 7}
    for targeted in (False, True):
        one, two = (perturb(network, x, y, **settings, targeted=targeted, loss=loss) for loss in LOSSES)
        assert torch.equal(one, two) and not torch.equal(one, x)


def test_where_the_network_is_sure_only_the_log_odds_still_move_the_image() -> None:
    network = dense(1.0).float()
    x = torch.rand(20, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    y = network(x).argmax(1)
    with torch.no_grad():
        next(iter(network.parameters())).mul_(1e4)  # log-odds of thousands: 1 - p is 0 in float32
    settings: dict[str, Any] = {"epsilon": 0.1, "step_size": 0.02, "steps": 7}
    assert torch.equal(perturb(network, x, y, **settings), x)
    moved = perturb(network, x, y, **settings, loss="log_odds")
    assert bool(((moved - x).abs().flatten(1).amax(1) > 0.05).all())


def test_another_loss_is_refused() -> None:
    with pytest.raises(BadValue, match=r"^loss: .*'hinge'"):
        perturb(
            dense(1.0),
            torch.rand(1, 3, 2, 2).double(),
            torch.tensor([0]),
            epsilon=0.1,
            step_size=0.1,
            steps=1,
            loss="hinge",
        )
