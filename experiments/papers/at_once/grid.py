"""The cells of the chapter: every experiment on every kind of victim, and a few with another number of members."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiments.cell import PROFILES
from experiments.grid import CHANGED, NEW, WAITS, Grid, Pairs, wanted
from experiments.papers.at_once.evasion import Evasion
from experiments.papers.at_once.membership import LabelOnly, Leak
from experiments.papers.at_once.uncertainty import Calibration
from experiments.papers.at_once.victims import KINDS, Cell
from lib.errors import check_choice

SEEDS = 3
EPSILON = {"mnist": 0.1, "cifar10": 8 / 255}
# The budgets of each norm: that of the measurements, and those of the curves.
BUDGETS: dict[str, dict[str, tuple[float, tuple[float, ...]]]] = {
    "mnist": {"linf": (EPSILON["mnist"], (0.05, 0.1, 0.2, 0.3)), "l2": (1.5, (0.5, 1.0, 1.5, 3.0))},
    "cifar10": {
        "linf": (EPSILON["cifar10"], (2 / 255, 4 / 255, 8 / 255, 16 / 255)),
        "l2": (0.5, (0.25, 0.5, 1.0, 2.0)),
    },
}

# The victims of a data set, whatever their kind. Those of `reduced` are trained until they know their members by heart, as far as
# they can: on one thread of an EPYC the naturally trained in 3 s (MNIST) and 19 s (CIFAR-10), the robust in 16 and about 80 s.
VICTIMS: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {
        "mnist": {"network": "small_cnn", "width": 64, "train_size": 25_000},
        "cifar10": {"network": "small_resnet", "width": 64, "train_size": 24_000},
    },
    "reduced": {
        "mnist": {
            "network": "small_cnn",
            "width": 16,
            "train_size": 1000,
            "batch_size": 64,
            "epochs": 50,
            "robust_epochs": 50,
        },
        "cifar10": {
            "network": "small_resnet",
            "width": 16,
            "train_size": 5000,
            "batch_size": 64,
            "epochs": 15,
            "robust_epochs": 20,
            "train_steps": 3,
        },
    },
    "smoke": {
        "digits_as_mnist": {
            "network": "small_cnn",
            "width": 8,
            "train_size": 100,
            "batch_size": 20,
            "epochs": 5,
            "robust_epochs": 5,
            "train_steps": 2,
            "draws": 3,
            "members": 2,
        }
    },
}
SMOKE = ("plain", "dropout", "laplace", "robust_ensemble")  # the kinds that tell whether all is well
FEWER = (2, 5)  # by how much the members of other victims are fewer

# What profiles leave out of the experiments.
LEAK: dict[str, dict[str, Any]] = {
    "paper": {},
    "reduced": {"attack_steps": 5},
    "smoke": {"shadows": 2, "attack_steps": 2},
}
LABEL_ONLY: dict[str, dict[str, Any]] = {
    "paper": {"judged": 1000},
    "reduced": {},
    "smoke": {"judged": 5, "iterations": 2, "budget": 200},
}
EVASION: dict[str, dict[str, Any]] = {
    "paper": {"test_size": 1000, "steps": 100, "restarts": 5, "queries": 5000, "budget": 20_000},
    "reduced": {},
    "smoke": {
        "test_size": 8,
        "steps": 2,
        "restarts": 1,
        "targets": 2,
        "queries": 3,
        "iterations": 2,
        "budget": 50,
        "judges": 3,
    },
}
CALIBRATION: dict[str, dict[str, Any]] = {
    "paper": {"test_size": 10_000, "attacked": 1000, "steps": 100},
    "reduced": {},
    "smoke": {"test_size": 40, "attacked": 5, "steps": 2, "judges": 3},
}


def variants(profile: str) -> list[dict[str, Any]]:
    """The victims in their order: data set, then kind.

    Raises:
        BadValue: unknown profile.
    """
    return [
        {
            "profile": profile,
            "dataset": dataset,
            "train_epsilon": EPSILON[dataset.removeprefix("digits_as_")],
            **one,
            "kind": kind,
        }
        for dataset, one in VICTIMS[check_choice("profile", profile, PROFILES)].items()
        for kind in (SMOKE if profile == "smoke" else KINDS)
    ]


def _tables(profile: str) -> Pairs:
    """Every experiment on every victim."""
    for one in variants(profile):
        cells: list[Cell] = [
            Leak(**one, epsilon=one["train_epsilon"], **LEAK[profile]),
            LabelOnly(**one, **LABEL_ONLY[profile]),
            Calibration(**one, epsilon=one["train_epsilon"], **CALIBRATION[profile]),
            *_evasion(one),
        ]
        yield from wanted(WAITS if profile == "paper" else NEW, *cells, seeds=SEEDS)


def _evasion(one: dict[str, Any]) -> list[Cell]:
    """All attacks of each norm."""
    norms = BUDGETS[one["dataset"].removeprefix("digits_as_")].items()
    budgets: list[dict[str, Any]] = [{"norm": norm, "epsilon": at, "epsilons": all_} for norm, (at, all_) in norms]
    return [Evasion(**one, **budget, **EVASION[one["profile"]]) for budget in budgets]


def _others(profile: str) -> Pairs:
    """Victims of fewer members, judged without shadows."""
    for one in variants(profile) if profile != "smoke" else ():
        if one["kind"] in ("plain", "robust"):
            leak = Leak(**one, epsilon=one["train_epsilon"], **(LEAK[profile] | {"shadows": 0}))
            cells = (replace(leak, train_size=leak.train_size // part) for part in FEWER)
            yield from wanted(WAITS if profile == "paper" else CHANGED, *cells, seeds=SEEDS)


_GRID = Grid("at_once", _tables, _others)
promised, grid, main = _GRID.promised, _GRID.cells, _GRID.main
