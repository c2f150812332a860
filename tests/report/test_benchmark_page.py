"""What benchmarks keep comes back as tables, and what is missing or damaged is said."""

from __future__ import annotations

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
