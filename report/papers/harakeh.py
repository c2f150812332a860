"""What the Harakeh chapter derives from several numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from experiments.records import Store
from report.numbers import NOT_RUN
from report.papers.harakeh_beyond import first_judged, found


def judged_victim(store: Store) -> str:
    """Whose detection the figures show, and over how many seeds."""
    victim = first_judged(store)
    kept = found(store, victim, "epistemic", "pgd", form="mean", steps=20)
    return f"{victim}, ×{len(kept)}" if kept else NOT_RUN


DERIVED: Mapping[str, Callable[[Store], str]] = {"judged_victim": judged_victim}
