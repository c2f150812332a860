"""What the chapters' sentences quote: means by hand, and names and words for every number and claim."""

from __future__ import annotations

from typing import Any

import pytest

from experiments import claims, papers, published
from experiments.records import Record, Result, Store
from experiments.results import READINGS
from report.prose import dashed, mean, percent, readings


def record(**measurements: float) -> Record:
    return Record("0" * 12, {}, measurements, {}, {})


@pytest.mark.parametrize(("value", "text"), [(None, "not run"), (0.0, "0.0 %"), (99.95, "100.0 %"), (12.34, "12.3 %")])
def test_a_percentage_has_one_decimal(value: float | None, text: str) -> None:
    assert percent(value) == text


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ([], "not run"),
        ([record(other=1.0)], "not run"),
        ([record(queries=1000.0), record(queries=2001.0)], "1,500"),
        ([record(queries=1000.0), record(other=7.0)], "1,000"),  # a record without the measurement does not count
    ],
)
def test_a_mean_is_over_the_records_that_have_the_measurement(records: list[Record], text: str) -> None:
    assert mean(records, "queries", formats={"queries": ",.0f"}) == text


def test_what_has_no_format_is_a_percentage() -> None:
    assert mean([record(success=25.0), record(success=26.0)], "success", formats={"queries": ",.0f"}) == "25.5 %"


@pytest.mark.parametrize("paper", papers.NAMES)
def test_every_printed_number_and_every_claim_has_a_text(paper: str, store: Store) -> None:
    text = readings(store, paper, READINGS[paper])
    names, ids = list(published.load(paper)), [claim.id for claim in claims.load(paper)]
    assert {text[f"{one.name}-{dashed(name)}"] for one in READINGS[paper] for name in names} == {"not run"}
    assert all(
        text[f"{one.name}-verdict-{id_}"] in ("not run", "not testable as written")
        for one in READINGS[paper]
        for id_ in ids
    )
    assert all(text[f"paper-{dashed(name)}"].endswith(" %") for name in names)


def test_a_recorded_number_is_quoted(store: Store) -> None:
    cells: list[Any] = [
        cell
        for cell in papers.get("harakeh").main("paper")
        if (cell.dataset, cell.network, cell.estimator, cell.attack) == ("mnist", "basic_cnn", "none", "fgsm")
    ]
    for cell, accuracy in zip(cells, (10.0, 13.0), strict=False):
        store.put(
            cell, Result({"accuracy": 99.0, "adversarial_accuracy": accuracy, "test_points": 1e4}, {}), {"seconds": 1.0}
        )
    text = readings(store, "harakeh", READINGS["harakeh"])
    assert (
        text["text-mnist-fgsm-none-adversarial-accuracy"] == "11.5 %"
        and text["text-mnist-fgsm-none-accuracy"] == "99.0 %"
    )
