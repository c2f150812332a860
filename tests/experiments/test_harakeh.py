"""Harakeh's experiments: cells and keys, the grids, what targeted attacks aim at and count, tiny cells from end to end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from experiments import papers
from experiments.papers import harakeh
from experiments.papers.harakeh import CW, FGSM, JSMA, BlackBox, Cell, Gradient, targeted, victims
from experiments.papers.harakeh.aborting import AbortingCW
from experiments.papers.harakeh.black_box import Substitutes, substitute_config
from experiments.papers.harakeh.gradient import attack_all, loss_after, zero_gradients
from experiments.papers.harakeh.targeted import FirstTen
from experiments.records import Result, key_of, settings
from experiments.run import Bench, Job, result_of
from lib import data, models
from lib.data import Dataset, Split
from lib.errors import BadValue
from lib.evasion import pieces
from lib.judging import Judgement
from lib.models import Network
from lib.uncertainty import Deterministic, Ensemble

KINDS = list(papers.kinds("harakeh"))
PROFILES = pytest.mark.parametrize("profile", harakeh.PROFILES)
EACH = pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
RANDOM = ("epistemic", "aleatoric")


def through_json(values: dict[str, Any]) -> dict[str, Any]:
    """As a record keeps settings."""
    found: dict[str, Any] = json.loads(json.dumps(values))
    return found


# --- cells and keys ---------------------------------------------------------------------------------------------------

OF_EVERY_CELL: dict[str, Any] = {
    "profile": "smoke",
    "dataset": "cifar10",
    "network": "fully_convolutional",
    "estimator": "epistemic",
    "seed": 1,
    "version": 2,
    "width": 32,
    "dropout": 0.25,
    "train_size": 100,
    "test_size": 1000,
    "epochs": 7,
    "batch_size": 64,
    "learning_rate": 0.01,
    "label_smoothing": 0.0,
    "augmentation": "flip_and_shift",
    "precision": "float32",
    "draws": 11,
}
TARGETED: dict[str, Any] = {"form": "expectation", "attack_runs": 3, "judges": 7}
OTHER: dict[type[Cell], dict[str, Any]] = {
    FGSM: {"epsilon": 0.1, "curve_epsilons": (0.0, 0.3), "curve_size": 500},
    CW: {**TARGETED, "iterations": 7, "search_steps": 2, "constant": 1.0, "attack_rate": 0.2, "confidence": 5.0},
    AbortingCW: {**TARGETED, "iterations": 7, "constant": 1.0, "attack_rate": 0.2, "confidence": 5.0},
    JSMA: {**TARGETED, "theta": 0.5, "gamma": 0.2},
    BlackBox: {
        "epsilon": 0.1,
        "held_out": 100,
        "rounds": 3,
        "step": 0.2,
        "sign": "plus",
        "substitute_epochs": 3,
        "substitute_width": 20,
        "judges": 7,
        "judged": 100,
    },
    Gradient: {
        "form": "expectation",
        "epsilon": 0.1,
        "steps": 7,
        "score_weight": 2.0,
        "judges": 7,
        "loss_size": 7,
        "loss_steps": (1.0, 2.0),
    },
}
OTHER[Substitutes] = {**OTHER[BlackBox], "substitutes": 7}
OTHER[FirstTen] = {**OTHER[JSMA], "attack_runs": 7}
AWARE: dict[str, Any] = {"attack": "aware", "form": "expectation", "score": "entropy"}
"""An aware attacker's settings, of which none can be changed alone."""


def others(kind: type[Cell]) -> list[Cell]:
    """A cell of `kind` with each of its settings changed alone."""
    found = [kind(**{name: value}) for name, value in {**OF_EVERY_CELL, **OTHER[kind]}.items()]
    return [*found, *(Gradient(**{**AWARE, "score": score}) for score in ("entropy", "variance") if kind is Gradient)]


@EACH
def test_every_setting_is_part_of_the_key(kind: type[Cell]) -> None:
    alone = OF_EVERY_CELL.keys() | OTHER[kind].keys() | {"paper", "attack"}
    assert alone | (AWARE.keys() if kind is Gradient else set()) == {field.name for field in fields(kind)}
    cells = [kind(), *others(kind)]
    assert len({key_of(cell) for cell in cells}) == len(set(cells)) == len(cells)


@EACH
def test_checkpoints_follow_the_victim_and_nothing_else(kind: type[Cell]) -> None:
    """Every experiment shares the networks of its victims with the others."""
    victim = key_of(FGSM(), only=Cell.VICTIM)
    usual = asdict(FGSM())
    for cell in others(kind):
        same = all(getattr(cell, name) == usual[name] for name in Cell.VICTIM if name != "epochs")
        same &= cell.epochs == kind().epochs
        changed = replace(cell, epochs=FGSM().epochs if cell.epochs == kind().epochs else cell.epochs)
        assert (key_of(changed, only=Cell.VICTIM) == victim) == same


NEVER_ZERO = {"constant", "attack_rate"}


@EACH
def test_equal_cells_have_one_key_whole_numbers_or_floats(kind: type[Cell]) -> None:
    for field in fields(kind):
        value = getattr(kind(), field.name)
        if isinstance(value, float):
            number = 1 if field.name in NEVER_ZERO else 0
            whole, exact = (kind(**{field.name: one}) for one in (number, float(number)))
            assert whole == exact and key_of(whole) == key_of(exact), field.name


@PROFILES
def test_every_cell_of_a_grid_comes_back_from_its_record(profile: str) -> None:
    for cell in harakeh.grid(profile):
        found = papers.revive("harakeh", through_json(settings(cell)))
        assert found == cell and type(found) is type(cell)
        assert key_of(found) == key_of(cell)


@EACH
def test_settings_of_an_older_experiment_are_of_no_cell(kind: type[Cell]) -> None:
    known = through_json(settings(kind()))
    assert papers.revive("harakeh", known) == kind()
    for name in known:
        assert papers.revive("harakeh", {other: value for other, value in known.items() if other != name}) is None
    unknown = ({**known, "gone": 1}, {**known, "attack": "deepfool"}, {**known, "attack": None}, {})
    assert [papers.revive("harakeh", one) for one in unknown] == [None] * 4


BAD: list[tuple[type[Cell], dict[str, Any], str]] = [
    *(
        (kind, change, told)
        for kind in KINDS
        for change, told in [
            ({"paper": "song"}, "paper: unknown 'song'; expected one of harakeh"),
            ({"profile": "huge"}, "profile: unknown 'huge'; expected one of smoke, reduced, paper"),
            ({"dataset": "imagenet"}, "dataset: "),
            ({"network": "lenet"}, "network: "),
            (
                {"estimator": "bayes"},
                "estimator: unknown 'bayes'; expected one of none, epistemic, aleatoric, ensemble",
            ),
            ({"attack": "deepfool"}, "attack: unknown 'deepfool'; expected one of "),
            ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
            ({"version": 0}, "version: "),
            ({"width": 0}, "width: "),
            ({"dropout": 1}, "dropout: "),
            ({"train_size": -1}, "train_size: "),
            ({"test_size": -1}, "test_size: "),
            ({"epochs": 0}, "epochs: "),
            ({"batch_size": 0}, "batch_size: "),
            ({"learning_rate": math.nan}, "learning_rate: "),
            ({"label_smoothing": 1.0}, "label_smoothing: "),
            ({"augmentation": "mixup"}, "augmentation: "),
            ({"precision": "int8"}, "precision: "),
            ({"draws": 0}, "draws: "),
        ]
    ),
    (FGSM, {"epsilon": -1}, "epsilon: expected a finite number in [0, 1], got -1"),
    (FGSM, {"curve_size": 0}, "curve_size: "),
    (FGSM, {"curve_epsilons": (0.0, 2.0)}, "curve_epsilons: "),
    (FGSM, {"attack": "cw"}, "attack: unknown 'cw'; expected one of fgsm"),
    *(
        (kind, change, told)
        for kind in (CW, JSMA)
        for change, told in [
            ({"form": "median"}, "form: unknown 'median'; expected one of one_draw, mean, expectation"),
            ({"attack_runs": 0}, "attack_runs: expected a whole number of at least 1, got 0"),
            ({"judges": 0}, "judges: "),
        ]
    ),
    (CW, {"iterations": 0}, "iterations: "),
    (CW, {"search_steps": 0}, "search_steps: "),
    (CW, {"constant": 0}, "constant: "),
    (CW, {"attack_rate": 0}, "attack_rate: "),
    (CW, {"attack_rate": math.inf}, "attack_rate: "),
    (CW, {"confidence": -1}, "confidence: "),
    (CW, {"attack": "jsma"}, "attack: "),
    (JSMA, {"theta": 1.5}, "theta: expected a finite number in [-1, 1], got 1.5"),
    (JSMA, {"gamma": -0.1}, "gamma: "),
    (JSMA, {"gamma": 1.1}, "gamma: "),
    (BlackBox, {"epsilon": 2}, "epsilon: "),
    (BlackBox, {"held_out": 0}, "held_out: "),
    (BlackBox, {"held_out": 60, "test_size": 60}, "held_out: expected fewer than the 60 test images, got 60"),
    (BlackBox, {"held_out": 10_000}, "held_out: expected fewer than the 10000 test images, got 10000"),
    (BlackBox, {"rounds": 0}, "rounds: "),
    (BlackBox, {"step": -0.1}, "step: "),
    (BlackBox, {"sign": "minus"}, "sign: "),
    (BlackBox, {"substitute_epochs": 0}, "substitute_epochs: "),
    (BlackBox, {"substitute_width": 0}, "substitute_width: "),
    (BlackBox, {"judges": 0}, "judges: "),
    (BlackBox, {"judged": 0}, "judged: "),
    (Gradient, {"form": "median"}, "form: "),
    (Gradient, {"test_size": 0}, "test_size: "),
    (Gradient, {"epsilon": 2}, "epsilon: "),
    (Gradient, {"steps": 0}, "steps: "),
    (Gradient, {"judges": 0}, "judges: "),
    (Gradient, {"loss_size": 0}, "loss_size: "),
    (Gradient, {"loss_steps": (1.5,)}, "loss_steps: expected a whole number of at least 1, got 1.5"),
    (Gradient, {"loss_steps": (0,)}, "loss_steps: "),
    (Gradient, {"score": "entropy"}, "score: "),
    (Gradient, {**AWARE, "score": ""}, "score: unknown ''; expected one of entropy, mutual_information, variance"),
    (Gradient, {**AWARE, "score_weight": -1}, "score_weight: "),
    (Gradient, {**AWARE, "form": "mean"}, "form: an aware attacker averages over draws, expected expectation"),
]


@pytest.mark.parametrize(("kind", "change", "told"), BAD, ids=[f"{kind.__name__}-{change}" for kind, change, _ in BAD])
def test_bad_settings_are_named(kind: type[Cell], change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        kind(**change)
    assert str(caught.value).startswith(told)


@given(epsilon=st.floats(0, 1), steps=st.integers(1, 200))
def test_a_step_never_exceeds_the_budget(epsilon: float, steps: int) -> None:
    """20 steps have three times the budget between them; one step is all of it."""
    step = Gradient(epsilon=epsilon, steps=steps).step_size
    assert 0 <= step <= epsilon and (steps > 3 or step == epsilon)
    assert steps * step == pytest.approx(epsilon * min(3, steps))


# --- grids ------------------------------------------------------------------------------------------------------------


@PROFILES
def test_no_two_cells_of_a_grid_are_one(profile: str) -> None:
    cells = harakeh.grid(profile)
    assert len({key_of(cell) for cell in cells}) == len(set(cells)) == len(cells) > 0
    assert {(cell.paper, cell.profile) for cell in cells} == {("harakeh", profile)}


@PROFILES
def test_the_published_cells_have_all_seeds(profile: str) -> None:
    """Those of the paper's own networks; at `reduced` FGSM has all, the rest three."""
    seeds: dict[Cell, set[int]] = {}
    for cell in harakeh.main(profile):
        seeds.setdefault(replace(cell, seed=0), set()).add(cell.seed)
    for cell, found in seeds.items():
        members_alone = (
            cell.estimator == "ensemble" and getattr(cell, "form", "mean") != "mean" and cell.attack == "pgd"
        )
        few = profile == "reduced" and (cell.attack != "fgsm" or cell.estimator == "ensemble")
        count = 1 if profile == "smoke" or members_alone else 3 if few else harakeh.SEEDS
        assert found == set(range(count)), cell


@PROFILES
def test_every_victim_of_the_paper_has_its_row_of_fgsm(profile: str) -> None:
    found = {(cell.dataset, cell.network, cell.estimator) for cell in harakeh.grid(profile) if type(cell) is FGSM}
    wanted = {
        (one["dataset"], one["network"], estimator)
        for one in harakeh.VARIANTS[profile]
        for estimator in ("none", *RANDOM)
    }
    assert wanted <= found


@PROFILES
def test_every_random_victim_of_one_variant_is_attacked_in_every_form(profile: str) -> None:
    first = harakeh.VARIANTS[profile][0]
    for kind in (CW, JSMA) if profile == "smoke" else (CW, JSMA, Gradient):
        cells = [cell for cell in harakeh.main(profile) if type(cell) is kind and cell.network == first["network"]]
        found = {(cell.estimator, getattr(cell, "form", "")) for cell in cells if cell.dataset == first["dataset"]}
        assert {(estimator, form) for estimator in RANDOM for form in harakeh.FORMS} <= found


@PROFILES
def test_an_aware_attacker_knows_only_scores_that_the_victim_has(profile: str) -> None:
    has = {"none": {"entropy"}, "aleatoric": {"entropy", "variance"}}
    both = {"entropy", "mutual_information"}
    cells = [cell for cell in harakeh.grid(profile) if cell.attack == "aware"]
    assert cells and all(getattr(cell, "score", "") in has.get(cell.estimator, both) for cell in cells)


@PROFILES
def test_all_victims_of_a_profile_are_trained_once_for_all_attacks(profile: str) -> None:
    """Cells of one network, estimator and seed share its checkpoint, but where an experiment trains differently."""
    groups: dict[tuple[Any, ...], set[str]] = {}
    for cell in harakeh.main(profile):
        kind = (cell.dataset, cell.network, cell.estimator, cell.seed, cell.epochs)
        groups.setdefault(kind, set()).add(key_of(cell, only=Cell.VICTIM))
    assert all(len(keys) == 1 for keys in groups.values())


@PROFILES
def test_a_deviation_changes_exactly_one_setting(profile: str) -> None:
    main, grid = set(harakeh.main(profile)), set(harakeh.grid(profile))
    for one in harakeh.deviations(profile):
        usual, changed = asdict(one.usual), asdict(one.changed)
        assert type(one.usual) is type(one.changed)
        assert sum(changed[name] != value for name, value in usual.items()) == 1, one.title
        assert one.usual in main and one.changed in grid - main


def test_deviations_have_three_seeds_each() -> None:
    found: dict[str, set[int]] = {}
    for one in harakeh.deviations("reduced"):
        assert one.usual.seed == one.changed.seed
        found.setdefault(one.title, set()).add(one.usual.seed)
    assert found and all(seeds == {0, 1, 2} for seeds in found.values())


@pytest.mark.parametrize("grid", [harakeh.grid, harakeh.main, harakeh.deviations])
def test_an_unknown_profile_has_no_cells(grid: Callable[[str], Any]) -> None:
    with pytest.raises(BadValue, match=r"^profile: unknown 'huge'; expected one of smoke, reduced, paper$"):
        grid("huge")


# --- ensembles --------------------------------------------------------------------------------------------------------


def test_an_ensemble_shares_the_plain_victim_of_its_seed_and_no_other() -> None:
    seen: set[int] = set()
    for seed in range(harakeh.SEEDS):
        members = victims.members(FGSM(estimator="ensemble", seed=seed, draws=5))
        own, *rest = [key_of(member, only=Cell.VICTIM) for member in members]
        assert own == key_of(FGSM(estimator="none", seed=seed), only=Cell.VICTIM) and own not in rest
        assert len(members) == 5 and all(member.estimator == "none" for member in members)
        further = {member.seed for member in members[1:]}
        assert len(further) == 4 and min(further) >= harakeh.SEEDS and not further & seen
        seen |= further


@EACH
def test_every_attack_faces_the_same_ensemble(kind: type[Cell]) -> None:
    usual = {"estimator": "ensemble", "draws": 3, "epochs": 6, "seed": 2}
    found = [key_of(member, only=Cell.VICTIM) for member in victims.members(kind(**usual))]
    expected = [key_of(member, only=Cell.VICTIM) for member in victims.members(FGSM(**usual))]
    assert found == expected


# --- what targeted attacks aim at -------------------------------------------------------------------------------------


def split(labels: list[int]) -> Split:
    return Split(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), torch.tensor(labels))


def test_run_r_takes_the_rth_image_of_every_class() -> None:
    found = targeted.one_of_each_class(split([2, 0, 0, 1, 2, 1, 0, 1, 2]), 3, 2)
    assert found.tolist() == [[1, 3, 0], [2, 5, 4]]


def test_runs_have_no_image_in_common(digits: Dataset) -> None:
    sources = targeted.one_of_each_class(digits.test, 10, 10)
    assert torch.equal(digits.test.labels[sources], torch.arange(10).expand(10, 10))
    assert len(set(sources.flatten().tolist())) == 100
    for label in range(10):  # the first of each class, in their order
        of_class = (digits.test.labels == label).nonzero().flatten()
        assert torch.equal(sources[:, label], of_class[:10])


def test_more_runs_than_images_of_a_class_are_refused() -> None:
    told = "^attack_runs: expected at most 1, the test images of the rarest class, got 2$"
    with pytest.raises(BadValue, match=told):
        targeted.one_of_each_class(split([0, 0, 1, 2, 2]), 3, 2)


def test_every_image_is_aimed_at_every_class() -> None:
    labels = torch.tensor([0, 1, 2, 0, 1, 2])  # two runs
    which, targets = targeted.aims(labels, 3, own=True)
    assert which.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3 + [5] * 3
    assert targets.tolist() == [0, 1, 2] * 6
    which, targets = targeted.aims(labels, 3, own=False)
    assert list(zip(which.tolist(), targets.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 2),
        (2, 0),
        (2, 1),
        (3, 1),
        (3, 2),
        (4, 0),
        (4, 2),
        (5, 0),
        (5, 1),
    ]


@given(classes=st.integers(2, 10), runs=st.integers(1, 4))
def test_a_run_has_a_hundred_aims_or_ninety(classes: int, runs: int) -> None:
    labels = torch.arange(classes).repeat(runs)
    for own, each in ((True, classes), (False, classes - 1)):
        which, targets = targeted.aims(labels, classes, own=own)
        assert len(which) == len(targets) == runs * classes * each
        by_run = which.view(runs, -1) // classes  # the images of run r are those from r * classes on
        assert torch.equal(by_run, torch.arange(runs)[:, None].expand_as(by_run))
        assert own or not bool((targets == labels[which]).any())


# --- what they count --------------------------------------------------------------------------------------------------


def test_success_counts_runs_targets_votes_and_labels() -> None:
    targets, labels = torch.tensor([1, 2, 0, 2, 1, 2, 0, 2]), torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
    answer, vote = torch.tensor([1, 2, 1, 2, 0, 1, 0, 1]), torch.tensor([1, 0, 1, 1, 0, 0, 1, 2])
    found = targeted.success(Judgement(answer, vote, {}, torch.empty(0)), targets, labels, runs=2)
    # Run 0 reaches targets 1, 2, -, 2; run 1 only the third. Answers 2 and 4, 7 are the images' own labels.
    assert found == {
        "fooling_rate": 50.0,
        "fooling_rate_min": 25.0,
        "fooling_rate_max": 75.0,
        "fooling_rate_vote": 25.0,
        "misclassified": 62.5,
    }


@given(runs=st.integers(1, 4), each=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_the_mean_of_the_runs_lies_between_them(runs: int, each: int, seed: int) -> None:
    answer, vote, targets, labels = torch.randint(3, (4, runs * each), generator=torch.Generator().manual_seed(seed))
    found = targeted.success(Judgement(answer, vote, {}, torch.empty(0)), targets, labels, runs=runs)
    assert found["fooling_rate_min"] - 1e-9 <= found["fooling_rate"] <= found["fooling_rate_max"] + 1e-9
    assert found["fooling_rate"] == pytest.approx(100 * (answer == targets).double().mean().item())
    assert all(0 <= value <= 100 for value in found.values())


def changed(*changes: list[float]) -> tuple[Tensor, Tensor]:
    """Gray images of four pixels, and what became of them."""
    x = torch.full((len(changes), 1, 2, 2), 0.5)
    return x, x + torch.tensor(changes).view(x.shape)


def test_norms_are_those_of_the_images_that_fool() -> None:
    x, adversarial = changed([0.25, 0, 0, 0], [0.25, -0.25, 0.25, 0.25], [0, 0, 0, 0], [0.5, 0.5, 0.5, 0.5])
    found = targeted.norms(x, adversarial, torch.tensor([True, True, False, False]))
    assert found == {"l2": pytest.approx(0.375), "changed_features": 62.5, "unmoved": 25.0, "outside": 0.0}


def test_where_none_fools_there_is_nothing_to_say_of_those_that_do() -> None:
    x, adversarial = changed([0.25, 0, 0, 0], [0, 0, 0, 0])
    found = targeted.norms(x, adversarial, torch.tensor([False, False]))
    assert found == {"unmoved": 50.0, "outside": 0.0}


@pytest.mark.parametrize(("change", "outside"), [(0.75, 0.25), (-1.0, 0.5), (0.5, 0.0), (-0.5, 0.0)])
def test_what_leaves_the_range_shows(change: float, outside: float) -> None:
    x, adversarial = changed([change, 0, 0, 0], [0, 0, 0, 0])
    assert targeted.norms(x, adversarial, torch.tensor([True, True]))["outside"] == pytest.approx(outside)


# --- work -------------------------------------------------------------------------------------------------------------


def test_work_counts_images_that_pass() -> None:
    """By hand: training is 3 x 2 epochs x 100 images; a gradient counts three passes."""
    usual: dict[str, Any] = {"dataset": "digits_as_mnist", "epochs": 2, "train_size": 100, "draws": 4}
    train = 3 * 2 * 100
    assert CW(**usual).training_work() == train
    assert CW(estimator="ensemble", **usual).training_work() == 4 * train
    cw: dict[str, Any] = {**usual, "attack_runs": 2, "iterations": 5, "search_steps": 3, "judges": 7}
    assert CW(**cw).work() == train + 2 * 100 * (3 * 15 + 1)
    assert CW(estimator="epistemic", **cw).work() == train + 2 * 100 * (4 * 3 * 15 + 7)
    assert CW(estimator="epistemic", form="one_draw", **cw).work() == train + 2 * 100 * (3 * 15 + 7)
    pgd = Gradient(**usual, test_size=20, steps=5, loss_size=10, loss_steps=(1.0, 2.0))
    assert pgd.work() == train + 3 * 5 * 20 + 3 * 3 * 10 + 20 * 2


@PROFILES
def test_every_cell_of_a_grid_costs_something(profile: str) -> None:
    assert all(0 < cell.work() < 1e12 for cell in harakeh.grid(profile))


def test_the_substitute_has_the_settings_of_its_cell() -> None:
    cell = BlackBox(rounds=3, step=0.2, sign="plus", substitute_epochs=4, batch_size=32, learning_rate=0.01, epochs=9)
    found = substitute_config(cell)
    assert asdict(found) == {
        "rounds": 3,
        "step": 0.2,
        "sign": "plus",
        "epochs": 4,
        "batch_size": 32,
        "learning_rate": 0.01,
    }


# --- from end to end --------------------------------------------------------------------------------------------------

TINY: dict[str, Any] = {
    "profile": "smoke",
    "dataset": "digits_as_mnist",
    "network": "fully_connected",
    "width": 16,
    "dropout": 0.25,
    "epochs": 4,
    "batch_size": 32,
    "learning_rate": 5e-3,
    "train_size": 400,
    "draws": 3,
    "precision": "float32",
}
SMALL: dict[type[Cell], dict[str, Any]] = {
    CW: {"attack_runs": 2, "iterations": 10, "judges": 3},
    JSMA: {"attack_runs": 1, "gamma": 0.005, "judges": 3},
    BlackBox: {
        "test_size": 60,
        "held_out": 10,
        "rounds": 3,
        "substitute_epochs": 2,
        "substitute_width": 8,
        "judges": 3,
        "judged": 20,
    },
    Gradient: {"test_size": 30, "steps": 3, "judges": 3, "loss_size": 5, "loss_steps": (1, 4)},
}
ESTIMATORS = ("none", "epistemic", "aleatoric", "ensemble")
TIMES = {"training_seconds", "attack_seconds"}


def scores_of(estimator: str) -> set[str]:
    return {"entropy"} | {"none": set(), "aleatoric": {"variance"}}.get(estimator, {"mutual_information"})


def computed(cell: Cell, cache: Path | None) -> Result:
    """The result, once what holds of every experiment is seen to hold."""
    result = result_of(cell, Job(cache=cache))
    numbers = [*result.measurements.values(), *(value for curve in result.curves.values() for value in curve)]
    assert all(isinstance(value, float) and math.isfinite(value) for value in numbers)
    percent = [
        name for name in result.measurements if name.startswith(("accuracy", "adversarial_acc", "auroc_", "fool"))
    ]
    assert percent and all(0 <= result.measurements[name] <= 100 for name in percent)
    assert {f"auroc_{score}" for score in scores_of(cell.estimator)} == {name for name in percent if "auroc" in name}
    return result


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The victims of the tests below, each trained once."""
    return tmp_path_factory.mktemp("victims")


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("kind", "aims"), [(CW, 100), (JSMA, 90)])
def test_a_targeted_cell(kind: type[CW] | type[JSMA], aims: int, estimator: str, cache: Path) -> None:
    cell = kind(estimator=estimator, **TINY, **SMALL[kind])
    result = computed(cell, cache)
    found = result.measurements
    assert found["test_points"] == cell.attack_runs * aims and found["outside"] == 0
    assert found["fooling_rate_min"] <= found["fooling_rate"] <= found["fooling_rate_max"]
    assert found["l2"] > 0 and 0 < found["changed_features"] <= 100 and 0 <= found["unmoved"] <= 100
    if kind is JSMA:  # pairs of features, of 784 at most the share allowed
        assert found["changed_features"] <= 0.5
    if kind is CW:  # of ten targets one is the class that the image has
        assert found["fooling_rate"] >= 5
    assert found["fooling_rate"] - (10 if kind is CW else 0) <= found["misclassified"] + 1e-9
    for score in scores_of(estimator):
        curve = result.curves[f"detected_{score}"]
        assert len(curve) == len(result.curves["false_positive_rate"]) and curve == sorted(curve) and curve[-1] == 100


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.filterwarnings("ignore::lib.errors.VictimWarning")  # this small substitute has no gradient at some images
def test_a_black_box_cell(estimator: str, cache: Path) -> None:
    result = computed(BlackBox(estimator=estimator, **TINY, **SMALL[BlackBox]), cache)
    found = result.measurements
    assert found["test_points"] == 60 - 10 and found["queries"] == 10 * 2**2
    assert len(result.curves["agreement"]) == 3 and found["largest_perturbation"] <= 0.3 + 1e-6
    assert found["white_box_accuracy"] < found["accuracy"] and 0 < found["substitute_agreement"] <= 100


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_gradient_cell(estimator: str, cache: Path) -> None:
    result = computed(Gradient(estimator=estimator, **TINY, **SMALL[Gradient]), cache)
    found, curves = result.measurements, result.curves
    assert found["test_points"] == 30 and 0.29 < found["largest_perturbation"] <= 0.3 + 1e-6
    assert found["adversarial_accuracy"] < found["accuracy"] and found["zero_gradients"] < 100
    assert curves["steps"] == [1.0, 4.0] and len(curves["loss"]) == 2 and min(curves["loss"]) > 0
    assert ("untrained_accuracy" in found) == (estimator == "none")
    for score in scores_of(estimator):
        assert len(curves[f"detected_{score}"]) == len(curves["false_positive_rate"])
        kept = curves[f"kept_{score}"]  # nothing rejected: the accuracy on clean and adversarial images together
        assert len(kept) == len(curves["rejected"]) and curves["rejected"][0] == 0
        assert kept[0] == pytest.approx((found["accuracy"] + found["adversarial_accuracy"]) / 2)


@pytest.mark.parametrize(
    ("estimator", "score"), [(one, score) for one in ESTIMATORS for score in sorted(scores_of(one))]
)
def test_an_aware_cell(estimator: str, score: str, cache: Path) -> None:
    cell = Gradient(estimator=estimator, **TINY, **SMALL[Gradient], attack="aware", form="expectation", score=score)
    found = computed(cell, cache).measurements
    assert found["test_points"] == 30 and 0 < found["largest_perturbation"] <= 0.3 + 1e-6


@pytest.mark.parametrize(
    "cell",
    [
        *(kind(estimator="epistemic", **TINY, **SMALL[kind]) for kind in SMALL),
        Gradient(estimator="aleatoric", **TINY, **SMALL[Gradient], form="one_draw"),
        Gradient(estimator="epistemic", **TINY, **SMALL[Gradient], **AWARE),
    ],
    ids=lambda cell: f"{cell.attack}-{cell.estimator}",
)
@pytest.mark.filterwarnings("ignore::lib.errors.VictimWarning")  # this small substitute has no gradient at some images
def test_the_same_cell_measures_the_same(cell: Cell, cache: Path) -> None:
    """Once with the victim from the cache, once with all of it made anew."""
    first, again = result_of(cell, Job(cache=cache)), result_of(cell)
    assert first.curves == again.curves
    different = {name for name, value in first.measurements.items() if again.measurements[name] != value}
    assert different <= TIMES and first.measurements.keys() == again.measurements.keys()


def test_cells_of_every_kind_share_one_checkpoint(tmp_path: Path) -> None:
    for kind in (JSMA, BlackBox, Gradient):
        result_of(kind(estimator="none", **TINY, **SMALL[kind]), Job(cache=tmp_path))
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    result_of(JSMA(estimator="ensemble", **TINY, **SMALL[JSMA]), Job(cache=tmp_path))
    assert len(list(tmp_path.glob("*.safetensors"))) == 3  # the plain one and two more members


# --- parts of the gradient cells --------------------------------------------------------------------------------------


@pytest.fixture
def plain(digits: Dataset, cache: Path) -> tuple[Gradient, Deterministic, Tensor, Tensor]:
    """A cell, its victim, and its test images."""
    cell = Gradient(estimator="none", **TINY, **SMALL[Gradient])
    victim, _ = cell.victim(Bench(digits, Job(cache=cache)))
    assert isinstance(victim, Deterministic)
    x, y = digits.test.take(torch.arange(30))
    return cell, victim, x, y


def test_batches_do_not_change_the_attack_on_a_plain_victim(
    plain: tuple[Gradient, Deterministic, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, victim, x, y = plain
    for one in (cell, replace(cell, **AWARE)):
        whole = attack_all(one, victim, x, y)
        with monkeypatch.context() as patch:
            patch.setitem(pieces.ATTACK_BATCH, "cpu", 7)
            torch.testing.assert_close(attack_all(one, victim, x, y), whole, atol=1e-5, rtol=0)


def test_the_loss_rises_with_the_steps(plain: tuple[Gradient, Deterministic, Tensor, Tensor]) -> None:
    cell, victim, x, y = plain
    one = replace(cell, epsilon=0.1, steps=20)
    found = [loss_after(one, victim, x, y, steps) for steps in (1, 3, 6, 20)]
    assert found == sorted(found) and found[-1] > 2 * found[0]


def test_images_without_a_gradient_are_counted(plain: tuple[Gradient, Deterministic, Tensor, Tensor]) -> None:
    cell, victim, x, y = plain
    assert zero_gradients(cell, victim, x, y) == 0
    with torch.no_grad():
        next(victim.network.parameters()).zero_()  # a first layer that does not look
    assert zero_gradients(cell, victim, x, y) == 100


def test_an_ensemble_is_made_of_the_victims_that_it_names(digits: Dataset, cache: Path) -> None:
    cell = CW(estimator="ensemble", **TINY, **SMALL[CW])
    victim, notes = cell.victim(Bench(digits, Job(cache=cache)))
    assert isinstance(victim, Ensemble) and len(victim.members) == 3 and len(notes["losses"]) == cell.epochs
    each = [Bench(digits, Job(cache=cache)).network(one) for one in victims.members(cell)]
    x = data.load("digits_as_mnist").test.take(torch.arange(5))[0]
    with torch.no_grad():
        expected = torch.stack([network(x) for network, _ in each])
        assert torch.equal(victim.sample(x, 3), expected)
    assert notes["seconds"] == pytest.approx(sum(note["seconds"] for _, note in each))
    for epoch, loss in enumerate(notes["losses"]):
        assert loss == pytest.approx(sum(note["losses"][epoch] for _, note in each) / 3)


def test_a_score_that_the_victim_lacks_is_refused_before_training(tmp_path: Path) -> None:
    cell = Gradient(estimator="none", **TINY, **SMALL[Gradient], **{**AWARE, "score": "variance"})
    with pytest.raises(BadValue, match="score: unknown 'variance'; expected one of entropy"):
        result_of(cell, Job(cache=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("version", "same"), [(1, True), (2, False)])
def test_a_substitute_of_the_victims_shape_has_a_start_of_its_own(
    version: int, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1 of the experiment started both from the same weights."""
    built: list[Network] = []
    build = models.build

    def watched(*arguments: Any, **settings: Any) -> Network:
        built.append(deepcopy(network := build(*arguments, **settings)))
        return network

    monkeypatch.setattr(models, "build", watched)
    changes = {"network": "fully_connected", "width": 8, "version": version, "substitute_width": 8}
    result_of(BlackBox(**{**TINY, **SMALL[BlackBox], **changes}))
    victim, substitute = (dict(network.named_parameters()) for network in built)
    weights = [name for name, weight in victim.items() if weight.dim() > 1]
    assert len(weights) == 3 and {torch.equal(victim[name], substitute[name]) for name in weights} == {same}
