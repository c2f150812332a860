"""Curves over records: what is drawn is what the records hold, in stated units, also where records are missing."""

from __future__ import annotations

import importlib
import io
import math
import pkgutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

import report.papers
from experiments import papers
from experiments.papers.galinkin import grid
from experiments.papers.galinkin.evasion import LIMITS, Evasion
from experiments.papers.galinkin.membership import Membership
from experiments.records import Record, Store
from lib.errors import BadValue
from lib.evasion import FORMS as EVERY_FORM
from lib.metrics import Interval, mean_interval
from lib.uncertainty import UNCERTAINTY_SCORES
from report.figures import curves, looks
from report.figures.curves import Curves
from report.figures.looks import BLUE, ESTIMATORS, VERMILLION, WHITE, Looks, look
from report.figures.scatter import Point, scatter
from report.names import SCORE_NAMES
from report.papers import galinkin_membership, galinkin_noise, harakeh, harakeh_tables
from report.tables import panels_at

MODULES = [importlib.import_module(f"report.papers.{one.name}") for one in pkgutil.iter_modules(report.papers.__path__)]
# Every figure of curves of every chapter, with its paper.
SHOWN = {
    f"{module.__name__.rpartition('.')[2]}.{name}": (next(p for p in papers.NAMES if f".{p}" in module.__name__), one)
    for module in MODULES
    for name, one in vars(module).items()
    if isinstance(one, Curves)
}
EVERY = pytest.mark.parametrize("name", SHOWN)
LOOKS = Looks("kind", {"a": look("A", BLUE, "o", "-"), "b": look("B", VERMILLION, "s", "--")})
AT = [0.0, 0.5, 1.0]
ONE = Curves(lines={}, x="at", y="height", looks=LOOKS, xlabel="at (s)", ylabel="height (%)")


def record(key: str = "0", **found: Sequence[float]) -> Record:
    return Record(key, {"seed": 3}, {}, {name: list(values) for name, values in found.items()}, {})


def rising(*heights: float) -> list[Record]:
    return [record(at=AT, height=[height * at for at in AT]) for height in heights]


def drawn(panels: Any, one: Curves = ONE) -> Figure:
    figure = curves.curves(panels, one)
    plt.close(figure)
    return figure


def made_up(one: Curves) -> dict[str, dict[Any, list[Record]]]:
    """Two seeds of every line of a chapter's figure, as `panels_at` gives them."""
    top = 1 if one.highest == 1 else 90
    return {
        title: {
            key: [
                record(**{one.names(key)[0]: [0.1, 0.2, 0.7], one.names(key)[1]: [0.1 * top, seed * top, top]})
                for seed in (0.2, 0.4)
            ]
            for key in lines
        }
        for title, lines in one.lines.items()
    }


def points(line: Line2D) -> tuple[list[float], list[float]]:
    return [float(x) for x in np.asarray(line.get_xdata())], [float(y) for y in np.asarray(line.get_ydata())]


def labelled(axis: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axis.lines if not str(line.get_label()).startswith("_")}


def notes(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


# --- the figures of the chapters ----------------------------------------------------------------------------------------


@EVERY
def test_every_line_is_of_records_that_can_exist_and_has_a_look(name: str, store: Store) -> None:
    paper, one = SHOWN[name]
    assert panels_at(store, paper, one.lines) == {} and one.lines
    assert {key for lines in one.lines.values() for key in lines} <= set(one.looks)


@EVERY
def test_lines_differ_in_colour_or_fill_and_also_without_colour(name: str) -> None:
    figure = drawn(made_up(SHOWN[name][1]), SHOWN[name][1])
    for axis in figure.axes:
        told = [
            (str(line.get_linestyle()), str(line.get_marker()), to_hex(line.get_markerfacecolor()) == WHITE)
            for line in labelled(axis).values()
        ]
        assert len(set(told)) == len(told)


@EVERY
def test_axes_are_labelled_with_units_and_nothing_is_cut_off(name: str) -> None:
    one = SHOWN[name][1]
    figure = curves.curves(made_up(one), one)
    file = io.BytesIO()
    figure.savefig(file)
    boxes = [box for part in [*figure.legends, *figure.axes] if (box := part.get_tightbbox()) is not None]
    ticks = [[text.get_window_extent() for text in axis.get_xticklabels() if text.get_text()] for axis in figure.axes]
    plt.close(figure)
    assert [axis.get_title() for axis in figure.axes] == list(one.lines)
    for i, axis in enumerate(figure.axes):
        assert axis.get_xlabel() and bool(axis.get_ylabel()) == (i % 2 == 0)  # a row shares one scale
        assert axis.get_ylabel().endswith(("", "(%)", "(nats)", "(of members)"))
    pixels = np.asarray(Image.open(file).convert("RGBA"))
    assert pixels[..., 3].min() == 255
    width, height = figure.bbox.size
    assert all(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1 for box in boxes)
    for row in ticks:
        inside = [box for box in row if box.x0 >= 0 and box.x1 <= width]
        assert name.endswith("LOSS") or not any(a.overlaps(b) for a, b in combinations(inside, 2))


def test_every_estimator_form_score_network_and_way_to_answer_has_a_look() -> None:
    for part in ("label", "color", "marker", "linestyle"):
        assert len({str(one[part]) for one in ESTIMATORS.values()}) == len(ESTIMATORS)
    assert (
        len(harakeh.FORMS) == 1 + len(EVERY_FORM)
        and "plain" in harakeh.FORMS
        and set(SCORE_NAMES) == set(UNCERTAINTY_SCORES)
    )
    assert set(harakeh_tables.JUDGED) == {(one, score) for one in ESTIMATORS for score in UNCERTAINTY_SCORES}
    cells = grid("paper")
    seen = {(c.answers if c.bayesian else "plain", c.aware) for c in cells if isinstance(c, Evasion)}
    assert {name + "_aware" * aware for name, aware in seen} == set(galinkin_noise.VICTIM_LOOKS)
    judged = {f"{c.network}/{'bayesian' if c.bayesian else 'plain'}" for c in cells if isinstance(c, Membership)}
    assert judged == set(galinkin_membership.ROC_LOOKS)


@pytest.mark.parametrize(("every", "wrong"), [(["a", "b"], "b"), ([], "a")])
def test_looks_that_are_not_of_every_thing_are_refused_where_they_are_declared(every: list[str], wrong: str) -> None:
    with pytest.raises(BadValue, match=rf"^kind: expected a look for every one and for no other, .* \{{'{wrong}'\}}$"):
        Looks("kind", {"a": look("A", "grey", "o")}, every=every)


def test_the_papers_numbers_are_open_marks_where_they_are_said_to_be() -> None:
    figure = drawn(made_up(harakeh.CURVE), harakeh.CURVE)
    for axis, printed in zip(figure.axes, harakeh.CURVE.printed.values(), strict=True):
        marks = [points(line) for line in axis.lines if line.get_linestyle() == "None"]
        assert marks == [([0.3], [value]) for _, value in printed.values()] and len(marks) == 3
    assert legend_of(figure)[-1] == "paper"


@pytest.mark.parametrize("norm", list(LIMITS))
def test_limits_are_spread_from_0_on(norm: str) -> None:
    limits = LIMITS[norm]
    records = [record(limit=limits, success_within=[10 * limit for limit in limits])]
    one = {"linf": galinkin_noise.LIMITS, "l2": galinkin_noise.LIMITS_BOUNDARY}[norm]
    (axis,) = drawn({"MNIST": {"mean_aware": records}}, one).axes
    assert axis.get_xscale() == "symlog" and {"linf": "infty", "l2": "ell_2"}[norm] in axis.get_xlabel()
    across = axis.transData.transform([(limit, 0) for limit in limits])[:, 0]
    assert all(np.diff(across) > 0)
    low, high = axis.get_xlim()
    assert low < 0 and high > max(limits)


def test_what_is_spent_stands_in_figures_and_not_in_powers() -> None:
    spent = record(answers=[100.0, 10_000.0], success_by_answers=[1.0, 2.0])
    (axis,) = drawn({"MNIST": {"mean_aware": [spent]}}, galinkin_noise.ANSWERS).axes
    assert [axis.xaxis.get_major_formatter()(at, 0) for at in (100, 10_000)] == ["100", "10,000"]


# --- the mechanism ------------------------------------------------------------------------------------------------------


def test_a_line_is_the_mean_over_seeds_with_its_interval() -> None:
    (axis,) = drawn({"panel": {"a": rising(10.0, 20.0, 30.0), "b": rising(50.0)}}).axes
    several, one = (labelled(axis)[name] for name in "AB")
    assert points(several) == (AT, [0.0, 10.0, 20.0]) and points(one) == (AT, [0.0, 25.0, 50.0])
    (band,) = (band for band in axis.collections if isinstance(band, PolyCollection))  # one seed has none
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(mean_interval([10.0, 20.0, 30.0]).high)
    assert to_hex(band.get_facecolor()[0]) == to_hex(several.get_color())


@settings(max_examples=12, deadline=None)
@given(heights=st.lists(st.floats(0, 100), min_size=2, max_size=4), highest=st.sampled_from([100.0, math.inf]))
def test_a_band_stays_within_what_is_possible(heights: list[float], highest: float) -> None:
    (axis,) = drawn({"panel": {"a": rising(*heights)}}, replace(ONE, highest=highest)).axes
    (band,) = (band for band in axis.collections if isinstance(band, PolyCollection))
    ends = band.get_paths()[0].vertices[:, 1]
    interval = mean_interval(heights)
    assert ends.min() >= 0 and ends.max() == pytest.approx(min(highest, interval.high), abs=1e-6)


def test_names_of_curves_are_filled_with_the_parts_of_a_key() -> None:
    one = replace(ONE, looks=Looks("pair", {("a", "x"): look("A", BLUE, "o")}), y="{1}_{0}", scale=100)
    (axis,) = drawn({"panel": {("a", "x"): [record(at=AT, x_a=[1.0, 2.0, 3.0])]}}, one).axes
    assert points(labelled(axis)["A"]) == ([0.0, 50.0, 100.0], [1.0, 2.0, 3.0])


def test_what_curves_are_compared_with_runs_from_corner_to_corner() -> None:
    figure = drawn({"panel": {"a": rising(1.0)}}, replace(ONE, highest=1, compared="chance"))
    assert points(figure.axes[0].lines[0]) == ([0, 1], [0, 1]) and legend_of(figure) == ["A", "chance"]


def test_a_panel_says_why_it_is_empty() -> None:
    panels = {"full": {"a": rising(1.0)}, "empty": {"a": []}, "none": {}, "without": {"a": [record(at=[])]}}
    full, empty, none, without = drawn(panels).axes
    assert notes(full) == [] and notes(empty) == notes(none) == ["not run yet"] and notes(without) == ["not measured"]
    assert [axis.get_title() for axis in drawn({}).axes] == ["no run recorded yet"]


def test_an_unknown_key_and_records_over_other_points_are_refused_by_name() -> None:
    with pytest.raises(BadValue, match=r"^kind: unknown 'c'; expected one of a, b$"):
        drawn({"panel": {"c": []}})
    other = record("b", at=[0.0, 1.0], height=[1.0, 2.0])
    with pytest.raises(BadValue, match=r"^records: expected one at, got \[0.0, 0.5, 1.0\] in 0, .* in b$"):
        drawn({"panel": {"a": [*rising(1.0), other]}})
    plt.close("all")


def test_legends_name_what_is_drawn_in_any_panel_in_one_order() -> None:
    assert legend_of(drawn({"one": {"b": rising(1.0), "a": []}, "two": {"a": rising(1.0)}})) == ["A", "B"]
    assert legend_of(drawn({"one": {"b": rising(1.0), "a": []}})) == ["B"]


def test_the_file_behind_a_figure_holds_every_point() -> None:
    table = curves.data({"panel": {"a": [*rising(10.0), record(at=[])]}}, ONE)
    assert table.head == ["panel", "line", "seed", "at", "value"]
    assert table.rows == [["panel", "A", "3", f"{at:g}", f"{10 * at:g}"] for at in AT]
    assert curves.data({}, ONE).rows == [["not run", *["–"] * 4]]


def test_the_figures_leave_the_settings_of_matplotlib_and_the_records_alone() -> None:
    before, records = dict(plt.rcParams), rising(0.5)
    drawn({"panel": {"a": records}})
    assert dict(plt.rcParams) == before and records == rising(0.5)
    with looks.style():
        assert plt.rcParams["savefig.facecolor"] == "white"


# --- the count ----------------------------------------------------------------------------------------------------------


@given(tpr=st.floats(0, 100), fpr=st.floats(0, 100), dataset=st.sampled_from(list(galinkin_membership.MEMBERS)))
@settings(max_examples=12, deadline=None)
def test_a_record_stands_above_the_line_of_nothing_told_by_what_it_tells(tpr: float, fpr: float, dataset: str) -> None:
    """Judged by the counts themselves: 1,000 images, a share w of them members."""
    w = galinkin_membership.MEMBERS[dataset]
    said = (1000 * w * tpr + 1000 * (1 - w) * fpr) / 1000
    right = (1000 * w * tpr + 1000 * (1 - w) * (100 - fpr)) / 1000
    across, up = galinkin_membership.nothing_told()[{"mnist": "MNIST", "cifar10": "CIFAR-10"}[dataset]]
    assert right - np.interp(said, across, up) == pytest.approx(2 * w * (1 - w) * (tpr - fpr), abs=1e-6)


def test_a_scatter_draws_its_marks_and_what_they_are_compared_with() -> None:
    point = Point("a", Interval(1, 1, 1, 1), Interval(2, 2, 2, 1))
    made = scatter({"one": [point], "two": []}, LOOKS, compared={"one": ((0, 9), (9, 0))}, ylabel="up")
    left, right = made.axes
    plt.close("all")
    assert [points(line) for line in left.lines] == [([0, 9], [9, 0]), ([1], [2])]
    assert notes(right) == ["not run yet"] and [left.get_ylabel(), right.get_ylabel()] == ["up", ""]


def test_his_accuracies_lie_on_the_line_of_an_attack_that_tells_nothing(store: Store) -> None:
    for title, marks in galinkin_membership.counted(store).items():
        assert [one.key for one in marks] == ["printed"] * 4
        for one in marks:
            assert one.y.mean == pytest.approx(np.interp(one.x.mean, *galinkin_membership.nothing_told()[title]))
