"""Label-only membership: distances known in closed form, and a victim that answers at random."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lib.errors import BadValue
from lib.membership import boundary_distances, by_threshold, label_only
from lib.uncertainty import estimate
from tests import small_digits
from tests.halfspaces import Halfspace, Noisy, generator, weights

B = float(weights().double().sum()) / 2 - 0.5  # near the middle of the cube


def points(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images of the middle of the cube, their labels by the halfspace, and how far away its boundary is in l2."""
    w, x = weights(), 0.5 + 0.1 * torch.randn(n, 1, 4, 4, generator=generator()).clamp(-2, 2)
    score = (x.flatten(1).double() * w.double()).sum(1) - B
    return x, (score > 0).long(), score.abs() / w.double().norm()


def test_the_distance_of_a_plane_is_the_closed_form() -> None:
    """|w x - b| / |w|, never less; 0 where the label is another already."""
    x, y, exact = points(12)
    found = boundary_distances(Halfspace(weights(), B), x, y, generator=generator(), iterations=15)
    assert bool((found >= exact - 1e-6).all()) and float((found / exact).median()) < 1.1
    assert (
        boundary_distances(Halfspace(weights(), B), x, 1 - y, generator=generator(), iterations=1).tolist()
        == [0.0] * 12
    )


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_of_a_victim_that_answers_at_random_the_vote_counts(norm: str) -> None:
    """One answer in five is false: the plain attack believes the first of these, and finds a boundary nowhere near."""
    x, y, exact = points(8)
    if norm == "linf":
        exact = exact * weights().double().norm() / weights().double().abs().sum()
    settings = {"generator": generator(), "norm": norm, "iterations": 8}
    found = boundary_distances(Noisy(weights(), B, 0.2), x, y, **settings)  # type: ignore[arg-type]
    assert bool((found >= 0.98 * exact).all()) and float((found / exact).median()) < 2
    plain = boundary_distances(Noisy(weights(), B, 0.2), x, y, lead=1, check_answers=0, probe=0.01, **settings)  # type: ignore[arg-type]
    assert int((plain < 0.98 * exact).sum()) >= 4


def test_of_draws_of_dropout_the_vote_counts() -> None:
    """A victim of ours, one draw an answer: every image has a distance, and those that most draws get wrong have none."""
    x, y = small_digits.images(6)
    victim = estimate("epistemic", small_digits.network(), generator=generator(), draws=1)
    wrong = (y + 1) % 10
    labels = torch.cat([y[:3], wrong[3:]])
    found = boundary_distances(victim, x, labels, generator=generator(), iterations=1)
    assert bool(found.isfinite().all()) and bool((found[:3] > 0).all()) and found[3:].tolist() == [0.0] * 3


def test_what_no_attack_finds_is_as_far_as_can_be() -> None:
    found = boundary_distances(
        Halfspace(weights(), -100.0), *points(2)[:1], torch.ones(2).long(), generator=generator()
    )
    assert found.tolist() == [math.inf, math.inf] and label_only(found).tolist() == [math.inf, math.inf]


def test_the_least_of_several_attacks_counts() -> None:
    several = np.array([[1.0, 0.0, np.inf], [0.5, 2.0, np.inf]])
    assert label_only(several).tolist() == [0.5, 0.0, math.inf]
    assert torch.equal(label_only(several[0]), torch.tensor([1.0, 0.0, math.inf], dtype=torch.float64))
    assert by_threshold(label_only(torch.tensor([1.0, 3.0])), label_only(torch.tensor([0.0, 0.5]))).auc == 1


@pytest.mark.parametrize(
    "distances", [np.array(1.0), np.zeros((0, 3)), np.zeros((1, 2, 3)), np.array([-1.0]), np.array([np.nan, 1.0])]
)
def test_distances_that_are_none_are_refused(distances: np.ndarray) -> None:
    with pytest.raises(BadValue, match=r"^distances: expected \(n,\) or \(r, n\), none negative, got "):
        label_only(distances)


def test_what_the_attack_refuses_is_refused() -> None:
    x, y, _ = points(2)
    with pytest.raises(BadValue, match=r"^norm: unknown 'l1'"):
        boundary_distances(Noisy(weights(), B, 0.2), x, y, generator=generator(), norm="l1")
    with pytest.raises(BadValue, match=r"^generator: "):
        boundary_distances(Halfspace(weights(), B), x, y, generator=None)  # type: ignore[arg-type]
