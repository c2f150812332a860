"""The three forms of attack on a random victim: what each look shows, by replaying the victim's generator."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadValue
from lib.evasion import FORMS, Look, boundary, carlini_wagner, fgsm, hop_skip_jump, jsma, pgd, pgd_aware
from lib.evasion.forms import answer, looks
from lib.evasion.oracle import DecisionOracle
from lib.models import Network
from lib.uncertainty import Deterministic, Ensemble, Heteroscedastic, MonteCarloDropout, Victim

Maker = Callable[..., Network]
ALL = pytest.mark.parametrize("form", FORMS)
RANDOM = pytest.mark.parametrize("kind", ["epistemic", "aleatoric"])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(n: int = 4) -> tuple[Tensor, Tensor]:
    return torch.rand(n, 1, 28, 28, generator=generator(n)), torch.arange(n)


def random_victim(kind: str, untrained: Maker, seed: int = 5, draws: int = 6) -> MonteCarloDropout | Heteroscedastic:
    """A victim whose draws follow `seed`: made anew, it draws the same again."""
    if kind == "epistemic":
        network = untrained("fully_connected", width=16, dropout=0.5)
        return MonteCarloDropout(network, generator=generator(seed), draws=draws)
    network = untrained("fully_connected", width=16, heteroscedastic=True)
    return Heteroscedastic(network, generator=generator(seed), draws=draws)


def ensemble(untrained: Maker, members: int = 3) -> Ensemble:
    return Ensemble([untrained("fully_connected", width=8, seed=seed) for seed in range(members)])


def count_draws(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many draws each later call of `sample` gives."""
    given: list[int] = []
    sample = victim.sample

    def counted(x: Tensor, draws: int) -> Tensor:
        samples = sample(x, draws)
        given.append(len(samples))
        return samples

    monkeypatch.setattr(victim, "sample", counted)
    return given


def moved(x: Tensor, gradient: Tensor, epsilon: float) -> Tensor:
    return (x + epsilon * gradient.sign()).clamp(0, 1)


# --- expectation ------------------------------------------------------------------------------------------------------


def test_expectation_follows_the_mean_of_the_gradients_of_its_draws(untrained: Maker) -> None:
    """One draw a call of `sample`: with pieces of one draw, the generator gives the same masks to both."""
    x, y = problem()
    look = Look(random_victim("epistemic", untrained), "expectation", draws=6)
    look.victim.max_batch = len(x)
    found = fgsm(look, x, y, epsilon=0.1)
    replayed, each = random_victim("epistemic", untrained), []
    for _ in range(6):
        moving = x.clone().requires_grad_()
        loss = F.cross_entropy(replayed.sample(moving, 1)[0], y, reduction="sum")
        each.append(torch.autograd.grad(loss, moving)[0])
    torch.testing.assert_close(found, moved(x, torch.stack(each).mean(0), 0.1), atol=1e-6, rtol=0)
    assert not any(torch.allclose(found, moved(x, gradient, 0.1)) for gradient in each)


def test_expectation_averages_losses_of_noisy_logits(untrained: Maker) -> None:
    x, y = problem()
    found = fgsm(Look(random_victim("aleatoric", untrained), "expectation", draws=6), x, y, epsilon=0.1)
    moving = x.clone().requires_grad_()
    samples = random_victim("aleatoric", untrained).sample(moving, 6)
    losses = [F.cross_entropy(samples[t], y, reduction="sum") for t in range(6)]
    each = [torch.autograd.grad(loss, moving, retain_graph=True)[0] for loss in losses]
    torch.testing.assert_close(found, moved(x, sum(each, torch.zeros_like(x)), 0.1), atol=1e-6, rtol=0)


def test_pgd_averages_over_fresh_draws_at_every_step(untrained: Maker) -> None:
    x, y = problem()
    found = pgd(
        Look(random_victim("aleatoric", untrained), "expectation", draws=4), x, y, epsilon=0.1, step_size=0.04, steps=3
    )
    replayed, adversarial = random_victim("aleatoric", untrained), x.clone()
    for _ in range(3):
        moving = adversarial.requires_grad_()
        samples = replayed.sample(moving, 4)
        loss = -samples.log_softmax(-1)[:, torch.arange(len(y)), y].mean(0).sum()
        gradient = torch.autograd.grad(loss, moving)[0]
        adversarial = (x + (moving.detach() + 0.04 * gradient.sign() - x).clamp(-0.1, 0.1)).clamp(0, 1)
    torch.testing.assert_close(found, adversarial, atol=1e-6, rtol=0)


# --- mean and one draw ------------------------------------------------------------------------------------------------


@RANDOM
def test_the_mean_is_the_victims_own_answer(kind: str, untrained: Maker) -> None:
    (x, y), epsilon = problem(), 0.1
    with torch.no_grad():
        found = Look(random_victim(kind, untrained), "mean", draws=6)(x)
        torch.testing.assert_close(found, random_victim(kind, untrained)(x), atol=1e-5, rtol=1e-5)
    through_look = fgsm(Look(random_victim(kind, untrained), "mean", draws=6), x, y, epsilon=epsilon)
    torch.testing.assert_close(through_look, fgsm(random_victim(kind, untrained), x, y, epsilon=epsilon))


@RANDOM
def test_one_draw_is_the_victim_with_one_draw(kind: str, untrained: Maker) -> None:
    x, y = problem()
    found = fgsm(Look(random_victim(kind, untrained), "one_draw", draws=6), x, y, epsilon=0.1)
    torch.testing.assert_close(found, fgsm(random_victim(kind, untrained, draws=1), x, y, epsilon=0.1))


@RANDOM
@pytest.mark.parametrize(("form", "draws"), [("one_draw", 1), ("mean", 6), ("expectation", 6)])
def test_every_step_takes_the_draws_of_its_form(
    kind: str, form: str, draws: int, untrained: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (x, y), victim = problem(), random_victim(kind, untrained)
    given = count_draws(victim, monkeypatch)
    fgsm(Look(victim, form, draws=6), x, y, epsilon=0.1)
    assert given == [draws]
    pgd(Look(victim, form, draws=6), x, y, epsilon=0.1, step_size=0.05, steps=3)
    assert given == [draws] * 4


@RANDOM
@ALL
def test_a_look_shows_logits_and_answers_with_log_probabilities(kind: str, form: str, untrained: Maker) -> None:
    (x, _), look = problem(), Look(random_victim(kind, untrained), form, draws=3)
    with torch.no_grad():
        assert looks(look, x).shape == (3 if form == "expectation" else 1, 4, 10)
        torch.testing.assert_close(look(x).logsumexp(1), torch.zeros(4), atol=1e-5, rtol=0)
    assert look.bounds == look.victim.bounds


# --- victims that are not random --------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("attack", [fgsm, lambda *a, epsilon: pgd(*a, epsilon=epsilon, step_size=epsilon / 3, steps=4)])
def test_for_a_deterministic_victim_all_forms_are_the_same(form: str, attack: Any, untrained: Maker) -> None:
    (x, y), victim = problem(), Deterministic(untrained())
    expected = attack(victim, x, y, epsilon=0.1)
    assert torch.equal(attack(Look(victim, form, draws=10), x, y, epsilon=0.1), expected)
    assert not torch.equal(expected, x)


@pytest.mark.parametrize("draws", [1, 2, 3, 99])
@pytest.mark.parametrize(("form", "members"), [("one_draw", 1), ("mean", 3), ("expectation", 3)])
def test_an_ensemble_has_its_members_and_no_more(
    form: str, members: int, draws: int, untrained: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor fewer: an ensemble has no draws to be sparing with."""
    (x, y), victim = problem(), ensemble(untrained)
    given = count_draws(victim, monkeypatch)
    fgsm(Look(victim, form, draws=draws), x, y, epsilon=0.1)
    assert given == [members]


def test_one_draw_of_an_ensemble_is_its_first_member(untrained: Maker) -> None:
    (x, y), victim = problem(), ensemble(untrained)
    first = Deterministic(untrained("fully_connected", width=8, seed=0))
    found = fgsm(Look(victim, "one_draw", draws=3), x, y, epsilon=0.1)
    assert torch.equal(found, fgsm(first, x, y, epsilon=0.1))


# --- what an attack differentiates and judges itself by ---------------------------------------------------------------


def test_whatever_the_victim_a_look_has_draws_first(untrained: Maker) -> None:
    (x, _), network, several = problem(), untrained(), ensemble(untrained)
    with torch.no_grad():
        assert torch.equal(looks(network, x), network(x)[None])
        expected = several.combine(several.sample(x, 3))[None]
        assert torch.equal(looks(several, x), expected)


def test_the_answer_to_several_draws_is_that_of_their_mean_softmax(untrained: Maker) -> None:
    samples = torch.randn(5, 4, 10, generator=generator())
    victim = random_victim("epistemic", untrained)
    mean = samples.softmax(-1).mean(0)
    look = Look(victim, "expectation", draws=5)
    torch.testing.assert_close(answer(look, samples).softmax(-1), mean)
    for judged_by in (victim, look, untrained()):
        torch.testing.assert_close(answer(judged_by, samples[:1]), samples[0])
    noisy = Look(random_victim("aleatoric", untrained), "expectation", draws=5)
    torch.testing.assert_close(answer(noisy, samples), samples.mean(0))


@RANDOM
@ALL
def test_an_attack_that_sees_labels_knows_that_a_look_is_random(kind: str, form: str, untrained: Maker) -> None:
    """Else it would believe the first answer, whatever lead it was asked for."""
    look, (x, y) = Look(random_victim(kind, untrained), form, draws=3), problem()
    oracle = DecisionOracle(look, x, y, lead=3)
    assert look.random and oracle.lead == 3
    oracle(x, torch.arange(len(x)))
    assert int(oracle.answers.min()) >= 3
    assert not Look(Deterministic(untrained()), form, draws=3).random


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_plain_network_is_no_victim_yet(untrained: Maker) -> None:
    with pytest.raises(BadValue, match=r"^victim: expected one that `uncertainty.estimate` makes, got Network$"):
        Look(untrained(), "mean", draws=2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"form": "median"}, "form: unknown 'median'; expected one of one_draw, mean, expectation"),
        ({"form": ""}, "form: "),
        ({"form": None}, "form: "),
        ({"draws": 0}, "draws: expected a whole number of at least 1, got 0"),
        ({"draws": -1}, "draws: "),
        ({"draws": 2.0}, "draws: "),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], told: str, untrained: Maker) -> None:
    with pytest.raises(BadValue) as caught:
        Look(Deterministic(untrained()), **{"form": "mean", "draws": 2, **change})
    assert str(caught.value).startswith(told)


# --- labels ------------------------------------------------------------------------------------------------------------

STEPS = {"epsilon": 0.1, "step_size": 0.05, "steps": 2}
ATTACKS: dict[str, Callable[[Victim, Tensor, Tensor], object]] = {
    "fgsm": lambda victim, x, y: fgsm(victim, x, y, epsilon=0.1),
    "fgsm, expectation": lambda victim, x, y: fgsm(Look(victim, "expectation", draws=2), x, y, epsilon=0.1),
    "pgd": lambda victim, x, y: pgd(victim, x, y, **STEPS),
    "pgd_aware": lambda victim, x, y: pgd_aware(victim, x, y, score="entropy", draws=2, **STEPS),
    "carlini_wagner": lambda victim, x, y: carlini_wagner(victim, x, y, iterations=2),
    "jsma": jsma,
    "hop_skip_jump": lambda victim, x, y: hop_skip_jump(victim, x, y, generator=generator(), iterations=1),
    "boundary": lambda victim, x, y: boundary(victim, x, y, generator=generator(), iterations=1),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_label_that_is_no_class_of_the_victim_is_refused(name: str, untrained: Maker) -> None:
    x, _ = problem(2)
    told = r"^y: expected labels below 10, the number of the victim's classes, got 10$"
    with pytest.raises(BadValue, match=told):
        ATTACKS[name](random_victim("epistemic", untrained), x, torch.tensor([9, 10]))


class Answering(nn.Module):
    """A victim that answers with whatever `made` makes of the images."""

    def __init__(self, made: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.made = made

    def forward(self, x: Tensor) -> object:
        return self.made(x)


class Dropping(nn.Module):
    """Dropout that is no layer."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x.flatten(1)[:, :10], training=self.training)


OWN = [name for name in ATTACKS if name not in ("fgsm, expectation", "pgd_aware")]  # those that take any module
ANSWERS: dict[str, Callable[[Tensor], object]] = {
    "(2,)": lambda x: x.sum((1, 2, 3)),
    "(2, 1)": lambda x: x.flatten(1).sum(1, keepdim=True),
    "dict": lambda x: {"logits": x.flatten(1)},
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("got", ANSWERS)
def test_answers_that_are_no_scores_of_classes_are_refused(name: str, got: str) -> None:
    x, _ = problem(2)
    with pytest.raises(BadValue) as caught:
        ATTACKS[name](Answering(ANSWERS[got]), x, torch.tensor([0, 0]))
    assert str(caught.value) == f"victim: expected it to answer with scores (n, k) of two classes or more, got {got}"


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x, y: (x.half(), y), "x: expected images in torch.float32, got torch.float16: call float()"),
        (lambda x, y: (x.double(), y), "x: expected images in torch.float32, got torch.float64: call float()"),
        (lambda x, y: (x.numpy(), y), "x: expected a torch.Tensor, got ndarray"),
        (lambda x, y: (x, y.numpy()), "y: expected a torch.Tensor, got array([0, 1]) (ndarray)"),
    ],
)
def test_other_types_are_refused(name: str, change: Callable[..., tuple[Any, Any]], told: str) -> None:
    x, y = problem(2)
    victim = Answering(lambda x: pytest.fail("the victim was asked"))
    with pytest.raises(BadValue) as caught:
        ATTACKS[name](victim, *change(x, y))
    assert str(caught.value) == told


@pytest.mark.parametrize("name", OWN)
def test_dropout_that_is_no_layer_is_seen_in_training_mode(name: str) -> None:
    x, y = problem(2)
    with pytest.raises(BadValue, match=r"^victim: expected a network in evaluation mode"):
        ATTACKS[name](Dropping(), x, y)
    ATTACKS[name](Dropping().eval(), x, y)


@pytest.mark.parametrize("name", ["hop_skip_jump", "boundary"])
def test_an_answer_of_nan_is_no_class(name: str) -> None:
    x, y = problem(2)
    with pytest.raises(BadValue, match=r"^victim: answered with NaN, which names no class$"):
        ATTACKS[name](Answering(lambda x: x.flatten(1)[:, :10] * torch.nan), x, y)


@pytest.mark.parametrize("attack", [hop_skip_jump, boundary, functools.partial(pgd, **STEPS)])
@pytest.mark.parametrize("wrong", [0, "seed"])
def test_random_numbers_come_from_a_generator(attack: Callable[..., object], wrong: Any) -> None:
    x, y = problem(2)
    with pytest.raises(BadValue, match=r"^generator: expected a torch\.Generator"):
        attack(Dropping().eval(), x, y, generator=wrong)


@pytest.mark.parametrize("attack", [fgsm, pgd, carlini_wagner, hop_skip_jump, boundary])
def test_whether_an_attack_is_targeted_is_true_or_false(attack: Callable[..., object]) -> None:
    x, y = problem(2)
    settings: dict[Any, dict[str, Any]] = {fgsm: {"epsilon": 0.1}, pgd: STEPS, carlini_wagner: {}}
    with pytest.raises(BadValue, match=r"^targeted: expected True or False, got 'no'$"):
        attack(Dropping().eval(), x, y, targeted="no", **settings.get(attack, {"generator": generator()}))
