"""Every table of every chapter can be made before anything is recorded: its addresses are of something, and it says "not run"."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable

import pytest

import report.papers
from experiments.records import Store
from report.numbers import NOT_RUN
from report.tables import Table

MODULES = [importlib.import_module(f"report.papers.{one.name}") for one in pkgutil.iter_modules(report.papers.__path__)]
TABLES: dict[str, Callable[[Store], Table]] = {
    f"{module.__name__}.{name}": made
    for module in MODULES
    for name, made in inspect.getmembers(module, inspect.isfunction)
    if made.__module__ == module.__name__ and inspect.get_annotations(made) == {"store": Store, "return": Table}
}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_says_not_run_without_records(name: str, store: Store) -> None:
    made = TABLES[name](store)
    assert made.rows and all(len(line) == len(made.head) for line in made.rows)
    assert any(NOT_RUN in line for line in made.rows)


def test_the_tables_of_all_chapters_are_looked_at() -> None:
    assert len(TABLES) >= 9, sorted(TABLES)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_derived_number_says_what_it_can_without_records(module: object, store: Store) -> None:
    for name, derived in getattr(module, "DERIVED", {}).items():
        assert isinstance(derived(store), str) and derived(store), name
