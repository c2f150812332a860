"""The cells of the replication: `main` holds those behind tables and figures, `deviations` one changed setting each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from experiments.cell import PROFILES
from experiments.papers import added
from experiments.papers.song.targeted import Targeted
from experiments.papers.song.threshold import Threshold
from experiments.papers.song.victims import Cell
from lib.errors import check_choice

SEEDS = 3
FEWER = 5  # by how much the members of `fewer_members` are fewer
DATASETS = ("yale", "fashion_mnist", "cifar10")
EPSILON = {"yale": 8 / 255, "fashion_mnist": 0.1, "cifar10": 8 / 255}

_YALE: dict[str, Any] = {"network": "yale_cnn", "width": 8}  # the defaults of a cell are the rest
_FASHION: dict[str, Any] = {
    "network": "fashion_cnn",
    "width": 256,
    "steps": 80_001,
    "batch_size": 100,
    "second_rate": 1e-5,
    "second_from": 50_000,
    "third_rate": 1e-6,
    "third_from": 65_000,
    "attack_steps": 8,
    "step_size": 0.02,
    "ramp": 0,
}
_CIFAR: dict[str, Any] = {
    "network": "wide_resnet",
    "width": 160,
    "steps": 80_001,
    "batch_size": 128,
    "optimizer": "momentum",
    "learning_rate": 0.1,
    "second_rate": 0.01,
    "second_from": 40_000,
    "third_rate": 0.001,
    "third_from": 60_000,
    "loss": "mean",
    "step_size": 2 / 255,
    "ramp": 0,
    "augmentation": "flip_and_crop",
}
PAPER = {"yale": _YALE, "fashion_mnist": _FASHION, "cifar10": _CIFAR}

# What `reduced` changes: networks that are narrower or shorter, a twelfth of the images, so that networks as small can learn
# them by heart, fewer steps of training and, in it, fewer and longer ones of the attack. Yale is run at `paper` alone.
_FEW: dict[str, dict[str, Any]] = {
    "fashion_mnist": {
        "width": 32,
        "train_size": 5000,
        "steps": 2000,
        "learning_rate": 1e-3,
        "second_rate": 1e-4,
        "second_from": 1250,
        "third_rate": 1e-5,
        "third_from": 1625,
        "attack_steps": 4,
        "step_size": 0.04,
    },
    "cifar10": {
        "network": "wide_resnet_short",
        "width": 32,
        "train_size": 4000,
        "steps": 3000,
        "second_from": 1500,
        "third_from": 2250,
        "attack_steps": 3,
        "step_size": 20 / 255 / 3,
    },
}
_SMOKE: dict[str, dict[str, Any]] = {
    "yale": {"width": 1, "steps": 2, "batch_size": 5, "ramp": 2, "train_size": 20},
    "fashion_mnist": {"width": 8, "steps": 30, "batch_size": 20, "learning_rate": 3e-3, "train_size": 100},
    "cifar10": {"network": "wide_resnet_short", "width": 16, "steps": 6, "batch_size": 10, "train_size": 100},
}

# What could let the test accuracy of the natural Yale Face victim fall while it trains, each alone.
SUSPECTS: dict[str, dict[str, Any]] = {
    "without weight decay": {"l2": 0.0},
    "in float32": {"precision": "float32"},
    "faces drawn as by the code": {"dataset": "yale_as_coded"},
}


def variants(profile: str) -> list[dict[str, Any]]:
    """The victims of Table 1 in its order: data set, network and training, natural and robust.

    Raises:
        BadValue: unknown profile.
    """
    check_choice("profile", profile, PROFILES)
    found = []
    for dataset in DATASETS:
        if profile == "reduced" and dataset not in _FEW:
            continue
        settings = dict(PAPER[dataset])
        if profile != "paper":
            settings |= (_FEW if profile == "reduced" else _SMOKE)[dataset]
        if profile == "smoke":
            settings |= {"second_from": settings["steps"] // 2, "third_from": settings["steps"], "attack_steps": 2}
            settings["observations"] = 2
        name = f"digits_as_{dataset}" if profile == "smoke" else dataset
        for train_epsilon in (0.0, EPSILON[dataset]):
            found.append({"dataset": name, **settings, "train_epsilon": train_epsilon, "epsilon": EPSILON[dataset]})
    return found


def grid(profile: str) -> list[Cell]:
    """Every cell of `profile`, the most wanted first; seeds outermost, so that an interrupted run leaves whole seeds.

    Raises:
        BadValue: unknown profile.
    """
    return list(dict.fromkeys([*main(profile), *deviations(profile), *added("song", profile)]))


def main(profile: str) -> list[Cell]:
    """The cells behind Tables 1 and 2 and Figure 1.

    Raises:
        BadValue: unknown profile.
    """
    cells = [cell for seed in range(_seeds(profile)) for cell in _tables(profile, seed)]
    # Faces are large: one victim is enough to see them work.
    return [cell for cell in cells if profile != "smoke" or "yale" not in cell.dataset or cell.train_epsilon]


def deviations(profile: str) -> list[Cell]:
    """The attack on the cross-entropy; the suspects; and, where training is cheap, fewer members and other budgets.

    Raises:
        BadValue: unknown profile.
    """
    cells: list[Cell] = []
    for seed in range(_seeds(profile) if profile != "smoke" else 0):
        usual = (_threshold(profile, seed, variant) for variant in variants(profile))
        cells += [replace(cell, attack_loss="cross_entropy", shadow=False) for cell in usual]
    if profile == "paper":
        cells += [replace(_threshold(profile, 0, variants(profile)[0]), **change) for change in SUSPECTS.values()]
    cells += [*fewer_members(profile), *other_budgets(profile)]
    return cells if profile != "smoke" else cells[:1]


def fewer_members(profile: str) -> list[Threshold]:
    """The victims of `reduced` on a fifth of their members: few enough for robust ones to learn their adversarial images as well.

    Raises:
        BadValue: unknown profile.
    """
    fewer = [variant | {"train_size": variant.get("train_size", 0) // FEWER} for variant in variants(profile)]
    seeds = range(SEEDS if profile == "reduced" else 0)
    return [replace(_threshold(profile, seed, variant), shadow=False) for seed in seeds for variant in fewer]


def other_budgets(profile: str) -> list[Threshold]:
    """Robust victims trained with a quarter and with half of the budget, and with steps of the attack as much shorter.

    Raises:
        BadValue: unknown profile.
    """
    cells = []
    robust = [one for one in variants(profile) if one["train_epsilon"] and "yale" not in one["dataset"]]
    for seed in range(_seeds(profile) if profile != "paper" else 0):
        for variant in robust:
            for part in (0.25, 0.5):
                scaled = {name: part * variant[name] for name in ("train_epsilon", "step_size")}
                cells.append(replace(_threshold(profile, seed, variant | scaled), shadow=False))
    return cells


def _seeds(profile: str) -> int:
    return 1 if profile == "smoke" else SEEDS


def _tables(profile: str, seed: int) -> Iterator[Cell]:
    for variant in variants(profile):
        yield _threshold(profile, seed, variant)
    for variant in variants(profile):
        if "cifar10" in variant["dataset"] and variant["train_epsilon"]:
            yield Targeted(profile=profile, seed=seed, part=_part(seed, variant), **variant, **_points(profile))


def _threshold(profile: str, seed: int, variant: dict[str, Any]) -> Threshold:
    shadow = profile == "reduced" or (profile == "smoke" and "fashion" in variant["dataset"])
    sizes: dict[str, Any] = {
        "smoke": {"eval_steps": 2, "judged": 20 if "yale" in variant["dataset"] else 100},
        "reduced": {"eval_steps": 10, "judged": variant.get("train_size", 0)},
    }.get(profile, {})
    return Threshold(profile=profile, seed=seed, part=_part(seed, variant), shadow=shadow, **variant, **sizes)


def _part(seed: int, variant: dict[str, Any]) -> int:
    """Each seed has a part of its own, so that the next seed's victim is its shadow."""
    return seed if variant.get("train_size") else 0


def _points(profile: str) -> dict[str, Any]:
    return {
        "smoke": {"known": 2, "judged": 2, "eval_steps": 2, "classes": 2},
        "reduced": {"known": 150, "judged": 150, "eval_steps": 10},
    }.get(profile, {})
