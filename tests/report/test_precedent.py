"""The benchmark beside PopSkipJump: how far a point's ray must go, and a folder that is no clone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from halfspaces import Fading, halfspace, problem

from benchmarks.precedent import FOOLED, clone, reach
from lib.errors import BadValue


def test_points_are_compared_where_six_draws_of_ten_are_fooled() -> None:
    """Straight away from a plane at which answers turn as sigmoid(k (w . x - b)): (log(.6 / .4) / k + |w . x - b|) / |w|."""
    victim = halfspace(Fading, 10.0)
    x, y = problem(20, victim)
    exact = (math.log(FOOLED / (1 - FOOLED)) / victim.k + victim.score(x).abs()) / victim.w.norm()
    aside = ((1 - 2 * y).view(-1, 1, 1, 1) * (victim.w / victim.w.norm()).view(1, 1, 4, 4)).float()
    for share in (0.5, 2.0):  # wherever on the ray the point lies
        points = x + share * exact.float().view(-1, 1, 1, 1) * aside
        assert float((reach(victim, x, y, points) / exact).median()) == pytest.approx(1, abs=0.03)
    assert bool(reach(victim, x, y, x).isinf().all())


def test_a_folder_that_is_no_clone_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(BadValue, match=rf"^popskipjump: expected a clone of .*PopSkipJump, got {tmp_path}"),
        clone(tmp_path),
    ):
        pass
