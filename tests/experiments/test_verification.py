"""Checks of records: what is compared, what is kept, when it is void, and the table that readers see."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

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
    check = Check(verification.compare(record, Result(now, {}), {}, TOLERANCES), facts(commit="def0"))
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


HERE = {"device": "a processor", "threads": 1, "versions": {"torch": "2"}}


@pytest.mark.parametrize(("there", "judged"), [({}, True), ({"device": "another"}, False), ({"threads": 2}, False)])
def test_all_that_was_recorded_is_compared(there: dict[str, Any], judged: bool, store: Store) -> None:
    """To the bit on a machine that is the same, and told on another; what has a tolerance by that, and time not at all."""
    measured = {"accuracy": 90.0, "fooling_rate": 50.0, "l2": 1.5, "queries": 7.0, "gone": 1.0, "training_seconds": 7.0}
    curves = {"epsilon": [0.0, 0.1], "accuracy": [90.0, 50.0, 10.0], "short": [1.0, 2.0], "gone": [1.0], "none": []}
    record = store.put(CELL, Result(measured, curves), facts() | HERE)
    now = measured | {"fooling_rate": 61.0, "l2": 1.5 + 1e-12, "training_seconds": 9.0, "absent": 1.0}
    after = curves | {"accuracy": [90.0, 51.0, 8.0], "short": [1.0]}
    del now["gone"], after["gone"]
    found = {one.name: one for one in verification.compare(record, Result(now, after), HERE | there, TOLERANCES)}
    assert found.keys() == {*measured, *(f"curve {name}" for name in curves)} - {"training_seconds", "curve none"}
    differ = {"fooling_rate", "gone", "curve short", "curve gone"} | ({"l2", "curve accuracy"} if judged else set())
    assert {name for name, one in found.items() if not one.agrees} == differ
    assert (found["curve accuracy"].recorded, found["curve accuracy"].now) == (10.0, 8.0), "the point farthest off"
    assert found["accuracy"].tolerance == 1.5 and found["queries"].tolerance == (0.0 if judged else None)
    assert found["l2"].words == ("DIFFERS by more than 0" if judged else "another machine, not judged")
    verification.keep(store, record, Check(tuple(found.values()), facts()))
    ((_, check),) = verification.checks(store, "harakeh")
    assert [(one.name, one.words) for one in check.comparisons] == [(one.name, one.words) for one in found.values()]


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
