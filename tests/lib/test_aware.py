"""PGD that knows the score: its budget, its equation in a loop of our own, and that it hides what plain PGD shows."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lib import models, training
from lib.data import Dataset
from lib.errors import BadValue
from lib.evasion import Look, pgd, pgd_aware
from lib.judging import judge
from lib.models import Network
from lib.uncertainty import Deterministic, Ensemble, Heteroscedastic, MonteCarloDropout, Victim

KINDS = ("none", "epistemic", "aleatoric", "ensemble")
SCORES = [
    ("none", "entropy"),
    *(("epistemic", score) for score in ("entropy", "mutual_information")),
    *(("aleatoric", score) for score in ("entropy", "variance")),
    *(("ensemble", score) for score in ("entropy", "mutual_information")),
]
ROUNDING = 1e-6  # x + epsilon and back, in float32


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(kind: str, seed: int = 0, shape: models.Shape = (1, 28, 28), width: int = 48) -> Network:
    return models.build(
        "fully_connected",
        shape=shape,
        classes=10,
        seed=seed,
        width=width,
        dropout=0.25 if kind == "epistemic" else 0.0,
        heteroscedastic=kind == "aleatoric",
    )


def victim_of(kind: str, networks: list[Network], seed: int = 5) -> Victim:
    if kind == "ensemble":
        return Ensemble(networks)
    if kind == "none":
        return Deterministic(networks[0])
    victim = MonteCarloDropout if kind == "epistemic" else Heteroscedastic
    return victim(networks[0], generator=generator(seed), draws=8)


def small(kind: str, shape: models.Shape = (1, 3, 4), seed: int = 5) -> Victim:
    """A victim with the weights it started from."""
    return victim_of(kind, [network(kind, member, shape, 8) for member in range(3)], seed)


def small_problem(n: int = 4, shape: models.Shape = (1, 3, 4)) -> tuple[Tensor, Tensor]:
    return torch.rand(n, *shape, generator=generator(n)), torch.arange(n)


@pytest.fixture(scope="module")
def trained_networks(digits: Dataset) -> dict[str, list[Network]]:
    """Networks that tell most digits apart, for each kind of victim."""
    config = training.TrainingConfig(epochs=4, batch_size=32, learning_rate=5e-3, precision="float32")
    found: dict[str, list[Network]] = {}
    for kind in KINDS:
        found[kind] = [network(kind, seed) for seed in range(3 if kind == "ensemble" else 1)]
        for seed, one in enumerate(found[kind]):
            training.fit(one, digits.train.first(1000), config, seed=seed)
    return found


# --- its equation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_without_weight_it_is_targeted_pgd_towards_the_runner_up(kind: str) -> None:
    """Descent of the mean over K fresh draws of -log p(runner-up), draw by draw, with the draws replayed."""
    (x, y), draws = small_problem(), 6
    settings: dict[str, Any] = {"epsilon": 0.1, "step_size": 0.03, "steps": 5, "draws": draws}
    found = pgd_aware(small(kind), x, y, score="entropy", weight=0.0, **settings)
    replayed = small(kind)
    with torch.no_grad():
        order = replayed.combine(replayed.sample(x, draws)).argsort(1, descending=True)
    target = torch.tensor([next(k for k in row.tolist() if k != own) for row, own in zip(order, y, strict=True)])
    adversarial = x.clone()
    for _ in range(5):
        moving = adversarial.requires_grad_()
        samples, gradient = replayed.sample(moving, draws), torch.zeros_like(x)
        for draw in samples:
            loss = -draw.log_softmax(1)[torch.arange(len(x)), target].sum()
            gradient += torch.autograd.grad(loss, moving, retain_graph=True)[0] / len(samples)
        stepped = moving.detach() - 0.03 * gradient.sign()
        adversarial = stepped.maximum(x - 0.1).minimum(x + 0.1).clamp(0, 1)
    torch.testing.assert_close(found, adversarial, atol=1e-5, rtol=0)
    assert float((found - x).abs().max()) > 0.09


def test_with_all_the_weight_it_descends_the_score_alone() -> None:
    """A unit of the score costs a million nats: one step is minus the sign of the entropy's gradient."""
    x, y = small_problem()
    victim = small("none")
    found = pgd_aware(victim, x, y, epsilon=0.05, step_size=0.05, steps=1, score="entropy", weight=1e6)
    moving = x.clone().requires_grad_()
    p = victim(moving).exp()
    (gradient,) = torch.autograd.grad(-(p * p.log()).sum(), moving)
    torch.testing.assert_close(found, (x - 0.05 * gradient.sign()).clamp(0, 1), atol=ROUNDING, rtol=0)


# --- what it is for ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "score"), SCORES)
def test_where_pgd_misleads_too_it_shows_less_of_the_score(
    kind: str, score: str, trained_networks: dict[str, list[Network]], digits: Dataset
) -> None:
    """At a budget that misleads the victim on nearly every image; judged by fresh draws, on images that both mislead."""
    victim = victim_of(kind, copy.deepcopy(trained_networks[kind]))
    x, y = digits.test.take(torch.arange(40))
    budget: dict[str, Any] = {"epsilon": 0.2, "step_size": 0.04, "steps": 15}
    plain = judge(victim, pgd(Look(victim, "expectation", draws=8), x, y, **budget))
    aware = judge(victim, pgd_aware(victim, x, y, score=score, draws=8, **budget))
    both = (plain.answer != y) & (aware.answer != y)
    assert float((judge(victim, x).answer == y).float().mean()) > 0.9 and float(both.float().mean()) > 0.85
    assert float(aware.scores[score][both].mean()) < 0.95 * float(plain.scores[score][both].mean())


@pytest.mark.parametrize(("kind", "score"), SCORES[1:])
def test_a_weight_buys_a_lower_score(
    kind: str, score: str, trained_networks: dict[str, list[Network]], digits: Dataset
) -> None:
    """Than the same attack has that does not look at the score; a plain network's entropy falls with the loss anyway."""
    x, y = digits.test.take(torch.arange(40))
    budget: dict[str, Any] = {"epsilon": 0.2, "step_size": 0.04, "steps": 15, "draws": 8, "score": score}

    def shown(weight: float) -> float:
        victims = [victim_of(kind, copy.deepcopy(trained_networks[kind]), seed) for seed in (5, 6, 7)]
        found = [judge(one, pgd_aware(one, x, y, weight=weight, **budget)) for one in victims]
        return sum(float(one.scores[score].mean()) for one in found)

    without, having = shown(0.0), shown(1.0 if score == "entropy" else 5.0)  # of the others an image has fewer nats
    assert having < 0.97 * without


# --- bounds and budget ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "score"), SCORES)
@given(
    epsilon=st.floats(0, 1),
    part=st.floats(1e-3, 1),
    weight=st.sampled_from([0.0, 1.0, 1e6]),
    extreme=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_result_stays_inside_the_bounds_and_the_budget(
    kind: str, score: str, epsilon: float, part: float, weight: float, extreme: bool, seed: int
) -> None:
    source = generator(seed)
    x, y = torch.rand(2, 1, 3, 4, generator=source), torch.randint(10, (2,), generator=source)
    x = x.round() if extreme else x
    before = x.clone()
    settings: dict[str, Any] = {"epsilon": epsilon, "step_size": part * epsilon or epsilon, "steps": 2, "draws": 2}
    found = pgd_aware(small(kind), x, y, score=score, weight=weight, **settings)
    assert found.shape == x.shape and found.dtype == x.dtype and not found.requires_grad
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    assert float((found - x).abs().max()) <= epsilon + ROUNDING
    assert torch.equal(x, before)


@pytest.mark.parametrize("kind", KINDS)
def test_no_images_give_no_images(kind: str) -> None:
    x, y = small_problem()
    settings: dict[str, Any] = {"epsilon": 0.1, "step_size": 0.1, "steps": 1, "score": "entropy"}
    assert pgd_aware(small(kind), x[:0], y[:0], **settings).shape == (0, 1, 3, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_victim_is_left_as_it_was(kind: str) -> None:
    victim, (x, y) = small(kind), small_problem()
    pgd_aware(victim, x, y, epsilon=0.1, step_size=0.1, steps=2, score="entropy")
    assert all(p.grad is None and p.requires_grad for p in victim.parameters())


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        ("none", {"score": "mutual_information"}, "score: unknown 'mutual_information'; expected one of entropy"),
        ("none", {"score": "variance"}, "score: "),
        ("epistemic", {"score": "variance"}, "score: unknown 'variance'; expected one of entropy, mutual_information"),
        ("ensemble", {"score": "variance"}, "score: "),
        ("aleatoric", {"score": "mutual_information"}, "score: "),
        ("none", {"score": ""}, "score: "),
        ("none", {"epsilon": -0.1}, "epsilon: expected a finite number in [0, 1], got -0.1"),
        ("none", {"epsilon": math.nan}, "epsilon: "),
        ("none", {"step_size": 1.2}, "step_size: expected a finite number in [0, 1], got 1.2"),
        ("none", {"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        ("none", {"draws": 0}, "draws: "),
        ("none", {"weight": -1}, "weight: expected a finite number in [0, 1e+06], got -1"),
        ("none", {"weight": math.inf}, "weight: "),
        ("none", {"x": torch.full((4, 1, 3, 4), 1.5)}, "x: expected finite values in [0, 1]"),
        ("none", {"y": torch.zeros(3).long()}, "x, y: "),
    ],
)
def test_bad_settings_are_named(kind: str, change: dict[str, Any], told: str) -> None:
    x, y = small_problem()
    usual: dict[str, Any] = {"x": x, "y": y, "epsilon": 0.1, "step_size": 0.1, "steps": 1, "score": "entropy"}
    with pytest.raises(BadValue) as caught:
        pgd_aware(small(kind), **{**usual, **change})
    assert str(caught.value).startswith(told)


def test_of_a_module_it_takes_the_answer_and_of_a_look_the_draws(untrained: Callable[..., Network]) -> None:
    network, x, y = untrained(dropout=0.5), torch.rand(2, 1, 28, 28, generator=generator()), torch.arange(2)
    budget: dict[str, Any] = {"epsilon": 0.1, "step_size": 0.03, "steps": 4}
    expected = pgd_aware(Deterministic(network), x, y, **budget)
    assert torch.equal(pgd_aware(network, x, y, **budget), expected)
    with pytest.raises(BadValue, match=r"^score: unknown 'mutual_information'; expected one of entropy"):
        pgd_aware(network, x, y, score="mutual_information", **budget)
    for form, draws in (("one_draw", 1), ("mean", 3), ("expectation", 3)):
        one, other = (MonteCarloDropout(network, generator=generator(5), draws=8) for _ in range(2))
        found = pgd_aware(Look(one, form, draws=3), x, y, score="mutual_information", **budget)
        assert torch.equal(found, pgd_aware(other, x, y, score="mutual_information", draws=draws, **budget))


@pytest.mark.parametrize("kind", KINDS)
def test_towards_the_class_that_it_would_choose_it_is_the_same(kind: str) -> None:
    x, y = small_problem()
    scores = small(kind).sample(x, 10).log_softmax(-1) if kind != "aleatoric" else small(kind).sample(x, 10)
    answer = scores.mean(0) if kind == "aleatoric" else scores.logsumexp(0)
    target = answer.scatter(1, y[:, None], -torch.inf).argmax(1)
    victim = small(kind)
    victim.sample(x, 10)  # the draws by which the untargeted attack chooses
    found = pgd_aware(victim, x, target, epsilon=0.1, steps=5, targeted=True)
    assert torch.equal(found, pgd_aware(small(kind), x, y, epsilon=0.1, steps=5))
    start = pgd_aware(small(kind), x, y, epsilon=0.1, step_size=1e-6, steps=1, generator=generator())
    assert float((start - x).abs().max()) > 0.09
