"""Tables, figures and prices from made-up records: every expected number is computed by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from facts import FACTS, facts

from experiments import claims, costs, papers, published
from experiments.address import parse, resolve
from experiments.contrasts import Measured
from experiments.find import row as cells_of
from experiments.papers import harakeh
from experiments.papers.harakeh.fgsm import FGSM
from experiments.records import Record, Result, Store, key_of
from experiments.rules import Part
from experiments.verdicts import judge
from lib.errors import BadValue
from lib.uncertainty import ESTIMATORS
from report import benchmark_page, claims_page, numbers, site, status_page
from report.figures import curves as figures
from report.figures import forest
from report.figures.images import image_rows
from report.numbers import NOT_RUN
from report.papers import harakeh as pages
from report.papers import harakeh_tables as shown
from report.prose import quote, verdicts
from report.tables import Table, interval_at, panels_at

PRINTED = published.load("harakeh")
CLOSE = claims.tolerances("harakeh")
ROWS = [name for name in PRINTED if "/fgsm/" in name]


def cells(profile: str = "paper", **wanted: Any) -> list[FGSM]:
    """The cells of the FGSM rows that are as wanted."""
    rows = [cell for cell in harakeh.main(profile) if isinstance(cell, FGSM) and cell.estimator in ESTIMATORS]
    found = [cell for cell in rows if all(getattr(cell, name) == wanted[name] for name in wanted)]
    assert found, wanted
    return found


def put(store: Store, cell: FGSM, accuracy: float = 99.0, attacked: float = 10.0, **changes: Any) -> Record:
    """A made-up record of `cell`; `changes` are measurements, facts of its provenance, or `curve`."""
    known = facts(seconds=90.0, device="A chip")
    curve = changes.pop("curve", [accuracy - 2 * i for i in range(len(cell.curve_epsilons))])
    measurements = {
        "accuracy": accuracy,
        "adversarial_accuracy": attacked,
        "test_points": 10_000.0,
        "training_seconds": 60.0,
        "attack_seconds": 30.0,
        **{name: value for name, value in changes.items() if name not in known},
    }
    known |= {name: value for name, value in changes.items() if name in known}
    return store.put(cell, Result(measurements, {"epsilon": list(cell.curve_epsilons), "accuracy": curve}), known)


def put_seeds(store: Store, accuracies: Sequence[float], *, profile: str = "paper", **wanted: Any) -> None:
    for cell, accuracy in zip(cells(profile, **wanted), accuracies, strict=False):
        put(store, cell, accuracy)


def in_markdown(table: Table) -> list[list[str]]:
    """The head and rows that a Markdown parser sees."""
    lines = table.plain().splitlines()
    split = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    found = [[cell.strip().replace("\\|", "|") for cell in line] for line in split]
    assert set(found.pop(1)) == {"---"}
    return found


def in_csv(table: Table) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table.csv())))


def every_table(store: Store) -> dict[str, Table]:
    return {
        "answer": forest.data(pages.ANSWER, forest.lines(store, "harakeh", pages.ANSWER)),
        "claims": claims_page.claims_table(store, "harakeh"),
        "grid": status_page.grid_table(store),
        "curves": figures.data(panels_at(store, "harakeh", pages.CURVE.lines), pages.CURVE),
    }


# --- one number ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [-1, 1], ids=["below", "above"])
@pytest.mark.parametrize("name", ROWS)
def test_close_includes_the_end_of_the_tolerance(store: Store, name: str, side: int) -> None:
    """Two seeds that differ by 0.02 have an interval of 12.706 * 0.01 to either side of their mean."""
    at_end = PRINTED[name].value + side * (CLOSE[name] - 0.12706204736)
    for value, ticked in ((at_end, True), (at_end + side * 0.01, False)):
        if value <= 99.99:
            pair = Measured((value - 0.01, value + 0.01), (0, 1), 10_000)
            found = judge(Part(name, "value", ((name,),), CLOSE[name]), {name: pair}, PRINTED)
            assert (found.word == "replicated") == ticked


@pytest.mark.parametrize(
    "changes", [{"width": 32}, {"version": 2}, {"epochs": 1}, {"draws": 3}, {"precision": "float32"}]
)
def test_a_changed_cell_enters_no_table(store: Store, changes: dict[str, Any]) -> None:
    empty = {name: table.rows for name, table in every_table(store).items()}
    put(store, replace(cells(dataset="mnist", network="basic_cnn")[0], **changes))
    assert {name: table.rows for name, table in every_table(store).items()} == empty


def test_smoke_records_enter_no_table(store: Store) -> None:
    put(store, cells(dataset="mnist", network="basic_cnn", estimator="none")[0])
    before, counts = every_table(store), verdicts(store, "harakeh")
    for cell in cells("smoke"):
        put(store, cell, 12.34, 56.78)
    # And one that claims to be of the smoke profile but is of the real data.
    put(store, FGSM(profile="smoke"), 12.34, 56.78)
    assert {name: table.rows for name, table in every_table(store).items()} == {n: t.rows for n, t in before.items()}
    assert verdicts(store, "harakeh") == counts
    assert not any("12.34" in cell for table in before.values() for row in table.rows for cell in row)


# --- Markdown and CSV ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["answer", "claims", "grid", "curves"])
def test_markdown_and_csv_hold_the_same_cells(store: Store, name: str) -> None:
    for profile in ("paper", "reduced"):
        for cell in cells(profile):
            put(store, cell, 90.0 + cell.seed)
    table = every_table(store)[name]
    assert table.rows
    lines = [list(table.head), *map(list, table.rows)]
    assert in_markdown(table) == lines
    assert in_csv(table) == [[cell.replace("**", "").replace("`", "") for cell in line] for line in lines]


def test_csv_has_no_marks_of_markdown() -> None:
    assert Table(["Ours: `reduced`"], [["**replicated**: 5 × 3"]]).csv() == "Ours: reduced\nreplicated: 5 × 3\n"


def test_a_caption_may_not_end_its_fence() -> None:
    with pytest.raises(BadValue, match="caption of table-x: expected no backtick"):
        Table(["a"], [["1"]]).markdown(name="table-x", caption="What `a` is")


def test_a_cell_may_hold_anything() -> None:
    table = Table(["a", "b"], [["1 | 2", 'say "x", y'], ["", "“é”"]])
    assert in_markdown(table) == in_csv(table)


def test_a_tables_markdown_is_numbered_and_captioned() -> None:
    text = Table(["a"], [["1"]]).markdown(name="table-x", caption="What a is")
    assert text.splitlines() == ["```{table} What a is", ":name: table-x", "", "| a |", "| --- |", "| 1 |", "```"]


# --- curves and figures -------------------------------------------------------------------------------------------------


@pytest.fixture
def curves(store: Store) -> Store:
    """MNIST with three seeds of each estimator, CIFAR-10 with one seed of two."""
    for cell in cells(dataset="mnist", network="basic_cnn"):
        if cell.seed < 3:
            put(store, cell, curve=[90.0 + cell.seed - 10 * i for i in range(7)])
    for cell in cells(dataset="cifar10", network="fully_convolutional", seed=0):
        if cell.estimator != "aleatoric":
            put(store, cell)
    return store


def test_rows_of_images_share_one_scale() -> None:
    images = torch.linspace(0, 1, 2 * 16).reshape(2, 1, 4, 4)
    made = image_rows({"clean": images, "none": images * 0, "epistemic": 1 - images})
    plt.close(made)
    labels = [axis.get_ylabel() for axis in made.axes if axis.get_ylabel()]
    assert labels == ["clean", "none", "epistemic"]
    shown = [axis.images[0] for axis in made.axes]
    assert len(shown) == 6 and all(image.get_clim() == (0, 1) for image in shown)  # one scale, or nothing compares
    np.testing.assert_allclose(np.asarray(shown[5].get_array()).squeeze(), (1 - images)[1, 0].numpy())


def test_the_pages_can_be_made_before_anything_is_recorded(store: Store, tmp_path: Path) -> None:
    site.write_pages(store, tmp_path / "generated")
    names = {path.name for path in (tmp_path / "generated").iterdir()}
    shown = ("words", "corrections", "states", "costs", "missing", *benchmark_page.PAGES)
    made = {f"{name}.{kind}" for name in (*shown, *(f"{one}-claims" for one in papers.NAMES)) for kind in ("md", "csv")}
    made |= {f"{name}.csv" for name in ("changed", "checks", "coverage", "grid")} | {"recorded.md"}
    made |= {f"benchmark-{cost}.{kind}" for cost in benchmark_page.COSTS for kind in ("md", "svg")}
    drawn = {f"{name}.svg" for name in ("coverage", "example", "first", "recorded")}
    assert names == made | drawn | {"example.csv", "first.csv"}


def test_the_pages_leave_no_figure_open(curves: Store, tmp_path: Path) -> None:
    before = plt.get_fignums()
    site.write_pages(curves, tmp_path)
    left = [number for number in plt.get_fignums() if number not in before]
    for number in left:
        plt.close(number)
    assert not left


# --- what the prose quotes ----------------------------------------------------------------------------------------------


def test_the_prose_quotes_records_or_says_not_run(store: Store) -> None:
    wanted: dict[str, Any] = {"dataset": "mnist", "network": "basic_cnn_tutorial", "estimator": "aleatoric"}
    for cell, attacked in zip(cells(**wanted), (8.0, 9.0, 10.6), strict=False):
        put(store, cell, 99.25, attacked, sigma=0.5 + cell.seed, adversarial_sigma=2.0, unmoved=4.04)
    text = {
        address: quote(store, address, "harakeh")
        for part in ("/accuracy", "/adversarial_accuracy", "?unmoved", "?sigma", "?adversarial_sigma")
        for address in [f"tutorial:mnist/fgsm/aleatoric{part}"]
    }
    assert list(text.values()) == ["99.2 %", "9.2 %", "4.0 %", "1.500", "2.000"]  # 9.2: 27.6 / 3
    assert quote(store, "tutorial:mnist-accuracy-aleatoric", "harakeh") == "replicated"
    assert quote(store, "text:mnist/fgsm/aleatoric/accuracy", "harakeh") == "not run"
    assert quote(store, "tutorial:mnist/fgsm/none/accuracy", "harakeh") == "not run"


# --- costs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("training", "attack", "seconds", "expected"),
    [
        (100.0, 20.0, 21.0, 120.0),  # the network came from the cache: its training counts all the same
        (100.0, 20.0, 125.5, 125.5),  # with what else the cell did, such as reading its data
    ],
)
def test_a_cell_costs_what_it_takes_from_nothing(
    store: Store, training: float, attack: float, seconds: float, expected: float
) -> None:
    record = put(store, cells()[0], training_seconds=training, attack_seconds=attack, seconds=seconds)
    assert costs.cost(record) == expected


def test_a_record_without_parts_costs_its_seconds(store: Store) -> None:
    record = store.put(cells()[0], Result({"accuracy": 1.0}, {}), facts(seconds=7.0))
    assert costs.cost(record) == 7.0


def test_prices_scale_with_the_work(store: Store) -> None:
    none, *_ = cells(dataset="mnist", network="basic_cnn", estimator="none")
    epistemic, *_ = cells(dataset="mnist", network="basic_cnn", estimator="epistemic")
    # 6 epochs of 60,000 images three times, then 5 passes over 10,000 and 4 + 7 over 1,000; ten draws for the epistemic.
    assert none.work() == 1_080_000 + 61_000
    assert epistemic.work() == 1_080_000 + 610_000
    put(store, none, training_seconds=1000.0, attack_seconds=141.0, seconds=150.0)
    price = costs.Prices("harakeh", store.all("harakeh"))
    assert price(none) == pytest.approx(1141)
    assert price(replace(none, seed=4)) == pytest.approx(1141)
    assert price(replace(none, epochs=12)) == pytest.approx(2221)
    assert price(epistemic) == pytest.approx(1690)  # for want of a better record, by that of the same network
    put(store, epistemic, training_seconds=1000.0, attack_seconds=4070.0, seconds=150.0)
    price = costs.Prices("harakeh", store.all("harakeh"))
    assert price(replace(epistemic, seed=1)) == pytest.approx(5070)
    assert price(none) == pytest.approx(1141)


def test_a_price_is_the_median_of_the_records(store: Store) -> None:
    found = cells(dataset="mnist", network="basic_cnn", estimator="none")
    for cell, attack in zip(found, (10.0, 20.0, 9999.0), strict=False):
        put(store, cell, training_seconds=100.0, attack_seconds=attack)
    assert costs.Prices("harakeh", store.all("harakeh"))(found[4]) == pytest.approx(120)


def test_there_is_no_price_without_a_record_of_the_network(store: Store) -> None:
    put(store, cells(dataset="mnist", network="basic_cnn")[0])
    price = costs.Prices("harakeh", store.all("harakeh"))
    assert price(cells(dataset="mnist", network="basic_cnn_tutorial")[0]) is None
    assert price(cells(dataset="cifar10", network="fully_convolutional")[0]) is None
    assert price(cells("reduced", dataset="mnist")[0]) is None  # a quarter of the width is another network
    assert costs.Prices("harakeh", [])(cells()[0]) is None


def test_records_of_an_older_experiment_price_nothing(store: Store) -> None:
    cell = cells()[0]
    record = put(store, cell)
    older = replace(record, config={name: value for name, value in record.config.items() if name != "draws"})
    assert costs.Prices("harakeh", [older])(cell) is None


def test_records_price_after_their_way_through_json(store: Store) -> None:
    cell = cells()[0]
    record = put(store, cell, training_seconds=50.0, attack_seconds=50.0)
    read = Record(**json.loads(json.dumps(vars(record))))
    assert isinstance(read.config["curve_epsilons"], list)
    assert costs.Prices("harakeh", [read])(cell) == pytest.approx(100)


# --- the other rows, and what lies beyond them --------------------------------------------------------------------------


def put_row(
    store: Store, measurements: dict[str, float], *, profile: str = "paper", seeds: int = 2, **row: Any
) -> None:
    """Made-up records of one row of the grid; each seed adds 1 to every percentage."""
    for cell in cells_of("harakeh", profile, **row)[:seeds]:
        values = {name: value + cell.seed for name, value in measurements.items()}
        store.put(cell, Result({**values, "test_points": 1000.0}, {}), FACTS)


TEXT, DENSE = ({"dataset": "mnist", "network": network} for network in ("basic_cnn", "fully_connected"))


def test_the_tables_beyond_his_say_not_run_or_quote_the_records(store: Store) -> None:
    for make in (shown.detection_table, shown.deviations_table):
        texts = {text for row in make(store).rows for text in row[-1:]}
        assert texts == {NOT_RUN}, make
    pgd = {"attack": "pgd", "form": "mean", "steps": 20}
    put_row(store, {"adversarial_accuracy": 7.0, "auroc_entropy": 80.0}, **DENSE, estimator="epistemic", **pgd)
    put_row(store, {"auroc_entropy": 80.0}, seeds=1, **DENSE, estimator="none", attack="cw", form="mean")
    rows = {tuple(row[:2]): row[2:] for row in shown.detection_table(store).rows}
    assert rows["plain", "entropy"] == [NOT_RUN, NOT_RUN, "80.0, one seed", NOT_RUN, NOT_RUN]
    assert (
        rows["epistemic (dropout)", "entropy"][1] == "80.5 [74.1, 86.9] ×2"
    )  # 12.706 s / sqrt(2) with s = 1 / sqrt(2)


def test_the_effect_of_a_deviation_is_paired_by_seed(store: Store) -> None:
    found = [one for one in harakeh.deviations("reduced") if one.title.startswith("draws T 10 → 2 ")]
    assert [one.usual.seed for one in found] == [0, 1, 2]
    for one, usual, changed in zip(found, (10.0, 20.0, 30.0), (11.0, 23.0, 35.0), strict=True):
        store.put(one.usual, Result({one.measurement: usual}, {}), FACTS)
        store.put(one.changed, Result({one.measurement: changed}, {}), FACTS)
    (row,) = [row for row in shown.deviations_table(store).rows if row[0] == found[0].title]
    # Differences 1, 3, 5: mean 3, s = 2, 4.3027 * 2 / sqrt(3) = 4.97.
    assert row[-1] == "3.0 [-2.0, 8.0] ×3"


def test_every_number_of_the_changed_settings_leads_to_the_records_that_it_is_of(store: Store) -> None:
    found: dict[str, list[harakeh.Deviation]] = {}
    for one in harakeh.deviations("reduced"):
        measured = {"adversarial_accuracy": "accuracy left"}.get(one.measurement, "fooling rate")
        found.setdefault(f"{one.title}, {measured}", []).append(one)
        for cell in (one.usual, one.changed):
            if store.get(cell) is None:
                store.put(cell, Result({one.measurement: 10.0}, {}), FACTS)
    rows = shown.deviations_table(store).rows
    assert [", ".join(row[:2]) for row in rows] == list(found)
    for row in rows:
        usual, changed, effect = (cell.address for cell in row[2:])  # type: ignore[attr-defined]
        pairs = found[", ".join(row[:2])]
        for address, cells in (usual, [one.usual for one in pairs]), (changed, [one.changed for one in pairs]):
            assert {record.key for record in resolve(store, parse(address)).records} >= {key_of(cell) for cell in cells}
        assert effect == f"{changed} - {usual}"


@pytest.mark.parametrize(("white", "holds"), [(9.0, "yes"), (11.0, "**no**")])
def test_a_check_reports_the_worst_record(store: Store, white: float, holds: str) -> None:
    box = {"black_box_accuracy": 10.0, "white_box_accuracy": 5.0}
    put_row(store, box, seeds=1, **TEXT, estimator="none", attack="black_box")
    put_row(store, {**box, "white_box_accuracy": white}, seeds=1, **TEXT, estimator="aleatoric", attack="black_box")
    (row,) = [row for row in shown.checks_table(store).rows if row[0].startswith("black box less white box")]
    assert row[1:] == ["2", f"{10 - white:.2f}", "at least 0", "MNIST, text’s network, aleatoric", holds]


def test_checks_without_records_are_not_run(store: Store) -> None:
    assert {row[-1] for row in shown.checks_table(store).rows} == {NOT_RUN}


# --- percentages over seeds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "not run"),
        ([12.34], "12.3, one seed"),
        ([1.0, 3.0], "2.0 [0.0, 14.7] ×2"),  # 2 ± 12.71 * 1.414 / 1.414
        ([97.0, 99.0], "98.0 [85.3, 100.0] ×2"),
        ([40.0, 50.0, 60.0], "50.0 [25.2, 74.8] ×3"),  # 50 ± 4.303 * 10 / 1.732
    ],
)
def test_the_interval_of_a_percentage_ends_at_0_and_100(values: list[float], text: str) -> None:
    assert numbers.over_seeds(values, lowest=0.0, highest=100.0) == text


def test_a_difference_may_be_negative() -> None:
    assert numbers.over_seeds([-1.0, 1.0]) == "0.0 [-12.7, 12.7] ×2"


def test_seeds_that_do_not_differ_have_the_interval_of_their_images(store: Store) -> None:
    """Wilson at 100 % of 10,000: the lower end is n / (n + z²)."""
    put_seeds(store, [100.0, 100.0, 100.0], dataset="mnist", network="basic_cnn", estimator="none")
    found = interval_at(store, "harakeh", "mnist/fgsm/none/accuracy")
    assert found is not None and (found.mean, found.high, found.n) == (100, 100, 3)
    assert found.low == pytest.approx(100 * 10_000 / (10_000 + 1.959964**2))
