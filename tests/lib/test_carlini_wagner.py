"""The attack of Carlini and Wagner: distances known in closed form, other implementations, and what must always hold."""

from __future__ import annotations

import copy
import math
from typing import Any

import foolbox
import pytest
import small_digits
import torch
from cleverhans.torch.attacks.carlini_wagner_l2 import carlini_wagner_l2
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lib import models
from lib.errors import BadValue
from lib.evasion import FORMS, Look, carlini_wagner
from lib.models import Network
from lib.uncertainty import Deterministic, Ensemble, MonteCarloDropout


@pytest.fixture
def network() -> Network:
    return small_digits.network()


SHAPE = (3, 4, 5)
FEATURES = math.prod(SHAPE)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """Logits W x + b."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias


def linear(classes: int, seed: int = 0) -> Linear:
    source = generator(seed)
    return Linear(torch.randn(classes, FEATURES, generator=source), torch.randn(classes, generator=source))


def images(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, *SHAPE, generator=generator(seed + 1000))


def at_distance(distances: Tensor) -> tuple[Linear, Tensor, Tensor]:
    """Two classes, with grey images of class 0 at the given distances from the plane between them; the logits differ by it."""
    normal = torch.randn(FEATURES, generator=generator())
    normal /= normal.norm()
    middle = torch.full((FEATURES,), 0.5)
    victim = Linear(torch.stack([-normal / 2, normal / 2]), torch.stack([normal @ middle / 2, -normal @ middle / 2]))
    x = (middle - distances[:, None] * normal).view(-1, *SHAPE)
    return victim, x, torch.zeros(len(distances), dtype=torch.long)


def norms(change: Tensor) -> Tensor:
    return change.flatten(1).norm(dim=1)


def answers(victim: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = victim(x).argmax(1)
    return found


CAREFUL: dict[str, Any] = {"iterations": 150, "learning_rate": 0.01, "search_steps": 3, "constant": 5.0}
"""Small steps, with which the optimum is found to a per cent."""


# --- closed forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("confidence", [0.0, 0.2])
def test_between_two_classes_the_way_is_the_distance_to_the_plane(targeted: bool, confidence: float) -> None:
    """And with confidence, to the plane that lies so much further: |x' - x| = (margin + kappa) / |w|."""
    distances = torch.tensor([0.05, 0.1, 0.2, 0.4])
    victim, x, y = at_distance(distances)
    found = carlini_wagner(victim, x, 1 - y if targeted else y, targeted=targeted, confidence=confidence, **CAREFUL)
    least = distances + confidence
    assert answers(victim, found).tolist() == [1, 1, 1, 1]
    assert bool((norms(found - x) >= least * (1 - 1e-5)).all())
    torch.testing.assert_close(norms(found - x), least, rtol=0.03, atol=0)


def test_the_way_is_straight() -> None:
    victim, x, y = at_distance(torch.tensor([0.1, 0.3]))
    change = (carlini_wagner(victim, x, y, **CAREFUL) - x).flatten(1)
    normal = (victim.weight[1] - victim.weight[0]).detach()
    assert bool((torch.cosine_similarity(change, normal[None]) > 0.99).all())


def test_an_image_is_reached_if_its_constant_pays_for_the_way() -> None:
    """|d|^2 + c max(m - d, 0) has its minimum at d = c / 2 before the plane, and beyond it only if c > 2 m."""
    distances = torch.tensor([0.05, 0.1, 0.15, 0.25, 0.3, 0.4])
    victim, x, y = at_distance(distances)
    found = carlini_wagner(victim, x, y, constant=0.4, iterations=300, learning_rate=0.01)
    assert (norms(found - x) > 0).tolist() == [True, True, True, False, False, False]


def test_the_search_raises_a_constant_that_is_too_small_ten_times_a_step() -> None:
    victim, x, y = at_distance(
        torch.tensor([0.02, 0.2])
    )  # reached from c = 0.04 and c = 0.4: after two and three steps
    for search_steps, reached in ((1, [False, False]), (2, [False, False]), (3, [True, False]), (4, [True, True])):
        found = carlini_wagner(
            victim, x, y, constant=1e-3, iterations=150, learning_rate=0.001, search_steps=search_steps
        )
        assert (norms(found - x) > 0).tolist() == reached


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 5), confidence=st.sampled_from([0.0, 0.5, 3.0]))
def test_no_image_moves_less_than_the_distance_to_the_nearest_plane(seed: int, classes: int, confidence: float) -> None:
    victim, x = linear(classes, seed), images(4, seed)
    y = answers(victim, x)
    found = carlini_wagner(victim, x, y, confidence=confidence, iterations=15, constant=100.0)
    with torch.no_grad():
        logits = victim(x)
        apart = (victim.weight[y][:, None] - victim.weight).norm(dim=2)  # (n, classes)
        margins = logits.gather(1, y[:, None]) - logits + confidence
    least = (margins / apart).masked_fill(nn.functional.one_hot(y, classes).bool(), torch.inf).amin(1)
    moved = norms(found - x)
    assert bool(((moved == 0) | (moved >= least * (1 - 1e-4))).all()) and bool((moved > 0).any())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("targeted", [False, True])
def test_the_first_step_follows_the_mean_of_the_draws_own_margins(form: str, targeted: bool, network: Network) -> None:
    """Adam's first step is its learning rate along the sign of the gradient, for the very draws that the generator gives."""
    x = 0.25 + torch.rand(30, 1, 16, 16, generator=generator()) / 2  # grey, so that a step shows
    w = torch.atanh((2 * x - 1) * 0.999999)
    victim = MonteCarloDropout(network, generator=generator(3), draws=4)
    look = Look(victim, form, draws=4)
    y = (answers(victim, x) + targeted) % 10
    victim.generator = generator(5)
    moving = torch.zeros_like(w).requires_grad_()
    loss = torch.zeros(())
    shown = look.looks((torch.tanh(w + moving) + 1) / 2)
    for draw in shown:
        for scores, label in zip(draw, y.tolist(), strict=True):
            others = torch.cat([scores[:label], scores[label + 1 :]]).max()
            loss = loss + 1000 * torch.relu(0.5 + (others - scores[label]) * (1 if targeted else -1)) / len(shown)
    gradient = torch.autograd.grad(loss, moving)[0]
    expected = (torch.tanh(w - gradient / (gradient.abs() + 1e-8)) + 1) / 2
    victim.generator = generator(5)
    found = carlini_wagner(
        look, x, y, targeted=targeted, iterations=2, constant=1000.0, learning_rate=1.0, confidence=0.5
    )
    moved = norms(found - x) > 0.01
    assert int(moved.sum()) >= 3
    # a gradient within rounding of 0 has no sign
    assert float(((found - expected).abs() > 1e-4)[moved].double().mean()) < 1e-3


# --- success ----------------------------------------------------------------------------------------------------------


class Stubborn(nn.Module):
    """Linear, but it never says 2, and where the first feature is above a half nothing makes it change its mind from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = linear(3)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.inner(x) + torch.tensor([0.0, 0.0, -1e4])
        return logits + (x.flatten(1)[:, :1] > 0.5) * torch.tensor([1e4, 0.0, 0.0])


@pytest.mark.parametrize("search_steps", [1, 4])
def test_an_image_that_cannot_be_fooled_comes_back_as_it_was(search_steps: int) -> None:
    victim, x = Stubborn(), images(20)
    y = answers(victim, x)
    to_two = carlini_wagner(victim, x, torch.full_like(y, 2), targeted=True, search_steps=search_steps)
    assert torch.equal(to_two, x)
    found = carlini_wagner(victim, x, y, iterations=10, learning_rate=0.05, search_steps=search_steps)
    fooled = answers(victim, found) != y
    assert 0 < int(fooled.sum()) < len(x)
    assert torch.equal(found[~fooled], x[~fooled]) and float(norms(found - x)[fooled].min()) > 0


@pytest.mark.parametrize("targeted", [False, True])
def test_what_is_written_out_is_what_autograd_and_pytorchs_adam_compute(targeted: bool) -> None:
    """To the bit: one search step, with the whole loss differentiated and the optimiser of `torch.optim`."""
    victim, x = linear(4), images(6)
    y = (answers(victim, x) + targeted) % 4
    w = torch.atanh((2 * x - 1) * 0.999999)
    change, best, nearest = torch.zeros_like(w).requires_grad_(), x.clone(), torch.full((6,), torch.inf)
    adam = torch.optim.Adam([change], 0.2)
    for _ in range(50):
        moved = (torch.tanh(w + change) + 1) / 2
        length, logits = (moved - x).flatten(1).square().sum(1), victim(moved)
        own = logits.gather(1, y[:, None])[:, 0]
        margin = (logits.scatter(1, y[:, None], -torch.inf).amax(1) - own) * (1 if targeted else -1) + 0.1
        (change.grad,) = torch.autograd.grad((length + 3 * margin.clamp_min(0)).sum(), change)
        better = (margin < 0) & (length < nearest)
        best[better], nearest[better] = moved[better].detach(), length[better].detach()
        adam.step()
    found = carlini_wagner(victim, x, y, targeted=targeted, iterations=50, constant=3.0, confidence=0.1)
    assert torch.equal(found, best) and nearest.isfinite().any()


def test_an_image_that_is_adversarial_already_stays_where_it_is() -> None:
    victim, x, y = at_distance(torch.tensor([0.1, 0.3]))
    torch.testing.assert_close(carlini_wagner(victim, x, 1 - y), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(carlini_wagner(victim, x, y, targeted=True), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("confidence", [0.0, 1.0, 5.0])
def test_every_image_that_moved_is_adversarial_by_the_margin_asked_for(
    targeted: bool, confidence: float, network: Network
) -> None:
    x, _ = small_digits.images(16)
    victim = Deterministic(network)
    y = (answers(victim, x) + targeted) % 10
    found = carlini_wagner(victim, x, y, targeted=targeted, confidence=confidence, iterations=100)
    with torch.no_grad():
        logits = network(found)
    own = logits.gather(1, y[:, None])[:, 0]
    others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    margin = own - others if targeted else others - own
    moved = norms(found - x) > 0
    assert int(moved.sum()) >= 14 and bool((margin[moved] > confidence - 1e-4).all())
    assert float(margin[moved].min()) < confidence + 1  # and by little more


# --- what must always hold --------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    bounds=st.sampled_from([(0.0, 1.0), (-1.0, 0.5), (0.0, 255.0)]),
    extreme=st.booleans(),
    targeted=st.booleans(),
    search_steps=st.integers(1, 3),
)
def test_the_result_stays_inside_the_bounds(
    seed: int, bounds: tuple[float, float], extreme: bool, targeted: bool, search_steps: int
) -> None:
    victim, (low, high) = linear(3, seed), bounds
    victim.bounds = bounds
    x = low + (high - low) * (images(3, seed).round() if extreme else images(3, seed))
    before, y = x.clone(), torch.randint(3, (3,), generator=generator(seed))
    found = carlini_wagner(
        victim, x, y, targeted=targeted, iterations=5, learning_rate=2.0, constant=1e6, search_steps=search_steps
    )
    assert found.shape == x.shape and found.dtype == x.dtype and not found.requires_grad
    assert low <= float(found.min()) and float(found.max()) <= high
    assert torch.equal(x, before)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("search_steps", [1, 3])
def test_an_images_result_does_not_depend_on_the_others(targeted: bool, search_steps: int, network: Network) -> None:
    """Nor does its constant: with several search steps the images' constants part."""
    x, y = small_digits.images(7)
    victim, y = Deterministic(network), (y + targeted) % 10

    def attack(x: Tensor, y: Tensor) -> Tensor:
        return carlini_wagner(victim, x, y, targeted=targeted, iterations=15, search_steps=search_steps, constant=1.0)

    whole = attack(x, y)
    assert float(norms(whole - x).max()) > 0.1
    for sizes in ([1] * 7, [3, 4]):
        parts = [attack(*part) for part in zip(x.split(sizes), y.split(sizes), strict=True)]
        torch.testing.assert_close(torch.cat(parts), whole, atol=1e-4, rtol=0)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    torch.testing.assert_close(attack(x[order], y[order]), whole[order], atol=1e-4, rtol=0)


def test_more_search_steps_bring_every_image_at_least_as_near(network: Network) -> None:
    x, y = small_digits.images(10)
    victim = Deterministic(network)
    one, three, six = (
        norms(carlini_wagner(victim, x, y, iterations=30, constant=50.0, search_steps=steps) - x) for steps in (1, 3, 6)
    )
    assert float(one.min()) > 0
    assert bool((three <= one + 1e-6).all()) and bool((six <= three + 1e-6).all())
    assert float(six.mean()) < 0.97 * float(one.mean())


def test_the_victim_is_left_as_it_was() -> None:
    victim = linear(3)
    before = copy.deepcopy(victim.state_dict())
    victim.bias.requires_grad_(False)
    carlini_wagner(victim, images(3), torch.tensor([0, 1, 2]), iterations=3)
    assert [parameter.grad for parameter in victim.parameters()] == [None, None]
    assert [parameter.requires_grad for parameter in victim.parameters()] == [True, False]
    assert all(torch.equal(before[name], value) for name, value in victim.state_dict().items())


def test_no_images_give_no_images() -> None:
    assert carlini_wagner(linear(3), images(0), torch.zeros(0, dtype=torch.long)).shape == (0, *SHAPE)


# --- random victims ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_random_victim_is_attacked_by_the_draws_of_its_generator(form: str, network: Network) -> None:
    x, y = small_digits.images(6)

    def attack(seed: int) -> Tensor:
        victim = MonteCarloDropout(network, generator=generator(seed), draws=3)
        return carlini_wagner(Look(victim, form, draws=3), x, y, iterations=15)

    found = attack(1)
    assert torch.equal(found, attack(1)) and not torch.equal(found, attack(2))
    assert int((norms(found - x) > 0.01).sum()) >= 4
    assert float(found.min()) >= 0 and float(found.max()) <= 1


def test_a_victim_that_is_not_random_looks_the_same_in_every_form(network: Network) -> None:
    x, y = small_digits.images(4)
    plain = carlini_wagner(network, x, y, iterations=15)
    for form in FORMS:
        found = carlini_wagner(Look(Deterministic(network), form, draws=3), x, y, iterations=15)
        torch.testing.assert_close(found, plain, atol=1e-4, rtol=0)


def test_an_ensemble_is_fooled_as_a_whole(network: Network) -> None:
    """The expectation over an ensemble differentiates each member; success is the answer of all of them."""
    victim = Ensemble(
        [
            network,
            *(models.build("fully_connected", shape=(1, 16, 16), classes=10, seed=seed, width=32) for seed in (1, 2)),
        ]
    )
    x, _ = small_digits.images(8)
    y = answers(victim, x)
    for form in ("mean", "expectation"):
        found = carlini_wagner(Look(victim, form, draws=3), x, y, iterations=40)
        moved = norms(found - x) > 0
        assert int(moved.sum()) >= 6 and torch.equal(answers(victim, found) != y, moved)


# --- other implementations --------------------------------------------------------------------------------------------

USUAL: dict[str, Any] = {"iterations": 50, "constant": 10.0, "learning_rate": 0.2}


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("search_steps", [1, 3])
def test_it_comes_as_near_as_foolboxs(targeted: bool, search_steps: int, network: Network) -> None:
    x, _ = small_digits.images(16)
    y = (answers(network, x) + targeted) % 10
    criterion = foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification
    theirs = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=search_steps, steps=50, stepsize=0.2, confidence=0, initial_const=10, abort_early=False
    ).run(foolbox.PyTorchModel(network, bounds=(0, 1)), x, criterion(y))
    ours = carlini_wagner(network, x, y, targeted=targeted, search_steps=search_steps, **USUAL)
    for found in (ours, theirs):
        assert bool(((answers(network, found) == y) == targeted).all())
    assert float(norms(ours - x).mean()) <= 1.02 * float(norms(theirs - x).mean())


@pytest.mark.parametrize("targeted", [False, True])
def test_it_comes_as_near_as_cleverhanss_in_a_batch_of_one(targeted: bool, network: Network) -> None:
    """Only there: in a larger batch CleverHans weighs every image's loss by every image's constant."""
    x, _ = small_digits.images(6)
    y = (answers(network, x) + targeted) % 10
    theirs = torch.cat(
        [
            carlini_wagner_l2(
                network, *one, targeted, lr=0.2, initial_const=10, binary_search_steps=1, max_iterations=50
            )
            for one in zip(x.split(1), [10] * 6, y.split(1), strict=True)
        ]
    )
    network.zero_grad()
    ours = carlini_wagner(network, x, y, targeted=targeted, **USUAL)
    for found in (ours, theirs):
        assert bool(((answers(network, found) == y) == targeted).all())
    assert float(norms(ours - x).mean()) <= 1.02 * float(norms(theirs - x).mean())


# --- refusals ---------------------------------------------------------------------------------------------------------


class Never(nn.Module):
    """A victim that may not be asked."""

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the victim was asked before the settings were checked")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"iterations": 0}, "iterations: expected a whole number of at least 1, got 0"),
        ({"iterations": 2.0}, "iterations: "),
        ({"search_steps": 0}, "search_steps: expected a whole number of at least 1, got 0"),
        ({"search_steps": True}, "search_steps: "),
        ({"constant": 0.0}, "constant: expected a finite number in [1e-12, 1e+10], got 0.0"),
        ({"constant": 1e11}, "constant: "),
        ({"constant": "10"}, "constant: "),
        ({"learning_rate": 0.0}, "learning_rate: expected a finite number in [1e-12, 1000], got 0.0"),
        ({"learning_rate": math.nan}, "learning_rate: "),
        ({"confidence": -0.1}, "confidence: expected a finite number in [0, 1e+06], got -0.1"),
        ({"confidence": math.inf}, "confidence: "),
        ({"x": torch.full((2, *SHAPE), 1.5)}, "x: expected finite values in [0, 1], got 1.5 to 1.5"),
        ({"x": torch.full((2, *SHAPE), math.nan)}, "x: "),
        ({"x": torch.rand(2, 3)}, "x, y: expected (n, c, h, w) and (n,), got (2, 3) and (2,)"),
        ({"y": torch.zeros(3).long()}, "x, y: "),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(change: dict[str, Any], told: str) -> None:
    arguments = {"x": images(2), "y": torch.zeros(2).long(), **change}
    with pytest.raises(BadValue) as caught:
        carlini_wagner(Never(), **arguments)
    assert str(caught.value).startswith(told)
