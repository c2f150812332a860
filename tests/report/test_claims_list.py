"""The list of claims: what stands behind a word, and that each word can be read on its colour."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from facts import FACTS
from matplotlib.colors import to_rgb
from palette import contrast, luminance

from experiments import claims, papers
from experiments.address import readings
from experiments.papers import harakeh
from experiments.papers.harakeh.fgsm import FGSM
from experiments.records import ROOT, Result, Store
from experiments.verdicts import Word
from report.claims_list import badge, claims_list
from report.text import unmarked

CSS = (ROOT / "book" / "static" / "book.css").read_text(encoding="utf-8")


def entries(store: Store, paper: str) -> dict[str, str]:
    """Each entry by the id of its sentence."""
    made = claims_list(store, paper).split("\n::::\n\n")
    return dict(zip([one.id for one in claims.load(paper)], made, strict=True))


def put(store: Store, estimator: str, clean: list[float], attacked: list[float]) -> None:
    for cell in harakeh.main("paper"):
        wanted = isinstance(cell, FGSM) and (cell.network, cell.estimator) == ("basic_cnn", estimator)
        if wanted and cell.seed < len(clean):
            measured = {"accuracy": clean[cell.seed], "adversarial_accuracy": attacked[cell.seed]}
            store.put(cell, Result({**measured, "test_points": 10_000.0}, {}), FACTS)


@pytest.mark.parametrize("paper", papers.NAMES)
def test_every_sentence_is_an_entry_with_a_line_a_part(store: Store, paper: str) -> None:
    made = entries(store, paper)
    for sentence in claims.load(paper):
        text = made[sentence.id]
        title, *_ = text.splitlines()
        assert sentence.quote in unmarked(title) and sentence.where in unmarked(title)
        assert f":name: claim-{paper}-{sentence.id}\n" in text
        word = "not run" if sentence.parts else "not testable as written"
        assert text.count(badge(word)) == 1 + len(sentence.parts)
        assert sentence.parts or f"Nothing to compare: {sentence.reason}" in text
        if sentence.parts:  # what is the same under every reading is said once
            others = "; ".join(one.title for one in readings(paper)[1:])
            assert f"The same for: {others}." in text and "Not run for" not in text


def test_an_entry_shows_both_numbers_and_how_they_lie(store: Store) -> None:
    put(store, "none", [99.0, 99.1, 99.2], [10.0, 11.0, 12.0])
    text = entries(store, "harakeh")["mnist-accuracy-around-99"]
    # 4.3027 * 0.1 / sqrt(3) = 0.248, and one more training within twice that: 99.37 lies between.
    cells = "| 99.37 | 99.10 [98.85, 99.35] ×3 | in that of one more training | [replicated]{.verdict .replicated} |"
    assert cells in text
    assert text.startswith(f"::::{{dropdown}} {badge('not run')} “First it has to be noted")
    # The text's network is the same whatever the attack looks at; the tutorial's has no record.
    assert "The same for: text's network, one draw; text's network, expectation." in text
    assert "Not run for: tutorial's network; `reduced`." in text


def test_a_sentence_of_one_part_shows_its_number_under_another_reading(store: Store) -> None:
    for cell in harakeh.main("paper"):
        if (
            isinstance(cell, FGSM)
            and (cell.network, cell.estimator) == ("basic_cnn_tutorial", "none")
            and cell.seed < 2
        ):
            measured = {"accuracy": 99.3, "adversarial_accuracy": 10.0 + cell.seed, "test_points": 10_000.0}
            store.put(cell, Result(measured, {}), FACTS)
    (line,) = [one for one in entries(store, "harakeh")["mnist-fgsm-drop"].splitlines() if "tutorial's" in one]
    assert re.fullmatch(r"\| tutorial's network \| 88\.80 \[.*\] ×2 \| in our interval \| \[.*", line)


@pytest.mark.parametrize("word", get_args(Word))
def test_every_word_can_be_read_on_its_colour(word: Word) -> None:
    name = word.replace(" ", "-")
    (found,) = re.findall(
        rf"^[^\n]*\.{name}(?=[ ,])[^\n{{]*\{{ background: (#\w+); color: (#\w+);", CSS, flags=re.MULTILINE
    )
    ground, ink = (luminance(to_rgb(color)) for color in found)
    assert contrast(ground, ink) >= 4.5 and badge(word) == f"[{word}]{{.verdict .{name}}}"
