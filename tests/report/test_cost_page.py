"""What everything cost: sums over records by hand, and what is not known said."""

from __future__ import annotations

from typing import Any

import pytest
from facts import facts

from experiments import costs, papers
from experiments.records import Result, Store
from report import cost_page
from report.names import PAPER_NAMES

CPU = facts(device="Some Processor", threads=2, peak_memory_mib=2048, seconds=100.0)


def put(store: Store, cell: Any, **provenance: Any) -> Any:
    return store.put(cell, Result({"accuracy": 50.0}, {}), {**CPU, **provenance})


@pytest.fixture
def cell() -> Any:
    return papers.get("harakeh").grid("reduced")[0]


@pytest.mark.parametrize(
    ("provenance", "seconds"),
    [
        ({}, 100.0),  # an old record: by the clock
        ({"processor_seconds": 150.0}, 75.0),  # two threads that had three quarters of the time
        ({"processor_seconds": 230.0}, 100.0),  # never more than the clock
        ({"processor_seconds": 10.0, "device": "NVIDIA H100"}, 100.0),  # a processor waits for its GPU
    ],
)
def test_pauses_are_taken_out(store: Store, cell: Any, provenance: dict[str, Any], seconds: float) -> None:
    assert costs.cost(put(store, cell, **provenance)) == pytest.approx(seconds)


def test_energy_is_power_times_time(store: Store, cell: Any) -> None:
    assert cost_page.energy(put(store, cell)) == pytest.approx(100 * 20 / 3.6e6)
    assert cost_page.energy(put(store, cell, device="NVIDIA H100")) == pytest.approx(100 * 700 / 3.6e6)


def test_sums_stand_by_device_and_discarded_records_count_apart(store: Store, cell: Any, tiny_cell: Any) -> None:
    one, two = papers.get("harakeh").grid("reduced")[:2]
    put(store, one, seconds=3600.0)
    put(store, two, seconds=3600.0, peak_memory_mib=4096)
    put(store, tiny_cell(profile="reduced"))
    rows = [row for row in cost_page.spent_table(store).rows if row[0] == "Harakeh"]
    assert [row[1] for row in rows] == ["reduced", "reduced, discarded"]
    assert rows[0][2:] == ["Some Processor", "2", "2.0 h", "1.0 h", "4.0 GiB", "40 Wh"]
    assert rows[1][3:5] == ["1", "1.7 min"]


def test_prices_say_how_many_cells_have_none(store: Store) -> None:
    rows = {tuple(row[:2]): row[2:] for row in cost_page.price_table(store).rows}
    for paper in papers.NAMES:
        for profile in cost_page.PROFILES:
            cells = str(len(papers.get(paper).grid(profile)))
            assert rows[PAPER_NAMES[paper], profile] == [cells, cells, "not run", cells, "not run", cells]


def test_the_missing_cells_are_counted_by_paper_and_by_worth(store: Store) -> None:
    """Every missing cell counts once in a paper and once in a class; a record of one prices the others like it."""
    first = papers.get("harakeh").grid("paper")[0]
    put(store, first, seconds=3600.0)
    rows = {row[0]: row[1:] for row in cost_page.missing_table(store).rows}
    cells = {PAPER_NAMES[paper]: len(papers.get(paper).grid("paper")) for paper in papers.NAMES}
    assert {name: int(rows[name][0]) for name in cells} == cells | {"Harakeh": cells["Harakeh"] - 1}
    assert sum(int(row[0]) for name, row in rows.items() if name not in cells) == sum(cells.values()) - 1
    assert rows["Song"][1:] == ["–", rows["Song"][0]] and rows["Harakeh"][1].endswith(" h")


def test_sums_are_kept_and_discarded_apart(store: Store, cell: Any, tiny_cell: Any) -> None:
    put(store, cell, seconds=3600.0)
    put(store, tiny_cell(profile="reduced"))
    rows = [row[:5] for row in cost_page.sums_table(store).rows]
    assert rows == [["Harakeh", "discarded", "CPU", "1", "1.7 min"], ["Harakeh", "kept", "CPU", "1", "1.0 h"]]


def test_without_records_the_page_says_so(store: Store) -> None:
    for table in (cost_page.sums_table(store), cost_page.missing_table(store), cost_page.cells_table(store)):
        assert all(len(row) == len(table.head) for row in table.rows)
    assert cost_page.spent_table(store).rows == [["not run"] * 8]


@pytest.mark.parametrize(("seconds", "said"), [(0, "0.0 min"), (90, "1.5 min"), (3599, "60.0 min"), (5400, "1.5 h")])
def test_times_are_said_as_a_reader_takes_them_in(seconds: float, said: str) -> None:
    assert cost_page.hours(seconds) == said
