"""Figures of the chapter on privacy: membership's curves, and attacks on random victims, from made-up records."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

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

from experiments.papers.galinkin import grid
from experiments.papers.galinkin.evasion import ANSWERS_SPENT, LIMITS, Evasion
from experiments.papers.galinkin.membership import Membership
from experiments.records import Record
from lib.errors import BadValue
from lib.metrics import mean_interval
from report.figures.looks import BLUE, WHITE
from report.papers.galinkin_figures import (
    COUNTED,
    DECEIVED,
    MARKS,
    NETWORKS,
    VICTIMS,
    counted_by_rate,
    noise_failure,
    roc,
    success_by_answers,
    success_within,
)

Key = tuple[str, bool]
RATES = [0.0, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0]


def record(key: str = "0", *, measured: Mapping[str, float] | None = None, **curves: Sequence[float]) -> Record:
    return Record(key, {}, measured or {}, {name: list(values) for name, values in curves.items()}, {})


def told(*powers: float) -> list[Record]:
    """One record a seed: a true-positive rate that is a power of the false-positive rate."""
    return [record(fpr=RATES, tpr=[rate**power for rate in RATES]) for power in powers]


def judged(*rates: tuple[float, float]) -> list[Record]:
    """One record for each true- and false-positive rate."""
    return [record(measured={"tpr": tpr, "fpr": fpr}) for tpr, fpr in rates]


def counted(panels: Mapping[str, Mapping[Key, list[Record]]], w: float = 0.75) -> Figure:
    return counted_by_rate(panels, members=dict.fromkeys(panels, w), printed={})


def attacked(*rates: float, lucky: float = 30.0, norm: str = "linf") -> list[Record]:
    """One record a seed: the attack claims `lucky` points more than the vote confirms, at every limit."""
    limits, answers = LIMITS[norm], [float(n) for n in ANSWERS_SPENT]
    return [
        record(
            measured={"found": rate + lucky, "success_vote": rate},
            limit=limits,
            success_within=[rate * limit / max(limits) for limit in limits],
            success_one_answer_within=[rate * limit / max(limits) + lucky for limit in limits],
            answers=answers,
            success_by_answers=[rate * n / max(answers) for n in answers],
        )
        for rate in rates
    ]


def drawn(figure: Figure) -> Figure:
    plt.close(figure)
    return figure


def points(line: Line2D) -> tuple[list[float], list[float]]:
    return [float(x) for x in np.asarray(line.get_xdata())], [float(y) for y in np.asarray(line.get_ydata())]


def labelled(axis: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axis.lines if not str(line.get_label()).startswith("_")}


def notes(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def look_of(line: Line2D) -> tuple[str, ...]:
    """What a reader sees of a line or mark: its colour, and what is left of it in black and white."""
    return (
        to_hex(line.get_color()),
        str(line.get_linestyle()),
        str(line.get_marker()),
        to_hex(line.get_markerfacecolor()),
    )


MAKERS: dict[str, tuple[Callable[..., Figure], dict[Key, list[Record]]]] = {
    "roc": (roc, {key: told(0.5, 0.6) for key in NETWORKS}),
    "limits": (lambda panels: success_within(panels, xlabel="limit"), {key: attacked(40.0, 60.0) for key in VICTIMS}),
    "answers": (success_by_answers, {key: attacked(40.0, 60.0) for key in VICTIMS}),
    "noise": (noise_failure, {key: attacked(40.0, 60.0) for key in VICTIMS}),
    "counted": (lambda panels: counted(panels), {key: judged((40.0, 30.0), (60.0, 60.0)) for key in COUNTED}),
}
EVERY = pytest.mark.parametrize("kind", list(MAKERS))
LINES = pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind not in ("noise", "counted")])


# --- what holds of every figure over records ----------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("count", [0, 1, 3])
def test_axes_are_labelled_with_units_and_panels_titled(kind: str, count: int) -> None:
    make, panel = MAKERS[kind]
    titles = [f"panel {i}" for i in range(count)]
    figure = drawn(make(dict.fromkeys(titles, panel)))
    assert [axis.get_title() for axis in figure.axes] == (titles or ["no run recorded yet"])
    across = min(2, max(1, count))
    for i, axis in enumerate(figure.axes):
        assert axis.get_xlabel()
        assert axis.get_ylabel().endswith(("(%)", "(of members)")) if i % across == 0 else not axis.get_ylabel()
        assert axis.get_ylim() == figure.axes[0].get_ylim()


@EVERY
@pytest.mark.parametrize("count", [1, 3])
def test_figures_are_opaque_white_and_nothing_is_cut_off(kind: str, count: int) -> None:
    make, panel = MAKERS[kind]
    figure = make({f"panel {i}": panel for i in range(count)})
    file = io.BytesIO()
    figure.savefig(file)
    parts = [*figure.legends, *figure.axes]
    extents = [box for part in parts if (box := part.get_tightbbox()) is not None]
    ticks = [[text.get_window_extent() for text in axis.get_xticklabels() if text.get_text()] for axis in figure.axes]
    plt.close(figure)
    pixels = np.asarray(Image.open(file).convert("RGBA"))
    assert pixels[..., 3].min() == 255
    assert {tuple(pixels[y, x]) for y in (0, -1) for x in (0, -1)} == {(255, 255, 255, 255)}
    width, height = figure.bbox.size
    assert all(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1 for box in extents)
    for legend in figure.legends:
        assert all(legend.get_window_extent().y1 <= box.y0 + 1 for box in extents[len(figure.legends) :])
    for row in ticks:
        assert not any(one.overlaps(other) for one, other in combinations(row, 2))


@EVERY
def test_a_panel_says_why_it_is_empty(kind: str) -> None:
    make, panel = MAKERS[kind]
    panels = {
        "full": panel,
        "empty": {key: [] for key in panel},
        "none": {},
        "without": {next(iter(panel)): [record()]},
    }
    full, empty, none, without = drawn(make(panels)).axes
    assert notes(full) == []
    assert notes(empty) == notes(none) == ["not run yet"]
    assert notes(without) == ["not measured"]


@EVERY
def test_an_unknown_key_is_refused_by_name(kind: str) -> None:
    name = "network" if "roc" in kind else "victim"
    for key in (("other", False), ("none" if name == "victim" else "lenet5_coded", True)):
        with pytest.raises(BadValue) as caught:
            MAKERS[kind][0]({"panel": {key: []}})
        plt.close("all")
        assert str(caught.value).startswith(f"{name}: unknown {key!r}; expected one of ('")


@EVERY
def test_legends_name_what_is_drawn_in_any_panel_in_one_order(kind: str) -> None:
    make, panel = MAKERS[kind]
    looks = NETWORKS if "roc" in kind else COUNTED if kind == "counted" else VICTIMS
    first, *_, last = looks
    found = legend_of(drawn(make({"a": {last: panel[last], first: []}, "b": {first: panel[first]}})))
    if kind == "noise":
        assert found == ["claimed by the attack", "confirmed: vote of fresh answers"]
        return
    others = {
        "counted": ["the paper, if nothing is told", "nothing told"],
        "roc": ["chance"],
    }
    assert found == [looks[first]["label"], looks[last]["label"], *others.get(kind, [])]


@LINES
def test_lines_differ_in_colour_or_fill_and_also_without_colour(kind: str) -> None:
    make, panel = MAKERS[kind]
    (axis,) = drawn(make({"panel": panel})).axes
    looks = [look_of(line) for line in axis.lines]
    assert len(set(looks)) == len(looks)
    white = [(style, mark, fill == "#ffffff") for _, style, mark, fill in looks]
    assert len(set(white)) == len(white)
    assert all(line.get_linestyle() != "None" for line in axis.lines)


@LINES
@settings(max_examples=8, deadline=None)
@given(powers=st.lists(st.floats(0, 8), min_size=2, max_size=4))
def test_bands_stay_within_what_is_possible(kind: str, powers: list[float]) -> None:
    make, panel = MAKERS[kind]
    key = next(iter(panel))
    records = told(*powers) if "roc" in kind else attacked(*(100 * 0.5**power for power in powers))
    (axis,) = drawn(make({"panel": {key: records}})).axes
    (band,) = (band for band in axis.collections if isinstance(band, PolyCollection))
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() >= 0 and heights.max() <= (1 if "roc" in kind else 100)


def test_every_network_and_every_way_to_answer_of_the_grid_has_a_look() -> None:
    cells = grid("paper")
    judged = {(c.network, c.bayesian) for c in cells if isinstance(c, Membership)}
    seen = {(c.answers if c.bayesian else "none", c.aware) for c in cells if isinstance(c, Evasion)}
    assert judged == set(NETWORKS) and seen == set(VICTIMS)
    assert len({look["color"] for look in VICTIMS.values()}) == len(VICTIMS)
    assert len({look["marker"] for look in VICTIMS.values()}) == len(VICTIMS)


def test_the_figures_leave_the_settings_of_matplotlib_alone() -> None:
    before = dict(plt.rcParams)
    for make, panel in MAKERS.values():
        drawn(make({"panel": panel}))
    assert dict(plt.rcParams) == before


# --- membership ---------------------------------------------------------------------------------------------------------


def test_roc_curves_are_the_mean_over_seeds_beside_chance() -> None:
    panels = {"MNIST": {("lenet5", False): told(0.5, 1.0, 3.0), ("resnet18", True): told(0.7)}}
    (axis,) = drawn(roc(panels)).axes
    several, one = labelled(axis)["LeNet-5"], labelled(axis)["ResNet-18 with dropout"]
    assert points(one) == (RATES, [rate**0.7 for rate in RATES])
    np.testing.assert_allclose(points(several)[1], [(rate**0.5 + rate + rate**3) / 3 for rate in RATES])
    (band,) = (band for band in axis.collections if isinstance(band, PolyCollection))  # one seed has none
    assert to_hex(band.get_facecolor()[0]) == to_hex(several.get_color())
    chance = next(line for line in axis.lines if line.get_linestyle() == ":")
    assert points(chance) == ([0, 1], [0, 1])


@given(tpr=st.floats(0, 100), fpr=st.floats(0, 100), w=st.floats(0.05, 0.95))
@settings(max_examples=12, deadline=None)
def test_a_record_stands_above_the_line_of_nothing_told_by_what_it_tells(tpr: float, fpr: float, w: float) -> None:
    """Judged by the counts themselves: 1,000 images, a share w of them members."""
    (axis,) = drawn(counted({"one": {("coded", True): judged((tpr, fpr))}}, w)).axes
    line, mark = axis.lines[0], axis.lines[1]
    members, others = 1000 * w, 1000 * (1 - w)
    said = (members * tpr + others * fpr) / 1000
    right = (members * tpr + others * (100 - fpr)) / 1000
    assert points(mark) == ([pytest.approx(said)], [pytest.approx(right)])
    told = right - np.interp(said, *points(line))
    assert told == pytest.approx(2 * w * (1 - w) * (tpr - fpr), abs=1e-6)


def test_published_accuracies_are_marked_where_they_are_said_to_be() -> None:
    printed = {"one": [(70.0, 64.0), (80.0, 73.0)]}
    (axis,) = drawn(counted_by_rate({"one": {}}, members={"one": 0.75}, printed=printed)).axes
    assert points(axis.lines[-1]) == ([70, 80], [64, 73])


def test_drawing_leaves_the_records_as_they_were() -> None:
    records = told(0.5)
    drawn(roc({"MNIST": {("lenet5", False): records}}))
    assert records == told(0.5)


# --- attacks on random victims ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", list(LIMITS))
def test_success_is_drawn_over_limits_from_0_on(norm: str) -> None:
    limits = LIMITS[norm]
    records = attacked(30.0, 50.0, norm=norm)
    (axis,) = drawn(success_within({"MNIST": {("mean", True): records}}, xlabel=f"limit ({norm})")).axes
    assert axis.get_xlabel() == f"limit ({norm})" and axis.get_xscale() == "symlog"
    (line,) = labelled(axis).values()
    x, y = points(line)
    assert x == list(limits)
    np.testing.assert_allclose(y, [40 * limit / max(limits) for limit in limits])
    across = axis.transData.transform([(limit, 0) for limit in limits])[:, 0]
    assert all(np.diff(across) > 0)
    low, high = axis.get_xlim()
    assert low < 0 and high > max(limits)
    shown = [text.get_text() for text in axis.get_xticklabels()]
    assert {"linf": ["0", "0.01", "0.1", "1"], "l2": ["0", "0.1", "1", "10"]}[norm] == [
        t for t in shown if t in "0 0.01 0.1 1 10".split()
    ]


@pytest.mark.parametrize("key", list(VICTIMS))
def test_one_lucky_answer_is_shown_where_noise_deceives_the_attack(key: Key) -> None:
    records = attacked(30.0, 50.0)
    figure = drawn(success_within({"MNIST": {key: records}}, xlabel="limit"))
    (axis,) = figure.axes
    pale = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert len(pale) == (key in DECEIVED) == ("if one answer counted" in legend_of(figure))
    assert (key in DECEIVED) == (key[0] in ("mean", "one_draw") and not key[1])
    for line in pale:
        x, y = points(line)
        assert x == list(LIMITS["linf"])
        np.testing.assert_allclose(y, [40 * limit + 30 for limit in x])
        (vote,) = labelled(axis).values()
        assert line.get_color() == vote.get_color() and (line.get_alpha() or 1) < 1
        assert line.get_zorder() < vote.get_zorder()
    assert len(axis.collections) == 1  # the band of the vote alone


def test_success_is_drawn_over_a_logarithm_of_the_answers() -> None:
    (axis,) = drawn(success_by_answers({"MNIST": {("one_draw", False): attacked(20.0, 60.0)}})).axes
    assert axis.get_xscale() == "log"
    (line,) = labelled(axis).values()
    x, y = points(line)
    assert x == list(ANSWERS_SPENT)
    np.testing.assert_allclose(y, [40 * n / 100_000 for n in x])


def marks(axis: Axes) -> list[tuple[str, bool, float, float]]:
    """Colour, whether filled, and place of every mark, from left to right."""
    found = [line for line in axis.lines if line.get_linestyle() == "None"]
    return sorted(
        (
            (
                to_hex(line.get_color()),
                to_hex(line.get_markerfacecolor()) != "#ffffff",
                points(line)[0][0],
                points(line)[1][0],
            )
            for line in found
        ),
        key=lambda mark: mark[2],
    )


def test_claims_stand_beside_what_the_vote_confirms() -> None:
    panels = {
        "one": {("one_draw", False): attacked(0.0, 10.0, 20.0, lucky=40.0), ("none", False): attacked(95.0, lucky=0.0)},
        "two": {("mean", True): attacked(80.0, lucky=5.0)},
    }
    one, two = drawn(noise_failure(panels)).axes
    for axis in (one, two):
        names = [text.get_text() for text in axis.get_xticklabels()]
        assert names == ["plain\nnetwork", "mean of T,\naware", "one draw,\nnaive"]
    plain, draw = (to_hex(VICTIMS[key]["color"]) for key in (("none", False), ("one_draw", False)))
    found = marks(one)
    assert [(colour, filled, height) for colour, filled, _, height in found] == [
        (plain, False, 95),
        (plain, True, 95),
        (draw, False, pytest.approx(50)),
        (draw, True, pytest.approx(10)),
    ]
    assert [round(at) for _, _, at, _ in found] == [0, 0, 2, 2]
    assert [(round(at), height) for _, _, at, height in marks(two)] == [(1, 85), (1, 80)]
    intervals = [points(line) for line in one.lines if line.get_linestyle() == "-"]  # one seed has none
    claimed, confirmed = mean_interval([40.0, 50.0, 60.0]), mean_interval([0.0, 10.0, 20.0])
    assert [x[0] for x, _ in intervals] == [x[1] for x, _ in intervals] == [found[2][2], found[3][2]]
    assert confirmed.low < 0
    assert intervals[0][1] == pytest.approx([claimed.low, claimed.high])
    assert intervals[1][1] == pytest.approx([0, confirmed.high])
    joined = [points(line) for line in one.lines if line.get_linestyle() == ":"]
    assert joined == [([a[2], b[2]], [a[3], b[3]]) for a, b in (found[:2], found[2:])]


def test_an_interval_of_claims_stays_within_0_and_100() -> None:
    (axis,) = drawn(noise_failure({"one": {("none", False): attacked(0.0, 100.0, lucky=0.0)}})).axes
    assert [points(line)[1] for line in axis.lines if line.get_linestyle() == "-"] == [[0, 100], [0, 100]]


def test_what_was_not_measured_has_no_mark() -> None:
    only = record(measured={"found": 70.0})
    (axis,) = drawn(noise_failure({"one": {("mean", False): [only]}})).axes
    assert [(filled, height) for _, filled, _, height in marks(axis)] == [(False, 70)] and notes(axis) == []


def test_marks_are_filled_where_the_vote_confirms_and_open_where_the_attack_claims() -> None:
    """In the figures of limits and of answers as in that of claims."""
    panels = {"one": {key: attacked(40.0) for key in VICTIMS}}
    (axis,) = drawn(success_within(panels, xlabel="limit")).axes
    for line in axis.lines:
        assert (to_hex(line.get_markerfacecolor()) == "#ffffff") == (line.get_linestyle() == ":")
    figure = drawn(success_by_answers(panels))
    entries = [line for line in figure.legends[0].get_lines() if isinstance(line, Line2D)]
    for line in [*figure.axes[0].lines, *entries]:
        assert to_hex(line.get_markerfacecolor()) == "#ffffff"
    assert {name: bool(more) for name, (_, _, more) in MARKS.items()} == {"found": True, "success_vote": False}
    assert {one["markerfacecolor"] for one in NETWORKS.values()} == {WHITE, BLUE}
