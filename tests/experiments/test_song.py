"""Song's experiments: cells and keys, grids against the paper, who is on which side, measures by hand, tiny cells to the end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from experiments import papers
from experiments.find import row
from experiments.papers import song
from experiments.papers.song import Cell, Targeted, Threshold, targeted, threshold, victims
from experiments.papers.song.threshold import Compiled
from experiments.papers.song.victims import Attack, pgd_of
from experiments.records import key_of, settings
from experiments.run import Bench, Job, result_of, weights_of
from lib import data, membership
from lib.data import Dataset, Split
from lib.errors import BadValue
from lib.models import Network
from lib.training.robust import RobustConfig
from lib.training.snapshots import History

KINDS: list[type[Cell]] = [Threshold, Targeted]
PROFILES = pytest.mark.parametrize("profile", song.PROFILES)
EACH = pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])


def through_json(values: dict[str, Any]) -> dict[str, Any]:
    """As a record keeps settings."""
    found: dict[str, Any] = json.loads(json.dumps(values))
    return found


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- cells and keys ---------------------------------------------------------------------------------------------------

OF_EVERY_CELL: dict[str, Any] = {
    "profile": "smoke",
    "dataset": "cifar10",
    "network": "wide_resnet",
    "seed": 1,
    "version": 2,
    "width": 16,
    "train_size": 100,
    "train_epsilon": 0.1,
    "epsilon": 0.1,
    "steps": 100,
    "batch_size": 64,
    "optimizer": "momentum",
    "learning_rate": 0.01,
    "second_rate": 0.001,
    "second_from": 50,
    "third_rate": 0.0001,
    "third_from": 60_000,
    "l2": 0.01,
    "loss": "mean",
    "attack_steps": 9,
    "step_size": 0.01,
    "ramp": 10,
    "augmentation": "flip_and_crop",
    "precision": "float32",
    "observations": 5,
    "eval_steps": 9,
    "judged": 100,
    "attack_loss": "cross_entropy",
}
OTHER: dict[type[Cell], dict[str, Any]] = {Threshold: {}, Targeted: {"known": 100, "classes": 9}}
TOGETHER: dict[type[Cell], list[dict[str, Any]]] = {
    Threshold: [{"train_size": 100, "part": 1}, {"train_size": 100, "shadow": True}],
    Targeted: [{"train_size": 100, "part": 1}],
}


def others(kind: type[Cell]) -> list[Cell]:
    """A cell of `kind` with each of its settings changed, alone where that can be."""
    alone = [kind(**{name: value}) for name, value in {**OF_EVERY_CELL, **OTHER[kind]}.items()]
    return [*alone, *(kind(**together) for together in TOGETHER[kind])]


@EACH
def test_every_setting_is_part_of_the_key(kind: type[Cell]) -> None:
    reached = OF_EVERY_CELL.keys() | OTHER[kind].keys() | {name for one in TOGETHER[kind] for name in one}
    assert reached | {"paper", "attack"} == {field.name for field in fields(kind)}
    cells = [kind(), *others(kind)]
    assert len({key_of(cell) for cell in cells}) == len(set(cells)) == len(cells)


@EACH
def test_checkpoints_follow_the_victim_and_nothing_else(kind: type[Cell]) -> None:
    """Both experiments share their victims."""
    victim, usual = key_of(Threshold(), only=Cell.VICTIM), asdict(Threshold())
    seen = set()
    for cell in others(kind):
        changed = asdict(cell)
        same = all(changed[name] == usual[name] for name in Cell.VICTIM)
        assert (key_of(cell, only=Cell.VICTIM) == victim) == same
        seen.add(same)
    assert seen == {False, True}
    trained_by = {field.name for field in fields(RobustConfig)} - {"epsilon"}
    assert trained_by | {"network", "width", "seed", "part", "train_size", "train_epsilon", "dataset"} < set(
        Cell.VICTIM
    )
    assert not {"profile", "attack", "epsilon", "eval_steps", "judged", "shadow", "known"} & set(Cell.VICTIM)


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        (lambda: next(c for c in song.main("paper") if c.dataset == "yale"), "d74cb3d4e2c2"),
        (lambda: next(c for c in song.main("paper") if isinstance(c, Targeted)), "0e7946de39e9"),
    ],
)
def test_keys_of_records_do_not_change(cell: Callable[[], Cell], key: str) -> None:
    """Faces, natural, seed 0; and Table 2's victim of seed 0."""
    assert key_of(cell()) == key


def test_the_compiled_control_differs_in_its_weights_alone() -> None:
    assert set(papers.kinds("song")) == {*KINDS, Compiled}
    (control,) = [cell for cell in song.grid("paper") if isinstance(cell, Compiled)]
    usual = Threshold(**{name: value for name, value in asdict(control).items() if name != "attack"})
    assert usual == song.main("paper")[0] and usual.work() == control.work()
    assert weights_of(control) != weights_of(usual) == key_of(usual, only=Cell.VICTIM)


def test_the_seeds_after_the_first_three_have_faces_drawn_anew() -> None:
    """One row, whose seeds differ in their faces as well, apart from the row of the first three."""
    for training in (0.0, 8 / 255):
        found = row("song", "paper", dataset="yale_split_4", train_epsilon=training)
        assert [(cell.seed, cell.dataset) for cell in found] == [(3, "yale_split_3"), (4, "yale_split_4")]
        assert {replace(cell, seed=0, dataset="yale") for cell in found} == {
            replace(row("song", "paper", dataset="yale", train_epsilon=training)[0])
        }
        assert {cell.dataset for cell in row("song", "paper", dataset="yale", train_epsilon=training)} == {"yale"}


@EACH
def test_equal_cells_have_one_key_whole_numbers_or_floats(kind: type[Cell]) -> None:
    numbers = [field.name for field in fields(kind) if isinstance(getattr(kind(), field.name), float)]
    assert set(numbers) == {"train_epsilon", "epsilon", "learning_rate", "second_rate", "third_rate", "l2", "step_size"}
    unlike = []
    for name in numbers:
        whole, exact = kind(**{name: 0}), kind(**{name: 0.0})
        assert whole == exact
        if key_of(whole) != key_of(exact):
            unlike.append(name)
    assert unlike == []


@PROFILES
def test_every_cell_of_a_grid_comes_back_from_its_record(profile: str) -> None:
    for cell in song.grid(profile):
        found = papers.revive("song", through_json(settings(cell)))
        assert found == cell and type(found) is type(cell) and key_of(found) == key_of(cell)


@EACH
def test_settings_of_an_older_experiment_are_of_no_cell(kind: type[Cell]) -> None:
    known = through_json(settings(kind()))
    assert papers.revive("song", known) == kind()
    for name in known:
        assert papers.revive("song", {other: value for other, value in known.items() if other != name}) is None
    other = "targeted" if kind is Threshold else "threshold"
    unknown = (
        {**known, "gone": 1},
        {**known, "attack": "fgsm"},
        {**known, "attack": None},
        {**known, "attack": other},
        {},
    )
    assert [papers.revive("song", one) for one in unknown] == [None] * 5


BAD: list[tuple[type[Cell], dict[str, Any], str]] = [
    *(
        (kind, change, told)
        for kind in KINDS
        for change, told in [
            ({"paper": "harakeh"}, "paper: unknown 'harakeh'; expected one of song"),
            ({"profile": "huge"}, "profile: unknown 'huge'; expected one of smoke, reduced, paper"),
            ({"dataset": "imagenet"}, "dataset: unknown 'imagenet'"),
            (
                {"network": "lenet5"},
                "network: unknown 'lenet5'; expected one of yale_cnn, fashion_cnn, wide_resnet, wide_resnet_short",
            ),
            ({"attack": "fgsm"}, f"attack: unknown 'fgsm'; expected one of {kind.__name__.lower()}"),
            ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
            ({"version": 0}, "version: expected a whole number of at least 1, got 0"),
            ({"width": 0}, "width: "),
            ({"train_size": -1}, "train_size: "),
            ({"part": -1}, "part: expected a whole number of at least 0, got -1"),
            ({"part": 1}, "part: expected 0 where all images are trained on, got 1"),
            ({"train_epsilon": 1.5}, "train_epsilon: expected a finite number in [0, 1], got 1.5"),
            ({"train_epsilon": "8/255"}, "train_epsilon: "),
            ({"epsilon": math.nan}, "epsilon: expected a finite number in [0, 1], got nan"),
            ({"epsilon": -0.1}, "epsilon: "),
            ({"steps": 0}, "steps: "),
            ({"batch_size": 0}, "batch_size: "),
            ({"optimizer": "sgd"}, "optimizer: unknown 'sgd'; expected one of adam, momentum"),
            ({"learning_rate": -1.0}, "learning_rate: "),
            ({"second_rate": math.inf}, "second_rate: "),
            ({"third_rate": None}, "third_rate: "),
            ({"second_from": 15_001}, "third_from: expected at least second_from = 15001, got 15000"),
            ({"l2": -1.0}, "l2: "),
            ({"loss": "max"}, "loss: "),
            ({"attack_steps": 0}, "attack_steps: "),
            ({"step_size": 2.0}, "step_size: "),
            ({"ramp": -1}, "ramp: "),
            ({"augmentation": "mixup"}, "augmentation: "),
            ({"precision": "int8"}, "precision: "),
            ({"observations": 0}, "observations: "),
            ({"eval_steps": 0}, "eval_steps: expected a whole number of at least 1, got 0"),
            ({"eval_steps": 20.0}, "eval_steps: "),
            ({"judged": -1}, "judged: expected a whole number of at least 0, got -1"),
        ]
    ),
    (
        Threshold,
        {"shadow": True},
        "train_size: expected a part of the training set, to leave images for a shadow, got 0",
    ),
    (Threshold, {"shadow": 1, "train_size": 100}, "shadow: expected True or False, got 1"),
    (Threshold, {"shadow": "no"}, "shadow: expected True or False, got 'no'"),
    (Targeted, {"known": 0}, "known: expected a whole number of at least 1, got 0"),
    (Targeted, {"classes": 0}, "classes: expected a whole number of at least 1, got 0"),
]


@pytest.mark.parametrize(("kind", "change", "told"), BAD, ids=[f"{kind.__name__}-{change}" for kind, change, _ in BAD])
def test_bad_settings_are_named(kind: type[Cell], change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        kind(**change)
    assert str(caught.value).startswith(told)


# --- the grid against the paper ---------------------------------------------------------------------------------------

FROM_THE_PAPER: dict[str, dict[str, Any]] = {
    "yale": {
        "network": "yale_cnn",
        "width": 8,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "second_rate": 5e-5,
        "second_from": 10_000,
        "third_rate": 1e-5,
        "third_from": 15_000,
        "steps": 20_001,
        "batch_size": 20,
        "loss": "sum",
        "l2": 2e-4,
        "epsilon": 8 / 255,
        "attack_steps": 10,
        "step_size": 8 / 255 / 5,
        "ramp": 1000,
        "augmentation": "none",
    },
    "fashion_mnist": {
        "network": "fashion_cnn",
        "width": 256,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "second_rate": 1e-5,
        "second_from": 50_000,
        "third_rate": 1e-6,
        "third_from": 65_000,
        "steps": 80_001,
        "batch_size": 100,
        "loss": "sum",
        "epsilon": 0.1,
        "attack_steps": 8,
        "step_size": 0.02,
        "ramp": 0,
        "augmentation": "none",
    },
    "cifar10": {
        "network": "wide_resnet",
        "width": 160,
        "optimizer": "momentum",
        "learning_rate": 0.1,
        "second_rate": 0.01,
        "second_from": 40_000,
        "third_rate": 0.001,
        "third_from": 60_000,
        "steps": 80_001,
        "batch_size": 128,
        "loss": "mean",
        "epsilon": 8 / 255,
        "attack_steps": 10,
        "step_size": 2 / 255,
        "ramp": 0,
        "augmentation": "flip_and_crop",
    },
}


def test_the_cells_of_the_paper_have_its_settings() -> None:
    cells = song.grid("paper")
    usual = {"l2": 2e-4, "precision": "bfloat16", "dataset": "yale"}
    suspects = [
        cell for cell in cells if any(change.items() <= asdict(cell).items() for change in song.SUSPECTS.values())
    ]
    assert len(suspects) == len(song.SUSPECTS)
    for cell in suspects:
        assert sum(getattr(cell, name) != value for name, value in usual.items()) == 1 and cell.estimator == "natural"
    cells = [cell for cell in cells if cell not in suspects and not isinstance(cell, Compiled)]
    for cell in [
        cell for cell in cells if cell.dataset in victims.SPLITS.values()
    ]:  # but for the faces as seeds 0 to 2
        assert cell == replace(cell, dataset=victims.SPLITS[cell.seed])
        assert replace(cell, seed=0, dataset="yale") in cells
        cells.remove(cell)
    for cell in cells:
        expected = {**FROM_THE_PAPER[cell.dataset], "eval_steps": 20, "train_size": 0, "part": 0, "judged": 0}
        found = asdict(cell)
        assert {name: found[name] for name in expected} == expected
        assert cell.train_epsilon in (0.0, cell.epsilon)
        assert cell.estimator == ("robust" if cell.train_epsilon else "natural")
    both = {(cell.dataset, cell.train_epsilon > 0, cell.seed) for cell in cells if isinstance(cell, Threshold)}
    assert both == {(name, robust, seed) for name in FROM_THE_PAPER for robust in (False, True) for seed in range(3)}
    by_loss = [cell for cell in cells if getattr(cell, "attack_loss", "") == "cross_entropy"]
    assert {cell.dataset for cell in by_loss} == {"yale"} and len(
        by_loss
    ) == 3 * 2  # that of the others would wait for a GPU
    assert (
        len(song.main("paper")) == 3 * (6 + 1) and len(cells) == 3 * (6 + 1 + 2) == len(set(cells)) and song.SEEDS == 3
    )
    table2 = [cell for cell in cells if isinstance(cell, Targeted)]
    assert all(
        (cell.dataset, cell.known, cell.classes, cell.estimator) == ("cifar10", 500, 10, "robust") for cell in table2
    )
    assert not any(cell.shadow for cell in cells if isinstance(cell, Threshold))


def test_the_paper_s_step_of_the_evaluation_is_an_eighth_of_epsilon(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 steps of 2.5 epsilon / 20, from the image itself."""
    asked: dict[str, Any] = {}

    def watch(network: nn.Module, x: Tensor, y: Tensor, **told: Any) -> Tensor:
        asked.update(told)
        return x

    monkeypatch.setattr(victims, "perturb", watch)
    x = torch.rand(2, 1, 4, 4)
    for aimed in (False, True):
        assert pgd_of(epsilon=8 / 255, steps=20)(nn.Identity(), x, torch.tensor([0, 1]), targeted=aimed) is x
        assert asked.pop("start", None) is None and asked.pop("targeted") == aimed
        assert asked.pop("loss") == "log_odds"
        assert asked == {"epsilon": 8 / 255, "steps": 20, "step_size": pytest.approx(8 / 255 / 8)}


def test_training_is_told_all_that_the_cell_says() -> None:
    for cell in song.grid("paper"):
        found = asdict(victims.training_config(cell))
        assert found.pop("epsilon") == cell.train_epsilon
        assert found == {name: getattr(cell, name) for name in found}


@PROFILES
def test_no_two_cells_of_a_grid_are_one_and_the_published_ones_have_all_seeds(profile: str) -> None:
    cells, main = song.grid(profile), song.main(profile)
    assert len({key_of(cell) for cell in cells}) == len(set(cells)) == len(cells) > 0
    assert {(cell.paper, cell.profile) for cell in cells} == {("song", profile)}
    assert set(main) <= set(cells)
    seeds: dict[Cell, set[int]] = {}
    for cell in main:
        seeds.setdefault(replace(cell, seed=0, part=0), set()).add(cell.seed)
    assert all(found == set(range(1 if profile == "smoke" else song.SEEDS)) for found in seeds.values())


def test_reduced_has_the_paper_s_budgets_and_a_shadow_for_every_victim() -> None:
    cells = [cell for cell in song.main("reduced") if isinstance(cell, Threshold)]
    assert {cell.dataset for cell in cells} == {"fashion_mnist", "cifar10"}
    for cell in cells:
        paper = FROM_THE_PAPER[cell.dataset]
        size = {"fashion_mnist": 5000, "cifar10": 4000}[cell.dataset]
        assert cell.shadow and cell.train_size == size == cell.judged and cell.part == cell.seed
        for name in ("epsilon", "optimizer", "loss", "augmentation", "batch_size"):
            assert getattr(cell, name) == paper[name], name
        assert cell.attack_steps * cell.step_size == pytest.approx(paper["attack_steps"] * paper["step_size"])
        assert cell.second_from < cell.third_from < cell.steps
    table2 = [cell for cell in song.main("reduced") if isinstance(cell, Targeted)]
    assert len(table2) == song.SEEDS
    victims_ = {key_of(cell, only=Cell.VICTIM) for cell in cells}
    assert {key_of(cell, only=Cell.VICTIM) for cell in table2} < victims_  # no network is trained for Table 2 alone


@PROFILES
def test_a_deviation_changes_the_loss_the_members_the_budget_or_a_suspect_of_a_main_cell(profile: str) -> None:
    """With a smaller budget in training its attack's steps are smaller by as much; the attack on the victim is the same."""
    main = {replace(cell, shadow=False) for cell in song.main(profile) if isinstance(cell, Threshold)}
    light = {cell for cell in main if profile != "paper" or cell.dataset == "yale"}
    by_loss = {replace(cell, attack_loss="cross_entropy") for cell in light}
    found = song.deviations(profile)
    assert found and len(found) == len(set(found))
    assert by_loss <= set(found) if profile != "smoke" else not by_loss & set(found)
    suspects: set[Any] = set()
    if profile == "paper":
        faces = song.main(profile)[0]
        assert (faces.dataset, faces.estimator) == ("yale", "natural")
        suspects = {
            replace(faces, l2=0.0),
            replace(faces, precision="float32"),
            replace(faces, dataset="yale_as_coded"),
        }
    assert suspects <= set(found)
    fewer = set(song.fewer_members(profile))
    assert fewer <= set(found) and len(fewer) == (len(main) if profile == "reduced" else 0)
    assert fewer == {replace(cell, train_size=cell.train_size // 5, judged=cell.judged // 5) for cell in main if fewer}
    fitting = set(song.fitting(profile))
    assert fitting <= set(found) and len(fitting) == (9 if profile == "reduced" else 0)
    assert {(cell.dataset, cell.train_size) for cell in fitting} <= {("cifar10", 400)}
    splits = {cell for cell in found if "split" in cell.dataset}
    assert len(splits) == (4 if profile == "paper" else 0)
    controls = {cell for cell in found if isinstance(cell, Compiled)}
    assert len(controls) == (profile != "reduced")
    for cell in set(found) - by_loss - suspects - fewer - fitting - splits - controls:
        assert isinstance(cell, Threshold) and profile != "paper" and cell in song.other_budgets(profile)
        part = cell.train_epsilon / cell.epsilon
        assert part in (pytest.approx(0.25), pytest.approx(0.5))
        assert cell in [
            replace(one, train_epsilon=cell.train_epsilon, step_size=cell.step_size)
            for one in main
            if one.train_epsilon and cell.step_size == pytest.approx(part * one.step_size)
        ]


def test_smoke_has_a_cell_of_every_kind_and_data_set() -> None:
    cells = song.main("smoke")
    assert {type(cell) for cell in cells} == set(KINDS)
    assert {cell.dataset for cell in cells} == {f"digits_as_{name}" for name in FROM_THE_PAPER}
    assert any(cell.shadow for cell in cells if isinstance(cell, Threshold))


@pytest.mark.parametrize(
    "ask", [song.grid, song.main, song.deviations, song.fewer_members, song.fitting, song.other_budgets, song.variants]
)
def test_an_unknown_profile_is_refused(ask: Callable[[str], Any]) -> None:
    with pytest.raises(BadValue, match=r"^profile: unknown 'huge'"):
        ask("huge")


@PROFILES
def test_a_cost_is_positive_and_of_a_robust_victim_much_higher(profile: str) -> None:
    by_victim: dict[tuple[str, int, bool], list[float]] = {}
    for cell in song.grid(profile):
        assert cell.work() > 0
        if isinstance(cell, Threshold):
            by_victim.setdefault((cell.dataset, cell.seed, cell.train_epsilon > 0), []).append(cell.work())
    for (name, seed, robust), costs in by_victim.items():
        if robust and (name, seed, False) in by_victim:
            # Of a step of training: forward and twice back, and 2 for every step of the attack.
            assert max(costs) > by_victim[name, seed, False][0]


def test_costs_are_counted() -> None:
    usual: dict[str, Any] = {"dataset": "cifar10", "steps": 100, "batch_size": 10, "attack_steps": 7, "eval_steps": 20}
    natural = Threshold(**usual)
    robust, shadowed = replace(natural, train_epsilon=0.1), replace(natural, train_size=500, judged=300, shadow=True)
    assert robust.work() - natural.work() == 100 * 10 * 2 * 7
    assert natural.work() == 100 * 10 * 3 + 60_000 * (2 + 2 * 20)
    assert shadowed.work() == 2 * (100 * 10 * 3 + 600 * (2 + 2 * 20))
    assert Targeted(**usual).work() == 100 * 10 * 3 + 60_000 * 10 * 2 * 20
    few = Targeted(**usual, known=5, judged=3, classes=2)
    assert few.work() == 100 * 10 * 3 + 2 * 2 * 8 * 10 * 2 * 20


@pytest.mark.parametrize(("n", "dark", "light"), [(6, 50.0, 25.0), (1, 100.0, None)])
def test_accuracies_of_dark_images_and_of_the_rest(n: int, dark: float, light: float | None) -> None:
    """Of six the third, of a sum of 0, and the first, of 1, are dark; right are the first and the last."""
    levels = torch.tensor([1, 5, 0, 200, 7, 9], dtype=torch.uint8)[:n]
    side = Split(levels.view(-1, 1, 1, 1), torch.zeros(n).long())
    right = torch.tensor([1, 0, 0, 0, 0, 1])[:n]
    found = threshold.by_brightness({"test": side}, {"test": torch.stack([right, 1 - right], 1).float()})
    expected = {"dark_test_accuracy": dark, "light_test_accuracy": light}
    assert found == {name: value for name, value in expected.items() if value is not None}


# --- who is on which side ---------------------------------------------------------------------------------------------


def numbered(n: int, *, tests: int = 40, classes: int = 10) -> Dataset:
    """Images that tell their number: training images from 0, test images from 10,000."""

    def split(numbers: Tensor) -> Split:
        digits = torch.stack([numbers % 256, numbers // 256], 1).to(torch.uint8)
        return Split(digits.view(-1, 1, 1, 2), numbers % classes)

    names = data.CLASSES["cifar10"][:classes]
    return Dataset("cifar10", split(torch.arange(n)), split(torch.arange(10_000, 10_000 + tests)), names)


def numbers(split: Split) -> list[int]:
    low, high = split.images.flatten(1).long().T
    return (low + 256 * high).tolist()


def test_victim_shadow_and_the_shadow_s_others_share_no_image_and_no_seed() -> None:
    dataset = numbered(1000)
    for seed in range(3):
        cell = Threshold(dataset="cifar10", train_size=190, part=seed, seed=seed, shadow=True)
        other = victims.shadow_of(cell)
        unseen = replace(other, part=other.part + 1)
        sides = [set(numbers(victims.members(one, dataset))) for one in (cell, other, unseen)]
        assert [len(side) for side in sides] == [190] * 3 and len(set.union(*sides)) == 570
        assert other.seed != cell.seed and other == replace(cell, seed=seed + 1, part=seed + 1)
    # The next seed's victim is this one's shadow, so that it is trained once.
    following = Threshold(dataset="cifar10", train_size=190, part=1, seed=1, shadow=True)
    first = victims.shadow_of(Threshold(dataset="cifar10", train_size=190, shadow=True))
    assert key_of(first, only=Cell.VICTIM) == key_of(following, only=Cell.VICTIM)


def test_parts_are_the_same_for_all_seeds_and_the_whole_is_the_training_set() -> None:
    dataset = numbered(100)
    parts = [
        victims.members(Threshold(train_size=30, part=part, seed=seed), dataset) for part in (0, 2) for seed in (0, 5)
    ]
    assert numbers(parts[0]) == numbers(parts[1]) and numbers(parts[2]) == numbers(parts[3])
    assert not set(numbers(parts[0])) & set(numbers(parts[2])) and numbers(parts[0]) != sorted(numbers(parts[0]))
    assert all(int(label) == number % 10 for label, number in zip(parts[2].labels, numbers(parts[2]), strict=True))
    assert victims.members(Threshold(), dataset) is dataset.train
    with pytest.raises(BadValue, match=r"^sizes: "):
        victims.members(Threshold(train_size=30, part=3), dataset)


@pytest.mark.parametrize("profile", ["smoke", "reduced"])
def test_there_are_images_for_every_shadow_and_for_its_others(profile: str) -> None:
    cells = [cell for cell in song.grid(profile) if cell.train_size]
    assert any(cell.shadow for cell in cells if isinstance(cell, Threshold))
    for cell in cells:
        whole, _ = victims.points(
            replace(cell, train_size=0, part=0, **({"shadow": False} if isinstance(cell, Threshold) else {}))
        )
        needed = cell.part + (3 if isinstance(cell, Threshold) and cell.shadow else 1)
        assert needed * cell.train_size <= whole
        assert victims.points(cell)[0] == cell.train_size


def test_points_are_those_of_the_data() -> None:
    for name, shape in {"digits_as_cifar10": (1437, 360), "digits_as_fashion_mnist": (1437, 360)}.items():
        dataset = data.load(name)
        assert victims.points(Threshold(dataset=name)) == shape == (len(dataset.train), len(dataset.test))
    assert victims.points(Threshold()) == (50 * 38, 2414 - 50 * 38)


def test_a_shadow_s_threshold_is_learnt_on_the_shadow_s_points_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its scores is a number of our own: the threshold that parts them judges the victim's points."""
    dataset = numbered(300)
    cell = Threshold(dataset="cifar10", train_size=60, part=1, seed=1, shadow=True)
    victim, shadow = nn.Identity(), nn.Identity()
    inside = {
        name: set(numbers(victims.members(replace(cell, part=i), dataset)))
        for i, name in ((1, "victim"), (2, "shadow"), (3, "third"))
    }
    asked: list[tuple[str, bool, frozenset[int]]] = []

    def answer(of: nn.Module, split: Split, *, attack: Attack | None, **_: Any) -> Tensor:
        who, found = "shadow" if of is shadow else "victim", numbers(split)
        asked.append((who, attack is not None, frozenset(found)))
        # The shadow's members have log-odds of 3 or, attacked, 1, and its others 2 and 0: any threshold parts them. Of
        # the victim's members three quarters have 4, attacked none, and of the others a quarter, attacked a half.
        if who == "shadow":
            odds = [(3.0 if number in inside["shadow"] else 2.0) - 2 * (attack is not None) for number in found]
        elif found[0] < 10_000:
            odds = [4.0 if i % 4 and attack is None else -4.0 for i in range(len(found))]
        else:
            odds = [4.0 if i % (4 if attack is None else 2) == 0 else -4.0 for i in range(len(found))]
        scores = torch.zeros(len(found), 2)
        scores[torch.arange(len(found)), split.labels % 2] = torch.tensor(odds)
        return scores - 1  # 1 and 0 would pass for probabilities

    monkeypatch.setattr(threshold, "logits", answer)
    monkeypatch.setattr(threshold, "log_odds", lambda z, y: membership.log_odds(z, y % 2))
    sides = {"train": victims.members(cell, dataset), "test": dataset.test}
    told = threshold.by_shadow(cell, dataset, victim, shadow, sides, device="cpu")  # type: ignore[arg-type]
    assert victims.shadow_of(cell) == replace(cell, seed=2, part=2)
    shown = {(who, attacked): set[frozenset[int]]() for who in ("victim", "shadow") for attacked in (False, True)}
    for who, attacked, found in asked:
        shown[who, attacked].add(found)
    for attacked in (False, True):
        assert shown["shadow", attacked] == {frozenset(inside["shadow"]), frozenset(inside["third"])}
        assert shown["victim", attacked] == {frozenset(inside["victim"]), frozenset(range(10_000, 10_040))}
    assert not inside["victim"] & (inside["shadow"] | inside["third"])
    assert told == {
        "shadow_benign": pytest.approx(100 * (0.75 + 0.75) / 2),
        "shadow_adversarial": pytest.approx(100 * (0 + 0.5) / 2),
    }


# --- what logits tell -------------------------------------------------------------------------------------------------


def answers(
    n: int = 60, m: int = 45, *, classes: int = 4, shift: float = 1.0
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Logits of members, which are surer of their labels, and of others."""
    labels = {"train": torch.arange(n) % classes, "test": torch.arange(m) % classes}
    found = {side: torch.randn(len(y), classes, generator=generator(len(y))) for side, y in labels.items()}
    found["train"] = found["train"] + shift * nn.functional.one_hot(labels["train"], classes)
    return found, labels


def probabilities(z: Tensor) -> np.ndarray:
    e = np.exp(z.double().numpy())
    return e / e.sum(1, keepdims=True)


def balanced(member: np.ndarray, other: np.ndarray, limit: float) -> float:
    return 50 * float((member >= limit).mean() + (other < limit).mean())


def search(member: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The best accuracy in percent over all thresholds, and the largest threshold that has it."""
    return max((balanced(member, other, limit), limit) for limit in [*member, *other])


def test_what_logits_tell_is_counted() -> None:
    z, y = answers()
    told = threshold.told_by(z, y, "benign", seed=0, classes=4)
    p = {side: probabilities(z[side]) for side in z}
    true = {side: p[side][np.arange(len(y[side])), y[side].numpy()] for side in z}
    odds = {side: np.log(true[side]) - np.log(1 - true[side]) for side in z}
    best, limit = search(odds["train"], odds["test"])
    assert told["inference_benign"] == pytest.approx(best) and told["threshold_benign"] == pytest.approx(limit)
    assert best > 55 and told["advantage_benign"] == pytest.approx(2 * best - 100)
    pairs = (odds["train"][:, None] > odds["test"]).mean()
    assert told["auc_benign"] == pytest.approx(100 * pairs)
    for name, rate in (("tpr_at_1pct", 0.01), ("tpr_at_01pct", 0.001)):
        highest = max(
            (odds["train"] >= t).mean() for t in [*odds["train"], math.inf] if (odds["test"] >= t).mean() <= rate
        )
        assert told[f"{name}_benign"] == pytest.approx(100 * highest)
    right = {side: 100 * (p[side].argmax(1) == y[side].numpy()).mean() for side in z}
    assert told["gap_benign"] == pytest.approx(50 + (right["train"] - right["test"]) / 2)
    surprise = {side: (p[side] * np.log(p[side])).sum(1) for side in z}
    assert told["entropy_benign"] == pytest.approx(search(surprise["train"], surprise["test"])[0])
    modified = {}
    for side in z:
        mark = np.eye(4)[y[side].numpy()].astype(bool)
        each = np.where(mark, (1 - p[side]) * np.log(p[side]), p[side] * np.log(1 - p[side]))
        modified[side] = each.sum(1)
    assert told["modified_entropy_benign"] == pytest.approx(search(modified["train"], modified["test"])[0])
    assert set(told) == {
        f"{name}_benign"
        for name in (
            "inference",
            "auc",
            "advantage",
            "tpr_at_1pct",
            "tpr_at_01pct",
            "honest",
            "class_honest",
            "control",
            "gap",
            "entropy",
            "modified_entropy",
            "threshold",
        )
    }


def test_each_kind_of_inputs_has_names_of_its_own_and_a_seed_repeats_them() -> None:
    z, y = answers()
    first, again = (threshold.told_by(z, y, "adversarial", seed=3, classes=4) for _ in range(2))
    assert first == again and all(name.endswith("_adversarial") for name in first)
    other = threshold.told_by(z, y, "benign", seed=4, classes=4)
    assert other["inference_benign"] == first["inference_adversarial"]  # nothing of it is drawn
    assert (other["honest_benign"], other["control_benign"]) != (
        first["honest_adversarial"],
        first["control_adversarial"],
    )


def test_halves_share_nothing_and_leave_nothing() -> None:
    for n in (1, 2, 7, 100):
        known, judged = threshold.halves(torch.zeros(n), seed=0, side="train")
        assert sorted([*known.tolist(), *judged.tolist()]) == list(range(n)) and 0 <= len(known) - len(judged) <= 1
    first, again, other, side = (
        threshold.halves(torch.zeros(50), seed=seed, side=name)[0].tolist()
        for seed, name in ((0, "train"), (0, "train"), (1, "train"), (0, "test"))
    )
    assert first == again and first != other and first != side


@pytest.mark.parametrize("by_class", [False, True])
def test_no_judged_point_has_a_say_in_the_threshold(by_class: bool) -> None:
    """Known points are parted at 0; the judged lie the other way round, which any threshold of their own would avoid."""
    member, other = torch.empty(80), torch.empty(60)
    for scores, side, sign in ((member, "train", 1.0), (other, "test", -1.0)):
        known, judged = threshold.halves(scores, seed=7, side=side)
        scores[known] = sign * (1 + torch.rand(len(known), generator=generator()))
        scores[judged] = -sign * (3 + torch.rand(len(judged), generator=generator(1)))
    labels = {"train": torch.arange(80) % 2, "test": torch.arange(60) % 2}
    if by_class:
        assert threshold.halved_by_class(member, other, labels, seed=7, classes=2) == 0
    else:
        assert threshold.halved(member, other, seed=7) == 0
    assert membership.best_threshold(member, other)[1] >= 0.5


def test_half_the_points_learn_the_threshold_of_the_other_half() -> None:
    member = torch.randn(200, generator=generator(), dtype=torch.float64) + 1
    other = torch.randn(150, generator=generator(1), dtype=torch.float64)
    (a, b), (c, d) = (
        threshold.halves(scores, seed=2, side=side) for scores, side in ((member, "train"), (other, "test"))
    )
    _, limit = search(member[a].numpy(), other[c].numpy())
    expected = balanced(member[b].numpy(), other[d].numpy(), limit) / 100
    assert threshold.halved(member, other, seed=2) == pytest.approx(expected) and 0.55 < expected < 0.85


def test_each_class_has_a_threshold_of_its_own() -> None:
    """Classes on scales of their own: no common threshold parts them, one a class does."""
    labels = {"train": torch.arange(90) % 3, "test": torch.arange(60) % 3}
    centre = torch.tensor([0.0, 100.0, 200.0])
    member, other = centre[labels["train"]] + 1, centre[labels["test"]] - 1
    assert threshold.halved_by_class(member, other, labels, seed=0, classes=3) == 1
    assert threshold.halved(member, other, seed=0) < 0.75


def test_a_class_without_points_on_a_side_keeps_the_common_threshold() -> None:
    """Class 2 has no others and class 3 no points: parted at the threshold that the first two have in common, which is 1."""
    labels = {"train": torch.arange(60) % 3, "test": torch.arange(40) % 2}
    _, judged = threshold.halves(torch.zeros(60), seed=0, side="train")
    share = (labels["train"][judged] != 2).double().mean().item()
    for value, expected in ((-1.0, (share + 1) / 2), (1.5, 1.0)):
        member = torch.where(labels["train"] == 2, value, 1.0)
        found = threshold.halved_by_class(member, torch.zeros(40), labels, seed=0, classes=4)
        assert found == pytest.approx(expected) and 0.5 < share < 1


def test_the_control_finds_nothing_where_there_is_all_to_find() -> None:
    z, y = answers(2000, 2000, shift=30.0)
    told = threshold.told_by(z, y, "benign", seed=0, classes=4)
    assert min(told["inference_benign"], told["honest_benign"]) > 99.5
    # The judged halves are 1000 and 1000: a standard error of 1.1 percentage points.
    assert told["control_benign"] == pytest.approx(50, abs=6)


def test_saturated_answers_are_told_apart_by_their_log_odds() -> None:
    """Probabilities that float32 rounds to 1: members at a margin of 40, others at 30."""
    y = {"train": torch.zeros(20).long(), "test": torch.zeros(20).long()}
    z = {side: torch.tensor([[margin, 0.0, 0.0]]).expand(20, 3) for side, margin in (("train", 40.0), ("test", 30.0))}
    told = threshold.told_by(z, y, "benign", seed=0, classes=3)
    assert told["inference_benign"] == told["honest_benign"] == 100 and told["gap_benign"] == 50
    assert told["threshold_benign"] == pytest.approx(40 - math.log(2))


# --- curves -----------------------------------------------------------------------------------------------------------


def test_histograms_are_of_the_cross_entropy() -> None:
    """Members near 1e-12, some beyond the last edge: clipped to the first and to the last bin."""
    z, y = answers(300, 200, shift=8.0)
    z["train"][0] = 300 * nn.functional.one_hot(y["train"][0], 4)
    z["test"][0] = -300 * nn.functional.one_hot(y["test"][0], 4)
    curves = threshold.curves_of(z, y, "benign")
    for side in ("train", "test"):
        wide = z[side].double().numpy()
        top = wide.max(1, keepdims=True)
        log_sum = top[:, 0] + np.log(np.exp(wide - top).sum(1))
        loss = log_sum - wide[np.arange(len(wide)), y[side].numpy()]  # -log p_y
        for scale in ("linear", "log"):
            edges = np.array(curves[f"loss_{scale}_edges"])
            found = curves[f"loss_{scale}_{side}_benign"]
            counts, _ = np.histogram(np.clip(loss, edges[0], edges[-1]), edges)
            assert found == pytest.approx(list(counts / len(loss)), abs=1e-6 + 1e-12)
            assert sum(found) == pytest.approx(1, abs=1e-4) and len(found) == threshold.BINS == len(edges) - 1
            assert found[-1] > 0 or side == "train"  # what is clipped is kept
    linear, log = (np.array(curves[f"loss_{scale}_edges"]) for scale in ("linear", "log"))
    assert (linear[0], linear[-1]) == (0, threshold.LINEAR) and np.ptp(np.diff(linear)) < 1e-12
    assert (log[0], log[-1]) == (pytest.approx(threshold.LOWEST), pytest.approx(threshold.HIGHEST))
    assert np.ptp(np.diff(np.log(log))) < 1e-6


def test_the_roc_is_that_of_the_log_odds() -> None:
    z, y = answers()
    curves = threshold.curves_of(z, y, "adversarial")
    member, other = (membership.log_odds(z[side], y[side]) for side in ("train", "test"))
    fpr, tpr = curves["fpr_adversarial"], curves["tpr_adversarial"]
    assert (fpr[0], fpr[-1], tpr[-1]) == (0, 1, 1) and tpr == sorted(tpr)
    assert tpr == [membership.tpr_at_fpr(member, other, rate) for rate in fpr]
    assert set(curves) == {
        "fpr_adversarial",
        "tpr_adversarial",
        "loss_linear_edges",
        "loss_log_edges",
        "loss_linear_train_adversarial",
        "loss_linear_test_adversarial",
        "loss_log_train_adversarial",
        "loss_log_test_adversarial",
    }


def test_a_trace_has_a_list_for_each_quantity() -> None:
    rows = [{"step": 1.0, "inference": 50.0}, {"step": 2.0, "inference": 60.0}]
    assert threshold.trace_of({"observed": rows}) == {"trace_step": [1.0, 2.0], "trace_inference": [50.0, 60.0]}
    assert threshold.trace_of({"observed": []}) == {}


# --- Table 2 ----------------------------------------------------------------------------------------------------------


def test_points_of_a_class_are_drawn_once_and_known_ones_are_not_judged() -> None:
    dataset = numbered(200)
    cell = Targeted(known=4, judged=3)
    for c in (0, 7):
        kept = targeted.of_class(cell, dataset.train, c, name="train")
        assert len(kept) == 7 and len(set(numbers(kept))) == 7 and set(kept.labels.tolist()) == {c}
        again, other = (targeted.of_class(replace(cell, seed=seed), dataset.train, c, name="train") for seed in (0, 1))
        assert numbers(again) == numbers(kept) != numbers(other)
        whole = targeted.of_class(replace(cell, judged=0), dataset.train, c, name="train")
        assert sorted(numbers(whole)) == list(range(c, 200, 10)) and numbers(whole)[:7] == numbers(kept)


@pytest.mark.parametrize(
    ("known", "judged", "told"),
    [
        (17, 0, None),
        (18, 0, "expected 18 known and at least 1 judged points a class, got a class with 18 in the train set"),
        (10, 8, None),
        (10, 9, "expected 10 known and 9 judged points a class, got a class with 18 in the train set"),
    ],
)
def test_a_class_with_too_few_points_is_refused(known: int, judged: int, told: str | None) -> None:
    split = numbered(185).train  # 19 of the first five classes, 18 of the others
    cell = Targeted(known=known, judged=judged)
    if told is None:
        targeted.check_enough(cell, "train", split, classes=10)
        return
    with pytest.raises(BadValue) as caught:
        targeted.check_enough(cell, "train", split, classes=10)
    assert str(caught.value) == f"known, judged: {told}"


def test_a_class_that_no_point_has_is_refused() -> None:
    with pytest.raises(BadValue, match=r"^known, judged: .* got a class with 0 in the test set"):
        targeted.check_enough(Targeted(known=1), "test", numbered(200, classes=4).train, classes=5)


def test_too_many_classes_are_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "network", lambda *_: pytest.fail("was trained"))
    cell = Targeted(profile="smoke", dataset="digits_as_cifar10", known=1, classes=11)
    with pytest.raises(BadValue, match=r"^classes: expected at most 10, got 11$"):
        result_of(cell)
    cell = Targeted(profile="smoke", dataset="digits_as_cifar10", known=500)
    with pytest.raises(
        BadValue, match=r"^known, judged: expected 500 known and at least 1 judged points a class, got "
    ):
        result_of(cell)


@pytest.mark.parametrize(("judged", "points"), [(0, 2 * (18 - 5)), (6, 12)])
def test_the_points_judged_are_counted(judged: int, points: int) -> None:
    sides = {"train": numbered(185).train, "test": numbered(400).train}
    assert targeted.fewest_judged(Targeted(known=5, judged=judged), sides) == points


def looks(n: int, m: int, *, aim: float) -> dict[str, dict[str, Tensor]]:
    """Members told apart by the answers to targeted examples only, others of which look alike."""
    found: dict[str, dict[str, Tensor]] = {}
    for side, count, sign in (("train", n, 1.0), ("test", m, -1.0)):
        source = generator(count)
        z = {
            "benign": torch.randn(count, 3, generator=source),
            "untargeted": torch.randn(count, 3, generator=source),
            "targeted": torch.randn(count, 2, 3, generator=source),
        }
        z["targeted"][..., 0] += sign * aim
        found[side] = {name: scores.log_softmax(-1).flatten(1) for name, scores in z.items()}
    return found


def test_methods_learn_of_known_points_and_are_judged_on_the_others() -> None:
    known, label = 40, 1
    shown = looks(100, 90, aim=3.0)
    told = targeted.by_methods(shown, known=known, seed=0, label=label)
    assert set(told) == {
        "confidence_benign",
        "confidence_untargeted",
        "model_benign",
        "model_benign_log",
        "model_untargeted",
        "model_untargeted_log",
        "model_targeted",
        "model_targeted_log",
    }
    assert set(song.METHODS) < set(told)
    for inputs in ("benign", "untargeted"):
        p = {side: shown[side][inputs].double().exp().numpy()[:, label] for side in shown}
        odds = {side: np.log(p[side]) - np.log(1 - p[side]) for side in p}
        _, limit = search(odds["train"][:known], odds["test"][:known])
        expected = balanced(odds["train"][known:], odds["test"][known:], limit - 1e-9)
        assert told[f"confidence_{inputs}"] == pytest.approx(expected)
        assert abs(told[f"model_{inputs}"] - 50) < 25  # nothing to learn: five standard errors of 110 points are 24
    assert told["model_targeted"] > 95 and told["model_targeted_log"] > 95
    # Known points say who is a member, and the judged lie: whoever learnt of these would be right.
    member, other = shown["train"]["targeted"][known:].clone(), shown["test"]["targeted"][known:].clone()
    shown["train"]["targeted"] = torch.cat([shown["train"]["targeted"][:known], other])
    shown["test"]["targeted"] = torch.cat([shown["test"]["targeted"][:known], member])
    assert targeted.by_methods(shown, known=known, seed=0, label=label)["model_targeted"] < 5


class Pixels(nn.Module):
    """Logits that are sums of pixels, a class a row."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, 2, generator=generator()))

    def forward(self, x: Tensor) -> Tensor:
        return 4 * x.flatten(1) @ self.weight.T


def test_every_look_is_at_the_same_points_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benign, untargeted and each target: against the attack of one point alone, in batches that do not divide them."""
    monkeypatch.setitem(victims.BATCH, "cpu", 3)
    network, side = Pixels(4), numbered(40, classes=4).train.first(8)
    cell = Targeted(precision="float32", epsilon=0.2, eval_steps=5)
    found = targeted.looks_at(cell, network, side, "cpu", 4)  # type: ignore[arg-type]
    assert {name: tuple(z.shape) for name, z in found.items()} == {
        "benign": (8, 4),
        "untargeted": (8, 4),
        "targeted": (8, 12),
    }
    attack = pgd_of(epsilon=0.2, steps=5)
    for i in range(8):
        x, y = side.take(torch.tensor([i]))
        targets = [(y + shift) % 4 for shift in (1, 2, 3)]
        shown = [x, attack(network, x, y), *(attack(network, x, target, targeted=True) for target in targets)]
        with torch.no_grad():
            benign, untargeted, *aimed = (network(z).log_softmax(1)[0] for z in shown)
        torch.testing.assert_close(found["benign"][i], benign)
        torch.testing.assert_close(found["untargeted"][i], untargeted)
        torch.testing.assert_close(found["targeted"][i], torch.cat(aimed))
        assert untargeted[y] < benign[y] and all(z[t] >= benign[t] for z, t in zip(aimed, targets, strict=True))


# --- victims ----------------------------------------------------------------------------------------------------------


def test_logits_are_those_of_float32_in_the_order_of_the_split(
    trained: Network, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(victims.BATCH, "cpu", 7)
    split = digits.test.first(20)
    x, y = split.take(torch.arange(20))
    found = victims.logits(trained.eval(), split, device="cpu")
    with torch.no_grad():
        torch.testing.assert_close(found, trained(x), atol=1e-5, rtol=1e-5)
    attack = pgd_of(epsilon=0.1, steps=4)
    exact, rough = (
        victims.logits(trained, split, device="cpu", attack=attack, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    adversarial = attack(trained, x, y)
    with torch.no_grad():
        torch.testing.assert_close(exact, trained(adversarial), atol=1e-4, rtol=1e-4)
    assert exact.dtype == rough.dtype == torch.float32
    assert (membership.log_odds(exact, y) < membership.log_odds(found, y)).all()
    assert membership.log_odds(rough, y).mean() < membership.log_odds(found, y).mean() - 0.5


def test_a_victim_is_watched_on_members_and_others(trained: Network, digits: Dataset) -> None:
    inside, outside = digits.train.first(50), digits.test.first(70)
    found = victims.watch(trained.eval(), inside, outside, device="cpu")
    odds = []
    for split, name in ((inside, "train_accuracy"), (outside, "test_accuracy")):
        x, y = split.take(torch.arange(len(split)))
        with torch.no_grad():
            z = trained(x)
        assert found[name] == pytest.approx(100 * (z.argmax(1) == y).double().mean().item())
        p = probabilities(z)[np.arange(len(y)), y.numpy()]
        odds.append(np.log(p) - np.log1p(-p))
    assert found["inference"] == pytest.approx(search(*odds)[0], abs=1e-6)


TINY: dict[str, Any] = {
    "profile": "smoke",
    "dataset": "digits_as_fashion_mnist",
    "network": "fashion_cnn",
    "width": 2,
    "steps": 12,
    "second_from": 4,
    "third_from": 8,
    "batch_size": 8,
    "attack_steps": 2,
    "ramp": 0,
    "observations": 3,
    "train_size": 40,
    "eval_steps": 2,
    "learning_rate": 3e-3,
}


def test_a_cell_that_was_killed_goes_on_and_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot lies in the cache under the key of the victim, and is gone when the victim is there."""
    cell, dataset = Threshold(**TINY, train_epsilon=0.1), data.load(TINY["dataset"])
    monkeypatch.setattr(victims.robust, "fit_robust", partial(victims.robust.fit_robust, every=0.0))
    whole, expected = Bench(dataset).network(cell)
    watch, calls = victims.watch, list[int]()

    def killed_once(*arguments: Any, **named: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return watch(*arguments, **named)

    monkeypatch.setattr(victims, "watch", killed_once)
    bench, key = Bench(dataset, Job(cache=tmp_path)), key_of(cell, only=Cell.VICTIM)
    with pytest.raises(KeyboardInterrupt):
        bench.network(cell)
    assert [path.name for path in tmp_path.iterdir()] == [f"{key}.snapshot"]
    found, notes = bench.network(cell)
    assert {path.name for path in tmp_path.iterdir()} == {f"{key}.safetensors"}
    assert (notes["losses"], notes["observed"]) == (expected["losses"], expected["observed"])
    first, second = whole.state_dict(), found.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("steps", "works", "compiled"), [(9, True, False), (100_000, True, True), (100_000, False, False)]
)
def test_a_long_training_is_compiled_where_that_works(
    steps: int, works: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(victims.robust, "fit_robust", lambda *_, **named: told.update(named) or History())
    monkeypatch.setattr(victims.robust, "can_compile", lambda device: works)
    cell = Threshold(**{**TINY, "steps": steps})
    assert (cell.training_work() >= victims.LONG) == (steps > 9)
    _, notes = Bench(data.load(TINY["dataset"])).network(cell)
    assert told["compiled"] == notes["compiled"] == compiled


def test_fresh_training_looks_at_no_snapshot(tmp_path: Path) -> None:
    cell, dataset = Threshold(**{**TINY, "steps": 2, "observations": 1}), data.load(TINY["dataset"])
    (tmp_path / f"{key_of(cell, only=Cell.VICTIM)}.snapshot").write_bytes(b"damaged")
    with pytest.raises(BadValue, match=r"^snapshot .*; delete it to train anew$"):
        Bench(dataset, Job(cache=tmp_path)).network(cell)
    network, _ = Bench(dataset, Job(cache=tmp_path, fresh=True)).network(cell)
    assert not network.training


# --- from end to end --------------------------------------------------------------------------------------------------

SMOKE: list[Cell] = [
    Threshold(**TINY, train_epsilon=0.1, epsilon=0.1, shadow=True, judged=30),
    Targeted(
        **{
            **TINY,
            "dataset": "digits_as_cifar10",
            "network": "wide_resnet_short",
            "width": 16,
            "steps": 4,
            "second_from": 2,
            "third_from": 3,
            "optimizer": "momentum",
            "loss": "mean",
            "augmentation": "flip_and_crop",
            "train_size": 150,
            "observations": 1,
            "learning_rate": 0.05,
        },
        train_epsilon=8 / 255,
        known=3,
        judged=2,
        classes=2,
    ),
]


@pytest.mark.parametrize("cell", SMOKE, ids=["threshold", "targeted"])
def test_a_tiny_cell_from_end_to_end(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targeted, "MLP", replace(targeted.MLP, epochs=5))
    first = result_of(cell, Job(cache=tmp_path))
    networks = {path.name for path in tmp_path.glob("*.safetensors")}
    assert len(networks) == (2 if isinstance(cell, Threshold) else 1) and not list(tmp_path.glob("*.snapshot"))
    monkeypatch.setattr(victims.robust, "fit_robust", lambda *_, **__: pytest.fail("was trained again"))
    again = result_of(cell, Job(cache=tmp_path))
    untimed = [{k: v for k, v in r.measurements.items() if k != "attack_seconds"} for r in (first, again)]
    assert untimed[0] == untimed[1] and first.curves == again.curves
    found, curves = first.measurements, first.curves
    assert all(type(value) is float and math.isfinite(value) for value in found.values())
    assert all(math.isfinite(value) for curve in curves.values() for value in curve)
    share = {k: v for k, v in found.items() if "seconds" not in k and "threshold" not in k and k != "test_points"}
    assert all(0 <= value <= 100 for value in share.values())
    if isinstance(cell, Threshold):
        assert found["test_points"] == 30 and {"shadow_benign", "shadow_adversarial"} < found.keys()
        assert found["inference_benign"] >= 50 <= found["inference_adversarial"]
        assert found["adv_train_accuracy"] <= found["train_accuracy"]
        assert curves["trace_step"] == [4, 8, 12]
        assert len(curves["trace_inference"]) == len(curves["trace_train_accuracy"]) == 3
        assert set(song.TOLERANCES) - found.keys() == {"model_targeted"}
    else:
        assert found["test_points"] == 4 and not curves
        for method in song.METHODS:
            assert found[method] == pytest.approx((found[f"{method}/class0"] + found[f"{method}/class1"]) / 2)
        assert "model_targeted" in song.TOLERANCES


def test_another_seed_measures_something_else(tmp_path: Path) -> None:
    cell = replace(SMOKE[0], shadow=False, steps=2, second_from=1, third_from=1, observations=1)
    first, other = (result_of(one, Job(cache=tmp_path)) for one in (cell, replace(cell, seed=1)))
    assert first.curves != other.curves and first.measurements["auc_benign"] != other.measurements["auc_benign"]


def test_a_shadow_that_the_data_cannot_give_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third part of 500 of 1,437 images, from which the shadow's others come, is not there."""
    monkeypatch.setattr(Bench, "network", lambda *_: pytest.fail("was trained"))
    cell = Threshold(**{**TINY, "train_size": 500}, shadow=True)
    with pytest.raises(BadValue, match=r"^(sizes|train_size|part|shadow): "):
        result_of(cell)
