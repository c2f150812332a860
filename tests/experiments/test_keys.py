"""Every committed record is still that of its cell: no change of the code may change a key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import papers
from experiments.records import ROOT, Store, key_of

RECORDS = sorted(path for paper in papers.NAMES for path in (ROOT / "results" / paper).glob("*/*.json"))
# Records whose settings no cell has any more.
WITHOUT_CELL = {
    "galinkin": """
        0c77ee17d10a 2aec4efedbd0 30311eb1955a 3f39218b3125 4b80e2a65fd1 5b3b9fb60a25 622f23cf1bca 699fc03ebd64
        7a77137cbbc0 86c7f16c4d0c 87844d3986a6 894e9b9758bd 89ceb5a4f8c6 96fba26e8d32 9b12944462ef a86fd2ed5fa7
        a978fa68c149 aa8686a3144f ae41dde738c8 c55ccaa3a325 c7744c9e8a8e c7a55d9d3662 c82b03bab9e1 d940b90018c6
        d989d5a6a859 d9e9bfc35875 e3df505c1377 e71dbca562a3 eb410c145aff eec4120c571e f0a893a070ba f13dfef7fc3e
        f24e0cf6ef13 fb7673d59ee4
    """.split(),
    "song": "5457d7d61ab7 927d270ec2b7 c6f3f48c1d07 f9dc2daf80be".split(),
}


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
    assert without == set(WITHOUT_CELL.get(paper, ())), f"records of {paper} whose settings no cell has any more"


@pytest.mark.parametrize("path", RECORDS[3::29], ids=lambda path: path.stem)
def test_a_revived_cell_stands_where_its_record_stands(path: Path) -> None:
    content = json.loads(path.read_bytes())
    cell = papers.revive(path.parent.parent.name, content["config"])
    assert cell is None or Store().path(cell) == path
