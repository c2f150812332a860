"""PGD in l2 and from several starts: closed forms on linear victims, Foolbox's and CleverHans's, and what the balls promise."""

from __future__ import annotations

import math
from typing import Any

import foolbox
import numpy as np
import pytest
import small_digits
import torch
from cleverhans.torch.attacks.projected_gradient_descent import projected_gradient_descent
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lib.errors import BadValue
from lib.evasion import ball, fgsm, pgd
from lib.models import Network

SHAPE = (2, 3, 4)
NORM = pytest.mark.parametrize("norm", ball.NORMS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network() -> Network:
    return small_digits.network()


class Linear(nn.Module):
    """Logits W x."""

    def __init__(self, classes: int, seed: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, math.prod(SHAPE), generator=generator(seed)))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T


def grey(n: int = 5) -> tuple[Tensor, Tensor]:
    """Images far from the bounds 0 and 1."""
    return 0.4 + 0.2 * torch.rand(n, *SHAPE, generator=generator(1)), torch.arange(n) % 2


def lengths(change: Tensor) -> Tensor:
    return change.flatten(1).double().norm(dim=1)


def away(victim: Linear, y: Tensor) -> Tensor:
    """From each label of two to the other, of length 1."""
    difference = (victim.weight[1 - y] - victim.weight[y]).detach()
    return (difference / difference.norm(dim=1, keepdim=True)).view(-1, *SHAPE)


# --- closed forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("step_size", "steps"), [(0.3, 1), (0.11, 3), (0.35, 5), (None, 1), (None, 7)])
def test_between_two_classes_it_ends_epsilon_along_their_difference(
    step_size: float | None, steps: int, targeted: bool
) -> None:
    victim, (x, y) = Linear(2), grey()
    found = pgd(
        victim, x, 1 - y if targeted else y, epsilon=0.3, norm="l2", step_size=step_size, steps=steps, targeted=targeted
    )
    torch.testing.assert_close(found, x + 0.3 * away(victim, y), atol=1e-6, rtol=0)


def test_in_fewer_steps_it_has_moved_by_those_steps() -> None:
    victim, (x, y) = Linear(2), grey()
    found = pgd(victim, x, y, epsilon=0.3, norm="l2", step_size=0.05, steps=3)
    torch.testing.assert_close(found, x + 0.15 * away(victim, y), atol=1e-6, rtol=0)


def test_a_gradient_too_small_to_be_squared_is_followed_all_the_same() -> None:
    victim, (x, y) = Linear(2), grey()
    with torch.no_grad():
        expected = x + 0.3 * away(victim, y)
        victim.weight.mul_(1e-30)
    torch.testing.assert_close(pgd(victim, x, y, epsilon=0.3, norm="l2", steps=2), expected, atol=1e-6, rtol=0)


def test_one_long_step_from_a_random_start_is_fast_fgsm() -> None:
    """Wong et al. 2020: clip(x + u + 1.25 epsilon sign, epsilon), u uniform in the ball."""
    victim, (x, y) = Linear(2), grey()
    found = pgd(victim, x, y, epsilon=0.1, step_size=0.125, steps=1, generator=generator(3))
    start = ball.anywhere(x, torch.full((5, 1, 1, 1), 0.1), "linf", generator(3))
    expected = x + (start + 0.125 * away(victim, y).sign()).clamp(-0.1, 0.1)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert 0 < int((found - x - 0.1 * away(victim, y).sign()).abs().gt(1e-3).sum()) < found.numel() / 2


@NORM
def test_steps_and_their_length_have_good_defaults(norm: str, network: Network) -> None:
    """Forty of 2.5 epsilon / 40, as good as 200 short ones."""
    x, y = small_digits.images(20)
    epsilon = 0.15 if norm == "linf" else 1.0

    def loss(**settings: Any) -> float:
        found = pgd(network, x, y, epsilon=epsilon, norm=norm, **settings)
        with torch.no_grad():
            return float(nn.functional.cross_entropy(network(found), y))

    assert torch.equal(
        pgd(network, x, y, epsilon=epsilon, norm=norm),
        pgd(network, x, y, epsilon=epsilon, norm=norm, step_size=2.5 * epsilon / 40, steps=40),
    )
    assert loss() > 0.97 * loss(step_size=epsilon / 50, steps=200)


# --- others' ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targeted", [False, True])
def test_it_is_foolboxs(targeted: bool, network: Network) -> None:
    """Inside the bounds; it clips after it has projected, CleverHans and we before as well."""
    x, y = small_digits.images(12)
    x, victim = 0.4 + 0.2 * x, nn.Sequential(Scaling(), network).eval()
    aim = (y + 1) % 10 if targeted else y
    attack = foolbox.attacks.L2PGD(abs_stepsize=0.02, steps=10, random_start=False)
    criterion = (foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification)(aim)
    _, expected, _ = attack(foolbox.PyTorchModel(victim, bounds=(0, 1)), x, criterion, epsilons=0.1)
    found = pgd(victim, x, aim, epsilon=0.1, norm="l2", step_size=0.02, steps=10, targeted=targeted)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert float((lengths(found - x) - 0.1).abs().max()) < 1e-6


class Scaling(nn.Module):
    """From [0.4, 0.6] to [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 5 * (x - 0.4)


def test_at_the_bounds_it_is_cleverhanss(network: Network) -> None:
    x, y = small_digits.images(12)
    expected = projected_gradient_descent(
        network, x, 1.5, 0.4, 8, 2, clip_min=0.0, clip_max=1.0, y=y, rand_init=False, sanity_checks=False
    )
    found = pgd(network, x, y, epsilon=1.5, norm="l2", step_size=0.4, steps=8)
    torch.testing.assert_close(found, expected.detach(), atol=1e-4, rtol=0)


# --- what holds of every ball -----------------------------------------------------------------------------------------


@NORM
@given(
    exponent=st.floats(-30, 3),
    radius=st.just(0.0) | st.floats(1e-6, 10),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_projected_is_inside_and_what_is_inside_stays(
    norm: str, exponent: float, radius: float, seed: int
) -> None:
    change, radii = 10**exponent * torch.randn(4, *SHAPE, generator=generator(seed)), torch.full((4, 1, 1, 1), radius)
    found = ball.project(change, radii, norm)
    size = found.abs().flatten(1).amax(1).double() if norm == "linf" else lengths(found)
    assert float(size.max()) <= radius * (1 + 1e-6)
    torch.testing.assert_close(ball.project(found, radii, norm), found, rtol=1e-6, atol=0)
    outside = lengths(change) > radius
    if norm == "l2":  # the direction is kept
        cosine = (found.double() * change.double()).flatten(1).sum(1) / lengths(found) / lengths(change)
        assert radius == 0 or torch.allclose(cosine[outside], torch.ones(int(outside.sum())).double(), atol=1e-4)


@NORM
def test_a_random_start_is_uniform_in_its_own_ball(norm: str) -> None:
    """Of a uniform point's radius, the share of the volume within is uniform, and every side is as likely."""
    radius = torch.linspace(0.1, 1, 4000).view(-1, 1, 1, 1)
    drawn = ball.anywhere(torch.zeros(4000, 1, 2, 2), radius, norm, generator()) / radius
    size = drawn.abs().flatten(1).amax(1) if norm == "linf" else lengths(drawn)
    assert float(size.max()) <= 1 + 1e-6
    shares = np.sort(size.double().numpy() ** 4)
    assert np.abs(shares - np.linspace(0, 1, 4000)).max() < 1.63 / math.sqrt(4000)  # Kolmogorov and Smirnov at 1 %
    assert float(drawn.mean(0).abs().max()) < 0.04


@NORM
def test_a_budget_of_two_kinds_of_image_is_kept_at_the_bounds(norm: str, network: Network) -> None:
    x, y = small_digits.images(10)
    epsilon = torch.linspace(0, 0.5, 10) if norm == "linf" else torch.linspace(0, 5, 10)
    found = pgd(network, x, y, epsilon=epsilon, norm=norm, steps=5, generator=generator())
    change = (found - x).double().flatten(1)
    size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
    assert bool((size <= epsilon * (1 + 1e-6) + 2**-24).all()) and torch.equal(found[0], x[0])
    assert float(found.min()) == 0 and float(found.max()) == 1 and float(size[1:].min()) > 0


def test_an_epsilon_of_each_image_is_what_one_of_all_is(network: Network) -> None:
    x, y = small_digits.images(6)
    for attack in (fgsm, pgd):
        assert torch.equal(attack(network, x, y, epsilon=torch.full((6,), 0.1)), attack(network, x, y, epsilon=0.1))


# --- restarts ---------------------------------------------------------------------------------------------------------


class Trap(nn.Module):
    """Two classes and one pixel: from 0.5 the loss of class 0 rises up to 0.7, and only beyond 0.2 is it lost."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)[:, :1]
        rival = torch.where(x > 0.4, 0.5 * (x - 0.4) - 1, 5 * (0.25 - x))
        return torch.cat([torch.zeros_like(x), rival], 1)


def test_an_image_keeps_the_restart_that_succeeds() -> None:
    x, y = torch.full((40, 1, 1, 1), 0.5), torch.zeros(40, dtype=torch.long)
    settings: dict[str, Any] = {"epsilon": 0.3, "step_size": 0.01, "steps": 60}
    for restarts, low, high in ((1, 0.1, 0.6), (12, 0.95, 1.0)):
        found = pgd(Trap(), x, y, restarts=restarts, generator=generator(), **settings)
        lost = Trap()(found).argmax(1) == 1
        assert low <= float(lost.float().mean()) <= high
        torch.testing.assert_close(found[~lost], torch.full_like(found[~lost], 0.8), atol=1e-6, rtol=0)
    assert not (Trap()(pgd(Trap(), x, y, **settings)).argmax(1) == 1).any()


@NORM
@pytest.mark.parametrize("targeted", [False, True])
def test_more_restarts_never_leave_less(norm: str, targeted: bool, network: Network) -> None:
    """The first of them is the attack without; who has not succeeded gets where the loss is higher."""
    x, y = small_digits.images(30)
    aim = (y + 1) % 10 if targeted else y
    settings: dict[str, Any] = {"epsilon": 0.08 if norm == "linf" else 0.6, "norm": norm, "steps": 3}
    one, many = (
        pgd(network, x, aim, targeted=targeted, restarts=restarts, generator=generator(), **settings)
        for restarts in (1, 6)
    )
    with torch.no_grad():
        first, last = network(one), network(many)
    reached, still = ((scores.argmax(1) == aim) == targeted for scores in (first, last))
    loss, raised = (nn.functional.cross_entropy(scores, aim, reduction="none") for scores in (first, last))
    assert torch.equal(one[reached], many[reached]) and bool(still[reached].all())
    gained = (loss - raised if targeted else raised - loss)[~still]
    assert float(gained.min()) >= 0 and int(still.sum()) + int((gained > 0).sum()) > int(reached.sum())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"norm": "l1"}, "norm: unknown 'l1'; expected one of linf, l2"),
        ({"norm": 2}, "norm: "),
        ({"restarts": 0}, "restarts: expected a whole number of at least 1, got 0"),
        ({"restarts": 2, "generator": None}, "generator: expected a torch.Generator"),
        ({"norm": "l2", "epsilon": 5.0}, "epsilon: expected a finite number in [0, 4.89898], got 5.0"),
        ({"norm": "l2", "step_size": 5.0}, "step_size: expected a finite number in [0, 4.89898], got 5.0"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(change: dict[str, Any], told: str) -> None:
    x, y = grey()
    with pytest.raises(BadValue) as caught:
        pgd(Linear(2), x, y, **{"epsilon": 0.1, "generator": generator(), **change})
    assert str(caught.value).startswith(told)
