"""Robust and natural victims at an equal gap between training and test accuracy: is there more to a leak than overfitting?

While a victim trains, its accuracies and the inference on benign images are looked at ten times. Its path of inference over gaps
is followed straight from look to look, in the order of gaps; where two paths of one seed have gaps in common, the difference is
averaged evenly over these. Thought of after the records were there, so no test of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

import numpy as np

from experiments.records import Record, Store
from lib.metrics import mean_interval
from report.names import DATASET_NAMES
from report.numbers import NOT_RUN, of_interval
from report.papers.song import FEWER, PAPER, SCALES
from report.papers.song_fit import PARTS
from report.tables import Row, Table, across, records_at, row, table

PLACES = 101  # at which gap two paths are compared, from the least to the most that both have
VICTIMS = {
    f"{at}:{dataset}": DATASET_NAMES[dataset] + (f", {PARTS[at]}" if at in PARTS else "")
    for dataset, scale in SCALES.items()
    for at in (scale, *FEWER[dataset])
}

ENDS = [f"{scale}:{dataset}" for dataset, scale in SCALES.items()]  # what sentences speak of


def compared(store: Store, at: str) -> Iterator[tuple[float, float, float]]:
    """For each seed whose two paths have gaps in common: the least and the most of these, and by how much robust leaks more."""
    natural, robust = (
        {record.config["seed"]: _path(record) for record in records_at(store, PAPER, f"{at}/{training}")}
        for training in ("natural", "robust")
    )
    for seed in sorted(natural.keys() & robust.keys()):
        paths = natural[seed], robust[seed]
        low, high = max(gaps[0] for gaps, _ in paths), min(gaps[-1] for gaps, _ in paths)
        if low <= high:
            less, more = (np.interp(np.linspace(low, high, PLACES), *path) for path in paths)
            yield float(low), float(high), float((more - less).mean())


def _path(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """The gaps of a victim on its way, from the least, and the inference at each."""
    gaps = np.subtract(record.curves["trace_train_accuracy"], record.curves["trace_test_accuracy"])
    order = gaps.argsort(kind="stable")
    return gaps[order], np.asarray(record.curves["trace_inference"])[order]


def difference(store: Store, at: str) -> str:
    """By how much robust victims leak more at an equal gap, in points, over seeds."""
    found = [more for _, _, more in compared(store, at)]
    return of_interval(mean_interval(found)) if found else NOT_RUN


def gap_table(store: Store) -> Table:
    """Robust less natural inference on benign images at an equal gap, and at the end of the trainings."""

    def common(_: Store, line: Row) -> str:
        ends = [(low, high) for low, high, _ in compared(store, line.names["at"])]
        return "–".join(f"{fmean(end):.0f}" for end in zip(*ends, strict=True)) if ends else NOT_RUN

    columns = {
        "Gaps in common": common,
        "At an equal gap": lambda _, line: difference(store, line.names["at"]),
        "At the end": lambda _, line: across(
            store, PAPER, "{at}/robust/inference_benign - {at}/natural/inference_benign".format_map(line.names)
        ),
    }
    known = {at: words for at, words in VICTIMS.items() if any(compared(store, at))} or VICTIMS
    return table(store, PAPER, "Victims", [row(words, at=at) for at, words in known.items()], columns)
