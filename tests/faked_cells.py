"""Cells whose computing is replaced, and what a record says without how long it took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from facts import FACTS

from experiments import execution
from experiments.execution import Job
from experiments.records import Record, Result

TIMES = {"training_seconds", "attack_seconds"}


def faked(monkeypatch: pytest.MonkeyPatch, compute: Callable[[Any], Result]) -> list[Any]:
    """Cells are computed by `compute` from here on; returns the list that each is noted in as it starts."""
    started: list[Any] = []

    def replacement(cell: Any, job: Job) -> tuple[Result, dict[str, Any]]:
        started.append(cell)
        return compute(cell), FACTS

    monkeypatch.setattr(execution, "compute", replacement)
    return started


def numbers(record: Record | None) -> dict[str, Any]:
    """What a record measured, without how long it took."""
    assert record is not None
    return {**{n: v for n, v in record.measurements.items() if n not in TIMES}, "curves": record.curves}
