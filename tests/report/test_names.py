"""What the pages call things: nothing that a grid has lacks a name, and an attack without one is refused where it is declared."""

from __future__ import annotations

from typing import Literal

import pytest

from experiments import papers
from experiments.cell import checked
from experiments.papers.harakeh import Cell
from lib.errors import BadValue
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES

CELLS = [cell for paper in papers.NAMES for profile in ("paper", "reduced") for cell in papers.get(paper).grid(profile)]


def test_every_data_set_and_attack_of_every_grid_has_a_name() -> None:
    assert {cell.dataset for cell in CELLS} <= DATASET_NAMES.keys()
    assert {cell.attack for cell in CELLS} <= ATTACK_NAMES.keys()
    assert {cell.network for cell in CELLS if cell.paper == "galinkin"} <= NETWORK_NAMES.keys()


def test_an_attack_without_a_title_is_refused_where_it_is_declared() -> None:
    with pytest.raises(BadValue, match=r"^Noise: expected in TITLES one for each of noise, salt, pepper, got 2$"):

        @checked
        class Noise(Cell):
            TITLES = ("uniform noise", "salt")

            attack: Literal["noise", "salt", "pepper"] = "noise"
