"""Auto-PGD: its algorithm written out an image at a time, closed forms on linear victims, torchattacks', bounds and budgets."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
import torchattacks
from hypothesis import given
from hypothesis import strategies as st
from test_gradient_attacks import Never, Smooth, generator, linear, problem, saturated
from torch import Tensor, nn

from lib.data import Dataset
from lib.errors import BadValue, VictimWarning
from lib.evasion import ball, forms
from lib.evasion.apgd import apgd, checkpoints
from lib.evasion.forms import Look, answer
from lib.evasion.gradient import LOSSES, dlr
from lib.models import Network
from lib.uncertainty import Deterministic, MonteCarloDropout

SHAPE = (1, 4, 5)
NORMS = pytest.mark.parametrize("norm", ["linf", "l2"])


def smooth(classes: int = 4, seed: int = 0) -> Smooth:
    return Smooth(*linear(classes, SHAPE, seed).parameters())


class Watched(nn.Module):
    """A victim that keeps every batch of images whose gradient it was asked for."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.seen = inner, list[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            self.seen.append(x.detach().clone())
        scores: Tensor = self.inner(x)
        return scores


def length(change: Tensor) -> Tensor:
    return change.flatten(1).norm(dim=1)


# --- the paper's algorithm --------------------------------------------------------------------------------------------


@given(st.integers(1, 2000))
def test_steps_are_looked_at_after_the_published_shares_of_them(steps: int) -> None:
    """p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), w_j = ceil(p_j N)."""
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    p = [Fraction(0), Fraction(22, 100)]
    while p[-1] <= 1:
        p.append(p[-1] + max(p[-1] - p[-2] - Fraction(3, 100), Fraction(6, 100)))
    assert checkpoints(steps) == [math.ceil(share * steps) for share in p[1:-1]]


def written_out(victim: nn.Module, x: Tensor, y: Tensor, epsilon: float, norm: str, steps: int) -> list[Tensor]:
    """The points of algorithm 1 (Croce and Hein 2020) for one image (1, c, h, w), from itself, under the log-odds."""

    def f(point: Tensor) -> tuple[float, Tensor]:
        point = point.clone().requires_grad_()
        value = LOSSES["log_odds"](victim(point), y).sum()
        (gradient,) = torch.autograd.grad(value, point)
        return value.item(), gradient

    def project(point: Tensor) -> Tensor:
        change = point - x
        if norm == "linf":
            return (x + change.clamp(-epsilon, epsilon)).clamp(0, 1)
        return (x + change * min(1.0, epsilon / max(change.norm().item(), 1e-12))).clamp(0, 1)

    def stepped(point: Tensor, gradient: Tensor) -> Tensor:
        return project(point + eta * (gradient.sign() if norm == "linf" else gradient / gradient.norm()))

    eta, points, values = 2 * epsilon, [x], [f(x)[0]]
    points.append(stepped(x, f(x)[1]))
    values.append(f(points[1])[0])
    best = max(range(2), key=lambda i: values[i])
    x_max, f_max = points[best], values[best]
    last, at_last, f_at_last, rises = 0, eta, values[0], int(values[1] > values[0])
    now, before = points[1], points[0]
    shown = [x, now]
    for k in range(1, steps):
        if k in checkpoints(steps):
            first, second = rises < 0.75 * (k - last), at_last == eta and f_max == f_at_last
            last, f_at_last, rises, at_last = k, f_max, 0, eta
            if first or second:
                eta, now = eta / 2, x_max
        z = stepped(now, f(now)[1])
        after = project(now + 0.75 * (z - now) + 0.25 * (now - before))
        rises += int(f(after)[0] > f(now)[0])
        before, now = now, after
        shown.append(now)
        if f(now)[0] > f_max:
            x_max, f_max = now, f(now)[0]
    return shown


@NORMS
@pytest.mark.parametrize("steps", [1, 2, 20, 50])
def test_it_takes_the_steps_of_the_paper(norm: str, steps: int) -> None:
    """Each image its own way, whichever others are with it."""
    victim, (x, _) = smooth().double(), problem(6, SHAPE, 4)
    y = victim(x.double()).argmax(1)

    class Cast(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return victim(x.double()).float()

    watched = Watched(Cast())
    epsilon = 0.02 if norm == "linf" else 0.05  # none is fooled at the first step
    apgd(watched, x, y, epsilon=epsilon, norm=norm, steps=steps)
    found = torch.stack(watched.seen)
    assert len(found) == steps + 1
    for i in range(len(x)):
        expected = written_out(Cast(), x[i : i + 1], y[i : i + 1], epsilon, norm, steps)
        torch.testing.assert_close(found[:, i], torch.cat(expected), atol=1e-4, rtol=0)


@NORMS
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("loss", ["log_odds", "cross_entropy"])
@pytest.mark.parametrize("start", [None, 0])
def test_between_two_classes_it_ends_where_the_margin_is_smallest(
    norm: str, targeted: bool, loss: str, start: int | None
) -> None:
    """On the way between the two classes, as far as the budget goes; l2 with room on all sides."""
    victim, (x, _) = linear(2, SHAPE), problem(20, SHAPE, 2)
    victim.bounds = (-9.0, 9.0)
    y = victim(x).argmax(1)
    towards = (victim.weight[1 - y] - victim.weight[y]).detach().view(x.shape)
    step = towards.sign() if norm == "linf" else towards / length(towards)[:, None, None, None]
    source = None if start is None else generator(start)
    label = 1 - y if targeted else y
    found = apgd(victim, x, label, epsilon=0.01, norm=norm, loss=loss, targeted=targeted, generator=source)
    torch.testing.assert_close(found, x + 0.01 * step, atol=1e-6 if norm == "linf" else 1e-4, rtol=0)


def test_what_is_adversarial_already_comes_back_as_it_is() -> None:
    victim, (x, y) = linear(4, SHAPE), problem(40, SHAPE, 4)
    wrong = victim(x).argmax(1) != y
    found = apgd(victim, x, y, epsilon=0.1, generator=generator())
    moved = (found != x).flatten(1).any(1)
    assert torch.equal(moved, ~wrong) and 0 < int(wrong.sum()) < 40


class Unreachable(nn.Module):
    """Class 1 is close behind class 0 and does not move, class 2 is far behind and does."""

    def forward(self, x: Tensor) -> Tensor:
        rising = 10 * x.mean((1, 2, 3)) - 4
        fixed = torch.tensor([1.0, 0.9, -9.0], device=x.device).expand(len(x), 3)
        return torch.cat([fixed[:, :2], rising[:, None], fixed[:, 2:]], 1)


def test_targets_find_what_the_likeliest_other_class_hides() -> None:
    """The difference of logits ratio grows where its scale z_1st - z_3rd falls, away from class 2."""
    x, y = torch.full((3, *SHAPE), 0.3), torch.zeros(3).long()
    victim, settings = Unreachable(), {"epsilon": 0.25, "loss": "dlr", "steps": 20}
    assert bool((victim(apgd(victim, x, y, **settings)).argmax(1) == 0).all())  # type: ignore[arg-type]
    assert bool((victim(apgd(victim, x, y, targets=1, **settings)).argmax(1) == 0).all())  # type: ignore[arg-type]
    for targets in (2, 9):
        found = apgd(victim, x, y, targets=targets, **settings)  # type: ignore[arg-type]
        assert bool((victim(found).argmax(1) == 2).all())


def test_the_ratio_towards_a_target_is_the_papers() -> None:
    """-(z_y - z_t) / (z_1st - (z_3rd + z_4th) / 2), and neither shift nor scale of logits matter."""
    logits, target = torch.tensor([[4.0, 1.0, 2.0, 0.0, -7.0]]), torch.tensor([1])
    assert float(dlr(logits, target, towards=True)) == pytest.approx((4 - 1) / (4 - (1 + 0) / 2))
    torch.testing.assert_close(dlr(100 * logits + 7, target, towards=True), dlr(logits, target, towards=True))


# --- bounds, budgets, batches -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings(
    "ignore::lib.errors.VictimWarning"
)  # weights of 0 have no gradient, which it is right to tell
@NORMS
@given(
    share=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    how=st.sampled_from(
        [{}, {"targeted": True}, {"loss": "dlr"}, {"targets": 2}, {"restarts": 2, "loss": "cross_entropy"}]
    ),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 1e3]),
    bounds=st.sampled_from([(0.0, 1.0), (-1.0, 0.5)]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_result_stays_inside_the_bounds_and_each_images_budget(
    norm: str, share: list[float], how: dict[str, Any], scale: float, bounds: tuple[float, float], seed: int
) -> None:
    victim, (x, y) = linear(4, SHAPE, seed), problem(3, SHAPE, 4, seed)
    x, victim.bounds = bounds[0] + (bounds[1] - bounds[0]) * x, bounds
    with torch.no_grad():
        victim.weight.mul_(scale)
    epsilon = torch.tensor(share) * (bounds[1] - bounds[0])
    before = x.clone()
    found = apgd(victim, x, y, epsilon=epsilon, norm=norm, steps=6, generator=generator(seed), **how)
    assert found.shape == x.shape and not found.requires_grad and torch.equal(x, before)
    assert float(found.min()) >= bounds[0] and float(found.max()) <= bounds[1]
    change = (found - x).flatten(1)
    spent = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
    assert bool((spent <= epsilon + 1e-6).all())


@NORMS
@pytest.mark.parametrize("sizes", [[1] * 7, [3, 4]])
def test_where_nothing_is_random_the_batch_does_not_matter(
    norm: str, sizes: list[int], trained: Network, digits: Dataset
) -> None:
    x, y = digits.test.take(torch.arange(7))
    victim, settings = Deterministic(trained), {"norm": norm, "epsilon": 0.08 if norm == "linf" else 1.0, "steps": 8}
    for how in ({"loss": "cross_entropy"}, {"loss": "dlr", "targets": 3}):
        parts = zip(x.split(sizes), y.split(sizes), strict=True)
        apart = [apgd(victim, *part, **settings, **how) for part in parts]  # type: ignore[arg-type]
        together = apgd(victim, x, y, **settings, **how)  # type: ignore[arg-type]
        torch.testing.assert_close(
            torch.cat(apart), together, atol=0 if norm == "linf" else 1e-5, rtol=0
        )  # norms round


def test_restarts_start_anew_and_only_where_none_has_fooled() -> None:
    victim = Watched(smooth())
    x, _ = problem(30, SHAPE, 4)
    y = victim(x).argmax(1)
    once = apgd(victim, x, y, epsilon=0.03, steps=5, generator=generator())
    left = victim(once).argmax(1) == y
    assert 0 < int(left.sum()) < 30
    victim.seen.clear()
    again = apgd(victim, x, y, epsilon=0.03, steps=5, restarts=3, generator=generator())
    assert [len(one) for one in victim.seen[5:7]] == [30, int(left.sum())]
    assert torch.equal(again[~left], once[~left])
    assert not torch.equal(victim.seen[6], victim.seen[0][left])


# --- other people's ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.06), ("l2", 1.0)])
@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [
        ("APGD", {"loss": "ce"}, {"loss": "cross_entropy"}),
        ("APGD", {"loss": "ce"}, {"loss": "log_odds"}),
        ("APGD", {"loss": "dlr"}, {"loss": "dlr"}),
        ("APGDT", {"n_classes": 4}, {"loss": "dlr", "targets": 3}),
    ],
)
def test_it_leaves_as_many_as_torchattacks(
    norm: str,
    epsilon: float,
    kind: str,
    theirs: dict[str, Any],
    ours: dict[str, Any],
    trained: Network,
    digits: Dataset,
) -> None:
    x, y = digits.test.take(torch.arange(100))
    victim = trained.eval()
    peer = getattr(torchattacks, kind)(victim, norm=norm.replace("l", "L", 1), eps=epsilon, steps=25, **theirs)
    expected = float((victim(peer(x, y)).argmax(1) == y).float().mean())
    found = apgd(victim, x, y, epsilon=epsilon, norm=norm, steps=25, generator=generator(), **ours)
    assert 0.1 < expected < 0.6
    assert abs(float((victim(found).argmax(1) == y).float().mean()) - expected) <= 0.03


# --- random victims ---------------------------------------------------------------------------------------------------


def test_steps_follow_the_mean_over_draws_and_the_best_answer_of_all_is_kept(
    untrained: Callable[..., Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = MonteCarloDropout(untrained(dropout=0.5), generator=generator(5), draws=3)
    look = Look(victim, "expectation", draws=3)
    x = torch.rand(4, 1, 28, 28, generator=generator())
    y = answer(look, look.looks(x)).argmax(1)
    kept: list[tuple[Tensor, Tensor]] = []
    gradients: list[Tensor] = []
    whole = Look.looks

    def looks(self: Look, x: Tensor) -> Tensor:
        shown = whole(self, x)
        kept.append((x.detach(), shown.detach()))
        if x.requires_grad:
            losses = sum(LOSSES["log_odds"](draw, y).sum() for draw in shown)
            gradients.extend(torch.autograd.grad(losses, x, retain_graph=True))  # type: ignore[arg-type]
        return shown

    monkeypatch.setattr(Look, "looks", looks)
    found = apgd(look, x, y, epsilon=0.02, steps=6, loss="log_odds")
    ahead = (x + 0.02 * gradients[0].sign()).clamp(0, 1)  # the first step is twice the budget
    assert float((kept[2][0] == ahead).float().mean()) > 0.99
    margins = []
    for _, shown in kept:
        scores = answer(look, shown)
        margins.append(scores.gather(1, y[:, None])[:, 0] - scores.scatter(1, y[:, None], -torch.inf).amax(1))
    best = torch.stack(margins).argmin(0)
    for i, at in enumerate(best.tolist()):
        assert torch.equal(found[i], kept[at][0][i])


def test_where_success_may_be_luck_all_targets_are_tried(
    trained: Network, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = digits.test.take(torch.arange(8))
    looked: list[int] = []

    def looks(victim: nn.Module, x: Tensor, *labels: Tensor) -> Tensor:
        looked.append(len(x))
        return forms.looks(victim, x, *labels)

    monkeypatch.setattr(sys.modules[apgd.__module__], "looks", looks)
    every = 8 + 3 * 8 * (1 + 4)  # the image, and for each target a start and four steps
    apgd(MonteCarloDropout(trained, generator=generator(5), draws=2), x, y, epsilon=0.3, steps=4, targets=3)
    assert sum(looked) == every
    looked.clear()
    apgd(Deterministic(trained), x, y, epsilon=0.3, steps=4, targets=3)
    assert sum(looked) < every / 2


# --- refusals and warnings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epsilon": -0.1}, "epsilon: "),
        ({"epsilon": torch.tensor([0.1])}, "epsilon: "),
        ({"norm": "l1"}, "norm: unknown 'l1'"),
        ({"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        ({"restarts": 0}, "restarts: "),
        ({"restarts": 2}, "generator: expected a torch.Generator"),
        ({"generator": 3}, "generator: "),
        ({"targets": -1}, "targets: "),
        ({"targets": 2, "targeted": True}, "targets: expected 0 for a targeted attack, got 2"),
        ({"targeted": "no"}, "targeted: "),
        ({"loss": "hinge"}, "loss: unknown 'hinge'; expected one of cross_entropy, log_odds, dlr"),
    ],
)
def test_settings_are_refused_by_name(change: dict[str, Any], told: str) -> None:
    x, y = problem(2, SHAPE, 2)
    with pytest.raises(BadValue) as caught:
        apgd(Never(), x, y, **{"epsilon": 0.1, **change})
    assert str(caught.value).startswith(told)


def test_too_few_classes_for_a_ratio_are_refused() -> None:
    x, y = problem(8, SHAPE, 2)
    with pytest.raises(BadValue, match=r"^loss: dlr needs three classes or more"):
        apgd(linear(2, SHAPE), x, y, epsilon=0.1, loss="dlr")
    with pytest.raises(BadValue, match=r"^loss: dlr towards a target needs four classes or more"):
        apgd(linear(3, SHAPE), x, y, epsilon=0.1, loss="dlr", targeted=True)


def test_images_without_a_gradient_are_told_of_and_the_log_odds_have_one() -> None:
    victim, x, y = saturated()
    with pytest.warns(VictimWarning, match=r"the gradients of 20 of 20 images \(100.0%\) are exactly 0"):
        stuck = apgd(victim, x, y, epsilon=0.3, steps=5, loss="cross_entropy")
    assert torch.equal(stuck, x)
    found = apgd(victim, x, y, epsilon=0.3, steps=20)
    assert float((victim(found).argmax(1) == y).float().mean()) <= 0.1


def test_starts_come_from_the_generator_alone() -> None:
    victim, (x, y) = smooth(), problem(5, SHAPE, 4)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = apgd(victim, x, y, epsilon=0.02, steps=3, generator=generator(4))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(apgd(victim, x, y, epsilon=0.02, steps=3, generator=generator(4)), first)


@NORMS
def test_no_images_and_no_budget(norm: str) -> None:
    victim, (x, y) = linear(3, SHAPE), problem(2, SHAPE, 3)
    assert apgd(victim, x[:0], y[:0], epsilon=0.1, norm=norm).shape == (0, *SHAPE)
    assert torch.equal(apgd(victim, x, y, epsilon=0.0, norm=norm), x)
    assert ball.NORMS == ("linf", "l2")
