"""What was measured for each of Galinkin's published numbers, under each reading of what he did.

A published id is `<data set>/<network>/<plain or bayesian>/<quantity>` in Table 1; Tables 2 and 3 average it over the networks
(`mnist/bayesian/membership`) or over all four victims of a data set (`mnist/boundary`), and so do we, seed by seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from statistics import fmean
from typing import Any

from experiments.papers import galinkin
from experiments.papers.galinkin import Cell, Evasion, Membership, Scan
from experiments.records import Record, Store
from experiments.results_reading import Reading

READINGS = (
    Reading("text", "as written", "paper"),
    Reading("coded", "as coded", "paper"),
    Reading("naive", "within a limit, naive", "paper"),
    Reading("aware", "within a limit, aware of noise", "paper"),
    Reading("reduced", "as written, ResNet-18 attacked at `reduced`", "reduced"),
    Reading("coded_reduced", "as coded, ResNet-18 attacked at `reduced`", "reduced"),
)
LIMITED = ("naive", "aware")  # readings of what succeeds within a limit on the change
ATTACKS = ("hop_skip_jump", "boundary")
NETWORKS = ("lenet5", "resnet18")
VICTIMS = ("plain", "bayesian")
Row = tuple[str, str, str, str]  # data set, network, plain or bayesian, quantity


def rows_of(published_id: str) -> list[Row]:
    """The rows of Table 1 that a published number is the mean of: one, or those of several victims."""
    dataset, *middle, quantity = published_id.split("/")
    networks = [middle[0]] if len(middle) == 2 else NETWORKS
    victims = [middle[-1]] if middle else VICTIMS
    return [(dataset, network, victim, quantity) for network, victim in product(networks, victims)]


def values_of(store: Store, one: Reading, published_id: str) -> list[tuple[int, float, int]]:
    """Seed, value in percent and test points of every seed that has all the rows behind a published number."""
    by_row = [
        {record.config["seed"]: (record.measurements, name) for record, name in sources(store, one, row)}
        for row in rows_of(published_id)
    ]
    seeds = sorted(set.intersection(*(set(found) for found in by_row)))
    found = []
    for seed in seeds:
        cells = [by_seed[seed] for by_seed in by_row]
        points = sum(int(measurements["test_points"]) for measurements, _ in cells)
        if published_id.endswith("accuracy"):
            points = 10_000
        found.append((seed, fmean(measurements[name] for measurements, name in cells), points))
    return found


def sources(store: Store, one: Reading, row: Row) -> list[tuple[Record, str]]:
    """The records, one a seed, that measure a row of Table 1 under a reading, each with the name of its measurement."""
    quantity = row[3]
    coded, limited = one.name.startswith("coded"), one.name in LIMITED
    answers = "mean" if row[2] == "bayesian" and not coded else "off"
    if quantity == "membership":
        if limited:
            return []  # no limit applies: "as written" is it
        adversary, features = ("as_coded", "unsorted") if coded else ("salem", "top3")
        found = records(store, one, row, Membership, adversary=adversary, features=features, answers=answers)
        return _with("membership_as_coded" if coded else "membership", found)
    attack = quantity if quantity in ATTACKS else "hop_skip_jump"
    if coded:
        found = records(store, one, row, Scan, attack=f"{attack}_scan", scale="raw")
        if quantity == "accuracy" and not found:  # the same network, as membership inference has it
            found = records(store, one, row, Membership, adversary="as_coded", answers="off")
    else:
        aware = row[2] == "bayesian" and one.name == "aware"
        found = records(store, one, row, Evasion, attack=attack, answers=answers, aware=aware)
    return _with("accuracy" if quantity == "accuracy" else "success_within" if limited else "success", found)


def _with(name: str, found: list[Record]) -> list[tuple[Record, str]]:
    return [(record, name) for record in found]


def records(store: Store, one: Reading, row: Row, kind: type[Cell], **settings: Any) -> list[Record]:
    """The records of the main cells of one kind on the victim of a row that have these settings, one a seed.

    LeNet-5 and membership can be had at the paper's scale everywhere: a reading of `reduced` takes them from there.
    """
    profile = "paper" if row[1] == "lenet5" or kind is Membership else one.profile
    cells = by_victim(galinkin.main, profile).get((*row[:3], kind), [])
    chosen = [cell for cell in cells if all(getattr(cell, name) == value for name, value in settings.items())]
    return [record for cell in chosen if (record := store.get(cell)) is not None]


@cache
def by_victim(part: Callable[[str], list[Cell]], profile: str) -> dict[tuple[Any, ...], list[Cell]]:
    """The cells of a part of the grid, `galinkin.main` or all of `galinkin.grid`, by victim and kind.

    A victim is its data set, its network, and plain or bayesian.
    """
    found: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in part(profile):
        victim = "bayesian" if cell.bayesian else "plain"
        found.setdefault((cell.dataset, cell.network, victim, type(cell)), []).append(cell)
    return found
