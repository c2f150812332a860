"""Reproduce this number: the command that computes the records behind each part of a chapter anew, and what it took."""

from __future__ import annotations

import math
from collections.abc import Mapping

from experiments.address import parse, resolve
from experiments.costs import cost, duration
from experiments.records import Record, Store
from report.forests import Rows
from report.tables import Table


def commands(store: Store, paper: str, parts: Mapping[str, Rows]) -> Table:
    """A line for each profile, data set and attack that has records: command, where they are shown, how many, their time."""
    groups: dict[tuple[str, str, str], dict[str, Record]] = {}
    shown: dict[tuple[str, str, str], dict[str, None]] = {}
    for title, rows in parts.items():
        for record in _behind(store, paper, rows):
            config = record.config
            kind = config["profile"], config["dataset"], config["attack"]
            groups.setdefault(kind, {})[record.key] = record
            shown.setdefault(kind, {})[title] = None
    lines = []
    for (profile, dataset, attack), found in groups.items():
        command = f"run --paper {paper} --profile {profile} --only dataset={dataset} --only attack={attack}"
        took = duration(math.fsum(map(cost, found.values())))
        lines.append([f"`{command}`", ", ".join(shown[profile, dataset, attack]), str(len(found)), took])
    return Table(["`python -m experiments …`", "Shown in", "Records", "Time in all"], lines or [["–"] * 4])


def _behind(store: Store, paper: str, rows: Rows) -> list[Record]:
    addresses = [address for group in rows.values() for row in group for address in row.ours.values()]
    return [
        record
        for one in addresses
        for part in one.split(" - ")
        for record in resolve(store, parse(part, paper)).records
    ]
