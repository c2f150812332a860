"""Membership of the fourth chapter: scores against the library's on plain logits, shadows that were told, and labels alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.inference import permuted
from experiments.papers.at_once import membership
from experiments.papers.at_once.membership import LIRA, OF_THE_MEAN, RMIA, LabelOnly, Leak, judged, look, scores_of
from experiments.papers.at_once.victims import halves, inside, pool
from experiments.run import Bench, Job, result_of
from lib import data, seeds
from lib.errors import BadValue
from lib.evasion import pgd
from lib.membership import log_odds
from lib.uncertainty import Deterministic, Victim

DIGITS: dict[str, Any] = {
    **{"profile": "smoke", "dataset": "digits_as_mnist", "width": 8, "train_size": 60, "batch_size": 20, "epochs": 20},
    **{"robust_epochs": 1, "train_steps": 1, "draws": 3, "members": 2},
}
OF_ONE = ("accuracy", "held_out", "auc", "tpr_at_1pct", "tpr_at_01pct", "control_auc", "control_tpr_at_1pct")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


def leak(**changes: Any) -> Leak:
    return Leak(**{**DIGITS, "shadows": 2, "attack_steps": 2, **changes})


# --- scores -----------------------------------------------------------------------------------------------------------


class Told(Victim):
    """Answers with draws that it was told."""

    random = True

    def __init__(self, samples: Tensor) -> None:
        torch.nn.Module.__init__(self)
        self.samples, self.draws = samples, len(samples)

    def sample(self, x: Tensor, draws: int) -> Tensor:
        return self.samples


def test_a_look_is_at_the_mean_at_the_first_draw_and_at_how_log_odds_vary() -> None:
    p = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], [[0.9, 0.05, 0.05], [0.3, 0.4, 0.3]]])  # (2, 2, 3)
    y = torch.tensor([0, 0])
    found = look(Told(p.log()), torch.zeros(2, 1, 1, 1), y)
    mean = p.mean(0)
    for i in range(2):
        odds = [math.log(one / (1 - one)) for one in p[:, i, 0].tolist()]
        inside_of_mean = float(mean[i, 0])
        assert float(found["odds"][i]) == pytest.approx(math.log(inside_of_mean / (1 - inside_of_mean)), abs=1e-6)
        assert float(found["draw"][i]) == pytest.approx(odds[0], abs=1e-6)
        assert float(found["spread"][i]) == pytest.approx(-abs(odds[0] - odds[1]) / 2, abs=1e-6)
    assert found["gap"].tolist() == [1.0, 0.0] and found.keys() == {*OF_THE_MEAN, "draw", "spread"}


def test_scores_are_those_of_the_images_and_of_adversarial_ones_made_for_the_model(cache: Path) -> None:
    cell, bench = leak(), Bench(data.load("digits_as_mnist"), Job(cache=cache))
    victim, _ = cell.victim(bench)
    points = pool(cell, bench.dataset)
    found = scores_of(cell, victim, points)
    x, y = points.take(torch.arange(len(points)))
    adversarial = pgd(victim, x, y, epsilon=cell.epsilon, steps=2, loss="log_odds")
    for side, images in (("", x), ("adv_", adversarial)):
        with torch.no_grad():
            logits = victim.network(images)
        torch.testing.assert_close(found[f"{side}odds"], log_odds(logits, y), rtol=0, atol=1e-3)
        torch.testing.assert_close(found[f"{side}draw"], found[f"{side}odds"], rtol=0, atol=1e-6)
        assert not found[f"{side}spread"].any()
        assert (found[f"{side}gap"] == (logits.argmax(1) == y)).double().mean() > 0.97
    assert found["adv_gap"].mean() < found["gap"].mean()


# --- judgement --------------------------------------------------------------------------------------------------------


def test_what_tells_all_what_tells_nothing_and_the_control() -> None:
    which = torch.arange(400) % 2 == 0
    noise = torch.rand(400, generator=seeds.generator(0, "noise"), dtype=torch.float64)
    found = judged({"all": which + noise, "none": torch.zeros(400)}, which, seed=3, also={"test_points": 400.0})
    told = found.measurements
    assert [told[f"all_{what}"] for what in OF_ONE[:5]] == [100.0, pytest.approx(100, abs=2), 100.0, 100.0, 100.0]
    assert [told[f"none_{what}"] for what in OF_ONE[:5]] == [50.0, 50.0, 50.0, 0.0, 0.0]
    scores = which + noise
    dealt = permuted(scores[which], scores[~which], seeds.generator(3, "permutation of all"))
    beaten = (dealt[0][:, None] > dealt[1]).double().mean()
    assert told["all_control_auc"] == pytest.approx(100 * float(beaten)) and 40 < told["all_control_auc"] < 60
    assert told["test_points"] == 400


def test_shadows_tell_a_member_among_images_that_differ_in_how_hard_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds cannot: an easy image of no member has higher log-odds than a hard one of a member."""
    cell = leak(train_size=300, shadows=16, epochs=1)
    hard = 3 * torch.randn(600, generator=seeds.generator(0, "hard"), dtype=torch.float64)

    def told(of: Leak, victim: Victim, points: Any) -> dict[str, Tensor]:
        noise = torch.randn(600, generator=seeds.generator(of.copy, "noise"), dtype=torch.float64)
        scores = hard + 1.5 * inside(of) + 0.3 * noise
        names = [f"{side}{name}" for side in ("", "adv_") for name in (*OF_THE_MEAN, "draw", "spread")]
        return {name: scores for name in names}

    monkeypatch.setattr(membership, "scores_of", told)
    monkeypatch.setattr(Leak, "victim", lambda self, bench: (None, {}))
    bench, which = Bench(data.load("digits_as_mnist")), inside(cell)
    scores = told(cell, Told(torch.zeros(1, 1, 2)), None)
    found = cell.by_shadows(bench, pool(cell, bench.dataset), scores)
    assert found.keys() == {*LIRA, *RMIA}
    rates = judged(found | {"odds": scores["odds"]}, which, seed=0, also={}).measurements
    assert rates["odds_auc"] < 70
    assert all(rates[f"{name}_auc"] > 95 for name in LIRA)
    assert all(rates[f"{name}_auc"] > 70 for name in RMIA)


def test_a_shadow_is_asked_once_for_victims_of_every_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells, asked = [leak(kind="dropout", seed=seed) for seed in (0, 1)], list[int]()

    def looks(cell: Leak, *given: Any) -> dict[str, Tensor]:
        asked.append(cell.copy)
        return scores_of(cell, *given)

    alone = result_of(cells[1], Job(cache=None))
    monkeypatch.setattr(membership, "scores_of", looks)
    found = [result_of(cell, Job(cache=tmp_path)) for cell in cells]
    assert asked == [0, 1, 2, 0], "copy 0 is the victim"
    timed = ("training_seconds", "attack_seconds")
    first, second = ({k: v for k, v in one.measurements.items() if k not in timed} for one in (alone, found[1]))
    assert first == second and alone.curves == found[1].curves
    result_of(cells[1], Job(cache=tmp_path, fresh=True))
    assert asked[4:] == [0, 1, 2], "a verification measures anew"


@pytest.mark.parametrize(("kind", "spread"), [("plain", False), ("dropout", True), ("robust_ensemble", True)])
def test_a_cell_measures_the_same_of_every_kind_but_for_a_spread_that_one_network_has_not(
    kind: str, spread: bool, cache: Path
) -> None:
    found = result_of(leak(kind=kind), Job(cache=cache)).measurements
    scores = {f"{side}{name}" for side in ("", "adv_") for name in (*OF_THE_MEAN, "draw", "spread")}
    judged_ones = scores | (LIRA.keys() - {"lira_spread"}) | RMIA.keys() | ({"lira_spread"} if spread else set())
    accuracies = {f"{side}{part}_accuracy" for side in ("", "adv_") for part in ("train", "others")}
    usual = {"test_accuracy", "test_points", "training_seconds", "attack_seconds"}
    assert found.keys() == {f"{name}_{what}" for name in judged_ones for what in OF_ONE} | accuracies | usual
    assert found["test_points"] == 120 and all(
        0 <= found[name] <= 100 for name in found if "seconds" not in name[-7:] and name != "test_points"
    )
    assert found["gap_accuracy"] == pytest.approx(50 + (found["train_accuracy"] - found["others_accuracy"]) / 2)


# --- labels alone -----------------------------------------------------------------------------------------------------


def test_distances_are_0_where_the_label_is_wrong_and_tell_members(cache: Path) -> None:
    cell = LabelOnly(**DIGITS, judged=30, iterations=3, budget=300)
    found = result_of(cell, Job(cache=cache)).measurements
    bench = Bench(data.load("digits_as_mnist"), Job(cache=cache))
    victim, _ = cell.victim(bench)
    right = []
    for side in halves(cell, bench.dataset):
        x, y = side.first(30).take(torch.arange(30))
        assert isinstance(victim, Deterministic)
        right.append(float((victim(x).argmax(1) == y).double().mean()))
    assert found["gap_accuracy"] == pytest.approx(50 + 50 * (right[0] - right[1]))
    assert found["test_points"] == 60 and found["unreached"] == 0
    assert 0 < found["others_distance"] <= found["train_distance"] < 28
    assert {f"label_only_{what}" for what in OF_ONE} < found.keys()


def test_no_more_are_judged_than_there_are_members() -> None:
    with pytest.raises(BadValue, match="judged: expected at most 60, the number of members, got 61"):
        LabelOnly(**DIGITS, judged=61)
