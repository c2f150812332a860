"""The fourth chapter's shifts against SciPy, what rejecting by a score gains, in closed form, and small cells to the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from experiments.papers import at_once
from experiments.papers.at_once import Calibration
from experiments.papers.at_once.shifts import ANGLE, SHIFTS, corrupted, rotated
from experiments.papers.at_once.uncertainty import rejection
from experiments.run import Job, result_of
from lib.judging import Judgement


def images(n: int, channels: int = 1) -> Tensor:
    """Smooth ones in [0, 1], different in every image."""
    drawn = torch.rand(n, channels, 28, 28, generator=torch.Generator().manual_seed(n)).numpy()
    smooth = ndimage.gaussian_filter(drawn, 2, axes=(2, 3))
    return torch.tensor((smooth - smooth.min()) / np.ptp(smooth))


# --- shifts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_a_rotation_is_scipys(channels: int) -> None:
    x = images(3, channels)
    expected = ndimage.rotate(x.numpy(), ANGLE, axes=(3, 2), reshape=False, order=1, mode="grid-constant")
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    found = min(np.abs(rotated(x, seed=0).numpy() - one)[inner].max() for one in (expected, expected[..., ::-1, ::-1]))
    assert found < 1e-3


def test_corruptions_take_turns() -> None:
    x = images(9)
    found = corrupted(x, seed=0)
    rest = found[0::3] - x[0::3]
    assert 0.08 < float(rest[(x[0::3] > 0.4) & (x[0::3] < 0.6)].std()) < 0.12  # where clipping does not matter
    mean = x[1::3].mean((2, 3), keepdim=True)
    torch.testing.assert_close(found[1::3], 0.15 * x[1::3] + 0.85 * mean)
    blurred = ndimage.gaussian_filter(x[2::3].numpy(), 1.0, axes=(2, 3), mode="mirror", truncate=4)
    np.testing.assert_allclose(found[2::3].numpy(), blurred, atol=1e-5)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_shifts_follow_the_seed_stay_in_bounds_and_leave_the_image_alone(shift: str, n: int) -> None:
    x = images(n)
    before = x.clone()
    first, again, other = (SHIFTS[shift](x, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and torch.equal(x, before) and first.shape == x.shape
    assert torch.equal(first, other) == (shift == "rotated")
    assert first.min() >= 0 and first.max() <= 1 and (first != x).flatten(1).any(1).all()


# --- rejection --------------------------------------------------------------------------------------------------------


def judged(right: list[int], scores: list[float]) -> tuple[Judgement, Tensor]:
    """Images of class 0 and what is said of them."""
    answer = 1 - torch.tensor(right)
    return Judgement(answer, answer, {"entropy": torch.tensor(scores)}, torch.zeros(len(right), 2)), 0 * answer


SHOWN = {
    "": judged([1, 1, 1, 1, 0], [0.1, 0.2, 0.3, 0.4, 0.9]),  # the wrong one is the least certain
    "rotated": judged([0] * 5, [1.0] * 5),  # all wrong, and all of them less certain than any clean one
    "corrupted": judged([1, 1, 1, 1, 0], [0.1, 0.2, 0.3, 0.4, 0.9]),  # no different
    "adversarial": judged([0, 0], [0.5, 0.15]),
    "aware_entropy": judged([0, 0], [0.05, 0.0]),
    "aware_variance": judged([1, 1], [0.0, 0.0]),  # is another score's
}


def test_what_rejecting_by_a_score_gains() -> None:
    measured, curves = rejection("entropy", SHOWN)
    assert measured == {
        "auroc_wrong_entropy": 100,
        "rejected_wrong_entropy": 100,
        "auroc_rotated_entropy": 100,
        "rejected_rotated_entropy": pytest.approx(50),  # 8 are left, and 4 of them right
        "auroc_corrupted_entropy": 50,
        "rejected_corrupted_entropy": 100,
        "auroc_adversarial_entropy": 75,  # of the first two images, .1 and .2: of four pairs three are in order
        "rejected_adversarial_entropy": pytest.approx(100 * 2 / 3.2),
        "auroc_aware_entropy": 0,
        "rejected_aware_entropy": pytest.approx(100 * 1.2 / 3.2),
        "evades_adversarial_entropy": 100,
        "evades_aware_entropy": 100,  # a tenth of the clean ones are above .7
    }
    assert set(curves) == {name for name in measured if name.startswith("rejected")}
    assert curves["rejected_rotated_entropy"][0] == 40 and curves["rejected_rotated_entropy"][10] == pytest.approx(80)


def test_a_score_above_the_threshold_gives_an_image_away() -> None:
    told = rejection("entropy", {**SHOWN, "aware_entropy": judged([0, 1], [0.8, 0.0])})[0]
    assert told["evades_aware_entropy"] == 0


def test_a_victim_that_errs_nowhere_has_no_curve_of_wrong_images_but_an_accuracy() -> None:
    told = rejection("entropy", {**SHOWN, "": judged([1] * 5, [0.1] * 5)})[0]
    assert "auroc_wrong_entropy" not in told and told["rejected_wrong_entropy"] == 100


# --- cells ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "scores"),
    [
        ("plain", ["entropy"]),
        ("heteroscedastic", ["entropy", "variance"]),
        *((kind, ["entropy", "mutual_information"]) for kind in ("dropout", "laplace", "robust_ensemble")),
    ],
)
def test_every_kind_of_victim_has_every_number(kind: str, scores: list[str], tmp_path: Path) -> None:
    usual: dict[str, Any] = {"epochs": 20, "robust_epochs": 20, "steps": 10, "attacked": 20, "epsilon": 0.3}
    config = replace(next(c for c in at_once.grid("smoke") if isinstance(c, Calibration)), kind=kind, **usual)
    first = result_of(config, Job(cache=tmp_path))
    found = first.measurements
    named = ["", *(f"_{name}" for name in (*SHIFTS, "adversarial", *(f"aware_{score}" for score in scores)))]
    assert {f"{what}{name}" for what in ("accuracy", "ece", "nll") for name in named} < set(found)
    for score in scores:
        pools = [*SHIFTS, "adversarial", "aware", *(["wrong"] if found["accuracy"] < 100 else [])]
        assert {f"{what}_{name}_{score}" for what in ("auroc", "rejected") for name in pools} < set(found)
        assert {f"evades_{name}_{score}" for name in ("adversarial", "aware")} < set(found)
    percentages = {name: value for name, value in found.items() if not name.startswith(("nll", "train", "attack"))}
    assert all(0 <= value <= 100 for value in percentages.values()) and found["accuracy"] > 30
    assert found["accuracy_adversarial"] < found["accuracy"]
    if kind == "dropout":
        again = result_of(config, Job(cache=tmp_path))
        assert percentages.items() <= again.measurements.items() and first.curves == again.curves
