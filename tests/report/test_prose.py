"""What the sentences quote: every address of every notebook and page is of something, and means are by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from facts import FACTS

from experiments import claims, papers, published
from experiments.address import readings
from experiments.records import ROOT, Record, Result, Store
from lib.errors import BadValue
from report.numbers import one_number, percent
from report.prose import TOKEN, fill, quote

SOURCES = [*sorted((ROOT / "notebooks").glob("*.ipynb")), *sorted((ROOT / "book").glob("*.md"))]
TEXT: dict[str, Any] = {"dataset": "mnist", "network": "basic_cnn", "attack": "fgsm"}


def markdown(path: Path) -> list[str]:
    if path.suffix == ".md":
        return [path.read_text(encoding="utf-8")]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def put(store: Store, values: list[float], **wanted: Any) -> list[Record]:
    """Made-up accuracies under FGSM of the first seeds of the text's network on MNIST."""
    cells: list[Any] = [
        cell
        for cell in papers.get("harakeh").main("paper")
        if all(getattr(cell, name) == value for name, value in {**TEXT, **wanted}.items())
    ]
    return [
        store.put(
            cell,
            Result({"accuracy": 99.0, "adversarial_accuracy": value, "sigma": value, "test_points": 1e4}, {}),
            FACTS,
        )
        for cell, value in zip(cells, values, strict=False)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_address_in_the_text_is_of_something_and_says_not_run_without_records(path: Path, store: Store) -> None:
    paper = path.stem if path.suffix == ".ipynb" else None
    ours = [
        quote(store, " ".join(address.split()), paper)
        for text in markdown(path)
        for address in TOKEN.findall(text)
        if "paper:" not in address and "derived:" not in address
    ]
    assert set(ours) <= {"not run", "not testable as written"}
    assert len(ours) > 20 or path.suffix == ".md"
    for text in markdown(path):
        assert "{n}`" not in fill(text, store, paper=paper, where=path.name)


def test_the_first_page_quotes_every_paper() -> None:
    quoted = TOKEN.findall((ROOT / "book" / "index.md").read_text(encoding="utf-8"))
    assert {address.split(":")[0] for address in quoted} - {"derived"} == set(papers.NAMES)


@pytest.mark.parametrize(("value", "text"), [(None, "not run"), (0.0, "0.0 %"), (99.95, "100.0 %"), (12.34, "12.3 %")])
def test_a_percentage_has_one_decimal(value: float | None, text: str) -> None:
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "measurement", "text"),
    [
        (1500.4, "queries", "1,500"),
        (1.5, "sigma", "1.500"),
        (25.5, "success", "25.5 %"),
        (0.123, "median_distance", "0.12"),
    ],
)
def test_what_has_no_format_is_a_percentage(value: float, measurement: str, text: str) -> None:
    assert one_number(value, measurement) == text


@pytest.mark.parametrize("paper", papers.NAMES)
def test_every_printed_number_and_every_claim_has_a_text(paper: str, store: Store) -> None:
    for one in readings(paper):
        assert {quote(store, f"{one.name}:{name}", paper) for name in published.load(paper)} <= {"not run"}
        said = {quote(store, f"{one.name}:{claim.id}", paper) for claim in claims.load(paper)}
        said |= {quote(store, f"{one.name}:{part.id}", paper) for claim in claims.load(paper) for part in claim.parts}
        assert said <= {"not run", "not testable as written"}
    assert all(quote(store, f"paper:{name}", paper).endswith(" %") for name in published.load(paper))


ATTACKED = "text:mnist/fgsm/none/adversarial_accuracy"
DROPOUT = "text:mnist/fgsm/epistemic/adversarial_accuracy"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (ATTACKED, "11.5 %"),  # of 10 and 13
        ("mnist/fgsm/none/adversarial_accuracy", "11.5 %"),  # the text's reading is meant where none is named
        ("harakeh:text:mnist/fgsm/none?adversarial_accuracy", "11.5 %"),
        ("mnist/fgsm/none", "99.0 %"),
        ("mnist/fgsm/none?sigma", "11.500"),
        (f"{ATTACKED}?lowest", "10.0 %"),
        (f"{ATTACKED}?highest", "13.0 %"),
        (f"{ATTACKED}?range", "10.0 to 13.0 %"),
        (f"{ATTACKED}?seeds", "2"),
        (f"{ATTACKED}?interval", "11.5 [0.0, 30.6] ×2"),  # Student: 12.706 * 3 / 2, cut at 0
        (f"{DROPOUT} - {ATTACKED}", "12.0, one seed"),  # 22 - 10: of the seed that both have
        (f"{ATTACKED} beside {DROPOUT}", "10.0 %"),
        ("paper:mnist/cw/epistemic/fooling_rate", "30 to 37 %"),
        ("paper:mnist/fgsm/none/accuracy - paper:mnist/fgsm/none/adversarial_accuracy", "89.41"),
        ("tutorial:mnist/fgsm/none/accuracy", "not run"),
        ("text:mnist-accuracy", "replicated"),
        ("text:mnist-accuracy?estimate", "99.00 [98.79, 99.18] ×2"),  # Wilson: the two are equal
        ("text:mnist-accuracy-epistemic", "one seed"),
    ],
)
def test_an_address_is_quoted(store: Store, address: str, text: str) -> None:
    put(store, [10.0, 13.0], estimator="none")
    put(store, [22.0], estimator="epistemic")
    assert quote(store, address, "harakeh") == text
    assert fill(f"It is {{n}}`{address}`.", store, paper="harakeh", where="a page") == f"It is {text}."


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("mnist/fgsm/none/accuracy", "expected a paper in front"),
        ("harakeh:texts:mnist/fgsm/none/accuracy", "reading: unknown 'texts'"),
        ("harakeh:paper:mnist/fgsm/none/accurracy", "published id: unknown"),
        ("harakeh:text:mnist/fgsm/none/accurracy", "measurement: unknown 'accurracy'"),
        ("harakeh:text:mnist/fgms/none/accuracy", "attack='fgms': no cell of harakeh has that"),
        ("harakeh:text:mnist/fgsm/none?foo=1", "setting foo: unknown field"),
        ("harakeh:text:mnist/cw/none/fooling_rate?form=expectation", "no cell has the settings"),
        ("harakeh:mnist-fgsm-dorp", "claim: unknown"),
        ("harakeh:derived:nothing", "derived: unknown 'nothing'"),
        ("harakeh text", "expected"),
    ],
)
def test_an_address_of_nothing_is_an_error_where_it_is_written(store: Store, address: str, told: str) -> None:
    with pytest.raises(BadValue, match=f"^index.md: .*{told}"):
        fill(f"It is {{n}}`{address}`.", store, where="index.md")
