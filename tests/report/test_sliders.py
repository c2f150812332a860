"""Sliders: their rows are what the records hold, and nothing in them can leave the element that carries them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

import pytest

from experiments.records import Record, Store
from lib.errors import BadValue
from lib.metrics import mean_interval
from report.figures.looks import BLUE, GREEN, Looks, look
from report.figures.sliders import Slider, element, rows
from report.figures.theme import DARK
from report.papers import at_once_budget, galinkin_noise, harakeh_budget, song_figures, song_panels
from report.tables import Panels, panels_at, values_at

LOOKS = Looks("line", {"a": look("first", BLUE, "o"), "b": look("second", GREEN, "o")})
SMALL = Slider(label="Budget", told="Right.", x="budget", y="right", looks=LOOKS, start=0.24)


def record(**curves: Sequence[float]) -> Record:
    return Record("0", {}, {}, {name: list(values) for name, values in curves.items()}, {})


SHOWN: Mapping[str, tuple[Callable[[Store], Panels], Slider]] = {
    "harakeh": (harakeh_budget.budget_panels, harakeh_budget.BUDGET),
    "galinkin": (
        lambda store: panels_at(store, "galinkin", galinkin_noise.LIMITS.lines),
        galinkin_noise.WITHIN["linf"],
    ),
    "galinkin, boundary": (
        lambda store: panels_at(store, "galinkin", galinkin_noise.LIMITS_BOUNDARY.lines),
        galinkin_noise.WITHIN["l2"],
    ),
    "galinkin, answers": (
        lambda store: panels_at(store, "galinkin", galinkin_noise.ANSWERS.lines),
        galinkin_noise.ANSWERS_SPENT,
    ),
    "song": (
        lambda store: song_panels.rates_by_threshold(song_panels.victims(store)),
        song_figures.THRESHOLD,
    ),
    **{
        f"at once, {norm}": (partial(at_once_budget.by_attack, norm=norm), slider)
        for norm, slider in at_once_budget.BUDGET.items()
    },
}


@pytest.mark.parametrize("name", SHOWN)
def test_rows_are_what_the_records_hold(name: str) -> None:
    find, slider = SHOWN[name]
    panels = find(Store())
    shown = {panel["title"]: panel for panel in rows(panels, slider)["panels"]}
    assert shown and shown.keys() == panels.keys()
    for title, lines in panels.items():
        kept = {slider.looks[key]["label"]: records for key, records in lines.items() if records}
        assert [line["name"] for line in shown[title]["lines"]] == list(kept)
        for line in shown[title]["lines"]:
            records = kept[line["name"]]
            assert line["seeds"] == len(records)
            points = [found for found in zip(shown[title]["at"], line["values"], strict=True) if found[1]]
            assert [at for at, _ in points] == pytest.approx(records[0].curves[slider.x], rel=1e-3)
            for i, (_, (mean, *ends)) in enumerate(points):
                values = [one.curves[slider.y][i] for one in records]
                assert mean == pytest.approx(fmean(values), abs=0.005001)
                interval = mean_interval(values).within(0, 100)
                expected = [interval.low, interval.high] if len(values) > 1 else []
                assert ends == pytest.approx(expected, abs=0.005001)


def test_songs_rates_are_those_of_the_recorded_curves() -> None:
    """Where so many others are taken for members: the true-positive rate, and the mean of it and of the others kept out."""
    one = record(fpr_benign=[0.0, 0.1, 0.2, 0.5, 1.0], tpr_benign=[0.0, 0.3, 0.5, 0.8, 1.0])
    adversarial = {"fpr_adversarial": [0.0, 1.0], "tpr_adversarial": [0.0, 1.0]}
    kept = record(**one.curves, **adversarial)
    found = song_panels.rates_by_threshold({"Faces": {"natural": [kept], "robust": []}})
    for words, curve in {"members found": [0.0, 100.0], "accuracy": [50.0, 50.0]}.items():
        (benign,) = found[f"Faces: {words}"]["natural", "benign"]
        assert benign.curves == {"mistaken": [0.0, 100.0], "found": pytest.approx(curve)}
    middle = record(fpr_benign=[0.2, 0.5, 0.5, 0.5, 0.5], tpr_benign=[0.6, 0.8, 0.8, 0.8, 0.8], **adversarial)
    (benign,) = song_panels.rates_by_threshold({"Faces": {"natural": [middle]}})["Faces: accuracy"]["natural", "benign"]
    assert benign.curves["found"] == pytest.approx([70.0, 65.0])


def test_one_seed_has_no_interval_and_an_empty_panel_no_place() -> None:
    one = record(budget=[0.0, 0.1, 0.3], right=[90.0, 50.0, 10.0])
    other = record(budget=[0.0, 0.1, 0.3], right=[100.0, 60.0, 0.0])
    found = rows({"x": {"a": [one], "b": [one, other]}, "empty": {"a": []}, "lacks": {"a": [record()]}}, SMALL)
    (panel,) = found["panels"]
    assert panel["at"] == [0.0, 0.1, 0.3] and panel["start"] == 2  # 0.3 is nearest to 0.24
    first, second = panel["lines"]
    assert first == {"name": "first", "colours": [BLUE, DARK[BLUE]], "seeds": 1, "values": [[90.0], [50.0], [10.0]]}
    assert second["values"][0] == [95.0, 31.47, 100.0]  # 95 ± 12.706 * 7.071 / sqrt(2), and no more than all
    assert rows({}, SMALL)["panels"] == []


def test_a_line_has_nothing_where_it_was_not_measured() -> None:
    short = record(budget=[0.3], right=[30.0])
    whole = record(budget=[0.0, 0.1, 0.3], right=[100.0, 60.0, 0.0])
    (panel,) = rows({"x": {"a": [short], "b": [whole]}}, SMALL)["panels"]
    assert panel["at"] == [0.0, 0.1, 0.3]
    assert [line["values"] for line in panel["lines"]] == [[[], [], [30.0]], [[100.0], [60.0], [0.0]]]


def test_harakehs_one_draw_is_measured_at_the_published_budget() -> None:
    panel = rows(harakeh_budget.budget_panels(Store()), harakeh_budget.BUDGET)["panels"][0]
    (line,) = [one for one in panel["lines"] if "one draw" in one["name"]]
    ours = values_at(Store(), "harakeh", "one_draw:mnist/fgsm/epistemic/adversarial_accuracy")
    assert panel["at"][-1] == 0.3 and line["values"][-1][0] == pytest.approx(fmean(ours), abs=0.005001)


@pytest.mark.parametrize(("norm", "changed"), [("linf", ""), ("l2", "l2/")])
def test_what_attacks_leave_begins_with_the_clean_accuracy_and_stands_at_the_headline_budget(
    norm: str, changed: str
) -> None:
    panels = rows(at_once_budget.by_attack(Store(), norm), at_once_budget.BUDGET[norm])["panels"]
    for title, quantity in {"the worst of all attacks": "worst_case", "PGD, one draw": "accuracy_pgd_one_draw"}.items():
        (panel,) = [one for one in panels if one["title"] == f"MNIST: {title}"]
        (line,) = [one for one in panel["lines"] if one["name"] == "dropout"]
        attacked = values_at(Store(), "at_once", f"mnist/dropout/{changed}{quantity}")
        assert line["values"][panel["start"]][0] == pytest.approx(fmean(attacked), abs=0.005001)
        clean = values_at(Store(), "at_once", f"mnist/dropout/{changed}accuracy_noise")
        assert panel["at"][0] == 0 and line["values"][0][0] == pytest.approx(fmean(clean), abs=3)
    assert panels[0]["title"].endswith("the worst of all attacks")


def test_records_over_different_points_are_an_error() -> None:
    kept = [record(budget=[0.0, 0.1], right=[1.0, 2.0]), record(budget=[0.0, 0.2], right=[1.0, 2.0])]
    with pytest.raises(BadValue, match="expected one budget"):
        rows({"x": {"a": kept}}, SMALL)


def test_no_text_leaves_the_element() -> None:
    hostile = '</script><img src=x onerror="alert(1)"> & <!-- "'
    told: dict[str, Any] = rows({hostile: {"a": [record(budget=[0.0], right=[1.0])]}}, SMALL)
    text = element(told)
    assert text.count("<") == 4  # the element, what holds the rows, and their ends
    held = re.fullmatch(r'<div class="slider"><script type="application/json">(.*)</script></div>', text, re.DOTALL)
    assert held is not None and json.loads(held[1]) == told
    assert html.unescape(hostile) in told["panels"][0]["title"]
