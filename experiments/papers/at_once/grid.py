"""The cells of the chapter: every experiment on every kind of victim, and a few with another number of members."""

from dataclasses import replace
from typing import Any

from experiments.cell import PROFILES
from experiments.grid import CHANGED, NEW, WAITS, Grid, Pairs, settings_of, wanted
from experiments.papers.at_once.evasion import Evasion
from experiments.papers.at_once.membership import LabelOnly, Leak
from experiments.papers.at_once.uncertainty import Calibration
from experiments.papers.at_once.victims import KINDS, Cell
from lib.errors import check_choice

SEEDS = 5  # the last two were declared when the words on the first three were known: see claims.toml
SETTINGS = settings_of("at_once")
SMOKE = ("plain", "dropout", "laplace", "robust_ensemble")  # the kinds that tell whether all is well
FEWER = (2, 5)  # by how much the members of other victims are fewer


def variants(profile: str) -> list[dict[str, Any]]:
    """The victims in their order: data set, then kind.

    Raises:
        BadValue: unknown profile.
    """
    return [
        {"profile": profile, "dataset": dataset, **one, "kind": kind}
        for dataset, one in SETTINGS["victims"][check_choice("profile", profile, PROFILES)].items()
        for kind in (SMOKE if profile == "smoke" else KINDS)
    ]


def _tables(profile: str) -> Pairs:
    """Every experiment on every victim."""
    for one in variants(profile):
        cells: list[Cell] = [
            Leak(**one, epsilon=one["train_epsilon"], **SETTINGS["leak"][profile]),
            LabelOnly(**one, **SETTINGS["label_only"][profile]),
            Calibration(**one, epsilon=one["train_epsilon"], **SETTINGS["calibration"][profile]),
            *_evasion(one),
        ]
        yield from wanted(WAITS if profile == "paper" else NEW, *cells, seeds=SEEDS)


def _evasion(one: dict[str, Any]) -> list[Cell]:
    """All attacks of each norm."""
    budgets = SETTINGS["budgets"][one["dataset"].removeprefix("digits_as_")]
    sizes = SETTINGS["evasion"][one["profile"]]
    return [Evasion(**one, norm=norm, **budget, **sizes) for norm, budget in budgets.items()]


def _others(profile: str) -> Pairs:
    """Victims of fewer members, judged without shadows."""
    for one in variants(profile) if profile != "smoke" else ():
        if one["kind"] in ("plain", "robust"):
            leak = Leak(**one, epsilon=one["train_epsilon"], **(SETTINGS["leak"][profile] | {"shadows": 0}))
            cells = (replace(leak, train_size=leak.train_size // part) for part in FEWER)
            yield from wanted(WAITS if profile == "paper" else CHANGED, *cells, seeds=SEEDS)


_GRID = Grid("at_once", _tables, _others)
promised, grid, main = _GRID.promised, _GRID.cells, _GRID.main
