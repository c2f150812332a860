"""Specification curves from addresses: every way in which a question was asked, as data, and what each gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments import published
from experiments.records import Store
from lib.metrics import Interval
from report.figures.specification import Estimate
from report.numbers import in_columns
from report.tables import Table, interval_at


@dataclass(frozen=True)
class Way:
    """One way to ask: its choices, by factor, and the address of what it gives."""

    choices: Mapping[str, str]
    address: str


@dataclass(frozen=True)
class Question:
    """A headline claim: every way to ask for it, and the pairs of printed numbers whose differences are the paper's."""

    ways: Sequence[Way]
    ylabel: str
    printed: Sequence[tuple[str, str]] = ()


def answers(store: Store, paper: str, question: Question) -> list[tuple[Way, Interval | None]]:
    """Every way with what it gives; None without records."""
    return [(way, interval_at(store, paper, way.address)) for way in question.ways]


def estimates(found: Sequence[tuple[Way, Interval | None]]) -> list[Estimate]:
    """What each way gives, as marks of the figure; those without records are left out."""
    return [Estimate(way.choices, interval) for way, interval in found if interval is not None]


def printed(paper: str, question: Question) -> tuple[float, float] | None:
    """The smallest and the largest difference that the paper's numbers leave; None where nobody has printed any."""
    if not question.printed:
        return None
    known = published.load(paper)
    pairs = [(known[more], known[less]) for more, less in question.printed]
    return min(a.low - b.high for a, b in pairs), max(a.high - b.low for a, b in pairs)


def data(found: Sequence[tuple[Way, Interval | None]]) -> Table:
    """The numbers behind the curve, one line a way to ask."""
    rows = [[*way.choices.values(), *in_columns(interval), way.address] for way, interval in found]
    return Table([*found[0][0].choices, "points", "low", "high", "seeds", "address"], rows)
