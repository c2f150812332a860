"""What all of it cost, and what it would cost a reader: time, memory and energy from the records, discarded ones included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import product

from experiments import papers
from experiments.costs import Prices, cost, is_gpu
from experiments.grid import CLASSES, worth
from experiments.records import Record, Store, key_of
from report.names import ATTACK_NAMES, DATASET_NAMES, PAPER_NAMES
from report.numbers import NOT_RUN
from report.tables import Table
from report.text import literal

# Watts while computing. A GPU is taken at its rated power, a thread of a processor at a share of its own: energy is an estimate,
# from above for the first and rough for the second; cooling and memory are left out.
GPU_WATTS = 700.0  # H100 and H200 SXM, rated
THREAD_WATTS = 10.0
PROFILES = ("paper", "reduced")
Groups = dict[tuple[str, ...], list[Record]]  # by the words that stand before their sums


def energy(record: Record) -> float:
    """Kilowatt-hours of a record, estimated."""
    watts = GPU_WATTS if is_gpu(record) else THREAD_WATTS * float(record.provenance["threads"])
    return cost(record) * watts / 3.6e6


def sums_table(store: Store) -> Table:
    """What the records of each paper took, by the kind of device; those of settings that no grid has any more apart."""
    groups: Groups = {}
    for (paper, profile, _), records in _spent(store).items():
        for record in records:
            told = "discarded" if "discarded" in profile else "kept"
            groups.setdefault((paper, told, "GPU" if is_gpu(record) else "CPU"), []).append(record)
    return _summed("Paper,Records are,On a", dict(sorted(groups.items())))


def missing_table(store: Store) -> Table:
    """What the missing cells of the paper's scale would take, by paper and by what they are worth, on a processor."""
    missing = {
        paper: [cell for cell in papers.get(paper).grid("paper") if store.get(cell) is None] for paper in papers.NAMES
    }
    worths = worth(cell for cells in missing.values() for cell in cells)
    groups = {PAPER_NAMES[paper]: cells for paper, cells in missing.items()}
    groups |= {name: [cell for cell, found in worths.items() if found == name] for name in CLASSES}
    prices = {paper: Prices(paper, store.all(paper)) for paper in papers.NAMES}
    rows = []
    for name, cells in groups.items():
        found = [prices[cell.paper](cell) for cell in cells]
        known = [price for price in found if price is not None]
        if found:
            rows.append(
                [name, str(len(cells)), hours(math.fsum(known)) if known else "–", str(len(found) - len(known))]
            )
    return Table("Of or worth,Cells,On a CPU,Without a price".split(","), rows or [["nothing", *["–"] * 3]])


def spent_table(store: Store) -> Table:
    """What the records of each paper and profile took, on which device; those of settings that no grid has any more apart."""
    return _summed("Paper,Profile,Device", dict(sorted(_spent(store).items())))


def _spent(store: Store) -> Groups:
    groups: Groups = {}
    for paper in papers.NAMES:
        for record in [*store.all(paper), *store.superseded.all(paper)]:
            profile = record.config["profile"]
            if profile in PROFILES:
                said = profile if record.key in _keys(paper, profile) else f"{profile}, discarded"
                groups.setdefault((PAPER_NAMES[paper], said, literal(record.provenance["device"])), []).append(record)
    return groups


def cells_table(store: Store) -> Table:
    """The same for each kind of cell: one line a data set, network, estimator and attack."""
    groups: Groups = {}
    for paper, profile in product(papers.NAMES, PROFILES):
        for cell in papers.get(paper).grid(profile):
            if (record := store.get(cell)) is not None:
                kind = (DATASET_NAMES[cell.dataset], cell.network, cell.estimator, ATTACK_NAMES[cell.attack])
                groups.setdefault((PAPER_NAMES[paper], profile, *kind), []).append(record)
    return _summed("Paper,Profile,Data,Network,Estimator,Attack", groups)


def _summed(head: str, groups: Groups) -> Table:
    """A line a group of records: its words, and sums over the records."""
    names = [*head.split(","), "Records", "Time in all", "Longest", "Peak memory", "Energy (estimate)"]
    rows = []
    for words, found in groups.items():
        seconds = [cost(record) for record in found]
        memory = max(record.provenance["peak_memory_mib"] for record in found) / 1024
        watt_hours = 1000 * math.fsum(energy(record) for record in found)
        times = [hours(sum(seconds)), hours(max(seconds))]
        rows.append([*words, str(len(found)), *times, f"{memory:.1f} GiB", f"{watt_hours:.0f} Wh"])
    return Table(names, rows or [[NOT_RUN] * len(names)])


def price_table(store: Store) -> Table:
    """What each profile costs a reader: its cells, the time of those with a recorded price, and how many have none."""
    rows = []
    for paper in papers.NAMES:
        kept = list(store.all(paper))
        recorded, kinds = {record.key for record in kept}, [Prices(paper, kept, gpu=gpu) for gpu in (False, True)]
        for profile in PROFILES:
            cells = papers.get(paper).grid(profile)
            missing = len(_keys(paper, profile) - recorded)
            row = [PAPER_NAMES[paper], profile, str(len(cells)), str(missing)]
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
