"""What the pages call things: nothing that a grid has lacks a name, and an attack without one is refused where it is declared."""

from __future__ import annotations

from typing import Literal

import pytest
import yaml

from experiments import papers
from experiments.cell import checked
from experiments.papers.harakeh import Cell
from experiments.records import ROOT, Store
from lib.errors import BadValue
from report import first_page, status_page
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES, PAPER_NAMES, covered

CELLS = [cell for paper in papers.NAMES for profile in ("paper", "reduced") for cell in papers.get(paper).grid(profile)]


def test_every_data_set_and_attack_of_every_grid_has_a_name() -> None:
    assert {cell.dataset for cell in CELLS} <= DATASET_NAMES.keys()
    assert {cell.attack for cell in CELLS} <= ATTACK_NAMES.keys()
    assert {cell.network for cell in CELLS if cell.paper == "galinkin"} <= NETWORK_NAMES.keys()


def test_papers_stand_in_the_order_of_the_table_of_contents() -> None:
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    order = [file.partition("/")[2] for file in files if file.startswith("notebooks/")]
    assert list(PAPER_NAMES) == order and set(order) == set(papers.NAMES)
    store, names = Store(), [PAPER_NAMES[one] for one in order if one in papers.REPLICATED]
    assert list(first_page.pairs(store)) == list(status_page.recorded(store)) == names
    for table in status_page.states_table(store), status_page.costs_table(store):
        assert list(dict.fromkeys(row[0] for row in table.rows)) == list(PAPER_NAMES.values())
    assert list(dict.fromkeys(name.partition(",")[0] for name in covered(store))) == names


def test_an_attack_without_a_title_is_refused_where_it_is_declared() -> None:
    with pytest.raises(BadValue, match=r"^Noise: expected in TITLES one for each of noise, salt, pepper, got 2$"):

        @checked
        class Noise(Cell):
            TITLES = ("uniform noise", "salt")

            attack: Literal["noise", "salt", "pepper"] = "noise"
