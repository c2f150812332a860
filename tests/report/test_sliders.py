"""Sliders: their rows are what the records hold, and nothing in them can leave the element that carries them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pytest

from experiments.records import Record, Store
from lib.errors import BadValue
from lib.metrics import mean_interval
from report.figures.curves import Curves, Slider
from report.figures.looks import BLUE, GREEN, Looks, look
from report.figures.sliders import element, rows
from report.figures.theme import DARK
from report.papers import at_once, galinkin_noise, harakeh, song_figures
from report.tables import Panels, panels_at, values_at

LOOKS = Looks("line", {"a": look("first", BLUE, "o"), "b": look("second", GREEN, "o")})
SMALL = Curves(
    lines={}, x="budget", y="right", looks=LOOKS, xlabel="", ylabel="", slider=Slider("Budget", "Right.", 0.24)
)


def record(**curves: Sequence[float]) -> Record:
    return Record("0", {}, {}, {name: list(values) for name, values in curves.items()}, {})


def slid(panels: Panels, shown: Curves) -> dict[str, Any]:
    assert shown.slider is not None
    return rows(panels, shown, shown.slider)


SHOWN: Mapping[str, tuple[str, Curves]] = {
    "harakeh": ("harakeh", harakeh.CURVE),
    "galinkin": ("galinkin", galinkin_noise.LIMITS),
    "galinkin, boundary": ("galinkin", galinkin_noise.LIMITS_BOUNDARY),
    "galinkin, answers": ("galinkin", galinkin_noise.ANSWERS),
    "song": ("song", song_figures.ROC),
    **{f"at once, {norm}": ("at_once", shown) for norm, shown in at_once.LEFT.items()},
}


@pytest.mark.parametrize("name", SHOWN)
def test_rows_are_what_the_records_hold(name: str) -> None:
    paper, curves = SHOWN[name]
    panels = panels_at(Store(), paper, curves.lines)
    percent = 100 / curves.highest
    shown = {panel["title"]: panel for panel in slid(panels, curves)["panels"]}
    assert shown
    for title in shown:
        kept = {
            key: held
            for key, records in panels[title].items()
            if (held := [one for one in records if one.curves.get(curves.names(key)[1])])
        }
        assert [line["name"] for line in shown[title]["lines"]] == [curves.looks[key]["label"] for key in kept]
        for line, (key, records) in zip(shown[title]["lines"], kept.items(), strict=True):
            x, y = curves.names(key)
            assert line["seeds"] == len(records)
            points = [found for found in zip(shown[title]["at"], line["values"], strict=True) if found[1]]
            assert [at for at, _ in points] == pytest.approx(records[0].curves[x], rel=1e-3)
            for i, (_, (mean, *ends)) in enumerate(points):
                values = [percent * one.curves[y][i] for one in records]
                assert mean == pytest.approx(fmean(values), abs=0.005001)
                interval = mean_interval(values).within(0, 100)
                expected = [interval.low, interval.high] if len(values) > 1 else []
                assert ends == pytest.approx(expected, abs=0.005001)


def test_one_seed_has_no_interval_and_an_empty_panel_no_place() -> None:
    one = record(budget=[0.0, 0.1, 0.3], right=[90.0, 50.0, 10.0])
    other = record(budget=[0.0, 0.1, 0.3], right=[100.0, 60.0, 0.0])
    found = slid({"x": {"a": [one], "b": [one, other]}, "empty": {"a": []}, "lacks": {"a": [record()]}}, SMALL)
    (panel,) = found["panels"]
    assert panel["at"] == [0.0, 0.1, 0.3] and panel["start"] == 2  # 0.3 is nearest to 0.24
    first, second = panel["lines"]
    assert first == {"name": "first", "colours": [BLUE, DARK[BLUE]], "seeds": 1, "values": [[90.0], [50.0], [10.0]]}
    assert second["values"][0] == [95.0, 31.47, 100.0]  # 95 ± 12.706 * 7.071 / sqrt(2), and no more than all
    assert slid({}, SMALL)["panels"] == []


def test_a_line_has_nothing_where_it_was_not_measured() -> None:
    short = record(budget=[0.3], right=[30.0])
    whole = record(budget=[0.0, 0.1, 0.3], right=[100.0, 60.0, 0.0])
    (panel,) = slid({"x": {"a": [short], "b": [whole]}}, SMALL)["panels"]
    assert panel["at"] == [0.0, 0.1, 0.3]
    assert [line["values"] for line in panel["lines"]] == [[[], [], [30.0]], [[100.0], [60.0], [0.0]]]


@pytest.mark.parametrize(("norm", "changed"), [("linf", ""), ("l2", "l2/")])
def test_what_attacks_leave_stands_at_the_headline_budget(norm: str, changed: str) -> None:
    shown = at_once.LEFT[norm]
    panels = slid(panels_at(Store(), "at_once", shown.lines), shown)["panels"]
    for title, quantity in {"the worst of all attacks": "worst_case", "PGD, one draw": "accuracy_pgd_one_draw"}.items():
        (panel,) = [one for one in panels if one["title"] == f"MNIST: {title}"]
        (line,) = [one for one in panel["lines"] if one["name"] == "dropout"]
        attacked = values_at(Store(), "at_once", f"mnist/dropout/{changed}{quantity}")
        assert line["values"][panel["start"]][0] == pytest.approx(fmean(attacked), abs=0.005001)
    assert panels[0]["title"].endswith("the worst of all attacks")


def test_records_over_different_points_are_an_error() -> None:
    kept = [record(budget=[0.0, 0.1], right=[1.0, 2.0]), record(budget=[0.0, 0.2], right=[1.0, 2.0])]
    with pytest.raises(BadValue, match="expected one budget"):
        slid({"x": {"a": kept}}, SMALL)


def test_no_text_leaves_the_element() -> None:
    hostile = '</script><img src=x onerror="alert(1)"> & <!-- "'
    told: dict[str, Any] = slid({hostile: {"a": [record(budget=[0.0], right=[1.0])]}}, SMALL)
    text = element(told)
    assert text.count("<") == 4  # the element, what holds the rows, and their ends
    held = re.fullmatch(r'<div class="slider"><script type="application/json">(.*)</script></div>', text, re.DOTALL)
    assert held is not None and json.loads(held[1]) == told
    assert html.unescape(hostile) in told["panels"][0]["title"]
