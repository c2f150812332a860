"""A grid is a promise: which cells of a paper are computed, and what each is worth, what buys most for a processor hour first.

A paper's `grid.py` makes pairs, a class of worth and a cell, with `wanted`; its `Grid` puts them in the order of `CLASSES`, seeds
outermost in each, so that an interrupted run leaves whole seeds.

    def tables(profile):
        yield from wanted("published numbers", FGSM(profile=profile), CW(profile=profile), seeds=5)
        yield from wanted("aware attacks", Gradient(profile=profile, attack="aware"), seeds=5, later="more seeds")
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from experiments import papers
from experiments.cell import PROFILES
from experiments.costs import duration
from lib.errors import check_choice

PUBLISHED, CHANGED, NEW, WAITS = "published numbers", "changed settings", "new experiments", "waits for a GPU"
CLASSES = (
    PUBLISHED,  # of the papers' own tables, where a processor can compute them
    "other forms",  # of the same attacks, and victims that answer otherwise: one draw, expectations, PGD
    "aware attacks",  # by who knows that the victim is random, or which score watches it
    CHANGED,  # one that a paper leaves open, or that could explain what it found
    "more seeds",  # of what is no number of the papers, and of victims smaller than theirs
    NEW,  # that bring cells of their own along
    WAITS,  # published numbers that take a processor weeks
)
Pairs = Iterator[tuple[str, Any]]


def settings_of(paper: str) -> dict[str, Any]:
    """What the file `grid.toml` of a paper says of its victims and of what each profile runs, as settings of cells."""
    return tomllib.loads((papers.FOLDER / paper / "grid.toml").read_text(encoding="utf-8"))


def wanted(worth: str, *cells: Any, seeds: int = 1, later: str = "") -> Pairs:
    """The cells for seeds 0 to `seeds` - 1 with what they are worth, those after the first `later`; `smoke` has seed 0 alone.

    Raises:
        BadValue: an unknown class.
    """
    classes = [check_choice("worth", name, CLASSES) for name in (worth, later or worth)]
    for cell in cells:
        for seed in range(1 if cell.profile == "smoke" else seeds):
            yield classes[seed > 0], replace(cell, seed=seed)


def ordered(pairs: Iterable[tuple[str, Any]]) -> dict[Any, str]:
    """Each cell with its worth, the most wanted first; of a cell that is wanted twice, the first reason counts."""
    found: dict[Any, str] = {}
    for worth, cell in pairs:
        found.setdefault(cell, worth)
    return dict(sorted(found.items(), key=lambda pair: (CLASSES.index(pair[1]), pair[0].seed)))


@dataclass(frozen=True)
class Grid:
    """The cells of one paper, by profile; each of its methods raises `BadValue` for an unknown one."""

    paper: str
    tables: Callable[[str], Pairs]  # one cell a row and seed
    others: Callable[[str], Pairs]  # each with a setting changed
    kept: Callable[[Any], bool] = lambda cell: True  # whether its profile has a cell
    heavy: Callable[[Any], bool] = lambda cell: False  # takes a processor weeks: promised only as a published number

    def promised(self, profile: str) -> dict[Any, str]:
        """Every cell with what it is worth, the most wanted first."""
        pairs = [pair for part in (self.tables, self.others) for pair in self._kept(part, profile)]
        return ordered([*pairs, *((NEW, cell) for cell in papers.added(self.paper, profile))])

    def cells(self, profile: str) -> list[Any]:
        """Every cell, the most wanted first."""
        return list(self.promised(profile))

    def main(self, profile: str) -> list[Any]:
        """The cells behind the tables, the most wanted first."""
        return self.only(self.tables, profile)

    def only(self, part: Callable[[str], Pairs], profile: str) -> list[Any]:
        """The cells of a part of the grid, the most wanted first."""
        return list(ordered(self._kept(part, profile)))

    def _kept(self, part: Callable[[str], Pairs], profile: str) -> Pairs:
        for worth, cell in part(check_choice("profile", profile, PROFILES)):
            if self.kept(cell) and (worth == PUBLISHED or not self.heavy(cell)):
                yield WAITS if self.heavy(cell) else worth, cell


def worth(cells: Iterable[Any]) -> dict[Any, str]:
    """The worth of each cell, the most wanted first; one that is in no grid has some setting changed."""
    cells = list(cells)
    grids = dict.fromkeys((cell.paper, cell.profile) for cell in cells)
    known = {cell: worth for paper, profile in grids for cell, worth in papers.get(paper).promised(profile).items()}
    return ordered((known.get(cell, CHANGED), cell) for cell in cells)


def sums(prices: Mapping[Any, float | None], names: Mapping[Any, str]) -> list[str]:
    """A line for each name that cells have: how many cells, what they take in all, and how many have no price."""
    groups: dict[str, list[float | None]] = {}
    for cell, price in prices.items():
        groups.setdefault(names[cell], []).append(price)
    lines = []
    for name, found in groups.items():
        known = [price for price in found if price is not None]
        told = duration(sum(known) if known else None)
        lines.append(f"{name:<18} {len(found):>5} cells {told:>9} {len(found) - len(known):>5} without a price")
    return lines
