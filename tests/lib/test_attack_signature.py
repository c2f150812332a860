"""Every attack of ATTACKS can be called alike: any victim, towards a label or away from it, a budget for all or for each."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import small_digits
import torch
from torch import Tensor, nn

from lib.errors import BadValue
from lib.evasion import ATTACKS, NORMS_OF, Look
from lib.models import Network
from lib.uncertainty import Deterministic, MonteCarloDropout

BUDGET = {"linf": 0.3, "l2": 4.0, "l0": 60.0}
ORDER = {"linf": math.inf, "l2": 2.0, "l0": 0.0}
SHORT: dict[str, dict[str, Any]] = {
    "carlini_wagner": {"iterations": 20},
    "pgd": {"steps": 8},
    "pgd_aware": {"steps": 8},
    "apgd": {"steps": 8},
    "square": {"queries": 150, "generator": torch.Generator().manual_seed(0)},
}
EACH = pytest.mark.parametrize(("name", "norm"), [(name, norm) for name in ATTACKS for norm in NORMS_OF[name]])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network() -> Network:
    return small_digits.network()


def attack_of(name: str, norm: str) -> Callable[..., Tensor]:
    several = {"norm": norm} if len(NORMS_OF[name]) > 1 else {}
    return partial(ATTACKS[name], **several, **SHORT.get(name, {}))


def victims(network: Network) -> dict[str, nn.Module]:
    random = MonteCarloDropout(network, generator=generator(5), draws=4)
    looks = {form: Look(random, form, draws=3) for form in ("one_draw", "expectation")}
    return {"plain": network, "victim": Deterministic(network), "random": random, **looks}


def distances(found: Tensor, x: Tensor, norm: str) -> Tensor:
    return torch.linalg.vector_norm((found - x).double().flatten(1), ORDER[norm], dim=1)


def test_every_attack_has_a_norm_and_the_same_defaults() -> None:
    assert set(NORMS_OF) == set(ATTACKS) and {norm for norms in NORMS_OF.values() for norm in norms} <= set(ORDER)
    for attack in ATTACKS.values():
        known = inspect.signature(attack).parameters
        assert list(known)[:3] == ["victim", "x", "y"]
        assert {"epsilon", "targeted", "generator"} <= set(known)
        assert known["targeted"].default is False and known["generator"].default is None
        required = {one for one, of in known.items() if of.default is inspect.Parameter.empty}
        assert required <= {"victim", "x", "y", "epsilon"}


@EACH
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("kind", ["plain", "victim", "random", "one_draw", "expectation"])
def test_it_gets_where_it_should_within_its_budget(
    name: str, norm: str, targeted: bool, kind: str, network: Network
) -> None:
    victim, (x, y) = victims(network)[kind], small_digits.images(12)
    aim = (y + 1) % 10 if targeted else y
    found = attack_of(name, norm)(victim, x, aim, epsilon=BUDGET[norm], targeted=targeted, generator=generator(1))
    assert found.shape == x.shape and float(found.min()) >= 0 and float(found.max()) <= 1
    assert float(distances(found, x, norm).max()) <= BUDGET[norm] * (1 + 1e-6) + 2**-24
    with torch.no_grad():
        before, after = ((network(images).argmax(1) == aim).float().mean() for images in (x, found))
    least = (0.2 if targeted else 0.5) if kind in ("plain", "victim") else 0.05  # JSMA ends at the first lucky draw
    assert float(after) >= float(before) + least if targeted else float(after) <= float(before) - least


@EACH
def test_a_budget_for_each_image_is_its_own(name: str, norm: str, network: Network) -> None:
    if name == "square":
        pytest.skip("what it draws depends on an image's place")
    x, y = small_digits.images(6)
    attack, shares = attack_of(name, norm), torch.tensor([0.0, 0.1, 0.25, 0.5, 1.0, 1.0])
    found = attack(network, x, y, epsilon=BUDGET[norm] * shares)
    for i, share in enumerate(shares.tolist()):
        alone = attack(network, x[i : i + 1], y[i : i + 1], epsilon=BUDGET[norm] * share)
        torch.testing.assert_close(found[i], alone[0], atol=1e-5, rtol=0)
    assert torch.equal(attack(network, x, y, epsilon=torch.full((6,), BUDGET[norm]))[4:], found[4:])


@EACH
def test_budgets_that_are_none_are_refused_by_name(name: str, norm: str, network: Network) -> None:
    x, y = small_digits.images(3)
    for wrong in (-1.0, math.nan, 1e4, "8/255", torch.zeros(2), torch.tensor([0.1, 0.1, -0.1]), torch.full((3,), 1e4)):
        with pytest.raises(BadValue, match=r"^epsilon: expected a (finite )?number in \[0, "):
            attack_of(name, norm)(network, x, y, epsilon=wrong)


@EACH
def test_flags_and_generators_that_are_none_are_refused_by_name(name: str, norm: str, network: Network) -> None:
    x, y = small_digits.images(2)
    with pytest.raises(BadValue, match=r"^targeted: expected True or False"):
        attack_of(name, norm)(network, x, y, epsilon=BUDGET[norm], targeted="no")
    with pytest.raises(BadValue, match=r"^generator: expected a torch.Generator"):
        attack_of(name, norm)(network, x, y, epsilon=BUDGET[norm], generator=7)


@pytest.mark.parametrize("name", ["carlini_wagner", "jsma"])
@pytest.mark.parametrize("targeted", [False, True])
def test_what_needs_more_than_its_budget_comes_back_as_it_was(name: str, targeted: bool, network: Network) -> None:
    x, y = small_digits.images(12)
    attack, norm, aim = attack_of(name, NORMS_OF[name][0]), NORMS_OF[name][0], (y + 1) % 10 if targeted else y
    free = attack(network, x, aim, targeted=targeted)
    needed = distances(free, x, norm)
    budget = 1.001 * float(needed.median())
    found = attack(network, x, aim, epsilon=budget, targeted=targeted)
    within = needed <= budget
    assert 0 < int(within.sum()) < 12
    assert torch.equal(found[within], free[within]) and torch.equal(found[~within], x[~within])


class Broken(nn.Module):
    """A victim whose answers are NaN for images with a dark corner, or whose gradients are."""

    def __init__(self, inner: nn.Module, what: str) -> None:
        super().__init__()
        self.inner, self.what = inner, what

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.inner(x)
        if self.what == "answers":
            return scores + torch.where(x[:, 0, 0, :1] < 0.5, torch.nan, 0.0)
        return scores + (x - x.detach()).flatten(1).norm(dim=1, keepdim=True).sqrt() * 0  # 0, of gradient NaN


@EACH
@pytest.mark.parametrize("what", ["answers", "gradients"])
def test_a_victim_that_answers_nan_is_refused(name: str, norm: str, what: str, network: Network) -> None:
    if name == "square" and what == "gradients":
        pytest.skip("it asks for none")
    x, y = small_digits.images(6)
    told = r"^victim: (answered with|expected gradients that are numbers, got) NaN"
    with pytest.raises(BadValue, match=told):
        attack_of(name, norm)(Broken(network, what).eval(), x, y, epsilon=BUDGET[norm])
