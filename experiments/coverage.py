"""How much of what the papers printed has a counterpart of ours, at which scale and on how many seeds."""

from collections import Counter
from typing import Final, NamedTuple

from experiments import papers, published
from experiments.address import VERDICT, reading, readings
from experiments.judging import measured
from experiments.records import Store

AS_WRITTEN: Final = ("as written, 5 seeds or more", "as written, 3 or 4", "as written, 1 or 2")
COLUMNS: Final = (*AS_WRITTEN, "read otherwise only", "reduced only", "not run")  # the first four at the paper's scale


class Row(NamedTuple):
    """The numbers of one table, data set and network."""

    paper: str
    location: str
    words: tuple[str, ...]  # its data set, its network, where ids name them
    counts: Counter[str]  # by column


def rows(store: Store) -> list[Row]:
    """One row a table, data set and network, in the order of the tables."""
    found: dict[tuple[str, str, tuple[str, ...]], Counter[str]] = {}
    for paper in papers.NAMES:
        known = {name for cell in papers.get(paper).grid("paper") for name in (cell.dataset, cell.network)}
        columns = _columns(store, paper)
        for name, number in published.load(paper).items():
            words = tuple(word for word in name.split("/") if word in known)
            found.setdefault((paper, number.location, words), Counter())[columns[name]] += 1
    return [Row(*key, counts) for key, counts in found.items()]


def totals(store: Store) -> Counter[str]:
    """The published numbers of all papers, by column."""
    return sum((row.counts for row in rows(store)), Counter[str]())


def _columns(store: Store, paper: str) -> dict[str, str]:
    """The column of each published number of a paper."""
    columns = dict.fromkeys(published.load(paper), "not run")
    judged = [one for one in readings(paper) if one.name != VERDICT]
    for one in (one for one in judged if one.profiles != ("paper",)):
        columns |= dict.fromkeys(measured(store, paper, one), "reduced only")
    for one in (one for one in judged if one.profiles == ("paper",)):
        columns |= dict.fromkeys(measured(store, paper, one), "read otherwise only")
    for name, found in measured(store, paper, reading(paper)).items():
        columns[name] = AS_WRITTEN[0 if len(found.seeds) >= 5 else 1 if len(found.seeds) >= 3 else 2]
    return columns


def told(store: Store) -> list[str]:
    """The table as lines of text, with a line for all."""
    found = [*rows(store), Row("all", "", (), totals(store))]
    names = [" ".join(filter(None, (row.paper, row.location, *row.words))) for row in found]
    width = max(map(len, names))
    head = " " * (width + 2) + "  ".join(["numbers", *COLUMNS])
    lines = [
        f"{name:<{width}}  {row.counts.total():>7}  " + "  ".join(f"{row.counts[one]:>{len(one)}}" for one in COLUMNS)
        for name, row in zip(names, found, strict=True)
    ]
    return [head, *lines]
