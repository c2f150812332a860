"""What the status page shows: what of the grid is recorded, what today's code would give again, and what all of it took."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from experiments import equivalence, papers, verification
from experiments.costs import Prices, cost, duration, is_gpu
from experiments.equivalence import commit_of
from experiments.grid import CLASSES, worth
from experiments.records import Record, Store, key_of
from experiments.selection import label
from report.figures.heat import Square, Squares
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES, PAPER_NAMES, REPLICATED
from report.tables import Table
from report.text import literal

Counts = Mapping[tuple[str, str], tuple[int, int]]  # by row and attack: how many are recorded, of how many
HOLDS = ("equal by the gate", "verified")
PROFILES = ("paper", "reduced")
# Watts while computing. A GPU is taken at its rated power, a thread of a processor at a share of its own: energy is an estimate,
# from above for the first and rough for the second; cooling and memory are left out.
GPU_WATTS = 700.0  # H100 and H200 SXM, rated
THREAD_WATTS = 10.0


# --- the grid -------------------------------------------------------------------------------------------------------------


def recorded(store: Store) -> dict[str, Counts]:
    """How many of each paper's cells at its own scale are recorded, of how many: by data set with network, and by attack."""
    found: dict[str, Counts] = {}
    for paper in REPLICATED:
        counts: dict[tuple[str, str], tuple[int, int]] = {}
        for cell in sorted(papers.get(paper).grid("paper"), key=lambda cell: [*DATASET_NAMES].index(cell.dataset)):
            network = NETWORK_NAMES.get(cell.network, cell.network.replace("_", " "))
            pair = (f"{DATASET_NAMES[cell.dataset]}, {network}", ATTACK_NAMES[cell.attack])
            done, planned = counts.get(pair, (0, 0))
            counts[pair] = (done + (store.get(cell) is not None), planned + 1)
        found[PAPER_NAMES[paper]] = counts
    return found


def squares(found: Mapping[str, Counts]) -> dict[str, Squares]:
    """Each pair that is planned, the darker the more of it is recorded, with both counts."""
    return {
        paper: {pair: Square(f"{done} of {planned}", 0.9 * done / planned) for pair, (done, planned) in counts.items()}
        for paper, counts in found.items()
    }


def _in_all(counts: Counts) -> str:
    return " of ".join(str(sum(column)) for column in zip(*counts.values(), strict=True))


def sums(found: Mapping[str, Counts]) -> str:
    """How many of each paper's cells are recorded, in a sentence."""
    told = ", ".join(f"{_in_all(counts)} of {paper}'s" for paper, counts in found.items())
    return f"Recorded are {told} cells at the scale of the papers, the paler a square the fewer."


def finding(found: Mapping[str, Counts]) -> str:
    """What the heat map shows, in words, for who does not see it."""
    told = []
    for paper, counts in found.items():
        whole = [f"{row} under {attack}" for (row, attack), (some, every) in counts.items() if some == every]
        known = {row for (row, _), (some, _) in counts.items() if some}
        none = dict.fromkeys(row for row, _ in counts if row not in known)
        ends = [f"{word} of {'; '.join(names)}" for word, names in (("all", whole), ("none", none)) if names]
        told.append(f"{paper}: {_in_all(counts)} cells recorded{', ' if ends else ''}{', and '.join(ends)}.")
    return " ".join(told)


def grid_table(store: Store) -> Table:
    """Each part of the grid: cells recorded of those planned, where, what they took, by which commit, what still holds."""
    groups: dict[tuple[str, ...], list[tuple[Any, Record | None]]] = {}
    for paper in PAPER_NAMES:
        for cell in (cell for profile in PROFILES for cell in papers.get(paper).grid(profile)):
            parts = (paper, cell.profile, DATASET_NAMES[cell.dataset], cell.network, ATTACK_NAMES[cell.attack])
            groups.setdefault(parts, []).append((cell, store.get(cell)))
    known = {paper: equivalence.states(store, paper) for paper in PAPER_NAMES}
    rows = []
    for (paper, *words), cells in groups.items():
        records = [record for _, record in cells if record is not None]
        facts = {
            fact: sorted({str(one.provenance[fact]) for one in records}) for fact in ("device", "commit", "finished")
        }
        states = Counter(known[paper][record.key].word for record in records)
        told = [
            ", ".join(map(literal, facts["device"])),
            ", ".join(f"`{commit}`" for commit in facts["commit"]),
            facts["finished"][-1][:10] if records else "",
            ", ".join(f"{states[word]} {word}" for word in get_args(equivalence.Word) if states[word]),
        ]
        counts = [f"{len(records)} of {len(cells)}", *_took(records)]
        rows.append([PAPER_NAMES[paper], *words, *counts, *(one or "–" for one in told)])
    head = "Paper,Profile,Data,Network,Attack,Recorded,Time in all,Longest,Peak memory,Energy (estimate),Device,Commit,Latest"
    return Table([*head.split(","), "By today's code"], rows)


# --- whether records hold -------------------------------------------------------------------------------------------------


def states_table(store: Store) -> Table:
    """How many records of each paper have which word."""
    words = get_args(equivalence.Word)
    rows = []
    for paper in PAPER_NAMES:
        counts = Counter(one.word for one in equivalence.states(store, paper).values())
        rows.append([PAPER_NAMES[paper], str(counts.total()), *(str(counts[word]) for word in words)])
    return Table(["Paper", "Records", *(word.capitalize() for word in words)], rows)


def changed_table(store: Store) -> Table:
    """Which records today's code would not, or perhaps not, give again: their kind, the commits that computed them, and why."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for paper in PAPER_NAMES:
        known = equivalence.states(store, paper)
        for record in store.all(paper):
            found = known[record.key]
            if found.word not in HOLDS:
                cell = papers.revive(paper, record.config)
                kind = f"{paper}, of older settings" if cell is None else equivalence.kind_of(cell)
                groups.setdefault((literal(kind), found.word, literal(found.why)), []).append(record)
    rows = []
    for (kind, word, why), records in sorted(groups.items()):
        commits = ", ".join(f"`{one}`" for one in sorted({*map(commit_of, records)}))
        rows.append([kind, word, str(len(records)), commits, why])
    return Table.of("Kind of cell,By today's code,Records,Commits,Why", rows, empty="none")


def checks_table(store: Store) -> Table:
    """Every record that was computed again by later code: each measurement then and now, and what the two may differ by."""
    rows = []
    for paper in PAPER_NAMES:
        cells = {key_of(cell): cell for profile in PROFILES for cell in papers.get(paper).grid(profile)}
        for record, check in verification.checks(store, paper):
            commits = [f"`{facts['commit']}`" for facts in (record.provenance, check.provenance)]
            name = label(cells[record.key]) if record.key in cells else record.key
            shown = [one for one in check.comparisons if one.tolerance or not one.agrees]
            others = [one for one in check.comparisons if one not in shown]
            for found in shown:
                numbers = [f"{value:.2f}" for value in (found.recorded, found.now)]
                tolerance = "–" if found.tolerance is None else f"{found.tolerance:g}"
                measured = literal(found.name.replace("_", " "))
                rows.append([name, measured, *numbers, tolerance, found.words, *commits])
            if others:
                same = sum(one.now == one.recorded for one in others)
                rows.append([name, f"{len(others)} others", *["–"] * 3, f"{same} the same", *commits])
    return Table.of("Cell,Measurement,Recorded,Again,May differ by,Outcome,Commit then,Commit now", rows)


# --- what they took -------------------------------------------------------------------------------------------------------


def costs_table(store: Store) -> Table:
    """What the records of each paper took, by the kind of device; those of settings that no grid has any more apart."""
    rows = []
    for paper, name in PAPER_NAMES.items():
        groups: dict[tuple[str, str], list[Record]] = {}
        kept = {key_of(cell) for profile in PROFILES for cell in papers.get(paper).grid(profile)}
        for record in [*store.all(paper), *store.superseded.all(paper)]:
            if record.config["profile"] in PROFILES:
                told = "kept" if record.key in kept else "discarded"
                groups.setdefault((told, "GPU" if is_gpu(record) else "CPU"), []).append(record)
        rows += [[name, *words, str(len(found)), *_took(found)] for words, found in sorted(groups.items())]
    return Table.of("Paper,Records are,On a,Records,Time in all,Longest,Peak memory,Energy (estimate)", rows)


def missing_table(store: Store) -> Table:
    """What missing cells take on a processor: at the papers' scale by paper and by worth, and of our study as it is told."""

    def missing(paper: str, profile: str) -> list[Any]:
        return [cell for cell in papers.get(paper).grid(profile) if store.get(cell) is None]

    groups = {name: missing(paper, "paper") for paper, name in PAPER_NAMES.items()}
    worths = worth([cell for cells in groups.values() for cell in cells])
    groups |= {name: [cell for cell, found in worths.items() if found == name] for name in CLASSES}
    ours = {paper: name for paper, name in PAPER_NAMES.items() if paper not in REPLICATED}
    groups |= {f"{name}, at `reduced`": missing(paper, "reduced") for paper, name in ours.items()}
    prices = {paper: Prices(paper, store.all(paper)) for paper in PAPER_NAMES}
    rows = []
    for name, cells in groups.items():
        known = [price for cell in cells if (price := prices[cell.paper](cell)) is not None]
        time = duration(math.fsum(known)) if known else "–"
        rows += [[name, str(len(cells)), time, str(len(cells) - len(known))]] if cells else []
    return Table.of("Paper or worth,Cells,On a CPU,Without a price", rows, empty="nothing")


def _took(records: Sequence[Record]) -> list[str]:
    """Time in all and of the longest, the most memory, and energy."""
    if not records:
        return ["–"] * 4
    seconds = [cost(record) for record in records]
    memory = max(record.provenance["peak_memory_mib"] for record in records) / 1024
    watt_hours = 1000 * math.fsum(energy(record) for record in records)
    return [duration(math.fsum(seconds)), duration(max(seconds)), f"{memory:.1f} GiB", f"{watt_hours:.0f} Wh"]


def energy(record: Record) -> float:
    """Kilowatt-hours of a record, estimated."""
    watts = GPU_WATTS if is_gpu(record) else THREAD_WATTS * float(record.provenance["threads"])
    return cost(record) * watts / 3.6e6
