"""How a chapter's sentences name the numbers that they quote, and how these are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from experiments import claims, published
from experiments.reading import Reading
from experiments.records import Record, Store
from experiments.results import measured
from experiments.verdicts import judge
from report.tables import NOT_RUN, evidence, interval_of


def dashed(name: str) -> str:
    """`name` as the sentences quote it."""
    return name.replace("_", "-").replace("/", "-")


def percent(value: float | None) -> str:
    """A percentage."""
    return NOT_RUN if value is None else f"{value:.1f} %"


def mean(records: Iterable[Record], measurement: str, *, formats: Mapping[str, str] | None = None) -> str:
    """The mean over seeds of one measurement, in percent unless `formats` has a format for it."""
    values = [record.measurements[measurement] for record in records if measurement in record.measurements]
    if not values:
        return NOT_RUN
    plain = (formats or {}).get(measurement)
    return percent(fmean(values)) if plain is None else format(fmean(values), plain)


def readings(
    store: Store, paper: str, chosen: Sequence[Reading], *, name_of: Callable[[str], str] = dashed
) -> dict[str, str]:
    """`paper-mnist-none-cw`, `text-mnist-none-cw`, `text-verdict-mnist-cw`, ...: what the tables and the claims say.

    A verdict on one seed says so; `text-estimate-mnist-cw` is what it rests on.

    The first is the paper's own number; the others are ours under each reading of the paper, by the reading's name.
    """
    declared, printed = claims.load(paper), published.load(paper)
    text = {f"paper-{name_of(name)}": number.text.replace("-", " to ") + " %" for name, number in printed.items()}
    for one in chosen:
        kept = measured(store, paper, one)
        for name in printed:
            value = interval_of(kept[name]).mean if name in kept else None
            text[f"{one.name}-{name_of(name)}"] = percent(value)
        for claim in declared:
            found = judge(claim, kept, printed)
            one_seed = ", 1 seed" if found.interval_from == "test points" else ""
            text[f"{one.name}-verdict-{claim.id}"] = found.word + one_seed
            text[f"{one.name}-estimate-{claim.id}"] = evidence(found)
    return text
