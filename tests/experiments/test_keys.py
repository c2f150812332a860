"""Every committed record is still that of its cell: no change of the code may change a key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import papers
from experiments.records import ROOT, Store, key_of

RECORDS = sorted(path for paper in papers.NAMES for path in (ROOT / "results" / paper).glob("*/*.json"))
SUPERSEDED = {"at_once": 0, "galinkin": 40, "harakeh": 6, "song": 5}


def test_the_records_are_found() -> None:
    assert len(RECORDS) >= 505
    assert {path.parent.name for path in RECORDS} == {"paper", "reduced"}


@pytest.mark.parametrize("paper", papers.NAMES)
def test_a_record_gives_back_its_cell_with_its_key(paper: str) -> None:
    without, other = set[str](), dict[str, str]()
    for record in Store().all(paper):
        cell = papers.revive(paper, record.config)
        if cell is None:
            without.add(record.key)
        elif key_of(cell) != record.key:
            other[record.key] = key_of(cell)
    assert not other, f"records of {paper} and the keys that their cells have now: {other}"
    assert not without, f"records of {paper} whose settings no cell has any more: they belong to results/superseded"


@pytest.mark.parametrize("paper", papers.NAMES)
def test_a_record_is_that_of_a_cell_of_its_grid_or_superseded(paper: str) -> None:
    cells = {key_of(cell): cell.profile for profile in ("reduced", "paper") for cell in papers.get(paper).grid(profile)}
    kept, superseded = ({r.key: r.config["profile"] for r in s.all(paper)} for s in (Store(), Store().superseded))
    assert {key: cells.get(key) for key in kept} == kept
    assert not cells.keys() & superseded.keys() and len(superseded) == SUPERSEDED[paper]


@pytest.mark.parametrize("path", RECORDS[3::29], ids=lambda path: path.stem)
def test_a_revived_cell_stands_where_its_record_stands(path: Path) -> None:
    content = json.loads(path.read_bytes())
    cell = papers.revive(path.parent.parent.name, content["config"])
    assert cell is None or Store().path(cell) == path
