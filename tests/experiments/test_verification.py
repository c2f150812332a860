"""Checks of records: what is compared, what is kept, when it is void, and the table that readers see."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from facts import facts

from experiments import papers, verification
from experiments.papers import harakeh
from experiments.records import Record, Result, Store
from experiments.selection import label
from experiments.verification import Check, Comparison
from lib.errors import BadValue
from report import numbers, status_page

TOLERANCES = {"accuracy": 1.5, "fooling_rate": 10.0, "absent": 1.0}
CELL = harakeh.grid("reduced")[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def recorded(store: Store, **measurements: float) -> Record:
    return store.put(CELL, Result(measurements, {}), facts(commit="abc0"))


def checked(store: Store, record: Record, **now: float) -> Check:
    check = Check(verification.compare(record, Result(now, {}), TOLERANCES), facts(commit="def0"))
    verification.keep(store, record, check)
    return check


@pytest.mark.parametrize(
    ("now", "agrees", "words"),
    [
        (90.0, True, "the same"),
        (91.5, True, "within 1.5"),
        (88.5, True, "within 1.5"),
        (91.51, False, "DIFFERS by more than 1.5"),
        (float("nan"), False, "DIFFERS by more than 1.5"),
    ],
)
def test_a_number_agrees_up_to_its_tolerance(now: float, agrees: bool, words: str) -> None:
    found = Comparison("accuracy", 90.0, now, 1.5)
    assert found.agrees == agrees and found.words == words


def test_what_has_a_tolerance_and_was_recorded_is_compared(store: Store) -> None:
    record = recorded(store, accuracy=90.0, fooling_rate=50.0, training_seconds=7.0)
    found = verification.compare(
        record, Result({"accuracy": 90.0, "fooling_rate": 61.0, "absent": 1.0}, {}), TOLERANCES
    )
    assert [(c.name, c.agrees) for c in found] == [("accuracy", True), ("fooling_rate", False)]


def test_a_check_comes_back_with_its_record(store: Store) -> None:
    record = recorded(store, accuracy=90.0)
    check = checked(store, record, accuracy=91.0)
    ((found, same),) = verification.checks(store, "harakeh")
    assert (found.key, same) == (record.key, check)
    assert list(verification.checks(store, "song")) == []
    assert [found.key for found in store.all("harakeh")] == [record.key]  # a check is no record


def test_a_later_check_replaces_an_earlier_one(store: Store) -> None:
    record = recorded(store, accuracy=90.0)
    checked(store, record, accuracy=91.0)
    later = checked(store, record, accuracy=90.5)
    assert [check for _, check in verification.checks(store, "harakeh")] == [later]


def test_a_number_that_is_none_is_kept_as_one_that_differs(store: Store) -> None:
    checked(store, recorded(store, accuracy=90.0), accuracy=float("nan"))
    ((_, check),) = verification.checks(store, "harakeh")
    (found,) = check.comparisons
    assert math.isnan(found.now) and not found.agrees and status_page.checks_table(store).rows[0][3] == "nan"


def test_a_check_is_void_once_its_record_is_replaced(store: Store) -> None:
    checked(store, recorded(store, accuracy=90.0), accuracy=91.0)
    recorded(store, accuracy=80.0)
    assert list(verification.checks(store, "harakeh")) == []


@pytest.mark.parametrize(("old", "new"), [("{", "["), ('"now": 91.0', '"now": 90.0'), ('"key": "', '"key": "0')])
def test_a_damaged_check_is_an_error(old: str, new: str, store: Store) -> None:
    record = recorded(store, accuracy=90.0)
    checked(store, record, accuracy=91.0)
    path = store.root / verification.FOLDER / "harakeh" / f"{record.key}.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BadValue, match=r"check .* restore it with git or delete it"):
        list(verification.checks(store, "harakeh"))


def test_the_table_has_a_row_for_each_number_and_says_so_if_there_is_none(store: Store) -> None:
    assert status_page.checks_table(store).rows[0][0] == numbers.NOT_RUN
    checked(store, recorded(store, accuracy=90.0, fooling_rate=50.0), accuracy=91.0, fooling_rate=70.0)
    found = status_page.checks_table(store)
    name = label(CELL)
    assert [list(row) for row in found.rows] == [
        [name, "accuracy", "90.00", "91.00", "1.5", "within 1.5", "`abc0`", "`def0`"],
        [name, "fooling rate", "50.00", "70.00", "10", "DIFFERS by more than 10", "`abc0`", "`def0`"],
    ]
    assert all(len(row) == len(found.head) for row in found.rows)


def test_the_checks_kept_in_the_repository_are_read() -> None:
    assert [check.comparisons for paper in papers.NAMES for _, check in verification.checks(Store(), paper)]
