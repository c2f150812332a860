"""The victims of the fourth chapter: who is a member of whom, which networks kinds share, and what the grid promises."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch

from experiments.papers import at_once
from experiments.papers.at_once.grid import FEWER
from experiments.papers.at_once.victims import KINDS, Cell, halves, inside, pool
from experiments.records import key_of
from experiments.run import Bench
from lib import data
from lib.data import Split
from lib.errors import BadValue
from lib.evasion.pieces import passes

DIGITS: dict[str, Any] = {
    **{"dataset": "digits_as_mnist", "width": 2, "train_size": 40, "batch_size": 20, "epochs": 1, "robust_epochs": 1},
    **{"train_steps": 1, "draws": 3, "members": 2},
}


def cell(**changes: Any) -> Cell:
    return at_once.Leak(**DIGITS | {"attack": "leak"} | changes)


def trained(of: Cell) -> str:
    """The key of its weights."""
    return key_of(of.trained_as(), only=of.VICTIM)


# --- members ----------------------------------------------------------------------------------------------------------


def test_every_image_is_inside_half_of_the_shadows_and_two_of_a_pair_share_none() -> None:
    which = torch.stack([inside(cell().shadow(i)) for i in range(1, 17)])
    assert (which.sum(1) == 40).all() and (which.sum(0) == 8).all()
    assert torch.equal(which[::2], ~which[1::2])
    assert len({tuple(row.tolist()) for row in which}) == 16


def test_victims_have_members_by_their_seed_and_the_same_shadows() -> None:
    first, second = (cell(seed=seed) for seed in (0, 1))
    assert not torch.equal(inside(first), inside(second))
    assert first.shadow(3) == second.shadow(3)
    assert trained(first.shadow(1)) != trained(first.shadow(2)) != trained(first)


def test_members_and_others_are_the_pool_which_fewer_members_have_the_beginning_of() -> None:
    dataset = data.load("digits_as_mnist")

    def images(split: Split) -> Counter[bytes]:
        return Counter(image.numpy().tobytes() for image in split.images)

    members, others = halves(cell(), dataset)
    assert len(members) == len(others) == 40
    assert images(members) + images(others) == images(pool(cell(), dataset))
    assert torch.equal(pool(cell(train_size=8), dataset).images, pool(cell(), dataset).images[:16])


# --- networks ---------------------------------------------------------------------------------------------------------


def test_what_is_made_of_the_same_networks_trains_nothing_of_its_own() -> None:
    keys = {kind: trained(cell(kind=kind)) for kind in KINDS}
    assert keys["plain"] == keys["laplace"] == keys["ensemble"] and keys["robust"] == keys["robust_ensemble"]
    assert len(set(keys.values())) == len({kind.trained for kind in KINDS.values()})
    assert trained(cell(kind="ensemble", member=1)) != keys["plain"]


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"dropout": 0.4}, {"dropout", "robust_dropout"}),
        ({"rare": 0.2}, {"dropout_rare"}),
        ({"robust_epochs": 2, "train_steps": 2}, {"robust", "robust_dropout", "robust_ensemble"}),
        ({"train_epsilon": 0.2}, {"robust", "robust_dropout", "robust_ensemble"}),
        ({"epochs": 2}, {"plain", "dropout", "dropout_rare", "heteroscedastic", "ensemble", "laplace"}),
        ({"draws": 5, "members": 3}, set()),
    ],
)
def test_weights_have_a_key_of_the_settings_that_count(change: dict[str, Any], changed: set[str]) -> None:
    assert {kind for kind in KINDS if trained(cell(kind=kind)) != trained(cell(kind=kind, **change))} == changed


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_answers(kind: str) -> None:
    of = cell(kind=kind)
    bench = Bench(data.load("digits_as_mnist"))
    victim, notes = of.victim(bench)
    x = bench.test(4).take(torch.arange(4))[0]
    with torch.no_grad():
        samples, answer = victim.sample(x, victim.draws), victim(x)
    drawn = {"plain": 1, "robust": 1, "ensemble": 2, "robust_ensemble": 2}.get(kind, 3)
    assert samples.shape == (drawn, 4, 10) and answer.dtype == torch.float32
    torch.testing.assert_close(answer.exp().sum(1), torch.ones(4))
    assert victim.random == (kind not in ("plain", "robust", "ensemble", "robust_ensemble"))
    assert of.networks == (2 if "ensemble" in kind else 1) and of.estimator == kind
    assert of.passes == max(of.networks, passes(victim)) and notes["seconds"] == pytest.approx(bench.training_seconds)


def test_a_shadow_draws_otherwise_than_its_victim_and_each_the_same_again() -> None:
    bench = Bench(data.load("digits_as_mnist"))
    x = bench.test(2).take(torch.arange(2))[0]
    of = cell(kind="heteroscedastic")
    first, again, other = (one.victim(bench)[0].generator for one in (of, of, replace(of, copy=1)))
    states = [one.get_state() for one in (first, again, other)]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2]) and len(x) == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"train_size": 0}, "train_size: expected a number of members"),
        ({"train_size": 719}, "train_size: expected at most 718, the images that there are, got 719"),
        ({"kind": "bayesian"}, "kind: unknown 'bayesian'; expected one of plain, dropout"),
        ({"network": "lenet5"}, "network: unknown 'lenet5'; expected one of small_cnn, small_resnet"),
        ({"shadows": 3}, "shadows: expected an even number"),
    ],
)
def test_bad_settings_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue, match=told):
        cell(**given)


# --- the grid ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["reduced", "paper"])
def test_every_experiment_is_made_on_every_victim_at_five_seeds(profile: str) -> None:
    found = Counter((of.attack, of.dataset, of.kind, of.seed) for of in at_once.main(profile))
    attacks = {of.attack for of in at_once.main(profile)}
    crossed = {(a, d, k, s) for a in attacks for d in ("mnist", "cifar10") for k in KINDS for s in range(5)}
    assert {"leak", "label_only"} <= attacks and found.keys() == crossed


def test_cells_of_one_data_set_differ_in_their_kind_alone_so_that_kinds_can_share_networks() -> None:
    for dataset in ("mnist", "cifar10"):
        leaks = [of for of in at_once.main("reduced") if of.attack == "leak" and of.dataset == dataset]
        assert len({replace(of, kind="plain", seed=0) for of in leaks}) == 1


def test_fewer_members_are_judged_without_shadows() -> None:
    few = [of for of in at_once.grid("reduced") if of not in at_once.main("reduced")]
    assert {(of.kind, of.shadows) for of in few} == {("plain", 0), ("robust", 0)}
    whole = {of.dataset: of.train_size for of in at_once.main("reduced")}
    assert {(of.dataset, of.train_size) for of in few} == {(d, n // part) for d, n in whole.items() for part in FEWER}
