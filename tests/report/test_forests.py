"""Forest plots: each mark stands where the records say, and the file behind a figure says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from facts import facts
from matplotlib.colors import to_hex

from experiments import published
from experiments.papers import harakeh as cells
from experiments.records import Record, Result, Store
from lib.metrics import Interval, mean_interval
from report.figures.forest import Line, Row, data, forest, lines
from report.figures.looks import BLUE, VERMILLION, Looks, look
from report.figures.scatter import Point
from report.figures.specification import answers, printed, specification
from report.figures.specification import data as ways
from report.first_page import BAND, MARKS, SMALL, agreement
from report.first_page import data as data_of
from report.papers import galinkin, harakeh, song

LOOKS = Looks("form", {"a": look("a", BLUE, "o"), "b": look("b", VERMILLION, "s")})
CW = "mnist/cw/epistemic/fooling_rate"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def put(store: Store, rates: list[float], **wanted: Any) -> list[Record]:
    """A record of CW on the text's network for each seed."""
    wanted = {"dataset": "mnist", "network": "basic_cnn", "estimator": "epistemic", "attack": "cw", **wanted}
    rows = [cell for cell in cells.main("paper") if all(getattr(cell, k, None) == v for k, v in wanted.items())]
    return [
        store.put(
            cell,
            Result(
                {
                    "fooling_rate": rate,
                    "fooling_rate_min": rate - 3,
                    "fooling_rate_max": rate + 4,
                    "test_points": 100.0,
                },
                {},
            ),
            facts(seconds=60.0),
        )
        for cell, rate in zip(sorted(rows, key=lambda cell: cell.seed), rates, strict=False)
    ]


def test_lines_are_what_the_addresses_hold(store: Store) -> None:
    put(store, [69.0, 70.0, 71.0], form="mean")
    put(store, [50.0], form="one_draw")
    runs = ("fooling_rate_min", "fooling_rate_max")
    rows = {"CW": [Row("dropout", {"a": f"text:{CW}", "b": f"one_draw:{CW}"}, CW, "text:mnist-cw-epistemic", runs)]}
    ((line,),) = lines(store, "harakeh", rows).values()
    assert (line.low, line.high) == (30, 37)
    assert line.ours == {"a": mean_interval([69.0, 70.0, 71.0]), "b": Interval(50, 50, 50, 1)}
    assert line.runs == {"a": (66, 75), "b": (47, 54)}
    assert line.word == "not replicated", "three seeds far from the range"


def test_a_difference_is_paired_by_seed_and_may_be_negative(store: Store) -> None:
    put(store, [60.0, 70.0, 80.0], form="mean")
    put(store, [61.0, 73.0], form="one_draw")
    ((line,),) = lines(store, "harakeh", {"": [Row("", {"a": f"text:{CW} - one_draw:{CW}"})]}).values()
    assert line.ours == {"a": mean_interval([-1.0, -3.0])} and line.low is None and line.word == ""


def test_what_has_no_record_has_no_mark_and_says_so(store: Store) -> None:
    rows = {"CW": [Row("dropout", {"a": f"text:{CW}"})]}
    found = lines(store, "harakeh", rows)
    (axis,) = forest(found, LOOKS, xlabel="percent").axes
    plt.close("all")
    assert "not run" in [text.get_text() for text in axis.texts] and not axis.lines
    assert data(rows, found).rows == [["CW", "dropout", "", "a", "not run", "", "", "0", "", f"text:{CW}"]]


def test_marks_stand_where_the_line_says() -> None:
    line = Line(
        "dropout", 30.0, 37.0, {"a": Interval(60, 50, 70, 3), "b": Interval(40, 40, 40, 1)}, {"a": (45, 75)}, "word"
    )
    figure = forest({"one": [line], "two": [line]}, LOOKS, xlabel="percent")
    (axis,) = figure.axes
    plt.close(figure)
    assert axis.get_xlabel() == "percent"
    assert [text.get_text() for text in axis.texts] == ["one", "word", "two", "word"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["dropout", "dropout"]
    drawn = {(to_hex(one.get_color()), *map(float, np.asarray(one.get_xdata()))) for one in axis.lines}
    blue, vermillion, ink = to_hex(BLUE), to_hex(VERMILLION), "#222222"
    assert drawn == {
        *((blue, *xs) for xs in ((60.0,), (50.0, 70.0), (45.0, 75.0))),
        (vermillion, 40.0),  # one seed: no interval
        (ink, 33.5),
        (ink, 30.0, 37.0),
    }
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["the paper", "a", "b"]


@pytest.mark.parametrize("count", [1, 3, 5, 9])
def test_the_marks_of_a_line_stay_in_it_and_apart(count: int) -> None:
    looks = Looks("reading", {str(i): look(str(i), BLUE, "o") for i in range(count)})
    lines_ = [Line(name, None, None, {key: Interval(50, 50, 50, 1) for key in looks}) for name in ("one", "two")]
    figure = forest({"": lines_}, looks, xlabel="percent")
    (axis,) = figure.axes
    plt.close(figure)
    places = [float(one.get_ydata()[0]) for one in axis.lines]  # type: ignore[index, arg-type]
    assert all(abs(place - (1 + i // count)) < 0.45 for i, place in enumerate(places))
    inches = np.diff(axis.transData.transform([(50, place) for place in places])[:, 1]) / figure.dpi
    assert count == 1 or abs(inches).min() > 0.04


def test_the_file_behind_a_figure_has_a_line_for_each_mark(store: Store) -> None:
    put(store, [60.0, 70.0, 80.0], form="mean")
    rows = {"CW": [Row("dropout", {"a": f"text:{CW}", "b": f"one_draw:{CW}"}, CW)]}
    table = data(rows, lines(store, "harakeh", rows))
    first, second = (dict(zip(table.head, row, strict=True)) for row in table.rows)
    assert (first["paper"], first["ours"], first["seeds"], first["address"]) == ("30-37", "70.000", "3", f"text:{CW}")
    assert float(first["low"]) < 70 < float(first["high"])
    assert (second["ours"], second["seeds"]) == ("not run", "0")


CHAPTERS = {"galinkin": galinkin, "harakeh": harakeh, "song": song}


PARTS = {
    (paper, name): rows
    for paper, chapter in CHAPTERS.items()
    for name, rows in {
        **vars(chapter),
        **({"BEYOND": harakeh.victims_by_attack()} if paper == "harakeh" else {}),
    }.items()
    if name.isupper() and isinstance(rows, dict) and all(isinstance(one, list) for one in rows.values())
    if any(isinstance(row, Row) for group in rows.values() for row in group)
}


@pytest.mark.parametrize(("paper", "part"), PARTS)
def test_every_row_of_a_chapter_names_numbers_that_exist(paper: str, part: str, store: Store) -> None:
    """An address, a printed number or a claim of nothing would be an error here."""
    found = lines(store, paper, PARTS[paper, part])
    assert all(not line.ours for group in found.values() for line in group)


@pytest.mark.parametrize("paper", list(CHAPTERS))
def test_every_published_number_stands_beside_ours_in_its_chapter(paper: str) -> None:
    groups = [group for (one, _), rows in PARTS.items() if one == paper for group in rows.values()]
    shown = {row.printed for group in groups for row in group if isinstance(row.printed, str) and row.ours}
    assert shown - {""} == set(published.load(paper))


def test_pairs_stand_at_the_printed_number_and_ours() -> None:
    one, two, three, five = (
        Interval(*found) for found in ((33.5, 30, 37, 2), (60, 50, 70, 3), (99, 99, 99, 1), (99, 98, 99.5, 5))
    )
    points = {"x": Point("not replicated", one, two), "y": Point("replicated" + SMALL, three, five)}
    figure = agreement({"One": points, "Two": {}})
    left, right = figure.axes
    plt.close(figure)
    assert [axis.get_title() for axis in (left, right)] == ["One (2 numbers)", "Two (0 numbers)"]
    drawn = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), to_hex(line.get_markerfacecolor()))
        for line in left.lines
        if line.get_marker() != "None" and len(line.get_xdata())
    }
    assert drawn == {(33.5, 60, to_hex(MARKS["not replicated"]["color"])), (99, 99, "#ffffff")}
    ends = [tuple(map(float, line.get_ydata())) for line in left.lines if len(line.get_xdata()) == 2]
    assert (50, 70) in ends and (98, 99.5) in ends and BAND == 5
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["outside", "open: smaller than the paper's scale", "equal", "within 5 points"]
    assert data_of({"One": points}).rows[0] == [
        "One",
        "x",
        "30",
        "37",
        "60.000",
        "50.000",
        "70.000",
        "3",
        "not replicated",
    ]


def test_every_word_of_a_number_has_a_mark() -> None:
    assert set(MARKS) == {
        word + end for word in ("replicated", "not replicated", "inconclusive", "one seed") for end in ("", SMALL)
    }


@pytest.mark.parametrize("paper", list(CHAPTERS))
def test_every_way_to_ask_a_question_is_of_cells_that_exist(paper: str, store: Store) -> None:
    question = CHAPTERS[paper].QUESTION
    found = answers(store, paper, question)
    assert all(interval is None for _, interval in found)
    assert {row[-2] for row in ways(found).rows} == {"0"}
    assert len({tuple(way.choices.values()) for way in question.ways}) == len(question.ways)
    low, high = printed(paper, question)
    assert low < high


def test_the_papers_band_is_that_of_its_differences() -> None:
    """30 to 37 of 99 to 100 by CW, 22 to 27 of 89 to 92 by JSMA."""
    assert printed("harakeh", harakeh.QUESTION) == (-70, -62)


def test_a_specification_curve_is_sorted_and_marks_its_choices(store: Store) -> None:
    put(store, [60.0, 70.0, 80.0], form="mean")
    put(store, [50.0, 51.0], form="one_draw")
    put(store, [99.0, 99.0, 99.0], estimator="none", form="mean")
    found = answers(store, "harakeh", harakeh.QUESTION)
    (few, many) = sorted((one for _, one in found if one is not None), key=lambda one: one.n)
    assert (few.n, many) == (2, mean_interval([-39.0, -29.0, -19.0]))
    figure = specification(found, printed=(-70, -62), ylabel="points")
    above, below = figure.axes
    plt.close(figure)
    heights = [float(line.get_ydata()[0]) for line in above.lines if line.get_marker() == "o"]
    assert heights == [pytest.approx(-48.5), pytest.approx(-29)]
    chosen = {
        (float(line.get_xdata()[0]), below.get_yticklabels()[int(line.get_ydata()[0])].get_text())
        for line in below.lines
        if line.get_markersize() > 2
    }
    assert chosen == {(0, "form: one draw"), (1, "form: mean")}  # what all share is no choice
