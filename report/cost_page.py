"""What all of it cost, and what it would cost a reader: time, memory and energy from the records, discarded ones included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from experiments import papers
from experiments.costs import Prices, cost, is_gpu
from experiments.records import Record, Store, key_of
from report.names import ATTACK_NAMES, DATASET_NAMES
from report.numbers import NOT_RUN
from report.tables import Table

# Watts while computing. A GPU is taken at its rated power, a thread of a processor at a share of its own: energy is an estimate,
# from above for the first and rough for the second; cooling and memory are left out.
GPU_WATTS = 700.0  # H100 and H200 SXM, rated
THREAD_WATTS = 10.0
PROFILES = ("paper", "reduced")


def energy(record: Record) -> float:
    """Kilowatt-hours of a record, estimated."""
    watts = GPU_WATTS if is_gpu(record) else THREAD_WATTS * float(record.provenance["threads"])
    return cost(record) * watts / 3.6e6


def spent_table(store: Store) -> Table:
    """What the records of each paper and profile took, on which device; those of settings that no grid has any more apart."""
    rows = []
    for paper in papers.NAMES:
        groups: dict[tuple[str, str], list[Record]] = {}
        for record in [*store.all(paper), *store.superseded.all(paper)]:
            if record.config["profile"] in PROFILES:
                kept = record.key in _keys(paper, record.config["profile"])
                profile = record.config["profile"] if kept else f"{record.config['profile']}, discarded"
                groups.setdefault((profile, record.provenance["device"]), []).append(record)
        for (profile, device), found in sorted(groups.items()):
            rows.append([paper.capitalize(), profile, device, *_sums(found)])
    head = "Paper,Profile,Device,Records,Time in all,Longest,Peak memory,Energy (estimate)".split(",")
    return Table(head, rows or [[NOT_RUN] * len(head)])


def _sums(found: list[Record]) -> list[str]:
    seconds = [cost(record) for record in found]
    memory = max(record.provenance["peak_memory_mib"] for record in found)
    kwh = math.fsum(energy(record) for record in found)
    return [
        str(len(found)),
        hours(sum(seconds)),
        hours(max(seconds)),
        f"{memory / 1024:.1f} GiB",
        f"{1000 * kwh:.0f} Wh",
    ]


def cells_table(store: Store) -> Table:
    """The same for each kind of cell: one line a data set, network, estimator and attack."""
    rows = []
    for paper in papers.NAMES:
        for profile in PROFILES:
            groups: dict[tuple[str, ...], list[Record]] = {}
            for cell in papers.get(paper).grid(profile):
                if (record := store.get(cell)) is not None:
                    kind = (DATASET_NAMES[cell.dataset], cell.network, cell.estimator, ATTACK_NAMES[cell.attack])
                    groups.setdefault(kind, []).append(record)
            rows += [[paper.capitalize(), profile, *kind, *_sums(found)] for kind, found in groups.items()]
    head = (
        "Paper,Profile,Data,Network,Estimator,Attack,Records,Time in all,Longest,Peak memory,Energy (estimate)".split(
            ","
        )
    )
    return Table(head, rows or [[NOT_RUN] * len(head)])


def price_table(store: Store) -> Table:
    """What each profile costs a reader: its cells, the time of those with a recorded price, and how many have none."""
    rows = []
    for paper in papers.NAMES:
        kept = list(store.all(paper))
        recorded, kinds = {record.key for record in kept}, [Prices(paper, kept, gpu=gpu) for gpu in (False, True)]
        for profile in PROFILES:
            cells = papers.get(paper).grid(profile)
            missing = len(_keys(paper, profile) - recorded)
            row = [paper.capitalize(), profile, str(len(cells)), str(missing)]
            rows.append(row + [text for price in kinds for text in _priced([price(cell) for cell in cells])])
    head = "Paper,Profile,Cells,Not recorded,Time on a CPU,Without a price,Time on a GPU,Without a price there"
    return Table(head.split(","), rows)


def _priced(prices: Sequence[float | None]) -> list[str]:
    known = [seconds for seconds in prices if seconds is not None]
    return [hours(math.fsum(known)) if known else NOT_RUN, str(len(prices) - len(known))]


def hours(seconds: float) -> str:
    """A time as a reader takes it in."""
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


@cache
def _keys(paper: str, profile: str) -> set[str]:
    return {key_of(cell) for cell in papers.get(paper).grid(profile)}


def pages(store: Store) -> dict[str, tuple[Table, str]]:
    """The tables of the cost page by name, each with its caption."""
    return {
        "costs-spent": (spent_table(store), "What the recorded runs took"),
        "costs-prices": (price_table(store), "What a profile takes from nothing, at the prices of the recorded runs"),
        "costs-cells": (cells_table(store), "What each kind of cell took"),
    }
