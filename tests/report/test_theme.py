"""Figures as SVG: every letter stands out on a light and on a dark page, and equal figures are equal files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import pytest
import site_scan as scan
from conftest import ROOT
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from palette import ratio

from experiments.verdicts import Word
from report.figures import heat, looks
from report.figures.theme import DARK, svg

GROUNDS = {"light": looks.WHITE, "dark": DARK[looks.WHITE]}


def drawn(color: str = looks.BLUE) -> Figure:
    with looks.style():
        figure, axis = plt.subplots()
        axis.plot([0, 1], [0.123456, 1], color=color, marker="o", label="a line", **looks.OPEN)
        axis.legend()
    return figure


@pytest.mark.parametrize(
    ("one", "other", "expected"),  # by the formula of WCAG 2.2, as its examples give them
    [("#ffffff", "#000000", 21), ("#767676", "#ffffff", 4.54), ("#ff0000", "#ffffff", 4.0), ("#123456", "#123456", 1)],
)
def test_the_contrast_is_that_of_wcag(one: str, other: str, expected: float) -> None:
    assert ratio(one, other) == ratio(other, one) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("theme", GROUNDS)
def test_letters_have_4_5_and_marks_3_on_both_grounds(theme: str) -> None:
    def seen(color: str) -> str:
        return DARK[color] if theme == "dark" else color

    assert min(ratio(seen(color), GROUNDS[theme]) for color in (looks.INK, looks.GREY)) >= 4.5
    marks = (looks.BLUE, looks.VERMILLION, looks.GREEN, looks.PURPLE, looks.ORANGE)
    assert min(ratio(seen(color), GROUNDS[theme]) for color in marks) >= 3


def test_letters_on_a_fill_stand_out_from_it() -> None:
    shades = {to_hex(heat.SHADES(0.9 * i / 100)): heat.ink_on(0.9 * i / 100) for i in range(101)}
    assert min(ratio(ink, fill) for fill, ink in shades.items()) >= 4.5
    assert not {*shades, looks.ON_DARK, looks.ON_PALE} & set(DARK), "a fill and its letters are the same on every page"


def test_a_dark_page_changes_every_colour_that_the_figure_has() -> None:
    text = svg(drawn())
    ElementTree.fromstring(text)
    used = set(re.findall(r"(?:fill|stroke): (#\w{6})", text))
    assert looks.BLUE in used and used <= set(DARK)
    (rules,) = re.findall(r"@media \(prefers-color-scheme: dark\)\{(.*)\}</style>", text)
    for light in used:
        for part in ("fill", "stroke"):
            has = re.search(f'style="[^"]*{part}: {light}', text) is not None
            assert has == (f"[style*='{part}: {light}']{{{part}:{DARK[light]} !important}}" in rules)


def test_equal_figures_are_equal_files_and_are_closed() -> None:
    before = plt.get_fignums()
    assert svg(drawn()) == svg(drawn()) != svg(drawn(looks.GREEN))
    assert plt.get_fignums() == before


@pytest.mark.parametrize("path", sorted((ROOT / "book" / "static").glob("*.svg")), ids=lambda path: path.name)
def test_letters_of_a_drawing_stand_out_from_everything_behind_them(path: Path) -> None:
    """Its style has each class twice: first for a light page, then for a dark one."""
    (light, dark) = (
        path.read_text(encoding="utf-8").partition("</style>")[0].split("@media (prefers-color-scheme: dark)")
    )
    fills = [dict(re.findall(r"([.#\w][.#\w, ]*) \{ fill: (#\w{6})", part)) for part in (light, dark)]
    assert set(fills[0]) == set(fills[1])
    for found in fills:
        (letters,) = [color for name, color in found.items() if name.startswith("text")]
        assert min(ratio(letters, ground) for ground in found.values() if ground != letters) >= 4.5


def test_the_flowchart_ends_in_every_word_of_a_verdict() -> None:
    text = (ROOT / "book" / "static" / "verdict.svg").read_text(encoding="utf-8")
    assert sorted(re.findall(r'class="word"[^>]*>([^<]+)<', text)) == sorted(get_args(Word))


@pytest.mark.parametrize(
    ("color", "dark", "found"),
    [("#222222", "#e6e6e6", 0), ("#e69f00", "#f0b429", 1), ("#222222", "#222222", 1), ("#fefefe", None, 0)],
)
def test_the_scan_finds_pale_letters(color: str, dark: str | None, found: int) -> None:
    rule = f"[style*='fill: {color}']{{fill:{dark} !important}}" if dark else ""
    ground = "[style*='fill: #ffffff']{fill:#121212 !important}"
    text = f'<svg><style>{ground}{rule}</style><g id="text_1"><g style="fill: {color}"><path/></g></g></svg>'
    assert len(scan.pale_letters("x.svg", text)) == found
