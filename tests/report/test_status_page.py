"""The status page counts what is recorded, and says which records today's code would give again."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import pytest
from facts import facts
from matplotlib.colors import to_rgba
from palette import contrast, luminance

from experiments import costs, equivalence, papers
from experiments.equivalence import Pair, kind_of
from experiments.papers import harakeh
from experiments.papers.harakeh.fgsm import FGSM
from experiments.records import Record, Result, Store, settings
from report import status_page
from report.figures.heat import heat
from report.names import PAPER_NAMES

FACTS = facts(seconds=60.0, device="A chip", commit="abc123", finished="2026-11-20T08:00:00+00:00")
MEASURED = {"base": "f" * 12, "processor": "A chip", "torch": "2", "measured": "2026-11-27"}


def cells(**wanted: Any) -> list[FGSM]:
    """The FGSM cells of the paper's scale that are as wanted."""
    rows = [cell for cell in harakeh.main("paper") if isinstance(cell, FGSM)]
    return [cell for cell in rows if wanted.items() <= settings(cell).items()]


def put(store: Store, cell: FGSM, *, measured: dict[str, float] | None = None, **changes: Any) -> Record:
    return store.put(cell, Result({"accuracy": 99.0, **(measured or {})}, {}), {**FACTS, **changes})


def test_the_grid_table_counts_what_is_recorded(store: Store) -> None:
    empty = status_page.grid_table(store)
    parts = {
        (paper, profile, cell.dataset, cell.network, cell.attack)
        for paper, profile in product(papers.NAMES, ("paper", "reduced"))
        for cell in papers.get(paper).grid(profile)
    }
    assert len(empty.rows) == len(parts)
    assert {tuple(row[6:]) for row in empty.rows} == {("–",) * 8}
    assert all(re.fullmatch(r"0 of [1-9]\d*", row[5]) for row in empty.rows)

    wanted = {"dataset": "cifar10", "network": "fully_convolutional", "estimator": "epistemic"}
    first, second, third, *_ = cells(**wanted)
    put(store, first, seconds=105.0, measured={"training_seconds": 1000.0, "attack_seconds": 100.0})  # trained before
    put(store, second, seconds=700.0, commit="fff999", finished="2026-11-21T23:59:59+00:00", device="B chip")
    put(store, third, seconds=660.0)
    kind = kind_of(first)
    equivalence.keep(
        store, "harakeh", [Pair(commit="fff999", kind=kind, equal=False, why="draws shared")], measured=MEASURED
    )
    found = [list(row) for row in status_page.grid_table(store).rows]
    (row,) = [row for row in found if not row[5].startswith("0 of")]
    assert row[:5] == ["Harakeh", "paper", "CIFAR-10", "fully_convolutional", "FGSM"]
    assert re.fullmatch(r"3 of [1-9]\d*", row[5])
    told = "1 changed since, 2 not measured"
    assert row[6:8] == ["41.0 min", "18.3 min"] and row[9].endswith(" Wh")
    assert row[10:] == ["A chip, B chip", "`abc123`, `fff999`", "2026-11-21", told]


def test_the_grid_table_covers_the_whole_grid(store: Store) -> None:
    everything = [cell for profile in ("paper", "reduced") for cell in harakeh.grid(profile)]
    pairs = {Pair(commit="abc123", kind=kind_of(cell), equal=True) for cell in everything}
    for cell in everything:
        store.put(cell, Result({}, {}), FACTS)
    equivalence.keep(store, "harakeh", pairs, measured=MEASURED)
    found = status_page.grid_table(store)
    rows = [row for row in found.rows if row[0] == "Harakeh"]
    counts = [row[5].split(" of ") for row in rows]
    assert all(done == planned for done, planned in counts)
    assert [row[-1] for row in rows] == [f"{done} equal by the gate" for done, _ in counts]
    assert sum(int(planned) for _, planned in counts) == len(everything)


def test_what_has_changed_is_listed_by_kind_with_why(store: Store) -> None:
    assert list(status_page.changed_table(store).rows) == [["none", "–", "–", "–", "–"]]
    plain, random = (cells(dataset="mnist", network="basic_cnn", estimator=e)[:2] for e in ("none", "epistemic"))
    for cell in (*plain, *random):
        put(store, cell)
    pairs = [
        Pair(commit="abc123", kind="harakeh fgsm", equal=True),
        Pair(commit="abc123", kind="harakeh fgsm estimator=epistemic", equal=False, why="draws shared"),
    ]
    equivalence.keep(store, "harakeh", pairs, measured=MEASURED)
    assert list(status_page.changed_table(store).rows) == [
        ["harakeh fgsm estimator=epistemic", "changed since", "2", "`abc123`", "draws shared"]
    ]


# --- the heat map -------------------------------------------------------------------------------------------------------


def test_every_cell_of_the_papers_scale_is_in_one_square(store: Store) -> None:
    first, *_ = cells(dataset="mnist", network="basic_cnn")
    put(store, first)
    found = status_page.recorded(store)
    for paper in papers.REPLICATED:
        assert sum(planned for _, planned in found[PAPER_NAMES[paper]].values()) == len(papers.get(paper).grid("paper"))
    assert found["Harakeh"]["MNIST, basic CNN", "FGSM"][0] == sum(done for done, _ in found["Harakeh"].values()) == 1


def test_the_finding_names_what_is_whole_and_what_is_missing() -> None:
    some = {("A", "x"): (2, 2), ("A", "y"): (1, 2), ("B", "x"): (0, 3), ("B", "y"): (0, 1)}
    told = status_page.finding({"One": some, "Two": {("A", "x"): (1, 2)}})
    assert told == "One: 3 of 8 cells recorded, all of A under x, and none of B. Two: 1 of 2 cells recorded."


def test_the_darker_a_square_the_more_is_recorded_and_its_letters_can_be_read() -> None:
    made = heat(status_page.squares({"One": {(str(done), "x"): (done, 20) for done in range(21)}}))
    (axis,) = made.axes
    lights = [luminance(square.get_facecolor()) for square in axis.patches]
    assert lights == sorted(lights, reverse=True) and len(set(lights)) == 21
    inks = [luminance(to_rgba(text.get_color())) for text in axis.texts]
    assert [text.get_text() for text in axis.texts] == [f"{done} of 20" for done in range(21)]
    assert min(contrast(*pair) for pair in zip(inks, lights, strict=True)) >= 4.5
    plt.close(made)


def test_records_are_counted_by_word(store: Store) -> None:
    one, two, *_ = cells(estimator="none")
    put(store, one)
    put(store, two)
    equivalence.keep(store, "harakeh", [Pair(commit="abc123", kind=kind_of(one), equal=True)], measured=MEASURED)
    rows = {row[0]: row[1:] for row in status_page.states_table(store).rows}
    assert rows["Harakeh"] == ["2", "2", "0", "0", "0"] and rows["Song"] == ["0"] * 5


# --- what they took -----------------------------------------------------------------------------------------------------

CPU = facts(device="Some Processor", threads=2, peak_memory_mib=2048, seconds=100.0)


def put_at(store: Store, cell: Any, **provenance: Any) -> Any:
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
    assert costs.cost(put_at(store, cell, **provenance)) == pytest.approx(seconds)


def test_energy_is_power_times_time(store: Store, cell: Any) -> None:
    assert status_page.energy(put_at(store, cell)) == pytest.approx(100 * 20 / 3.6e6)
    assert status_page.energy(put_at(store, cell, device="NVIDIA H100")) == pytest.approx(100 * 700 / 3.6e6)


def test_the_missing_cells_are_counted_by_paper_and_by_worth(store: Store) -> None:
    """Every missing cell counts once in a paper and once in a class; a record of one prices the others like it."""
    first = papers.get("harakeh").grid("paper")[0]
    put_at(store, first, seconds=3600.0)
    rows = {row[0]: row[1:] for row in status_page.missing_table(store).rows}
    cells = {PAPER_NAMES[paper]: len(papers.get(paper).grid("paper")) for paper in papers.NAMES}
    assert {name: int(rows[name][0]) for name in cells} == cells | {"Harakeh": cells["Harakeh"] - 1}
    told = rows.pop("At once, at `reduced`")
    assert int(told[0]) == len(papers.get("at_once").grid("reduced"))
    assert sum(int(row[0]) for name, row in rows.items() if name not in cells) == sum(cells.values()) - 1
    assert rows["Song"][1:] == ["–", rows["Song"][0]] and rows["Harakeh"][1].endswith(" h")


def test_sums_are_kept_and_discarded_apart(store: Store, cell: Any, tiny_cell: Any) -> None:
    put_at(store, cell, seconds=3600.0)
    put_at(store, tiny_cell(profile="reduced"))
    rows = [row[:5] for row in status_page.costs_table(store).rows]
    assert rows == [["Harakeh", "discarded", "CPU", "1", "1.7 min"], ["Harakeh", "kept", "CPU", "1", "1.0 h"]]
