"""Figures over records: what is drawn is what the records hold, in stated units, also where records are missing."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from experiments.records import Record
from lib import detection
from lib.errors import BadValue
from lib.evasion import FORMS as EVERY_FORM
from lib.metrics import mean_interval
from lib.uncertainty.scores import UNCERTAINTY_SCORES
from report.figures import looks
from report.figures.looks import ESTIMATORS, Looks, look
from report.names import SCORE_NAMES
from report.papers.harakeh_figures import (
    FORMS,
    JUDGED,
    accuracy_against_epsilon,
    loss_against_steps,
    rejection_curves,
)

NAMES = {estimator: one["label"] for estimator, one in ESTIMATORS.items()}

RATES, SHARES = list(detection.FALSE_POSITIVE_RATES), list(detection.REJECTED)
STEPS = [1.0, 2.0, 5.0, 10.0]


def record(key: str = "0", *, measured: Mapping[str, float] | None = None, **curves: Sequence[float]) -> Record:
    return Record(key, {}, measured or {}, {name: list(values) for name, values in curves.items()}, {})


def detected(score: str, *levels: float) -> list[Record]:
    """One record a seed: ROC curves through (1/2, level), and accuracies that rise from that level by 0.2 a point."""
    return [
        record(
            false_positive_rate=RATES,
            rejected=SHARES,
            **{
                f"detected_{score}": [100 * rate ** -math.log2(level / 100) for rate in RATES],
                f"kept_{score}": [level + 20 * share for share in SHARES],
            },
        )
        for level in levels
    ]


def climbing(*heights: float) -> list[Record]:
    return [record(steps=STEPS, loss=[height * math.log1p(step) for step in STEPS]) for height in heights]


def drawn(figure: Figure) -> Figure:
    plt.close(figure)
    return figure


def points(line: Line2D) -> tuple[list[float], list[float]]:
    return [float(x) for x in np.asarray(line.get_xdata())], [float(y) for y in np.asarray(line.get_ydata())]


def labelled(axis: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axis.lines if not str(line.get_label()).startswith("_")}


def references(axis: Axes) -> list[Line2D]:
    return [line for line in axis.lines if line.get_linestyle() == ":" and line.get_marker() == "None"]


def notes(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


MAKERS: dict[str, tuple[Callable[..., Figure], Any, Any]] = {
    # function, a panel with records, a panel whose records hold none of its curves
    "accuracy": (
        lambda panels: accuracy_against_epsilon(panels, published={}),
        {"none": [record(epsilon=[0.0, 0.3], accuracy=[99.0, 10.0])]},
        None,
    ),
    "loss": (loss_against_steps, {"none": climbing(1.0), "ensemble": climbing(2.0, 3.0)}, {"none": [record(steps=[])]}),
    "rejection": (
        rejection_curves,
        {("none", "entropy"): detected("entropy", 60.0)},
        {("none", "entropy"): [record(false_positive_rate=RATES)]},
    ),
}
EVERY = pytest.mark.parametrize("kind", list(MAKERS))


# --- what holds of every figure -----------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("count", [0, 1, 3])
def test_axes_are_labelled_with_units_and_panels_titled(kind: str, count: int) -> None:
    make, panel, _ = MAKERS[kind]
    titles = [f"panel {i}" for i in range(count)]
    figure = drawn(make(dict.fromkeys(titles, panel)))
    assert [axis.get_title() for axis in figure.axes] == (titles or ["no run recorded yet"])
    across = min(2, max(1, count))
    for i, axis in enumerate(figure.axes):
        assert axis.get_xlabel()
        assert bool(axis.get_ylabel()) == (i % across == 0)  # the panels of a row share one scale
        if axis.get_ylabel():
            assert axis.get_ylabel().endswith(("(%)", "(nats)"))
        assert axis.get_ylim() == figure.axes[0].get_ylim()


@EVERY
@pytest.mark.parametrize("count", [0, 3])
def test_figures_are_opaque_white_and_nothing_is_cut_off(kind: str, count: int) -> None:
    make, panel, _ = MAKERS[kind]
    figure = make({f"panel {i}": panel for i in range(count)})
    file = io.BytesIO()
    figure.savefig(file)
    parts = [*figure.legends, *figure.axes]
    extents = [box for part in parts if (box := part.get_tightbbox()) is not None]
    plt.close(figure)
    pixels = np.asarray(Image.open(file).convert("RGBA"))
    assert figure.get_facecolor() == (1, 1, 1, 1)
    assert pixels[..., 3].min() == 255
    assert {tuple(pixels[y, x]) for y in (0, -1) for x in (0, -1)} == {(255, 255, 255, 255)}
    width, height = figure.bbox.size
    assert all(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1 for box in extents)
    for legend in figure.legends:
        assert all(legend.get_window_extent().y1 <= box.y0 + 1 for box in extents[len(figure.legends) :])


@EVERY
def test_a_panel_says_why_it_is_empty(kind: str) -> None:
    make, panel, other = MAKERS[kind]
    panels = {"full": panel, "empty": {key: [] for key in panel}, "none": {}}
    full, empty, none = drawn(make(panels)).axes
    assert notes(full) == [] and notes(empty) == notes(none) == ["not run yet"]
    if other is not None:
        assert notes(drawn(make({"without": other})).axes[0]) == ["not measured"]


@pytest.mark.parametrize("kind", ["accuracy", "loss"])
def test_an_unknown_estimator_is_refused_by_name(kind: str) -> None:
    make, panel, _ = MAKERS[kind]
    with pytest.raises(BadValue, match=r"^estimator: unknown 'other'; expected one of none, epistemic, aleatoric"):
        make({"panel": {"other": panel["none"]}})
    plt.close("all")


@pytest.mark.parametrize(
    ("kind", "key", "told"),
    [
        (
            "rejection",
            ("other", "entropy"),
            "estimator and score: unknown ('other', 'entropy'); expected one of ('none', 'entropy')",
        ),
        (
            "rejection",
            ("none", "other"),
            "estimator and score: unknown ('none', 'other'); expected one of ('none', 'entropy')",
        ),
    ],
)
def test_an_unknown_pair_is_refused_by_name(kind: str, key: tuple[str, str], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        MAKERS[kind][0]({"panel": {key: []}})
    plt.close("all")
    assert str(caught.value).startswith(told)


def test_records_over_different_points_are_refused() -> None:
    other = record("b", steps=[1.0, 3.0], loss=[1.0, 2.0])
    with pytest.raises(BadValue, match=r"^records: expected one steps, got \[1.0, 2.0, 5.0, 10.0\] in 0, .* in b$"):
        loss_against_steps({"panel": {"none": [*climbing(1.0), other]}})
    plt.close("all")


def test_every_estimator_form_and_score_has_a_look_of_its_own() -> None:
    assert list(ESTIMATORS) == ["none", "epistemic", "aleatoric", "ensemble", "new"]
    for part in ("label", "color", "marker", "linestyle"):
        assert len({str(one[part]) for one in ESTIMATORS.values()}) == len(ESTIMATORS)
    assert len(FORMS) == len(EVERY_FORM) and set(SCORE_NAMES) == set(UNCERTAINTY_SCORES)
    assert set(JUDGED) == {(estimator, score) for estimator in ESTIMATORS for score in UNCERTAINTY_SCORES}
    assert len({one["marker"] for one in FORMS.values()}) == len({one["label"] for one in FORMS.values()}) == len(FORMS)


@pytest.mark.parametrize(("every", "wrong"), [(["a", "b"], "b"), ([], "a")])
def test_looks_that_are_not_of_every_thing_are_refused_where_they_are_declared(every: list[str], wrong: str) -> None:
    with pytest.raises(BadValue, match=rf"^kind: expected a look for every one and for no other, .* \{{'{wrong}'\}}$"):
        Looks("kind", {"a": look("A", "grey", "o")}, every=every)


# --- curves -------------------------------------------------------------------------------------------------------------


def test_the_loss_is_drawn_over_a_logarithm_of_its_steps() -> None:
    (axis,) = drawn(loss_against_steps({"panel": {"none": climbing(1.0), "ensemble": climbing(2.0, 4.0)}})).axes
    assert axis.get_xscale() == "log"
    assert [text.get_text() for text in axis.get_xticklabels()] == ["1", "2", "5", "10"]
    none, ensemble = (points(labelled(axis)[NAMES[name]]) for name in ("none", "ensemble"))
    assert none == (STEPS, [math.log1p(step) for step in STEPS])
    np.testing.assert_allclose(ensemble[1], [3 * math.log1p(step) for step in STEPS])


def test_a_band_is_the_95_percent_interval_within_what_is_possible() -> None:
    """Loss has no upper end; accuracies and rates end at 100."""
    (axis,) = drawn(
        loss_against_steps({"panel": {"none": climbing(100.0, 200.0, 300.0), "ensemble": climbing(9.0)}})
    ).axes
    (band,) = (band for band in axis.collections if isinstance(band, PolyCollection))
    heights = band.get_paths()[0].vertices[:, 1]
    interval = mean_interval([height * math.log1p(STEPS[-1]) for height in (100.0, 200.0, 300.0)])
    assert heights.max() == pytest.approx(interval.high) and interval.high > 100
    assert heights.min() == 0 > mean_interval([100.0, 200.0, 300.0]).low  # a cross-entropy is at least 0
    (axis,) = drawn(rejection_curves({"panel": {("none", "entropy"): detected("entropy", 55.0, 95.0)}})).axes
    (band,) = (band for band in axis.collections if isinstance(band, PolyCollection))
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() >= 0 and heights.max() == 100


def test_records_without_the_curve_are_passed_over() -> None:
    other = record("b", steps=[], loss=[])
    (axis,) = drawn(loss_against_steps({"panel": {"none": [other, *climbing(1.0)], "epistemic": [other]}})).axes
    assert list(labelled(axis)) == [NAMES["none"]] and not axis.collections


def test_rejection_curves_are_the_records_in_percent_beside_the_ideal() -> None:
    panels = {"PGD": {("none", "entropy"): detected("entropy", 60.0)}}
    (axis,) = drawn(rejection_curves(panels)).axes
    (line,) = labelled(axis).values()
    np.testing.assert_allclose(points(line)[0], [100 * share for share in SHARES])
    np.testing.assert_allclose(points(line)[1], [60 + 20 * share for share in SHARES])
    (ideal,) = references(axis)
    x, y = points(ideal)
    assert x == pytest.approx([100 * share for share in SHARES])
    assert (y[0], y[4], y[8], y[12]) == pytest.approx((60, 75, 100, 100))  # 60 / 0.8; 60 / 0.6
    assert to_hex(ideal.get_color()) == to_hex(line.get_color())


@settings(max_examples=30)
@given(right=st.lists(st.booleans(), min_size=1, max_size=40), tries=st.integers(0, 2**32 - 1))
def test_no_score_rejects_better_than_the_ideal(right: list[bool], tries: int) -> None:
    """The line is an upper bound on `lib.detection.accuracy_after_rejection`, and the score that knows attains it."""
    truth = torch.tensor(right)
    scores = torch.rand(len(right), generator=torch.Generator().manual_seed(tries))
    kept, best = (detection.accuracy_after_rejection(s, truth) for s in (scores, (~truth).double()))
    records = [record(rejected=SHARES, kept_entropy=kept)]
    (axis,) = drawn(rejection_curves({"panel": {("none", "entropy"): records}})).axes
    ideal = points(references(axis)[0])[1]
    assert all(value <= bound + 1e-4 for value, bound in zip(kept, ideal, strict=True))
    np.testing.assert_allclose(ideal, best, atol=1e-4)


def test_scores_share_an_ideal_only_where_they_reject_the_same_images() -> None:
    shared = {("epistemic", s): detected(s, 60.0) for s in ("entropy", "mutual_information")}
    (axis,) = drawn(rejection_curves({"PGD": shared})).axes
    assert len(references(axis)) == 1
    apart = {**shared, ("epistemic", "mutual_information"): detected("mutual_information", 40.0)}
    (axis,) = drawn(rejection_curves({"PGD that knows the score": apart})).axes
    assert sorted(points(line)[1][0] for line in references(axis)) == [40, 60]


def test_legends_name_what_is_drawn_in_any_panel_in_one_order() -> None:
    first = {("ensemble", "mutual_information"): detected("mutual_information", 60.0), ("none", "entropy"): []}
    second = {
        ("aleatoric", "variance"): detected("variance", 60.0),
        ("aleatoric", "entropy"): detected("entropy", 60.0),
    }
    (legend,) = drawn(rejection_curves({"a": first, "b": second})).legends
    names = [
        "aleatoric: entropy",
        "aleatoric: aleatoric variance",
        "ensemble: mutual information",
        "ideal: rejects what is wrong",
    ]
    assert [text.get_text() for text in legend.get_texts()] == names
    (legend,) = drawn(
        loss_against_steps({"a": {"ensemble": climbing(1.0), "none": []}, "b": {"none": climbing(1.0)}})
    ).legends
    assert [text.get_text() for text in legend.get_texts()] == [NAMES["none"], NAMES["ensemble"]]


def test_the_figures_leave_the_settings_of_matplotlib_alone() -> None:
    before = dict(plt.rcParams)
    for make, panel, _ in MAKERS.values():
        drawn(make({"panel": panel}))
    assert dict(plt.rcParams) == before
    with looks.style():
        assert plt.rcParams["savefig.facecolor"] == "white"
