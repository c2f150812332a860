"""What benchmarks keep comes back as tables, and what is missing or damaged is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments.records import Store
from lib.errors import BadValue
from report import benchmark_page
from report.numbers import NOT_RUN

ROW = ["CW, 4 images", "ours", "1.5", "1.00", "1.00", "1.829", "100.0", "100.0"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_rows_come_back_as_they_were_kept_and_say_by_what(store: Store) -> None:
    benchmark_page.keep(store, "carlini_wagner", [ROW], command="python -m benchmarks.evasion")
    theirs = [ROW[0], "Foolbox, abort early", *ROW[2:]]
    benchmark_page.keep(store, "jsma", [ROW, theirs], command="python -m benchmarks.evasion")
    found, caption = benchmark_page.pages(store)["benchmark-gradients"]
    assert [list(row) for row in found.rows] == [ROW, ROW, theirs]
    assert caption.count("commit") == 2 and caption.count("Foolbox 3") == 1 and "CleverHans" not in caption
    benchmark_page.keep(store, "jsma", [], command="")
    assert len(benchmark_page.pages(store)["benchmark-gradients"][0].rows) == 1


def test_one_seed_is_no_plural() -> None:
    cells = [cell for table, _ in benchmark_page.pages(Store()).values() for row in table.rows for cell in row]
    assert any(re.search(r"\d seeds?$", cell) for cell in cells)
    assert not any(re.search(r"\b1 seeds", cell) for cell in cells)


def test_what_was_not_measured_says_so(store: Store) -> None:
    for found, caption in benchmark_page.pages(store).values():
        assert found.rows[0][0] == NOT_RUN and len(found.rows[0]) == len(found.head) and "commit" not in caption


@pytest.mark.parametrize(("old", "new"), [("{", "["), ("1.829", "0.829"), ("carlini_wagner", "jsma")])
def test_a_damaged_file_is_an_error(old: str, new: str, store: Store) -> None:
    path = benchmark_page.keep(store, "carlini_wagner", [ROW], command="")
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BadValue, match="restore it with git or delete it"):
        benchmark_page.pages(store)


def test_every_kept_row_of_the_repository_fits_its_table() -> None:
    for found, caption in benchmark_page.pages(Store()).values():
        assert "commit" in caption and all(len(row) == len(found.head) for row in found.rows)


def test_dots_are_costs_of_an_image(store: Store) -> None:
    benchmark_page.keep(store, "jsma", [ROW, [ROW[0], "Foolbox", "3000", *ROW[3:6], "40.0", "60.5"]], command="")
    labels = ["HopSkipJump, l2, 64 images", "ours", "16.0", "0.8", "1", "2400", "1.00", "1.00", "1.7", "1.7"]
    benchmark_page.keep(store, "hop_skip_jump", [labels, [*labels[:1], "Foolbox", "8.0", *labels[3:]]], command="")
    seconds, asked = (benchmark_page.dots(store, cost) for cost in benchmark_page.COSTS)
    (jsma,), (hop,) = seconds.values()
    assert jsma.label == "CW" and {name: one.mean for name, one in jsma.ours.items()} == {
        "ours": 0.0015,
        "Foolbox": 3.0,
    }
    assert hop.label == "HopSkipJump, l2" and {name: one.mean for name, one in hop.ours.items()} == {
        "ours": 0.25,
        "Foolbox": 0.125,
    }
    assert [one.mean for (line, *_) in asked.values() for one in line.ours.values()] == [200, 100.5, 2400, 2400]
    assert benchmark_page.finding(seconds, "seconds").startswith("In 1 of 2 comparisons")
    assert benchmark_page.finding(asked, "asked").startswith("In 1 of 2 comparisons")
    (axis,) = benchmark_page.dot_plot(seconds, "seconds").axes
    assert axis.get_xscale() == "log"


def test_nothing_measured_has_no_dots(store: Store) -> None:
    found = benchmark_page.dots(store, "asked")
    assert not any(found.values()) and benchmark_page.finding(found, "asked").startswith("In 0 of 0")
    assert benchmark_page.dot_plot(found, "asked").axes


def test_every_kept_dot_lies_inside_its_axis() -> None:
    for cost, (_, ends, _) in benchmark_page.COSTS.items():
        dots = [
            one.mean
            for lines in benchmark_page.dots(Store(), cost).values()
            for line in lines
            for one in line.ours.values()
        ]
        assert len(dots) > 20 and ends[0] < min(dots) and max(dots) < ends[1]
