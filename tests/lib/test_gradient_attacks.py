"""FGSM and PGD: closed forms on linear victims, and what must hold of every attack: bounds, budget, batches, seeds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cleverhans.torch.attacks.fast_gradient_method import fast_gradient_method
from cleverhans.torch.attacks.projected_gradient_descent import projected_gradient_descent
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadValue, VictimWarning
from lib.evasion import Look, carlini_wagner, fgsm, jsma, pgd, pgd_aware
from lib.evasion.gradient import LOSSES, dlr
from lib.evasion.perturb import perturb
from lib.models import Network
from lib.uncertainty import Deterministic, MonteCarloDropout, estimate

ROUNDING = 1e-6  # x + epsilon and back, in float32


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """Logits W x + b."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias


def linear(classes: int, shape: tuple[int, ...], seed: int = 0) -> Linear:
    source = generator(seed)
    return Linear(torch.randn(classes, math.prod(shape), generator=source), torch.randn(classes, generator=source))


class Smooth(Linear):
    """Logits of one smooth layer."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(super().forward(x))


def problem(n: int, shape: tuple[int, int, int], classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    source = generator(seed + 1000)
    return torch.rand(n, *shape, generator=source), torch.randint(classes, (n,), generator=source)


def call(name: str, victim: nn.Module, x: Tensor, y: Tensor, epsilon: float, seed: int = 0) -> Tensor:
    """An attack with usual settings; PGD from a random start."""
    if name == "fgsm":
        return fgsm(victim, x, y, epsilon=epsilon)
    step_size = epsilon / 4 or epsilon  # a quarter of the smallest number is none
    return pgd(victim, x, y, epsilon=epsilon, step_size=step_size, steps=5, generator=generator(seed))


def losses(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return F.cross_entropy(victim(x), y, reduction="none")


BOTH = pytest.mark.parametrize("name", ["fgsm", "pgd"])
SHAPE = (3, 4, 5)


# --- closed forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.3, 1.0])
def test_fgsm_between_two_classes_moves_along_the_sign_of_their_difference(epsilon: float) -> None:
    """The gradient is (1 - p_y)(w_other - w_y): its sign knows nothing of the image."""
    victim, (x, y) = linear(2, SHAPE), problem(6, SHAPE, 2)
    with torch.no_grad():
        victim.weight[:, :7] = 0  # pixels that neither class looks at do not move
        difference = victim.weight[1 - y] - victim.weight[y]
    expected = (x + epsilon * difference.sign().view(x.shape)).clamp(0, 1)
    found = fgsm(victim, x, y, epsilon=epsilon)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)
    assert torch.equal(found.flatten(1)[:, :7], x.flatten(1)[:, :7])


@pytest.mark.parametrize("classes", [3, 10])
def test_fgsm_among_many_classes_follows_softmax_minus_one_hot(classes: int) -> None:
    victim, (x, y) = linear(classes, SHAPE, seed=1), problem(6, SHAPE, classes)
    w, b = victim.weight.detach().double().numpy(), victim.bias.detach().double().numpy()
    logits = x.flatten(1).double().numpy() @ w.T + b
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    gradient = (p - np.eye(classes)[y.numpy()]) @ w
    expected = np.clip(x.numpy() + 0.1 * np.sign(gradient).reshape(x.shape), 0, 1)
    np.testing.assert_allclose(fgsm(victim, x, y, epsilon=0.1).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("start", [None, 0, 1])
@pytest.mark.parametrize(("step_size", "steps"), [(0.1, 20), (0.03, 9), (0.1, 2)])
def test_pgd_between_two_classes_ends_in_the_same_corner(step_size: float, steps: int, start: int | None) -> None:
    """Steps that add up to the diameter of the ball reach the corner from anywhere; from x, to its radius suffice."""
    if start is not None and step_size * steps < 0.2:
        steps = math.ceil(0.2 / step_size)
    victim, (x, y) = linear(2, SHAPE), problem(6, SHAPE, 2)
    difference = (victim.weight[1 - y] - victim.weight[y]).detach().view(x.shape)
    expected = (x + 0.1 * difference.sign()).clamp(0, 1)
    source = None if start is None else generator(start)
    found = pgd(victim, x, y, epsilon=0.1, step_size=step_size, steps=steps, generator=source)
    torch.testing.assert_close(found, expected, atol=ROUNDING, rtol=0)


def test_pgd_in_fewer_steps_has_moved_by_exactly_those_steps() -> None:
    victim, (x, y) = linear(2, SHAPE), problem(6, SHAPE, 2)
    sign = (victim.weight[1 - y] - victim.weight[y]).detach().sign().view(x.shape)
    found = pgd(victim, x, y, epsilon=0.3, step_size=0.02, steps=3)
    torch.testing.assert_close(found, (x + 0.06 * sign).clamp(0, 1), atol=ROUNDING, rtol=0)


def test_pgd_from_x_in_one_full_step_is_fgsm() -> None:
    victim, (x, y) = Smooth(*linear(4, SHAPE).parameters()), problem(6, SHAPE, 4)
    torch.testing.assert_close(
        pgd(victim, x, y, epsilon=0.2, step_size=0.2, steps=1), fgsm(victim, x, y, epsilon=0.2), atol=ROUNDING, rtol=0
    )


@pytest.mark.parametrize("seed", range(5))
def test_pgd_attains_at_least_the_loss_of_fgsm(seed: int) -> None:
    victim, (x, y) = Smooth(*linear(4, SHAPE, seed).parameters()), problem(20, SHAPE, 4, seed)
    clean, one = losses(victim, x, y), losses(victim, fgsm(victim, x, y, epsilon=0.05), y)
    many = losses(victim, pgd(victim, x, y, epsilon=0.05, step_size=0.005, steps=40), y)
    assert float(one.mean()) > float(clean.mean()) + 0.01
    assert bool((many >= one - 1e-4).all()) and float(many.mean()) >= float(one.mean())


def test_a_random_victim_is_attacked_through_the_mean_of_its_draws(untrained: Callable[..., Network]) -> None:
    """The attack's step is the sign of the gradient of that mean, for the very draws that the generator gives."""
    network, x, y = untrained(dropout=0.5), torch.rand(4, 1, 28, 28, generator=generator()), torch.tensor([1, 2, 3, 4])
    moving = x.clone().requires_grad_()
    victim = MonteCarloDropout(network, generator=generator(5), draws=8)
    gradient = torch.autograd.grad(F.cross_entropy(victim(moving), y), moving)[0]
    victim.generator = generator(5)
    found = fgsm(victim, x, y, epsilon=0.1)
    assert torch.equal(found, (x + 0.1 * gradient.sign()).clamp(0, 1))
    assert not torch.equal(fgsm(victim, x, y, epsilon=0.1), found)  # fresh draws


# --- what holds of every attack ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings(
    "ignore::lib.errors.VictimWarning"
)  # weights of 0 have no gradient, which it is right to tell
@BOTH
@given(
    epsilon=st.floats(0, 1),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(2, 5), st.integers(2, 5)),
    values=st.sampled_from(["uniform", "extreme", "mixed"]),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 1e3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_result_stays_inside_the_bounds_and_the_budget(
    name: str, epsilon: float, shape: tuple[int, int, int, int], values: str, scale: float, seed: int
) -> None:
    n, *image = shape
    victim, (x, y) = linear(3, tuple(image), seed), problem(n, (image[0], image[1], image[2]), 3, seed)
    with torch.no_grad():
        victim.weight.mul_(scale)
    if values != "uniform":  # black and white, or some of both
        x = torch.where(
            torch.rand(x.shape, generator=generator(seed)) < (1 if values == "extreme" else 0.5), x.round(), x
        )
    before = x.clone()
    found = call(name, victim, x, y, epsilon, seed)
    assert found.shape == x.shape and found.dtype == x.dtype and not found.requires_grad
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    assert float((found - x).abs().max()) <= epsilon + ROUNDING
    assert torch.equal(x, before)


@BOTH
def test_towards_a_label_of_two_is_away_from_the_other(name: str) -> None:
    victim, (x, y) = linear(2, SHAPE), problem(6, SHAPE, 2)
    settings: dict[str, Any] = {"epsilon": 0.1} if name == "fgsm" else {"epsilon": 0.1, "step_size": 0.03, "steps": 2}
    attack: Callable[..., Tensor] = fgsm if name == "fgsm" else pgd
    assert torch.equal(attack(victim, x, 1 - y, targeted=True, **settings), attack(victim, x, y, **settings))


@BOTH
def test_a_budget_is_in_the_units_of_the_images(name: str) -> None:
    """The same attack on levels of 0 to 255 as on 0 to 1."""
    victim, (x, y) = linear(2, SHAPE), problem(6, SHAPE, 2)
    levels = Linear(victim.weight.detach() / 255, victim.bias.detach())
    levels.bounds = (0.0, 255.0)
    torch.testing.assert_close(call(name, levels, 255 * x, y, 25.5) / 255, call(name, victim, x, y, 0.1))
    with pytest.raises(BadValue, match=r"^epsilon: expected a finite number in \[0, 255\], got 256"):
        call(name, levels, 255 * x, y, 256.0)


@BOTH
def test_the_bounds_are_the_victims(name: str) -> None:
    victim, (x, y) = linear(2, SHAPE), problem(6, SHAPE, 2)
    victim.bounds = (-1.0, 0.5)
    x = 1.5 * x - 1
    found = call(name, victim, x, y, 0.4)
    assert float(found.min()) >= -1 and float(found.max()) <= 0.5
    assert float(found.min()) == -1 and float(found.max()) == 0.5  # and both are reached


@BOTH
def test_a_budget_of_zero_gives_the_image_back(name: str) -> None:
    x, y = problem(6, SHAPE, 2)
    found = call(name, linear(2, SHAPE), x, y, 0.0)
    assert torch.equal(found, x) and found.data_ptr() != x.data_ptr()  # a copy, which may be changed


@BOTH
def test_it_does_not_matter_whether_the_caller_wants_gradients(name: str) -> None:
    victim, (x, y) = linear(3, SHAPE), problem(6, SHAPE, 3)
    expected = call(name, victim, x, y, 0.1)
    with torch.no_grad():
        assert torch.equal(call(name, victim, x, y, 0.1), expected)
    found = call(name, victim, x.clone().requires_grad_(), y, 0.1)
    assert torch.equal(found, expected) and not found.requires_grad


@BOTH
def test_a_budget_can_be_spent(name: str) -> None:
    x, y = problem(6, SHAPE, 2)
    moved = (call(name, linear(2, SHAPE), x, y, 0.1) - x).abs().amax((1, 2, 3))
    torch.testing.assert_close(moved, torch.full((6,), 0.1), atol=ROUNDING, rtol=0)


@BOTH
@pytest.mark.parametrize("sizes", [[1] * 7, [3, 4], [6, 1]])
def test_for_a_deterministic_victim_the_batch_does_not_matter(
    name: str, sizes: list[int], trained: Network, digits: Any
) -> None:
    x, y = digits.test.take(torch.arange(7))
    victim = Deterministic(trained)

    def attack(x: Tensor, y: Tensor) -> Tensor:
        return (
            fgsm(victim, x, y, epsilon=0.1)
            if name == "fgsm"
            else pgd(victim, x, y, epsilon=0.1, step_size=0.03, steps=4)
        )

    parts = [attack(*part) for part in zip(x.split(sizes), y.split(sizes), strict=True)]
    assert torch.equal(torch.cat(parts), attack(x, y))


def test_the_random_start_follows_its_generator_and_no_other() -> None:
    victim, (x, y) = linear(3, SHAPE), problem(6, SHAPE, 3)

    def start(seed: int) -> Tensor:  # steps of almost nothing leave the start visible
        return pgd(victim, x, y, epsilon=0.2, step_size=1e-6, steps=1, generator=generator(seed))

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = start(4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(start(4), first) and not torch.equal(start(5), first)
    offset = (first - x)[(x > 0.2) & (x < 0.8)]  # far from the bounds: uniform in the ball
    assert float(offset.min()) < -0.15 and float(offset.max()) > 0.15 and abs(float(offset.mean())) < 0.03


def test_one_generator_gives_a_new_start_at_every_call() -> None:
    victim, (x, y), source = linear(3, SHAPE), problem(6, SHAPE, 3), generator()
    first, second = (pgd(victim, x, y, epsilon=0.2, step_size=1e-6, steps=1, generator=source) for _ in range(2))
    assert not torch.equal(first, second)


def test_without_a_generator_pgd_starts_at_the_image() -> None:
    victim, (x, y) = linear(3, SHAPE), problem(6, SHAPE, 3)
    found = pgd(victim, x, y, epsilon=0.2, step_size=1e-3, steps=1)
    assert float((found - x).abs().max()) <= 1e-3 + ROUNDING


# --- refusals ---------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("epsilon", [-1, -1e-9, 1.5, math.nan, math.inf, "8/255", "0.1", True, None, torch.tensor(0.1)])
def test_an_epsilon_that_is_none_is_refused(name: str, epsilon: Any) -> None:
    x, y = problem(2, SHAPE, 2)
    with pytest.raises(BadValue, match=r"^epsilon: expected a finite number in \[0, 1\], got "):
        if name == "fgsm":
            fgsm(never, x, y, epsilon=epsilon)
        else:
            pgd(never, x, y, epsilon=epsilon, step_size=0.01, steps=1)


class Never(nn.Module):
    """A victim that may not be asked."""

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the victim was asked before the settings were checked")


never = Never()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"step_size": 1.2}, "step_size: expected a finite number in [0, 1], got 1.2"),
        ({"step_size": -0.01}, "step_size: "),
        ({"step_size": math.nan}, "step_size: "),
        ({"step_size": "2/255"}, "step_size: "),
        ({"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        ({"steps": -1}, "steps: "),
        ({"steps": 2.0}, "steps: "),
        ({"steps": True}, "steps: "),
    ],
)
def test_pgds_own_settings_are_refused_by_name(change: dict[str, Any], told: str) -> None:
    x, y = problem(2, SHAPE, 2)
    with pytest.raises(BadValue) as caught:
        pgd(never, x, y, **{"epsilon": 0.1, "step_size": 0.01, "steps": 1, **change})
    assert str(caught.value).startswith(told)


@BOTH
@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        (
            torch.full((2, 1, 3, 3), 1.01),
            torch.zeros(2).long(),
            "x: expected finite values in [0, 1], got 1.01 to 1.01",
        ),
        (torch.full((2, 1, 3, 3), -0.01), torch.zeros(2).long(), "x: "),
        (torch.full((2, 1, 3, 3), math.nan), torch.zeros(2).long(), "x: "),
        (torch.full((2, 1, 3, 3), 255.0), torch.zeros(2).long(), "x: "),
        (torch.rand(2, 3, 3), torch.zeros(2).long(), "x, y: expected (n, c, h, w) and (n,), got (2, 3, 3) and (2,)"),
        (torch.rand(2, 1, 3, 3), torch.zeros(3).long(), "x, y: "),
        (torch.rand(2, 1, 3, 3), torch.zeros(2, 1).long(), "x, y: "),
        (torch.rand(2, 1, 3, 3), torch.tensor(0), "x, y: "),
        (torch.rand(2, 1, 3, 3), torch.tensor([0, -100]), "y: expected labels of at least 0, got -100"),
        (torch.rand(2, 1, 3, 3), torch.zeros(2).int(), "y: expected labels in torch.int64, got torch.int32"),
        (torch.rand(2, 1, 3, 3), torch.full((2,), math.nan), "y: expected labels in torch.int64, got torch.float32"),
        (
            torch.rand(2, 1, 3, 3).double(),
            torch.zeros(2).long(),
            "x: expected images in torch.float32, got torch.float64",
        ),
    ],
)
def test_images_and_labels_that_do_not_fit_are_refused(name: str, x: Tensor, y: Tensor, told: str) -> None:
    with pytest.raises(BadValue) as caught:
        call(name, never, x, y, 0.1)
    assert str(caught.value).startswith(told)


# --- known defects ----------------------------------------------------------------------------------------------------


@BOTH
def test_the_victim_is_left_as_it_was(name: str) -> None:
    victim, (x, y) = linear(3, SHAPE), problem(6, SHAPE, 3)
    call(name, victim, x, y, 0.1)
    assert [parameter.grad for parameter in victim.parameters()] == [None, None]
    assert all(parameter.requires_grad for parameter in victim.parameters())


@BOTH
def test_no_images_give_no_images(name: str) -> None:
    x, y = problem(2, SHAPE, 3)
    assert call(name, linear(3, SHAPE), x[:0], y[:0], 0.1).shape == (0, *SHAPE)


def test_steps_of_no_length_are_refused() -> None:
    x, y = problem(2, SHAPE, 3)
    with pytest.raises(BadValue, match=r"^step_size: "):
        pgd(linear(3, SHAPE), x, y, epsilon=0.1, step_size=0.0, steps=3, generator=generator())


# --- CleverHans, to the last bit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("start", [None, 3])
def test_they_are_cleverhanss(targeted: bool, start: int | None, trained: Network, digits: Any) -> None:
    """With its random start, where that is drawn from the same number."""
    x, y = digits.test.take(torch.arange(13))
    victim, usual = Deterministic(trained), {"y": y, "targeted": targeted, "sanity_checks": False}
    own: dict[str, Any] = {"epsilon": 0.1, "targeted": targeted}
    if start is None:
        expected = fast_gradient_method(victim, x, 0.1, np.inf, clip_min=0.0, clip_max=1.0, **usual)
        assert torch.equal(fgsm(victim, x, y, **own), expected)
    source = None if start is None else generator(start)
    found = pgd(victim, x, y, step_size=0.03, steps=7, generator=source, **own)
    with torch.random.fork_rng([]):
        torch.manual_seed(0 if start is None else int(torch.randint(2**62, (), generator=generator(start))))
        expected = projected_gradient_descent(
            victim, x, 0.1, 0.03, 7, np.inf, clip_min=0.0, clip_max=1.0, rand_init=start is not None, **usual
        )
    assert torch.equal(found, expected)


# --- victims that hide their gradients --------------------------------------------------------------------------------


class Saturated(nn.Module):
    """Logits so far apart that float32 has no probability left for any class but one."""

    def __init__(self, inner: nn.Module, scale: float = 1e4) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.inner(x)


def saturated() -> tuple[nn.Module, Tensor, Tensor]:
    victim, (x, _) = Saturated(linear(4, SHAPE)), problem(20, SHAPE, 4)
    return victim, x, victim(x).argmax(1)


@BOTH
def test_images_without_a_gradient_are_told_of_by_number(name: str) -> None:
    victim, x, y = saturated()
    y[3] = (y[3] + 1) % 4  # of a label that it has lost there is a gradient
    with pytest.warns(
        VictimWarning, match=r"the gradients of 19 of 20 images \(95.0%\) are exactly 0 .* try loss='log_odds'"
    ):
        found = call(name, victim, x, y, 0.0001)
    moved = (found != x).flatten(1).any(1)
    assert bool(moved[3]) and (name == "pgd" or int(moved.sum()) == 1)


@BOTH
@pytest.mark.parametrize("loss", ["log_odds", "dlr"])
def test_other_losses_find_what_the_cross_entropy_of_a_sure_victim_hides(name: str, loss: str) -> None:
    """As far as the cross-entropy gets where nothing is hidden: logits that are scaled decide alike."""
    victim, x, y = saturated()
    settings: dict[str, Any] = {"epsilon": 0.3}
    settings |= {"step_size": 0.03, "steps": 20} if name == "pgd" else {}
    attack: Callable[..., Tensor] = fgsm if name == "fgsm" else pgd
    for target in (None, (y + 1) % 4) if loss == "log_odds" else (None,):
        aim: dict[str, Any] = {} if target is None else {"targeted": True}
        labels = y if target is None else target
        expected = attack(victim.inner, x, labels, **settings, **aim)  # type: ignore[union-attr]
        found = attack(victim, x, labels, loss=loss, **settings, **aim)  # no warning, which would be an error
        share = (victim(found).argmax(1) == labels).float().mean()
        honest = (victim(expected).argmax(1) == labels).float().mean()
        assert (float(share) <= float(honest) + 0.1) if target is None else (float(share) >= float(honest) - 0.15)


@pytest.mark.parametrize("loss", ["cross_entropy", "log_odds"])
def test_losses_are_perturbs(loss: str) -> None:
    victim, (x, y) = Smooth(*linear(4, SHAPE).parameters()), problem(6, SHAPE, 4)
    settings: dict[str, Any] = {"epsilon": 0.1, "step_size": 0.03, "steps": 5, "loss": loss}
    torch.testing.assert_close(pgd(victim, x, y, **settings), perturb(victim, x, y, **settings), atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_each_loss_of_a_look_is_the_mean_over_its_draws(loss: str, untrained: Callable[..., Network]) -> None:
    x, y = torch.rand(4, 1, 28, 28, generator=generator()), torch.tensor([1, 2, 3, 4])
    victim = MonteCarloDropout(untrained(dropout=0.5), generator=generator(5), draws=3)
    moving = x.clone().requires_grad_()
    draws = victim.sample(moving, 3)
    (gradient,) = torch.autograd.grad(sum(LOSSES[loss](draw, y).sum() for draw in draws), moving)  # type: ignore[arg-type]
    victim.generator = generator(5)
    found = fgsm(Look(victim, "expectation", draws=3), x, y, epsilon=0.1, loss=loss)
    same = (found == (x + 0.1 * gradient.sign()).clamp(0, 1)).float().mean()
    assert float(same) > 0.999  # of sums in another order a few signs near 0 differ


def test_dlr_is_its_closed_form() -> None:
    """Croce and Hein 2020, equation 3: (rival - own) / (first - third), right and wrong answers alike."""
    logits = torch.tensor([[4.0, 1.0, 2.0, 0.0], [4.0, 1.0, 2.0, 0.0]])
    assert [float(dlr(logits[i : i + 1], torch.tensor([c]))) for i, c in ((0, 0), (1, 1))] == pytest.approx([-2 / 3, 1])
    torch.testing.assert_close(dlr(100 * logits + 7, torch.tensor([0, 1])), dlr(logits, torch.tensor([0, 1])))


@BOTH
def test_losses_that_are_none_are_refused(name: str) -> None:
    x, y = problem(2, SHAPE, 2)
    attack: Callable[..., Tensor] = fgsm if name == "fgsm" else pgd
    settings: dict[str, Any] = {"epsilon": 0.1} | ({"step_size": 0.03, "steps": 2} if name == "pgd" else {})
    with pytest.raises(BadValue, match=r"^loss: unknown 'hinge'; expected one of cross_entropy, log_odds, dlr"):
        attack(never, x, y, loss="hinge", **settings)
    with pytest.raises(BadValue, match=r"^loss: dlr needs three classes or more"):
        attack(linear(2, SHAPE), x, y, loss="dlr", **settings)
    with pytest.raises(BadValue, match=r"^loss: expected cross_entropy or log_odds for a targeted attack, got 'dlr'"):
        attack(never, x, y, loss="dlr", targeted=True, **settings)


class Probabilities(Smooth):
    """Answers with a softmax."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


GRADIENT_ATTACKS: dict[str, Callable[..., Tensor]] = {
    "fgsm": lambda *of: fgsm(*of, epsilon=0.1),
    "pgd": lambda *of: pgd(*of, epsilon=0.1, step_size=0.05, steps=1),
    "carlini_wagner": lambda *of: carlini_wagner(*of, iterations=1),
    "jsma": lambda *of: jsma(*of),
}


@pytest.mark.parametrize("name", GRADIENT_ATTACKS)
@pytest.mark.parametrize("wrapped", ["plain", "victim", "look"])
def test_a_victim_that_answers_with_probabilities_is_noticed(name: str, wrapped: str) -> None:
    x, y = problem(6, SHAPE, 4)
    for kind, told in ((Probabilities, True), (Smooth, False)):
        victim: nn.Module = kind(*linear(4, SHAPE).parameters()).eval()
        if wrapped != "plain":
            victim = estimate("none", victim, generator=generator(), draws=1)
        victim = Look(victim, "mean", draws=1) if wrapped == "look" else victim  # type: ignore[arg-type]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            GRADIENT_ATTACKS[name](victim, x, y)
        assert (
            any(issubclass(one.category, VictimWarning) and "probabilities" in str(one.message) for one in caught)
            == told
        )


def test_the_aware_attack_notices_them_too() -> None:
    x, y = problem(6, SHAPE, 4)
    victim = estimate("none", Probabilities(*linear(4, SHAPE).parameters()).eval(), generator=generator(), draws=1)
    with pytest.warns(VictimWarning, match="probabilities"):
        pgd_aware(victim, x, y, epsilon=0.1, step_size=0.05, steps=1, score="entropy")


def test_looking_for_probabilities_costs_a_random_victim_no_draw(untrained: Callable[..., Network]) -> None:
    x, y = torch.rand(4, 1, 28, 28, generator=generator()), torch.tensor([1, 2, 3, 4])
    victim = MonteCarloDropout(untrained(dropout=0.5), generator=generator(5), draws=2)
    fgsm(victim, x, y, epsilon=0.1)
    spent = victim.generator.get_state()
    victim.generator = generator(5)
    victim(x)
    assert torch.equal(victim.generator.get_state(), spent)


# --- layouts, precision, modes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_random_start_does_not_depend_on_the_memory_layout(layout: torch.memory_format) -> None:
    victim, (x, y) = linear(3, SHAPE), problem(6, SHAPE, 3)
    settings: dict[str, Any] = {"epsilon": 0.2, "step_size": 1e-6, "steps": 1}
    found = pgd(victim, x.contiguous(memory_format=layout), y, generator=generator(), **settings)
    torch.testing.assert_close(found, pgd(victim, x, y, generator=generator(), **settings), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", GRADIENT_ATTACKS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_victims_of_another_precision_are_refused_unless_they_cast(name: str, dtype: torch.dtype) -> None:
    x, y = problem(2, SHAPE, 3)
    with pytest.raises(
        BadValue, match=rf"^victim: expected one that takes .*float32, got weights in {dtype}: call float"
    ):
        GRADIENT_ATTACKS[name](linear(3, SHAPE).to(dtype), x, y)

    class Casting(Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.to(dtype)).float()

    GRADIENT_ATTACKS[name](Casting(*linear(3, SHAPE).to(dtype).parameters()), x, y)


@pytest.mark.parametrize("name", GRADIENT_ATTACKS)
def test_inference_mode_is_refused_inside_and_in_what_came_from_it(name: str) -> None:
    victim, (x, y) = linear(3, SHAPE), problem(2, SHAPE, 3)
    attack = GRADIENT_ATTACKS[name]
    with torch.inference_mode():
        with pytest.raises(
            BadValue, match=r"^victim: expected to follow its gradients, got a call inside torch.inference"
        ):
            attack(victim, x, y)
        frozen, images, labels = linear(3, SHAPE), x.clone(), y.clone()
    for arguments, told in (((frozen, x, y), "victim: weight"), ((victim, images, y), "x"), ((victim, x, labels), "y")):
        with pytest.raises(BadValue, match=rf"^{told}: expected a tensor that gradients can flow by"):
            attack(*arguments)


@pytest.mark.parametrize("low", [0.0, -1.0, 0.3])
def test_the_budget_is_kept_up_to_the_rounding_that_is_stated(low: float) -> None:
    """epsilon + 2^-24 times the largest bound."""
    for seed in range(20):
        victim, (x, y) = linear(3, SHAPE, seed), problem(50, SHAPE, 3, seed)
        victim.bounds = (low, 1.0)
        x = low + (1 - low) * x
        epsilon = float(0.6 * torch.rand((), generator=generator(seed), dtype=torch.float64))
        for name in ("fgsm", "pgd"):
            found = call(name, victim, x.clamp(low, 1), y, epsilon)
            assert float((found.double() - x.double()).abs().max()) <= epsilon + 2**-24
