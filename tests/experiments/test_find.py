"""One question to the grid: rows by their settings, one cell a seed, and what is unknown is refused at once."""

from __future__ import annotations

from typing import Any

import pytest
from facts import FACTS
from hypothesis import given
from hypothesis import strategies as st

from experiments import papers
from experiments.address import declared, parse, readings, sources
from experiments.cell import PROFILES
from experiments.find import find, row
from experiments.records import Result, Store, settings
from lib.errors import BadValue

GRIDS = [(paper, profile) for paper in papers.NAMES for profile in PROFILES]
PLAIN: dict[str, Any] = {"dataset": "mnist", "network": "basic_cnn", "estimator": "none"}


@pytest.mark.parametrize(("paper", "profile"), GRIDS)
@given(data=st.data())
def test_a_cell_is_found_by_all_of_its_settings_with_those_of_other_seeds(
    paper: str, profile: str, data: st.DataObject
) -> None:
    cell = data.draw(st.sampled_from(papers.get(paper).grid(profile)))
    shared = {name: value for name, value in settings(cell).items() if name not in cell.of_seed}
    found = (
        row(paper, profile, **shared, dataset=cell.dataset)
        if "dataset" not in shared
        else row(paper, profile, **shared)
    )
    assert cell in found
    assert [one.seed for one in found] == sorted({one.seed for one in found})
    for one in found:
        assert {name: settings(one)[name] for name in shared} == shared


@pytest.mark.parametrize(("paper", "profile"), GRIDS)
def test_the_rows_behind_the_tables_come_first(paper: str, profile: str) -> None:
    main = papers.get(paper).main(profile)
    assert row(paper, profile)[0] == main[0]  # nothing named
    for named in {(cell.dataset, cell.network, cell.attack) for cell in main}:
        assert set(row(paper, profile, **dict(zip(("dataset", "network", "attack"), named, strict=True)))) <= set(main)


def test_what_is_left_open_is_as_in_the_first_row_that_has_the_rest() -> None:
    assert {cell.steps for cell in row("harakeh", "paper", **PLAIN, attack="pgd", steps=20)} == {20}
    usual = row("galinkin", "paper", dataset="mnist", network="lenet5", bayesian=False, attack="membership")
    assert {(cell.shadow, cell.patience) for cell in usual} == {("disjoint", 2)}


def test_records_come_one_a_seed_in_the_order_of_seeds(store: Store) -> None:
    cells = row("harakeh", "paper", **PLAIN, attack="fgsm")
    for cell in (cells[2], cells[0]):
        store.put(cell, Result({"accuracy": 90.0 + cell.seed}, {}), FACTS)
    found = find(store, "harakeh", "paper", **PLAIN, attack="fgsm")
    assert [record.measurements["accuracy"] for record in found] == [90.0, 92.0]
    assert find(store, "harakeh", "paper", **PLAIN, attack="cw") == []
    assert find(store, "harakeh", "paper", **{**PLAIN, "dataset": "cifar10"}) == []  # both are known, not together


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"colour": "red"}, "colour: unknown setting, no cell of harakeh has it"),
        ({"attack": "fgms"}, r"attack='fgms': no cell of harakeh has that; expected one of aware, black_box, cw"),
        ({"steps": 3.5}, r"steps=3.5: no cell of harakeh has that"),
        ({"work": 1}, "work: unknown setting"),
    ],
)
def test_what_no_cell_has_is_refused_at_once(store: Store, wanted: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue, match=f"^{told}"):
        find(store, "harakeh", "paper", **wanted)


def test_an_unknown_paper_or_profile_is_refused(store: Store) -> None:
    with pytest.raises(BadValue, match="unknown 'madry'"):
        find(store, "madry", "paper")
    with pytest.raises(BadValue, match=r"^profile: unknown 'huge'"):
        find(store, "harakeh", "huge")


@pytest.mark.parametrize("paper", papers.NAMES)
def test_readings_are_declared_once_and_the_texts_is_judged(paper: str) -> None:
    names = [one.name for one in declared(paper).READINGS]
    assert len(names) == len(set(names)) and readings(paper)[0].name == "text"
    assert not {"paper", "derived", *papers.NAMES} & set(names)  # which addresses call something else


def test_settings_in_an_address_replace_those_of_the_reading() -> None:
    ((source,),) = sources(parse("harakeh:text:mnist/cw/epistemic/fooling_rate?form=one_draw"))
    assert source.settings["form"] == "one_draw" and source.measurement == "fooling_rate"
    ((source,),) = sources(parse("harakeh:one_draw:mnist/cw/epistemic?l2"))
    assert source.settings["form"] == "one_draw" and source.measurement == "l2"
