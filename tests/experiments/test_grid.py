"""A grid is a promise: what every cell is worth, in which order cells come, and what is told of their hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import papers
from experiments.grid import CHANGED, CLASSES, NEW, PUBLISHED, WAITS, Grid, ordered, sums, wanted, worth
from experiments.papers.galinkin import Membership
from experiments.papers.harakeh import CW, FGSM
from lib.errors import BadValue

GRIDS = [(paper, profile) for paper in papers.NAMES for profile in ("smoke", "reduced", "paper")]
PAIRS = st.lists(st.tuples(st.sampled_from(CLASSES), st.builds(FGSM, seed=st.integers(0, 4), epochs=st.integers(1, 3))))


@pytest.mark.parametrize(("paper", "profile"), GRIDS)
def test_every_cell_has_a_worth_and_the_grid_its_order(paper: str, profile: str) -> None:
    promised = papers.get(paper).promised(profile)
    assert list(promised) == papers.get(paper).grid(profile)
    order = [(CLASSES.index(one), cell.seed) for cell, one in promised.items()]
    assert order == sorted(order) and (NEW in promised.values()) <= (paper not in papers.REPLICATED)
    assert worth(reversed(promised)) == promised


def test_what_waits_for_a_gpu_are_published_numbers() -> None:
    """A ResNet-18 under attack at full size, and Song's victims but for the faces; nothing that no claim is judged under.

    Of a study of our own nothing is published, and all of its own scale waits.
    """
    waits = {
        (paper, cell.network)
        for paper, profile in GRIDS
        for cell, one in papers.get(paper).promised(profile).items()
        if one == WAITS and paper in papers.REPLICATED
    }
    assert waits == {("galinkin", "resnet18"), ("song", "fashion_cnn"), ("song", "wide_resnet")}
    for cell, one in papers.get("galinkin").promised("paper").items():
        if cell.network == "resnet18" and not isinstance(cell, Membership):
            assert one == WAITS and (cell.stop_on == "test" or cell.answers == ("mean" if cell.bayesian else "off"))


@given(PAIRS)
def test_order_is_by_worth_then_seed_then_as_written_and_the_first_reason_counts(pairs: list[tuple[str, Any]]) -> None:
    found = ordered(pairs)
    first = {cell: worth for worth, cell in reversed(pairs)}
    written = list(dict.fromkeys(cell for _, cell in pairs))
    assert found == first
    assert list(found) == sorted(found, key=lambda cell: (CLASSES.index(first[cell]), cell.seed, written.index(cell)))


def test_seeds_after_the_first_can_be_worth_less() -> None:
    found = list(wanted(PUBLISHED, FGSM(), CW(), seeds=3, later="more seeds"))
    assert found == [
        (PUBLISHED if seed == 0 else "more seeds", kind(seed=seed)) for kind in (FGSM, CW) for seed in range(3)
    ]
    assert [one for one, _ in wanted(CHANGED, FGSM(), seeds=2)] == [CHANGED] * 2
    smoke = FGSM(profile="smoke")
    assert list(wanted(PUBLISHED, smoke, seeds=5)) == [(PUBLISHED, smoke)]
    with pytest.raises(BadValue, match=r"^worth: unknown 'priceless'; expected one of published numbers, "):
        list(wanted("priceless", FGSM()))


def test_heavy_cells_wait_and_are_promised_only_as_published() -> None:
    def tables(profile: str) -> Iterator[tuple[str, Any]]:
        yield from wanted(PUBLISHED, FGSM(epochs=1), FGSM(epochs=9), FGSM(epochs=2), seeds=2)
        yield from wanted("aware attacks", FGSM(epochs=8))

    grid = Grid(
        "harakeh", tables, lambda _: wanted(CHANGED, FGSM(epochs=3)), lambda c: c.epochs != 2, lambda c: c.epochs > 5
    )
    assert [(cell.epochs, cell.seed) for cell in grid.cells("paper")] == [(1, 0), (1, 1), (3, 0), (9, 0), (9, 1)]
    assert list(grid.promised("paper").values()) == [PUBLISHED, PUBLISHED, CHANGED, WAITS, WAITS]
    assert grid.main("paper") == [cell for cell in grid.cells("paper") if cell.epochs != 3]
    with pytest.raises(BadValue, match=r"^profile: unknown 'huge'"):
        grid.cells("huge")


def test_a_cell_of_no_grid_has_a_setting_changed() -> None:
    cell = papers.get("harakeh").grid("paper")[0]
    assert worth([replace(cell, epochs=99), cell]) == {cell: PUBLISHED, replace(cell, epochs=99): CHANGED}


def test_hours_are_summed_by_name() -> None:
    cells = [FGSM(seed=seed) for seed in range(5)]
    prices = dict(zip(cells, (3600.0, None, 36_000.0, 36_000.0, None), strict=True))
    names = dict(zip(cells, ("one", "one", "two", "two", "three"), strict=True))
    assert [line.split(maxsplit=1) for line in sums(prices, names)] == [
        ["one", "2 cells     1.0 h     1 without a price"],
        ["two", "2 cells    20.0 h     0 without a price"],
        ["three", "1 cells  no price     1 without a price"],
    ]
    assert sums({}, {}) == []
