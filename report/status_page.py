"""What the status page shows: what of the grid is recorded, and which records today's code would give again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from experiments import equivalence, papers, verification
from experiments.costs import cost
from experiments.equivalence import commit_of
from experiments.records import Record, Store, key_of
from experiments.selection import label
from report.figures.heat import Square, Squares
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES, PAPER_NAMES
from report.numbers import NOT_RUN
from report.tables import Table
from report.text import literal

Counts = Mapping[tuple[str, str], tuple[int, int]]  # by row and attack: how many are recorded, of how many
HOLDS = ("equal by the gate", "verified")


def recorded(store: Store) -> dict[str, Counts]:
    """How many of each paper's cells at its own scale are recorded, of how many: by data set with network, and by attack."""
    found: dict[str, Counts] = {}
    for paper in papers.REPLICATED:
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


def recorded_table(found: Mapping[str, Counts]) -> Table:
    """The numbers behind the heat map, a line a square."""
    rows = [
        [paper, row, attack, str(done), str(planned)]
        for paper, counts in found.items()
        for (row, attack), (done, planned) in counts.items()
    ]
    return Table("Paper,Data and network,Attack,Recorded,Planned".split(","), rows)


def finding(found: Mapping[str, Counts]) -> str:
    """What the heat map shows, in words, for who does not see it."""
    told = []
    for paper, counts in found.items():
        done, planned = (sum(pair[i] for pair in counts.values()) for i in (0, 1))
        whole = [f"{row} under {attack}" for (row, attack), (some, every) in counts.items() if some == every]
        rows = dict.fromkeys(row for row, _ in counts)
        none = [row for row in rows if not any(some for (name, _), (some, _) in counts.items() if name == row)]
        ends = [f"{word} of {'; '.join(names)}" for word, names in (("all", whole), ("none", none)) if names]
        told.append(f"{paper}: {done} of {planned} cells recorded{', ' if ends else ''}{', and '.join(ends)}.")
    return " ".join(told)


def states_table(store: Store) -> Table:
    """How many records of each paper have which word."""
    words = get_args(equivalence.Word)
    rows = []
    for paper in papers.NAMES:
        counts = Counter(one.word for one in equivalence.states(store, paper).values())
        rows.append([PAPER_NAMES[paper], str(counts.total()), *(str(counts[word]) for word in words)])
    return Table(["Paper", "Records", *(word.capitalize() for word in words)], rows)


def grid_table(store: Store, paper: str) -> Table:
    """Each part of the grid: cells recorded out of those planned, where, for how long, by which commit, and what still holds."""
    known = equivalence.states(store, paper)
    groups: dict[tuple[str, ...], list[tuple[Any, Record | None]]] = {}
    for profile in ("paper", "reduced"):
        for cell in papers.get(paper).grid(profile):
            parts = (profile, DATASET_NAMES[cell.dataset], cell.network, ATTACK_NAMES[cell.attack])
            groups.setdefault(parts, []).append((cell, store.get(cell)))
    rows = []
    for kind, found in groups.items():
        kept = [(cell, record) for cell, record in found if record is not None]
        records = [record for _, record in kept]
        seconds = math.fsum(cost(record) for record in records)
        facts = {
            fact: sorted({str(record.provenance[fact]) for record in records})
            for fact in ("device", "commit", "finished")
        }
        rows.append(
            [
                *kind,
                f"{len(records)} of {len(found)}",
                ", ".join(map(literal, facts["device"])) or "–",
                f"{seconds / 60:.0f} min" if records else "–",
                ", ".join(f"`{commit}`" for commit in facts["commit"]) or "–",
                facts["finished"][-1][:10] if records else "–",
                _told([known[record.key].word for record in records]) or "–",
            ]
        )
    head = "Profile,Data,Network,Attack,Recorded,Device,Time in all,Commit,Latest,By today's code".split(",")
    return Table(head, rows)


def _told(words: Sequence[str]) -> str:
    """How many records have which word, such as "12 equal by the gate, 3 verified"."""
    counts = Counter(words)
    return ", ".join(f"{counts[word]} {word}" for word in get_args(equivalence.Word) if counts[word])


def changed_table(store: Store) -> Table:
    """Which records today's code would not, or perhaps not, give again: their kind, the commits that computed them, and why."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for paper in papers.NAMES:
        known = equivalence.states(store, paper)
        for record in store.all(paper):
            found = known[record.key]
            if found.word not in HOLDS:
                cell = papers.revive(paper, record.config)
                kind = f"{paper}, of older settings" if cell is None else equivalence.kind_of(cell)
                groups.setdefault((kind, found.word, found.why), []).append(record)
    rows = [
        [
            literal(kind),
            word,
            str(len(records)),
            ", ".join(f"`{one}`" for one in sorted({*map(commit_of, records)})),
            literal(why),
        ]
        for (kind, word, why), records in sorted(groups.items())
    ]
    return Table("Kind of cell,By today's code,Records,Commits,Why".split(","), rows or [["none", *["–"] * 4]])


def checks_table(store: Store) -> Table:
    """Every record that was computed again by later code: each measurement then and now, and what the two may differ by."""
    rows = []
    for paper in papers.NAMES:
        cells = {key_of(cell): cell for profile in ("reduced", "paper") for cell in papers.get(paper).grid(profile)}
        for record, check in verification.checks(store, paper):
            commits = [f"`{facts['commit']}`" for facts in (record.provenance, check.provenance)]
            name = label(cells[record.key]) if record.key in cells else record.key
            shown = [one for one in check.comparisons if one.tolerance or not one.agrees]
            others = [one for one in check.comparisons if one not in shown]
            for found in shown:
                numbers = [f"{value:.2f}" for value in (found.recorded, found.now)]
                measured = literal(found.name.replace("_", " "))
                tolerance = "–" if found.tolerance is None else f"{found.tolerance:g}"
                rows.append([name, measured, *numbers, tolerance, found.words, *commits])
            if others:
                same = sum(one.now == one.recorded for one in others)
                rows.append([name, f"{len(others)} others", *["–"] * 3, f"{same} the same", *commits])
    head = "Cell,Measurement,Recorded,Again,May differ by,Outcome,Commit then,Commit now".split(",")
    return Table(head, rows or [[NOT_RUN, *["–"] * (len(head) - 1)]])
