"""The page of claims: sentences with their parts, the words counted, and what was corrected."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from typing import Any, get_args

import pytest
from facts import FACTS
from matplotlib.colors import to_rgb
from palette import contrast, luminance

from experiments import claims, coverage, papers, published
from experiments.address import parse, readings
from experiments.gate import check_own
from experiments.judging import told, verdict
from experiments.papers import galinkin, harakeh
from experiments.papers.galinkin.membership import Membership
from experiments.papers.harakeh.fgsm import FGSM
from experiments.records import ROOT, Result, Store
from experiments.verdicts import Word
from report import claims_page
from report.claims_page import badge, claims_list
from report.names import DATASET_NAMES
from report.prose import parts, verdicts
from report.text import unmarked

CSS = (ROOT / "book" / "static" / "book.css").read_text(encoding="utf-8")


@pytest.fixture
def store(tmp_path: Any) -> Store:
    return Store(tmp_path)


def put(store: Store, estimator: str, clean: list[float], attacked: list[float], **facts: Any) -> None:
    """A record a seed of the text's network on MNIST under FGSM."""
    found = [cell for cell in harakeh.main("paper") if isinstance(cell, FGSM) and cell.estimator == estimator]
    found = [cell for cell in found if (cell.dataset, cell.network) == ("mnist", "basic_cnn")]
    for cell, accuracy, adversarial in zip(found, clean, attacked, strict=False):
        measured = {"accuracy": accuracy, "adversarial_accuracy": adversarial, "test_points": 10_000.0}
        store.put(cell, Result(measured, {}), FACTS | facts)


def lines_of(store: Store, paper: str) -> dict[tuple[str, str], list[str]]:
    """Each line of the table by the id of its part and the name of its reading, without sentence, place and reading."""
    parts = [
        (part.id, one.name) for sentence in claims.load(paper) for one in readings(paper) for part in sentence.parts
    ]
    rows = claims_page.claims_table(store, paper).rows
    return {key: list(row[3:]) for key, row in zip(parts, rows, strict=True)}


@pytest.mark.parametrize("paper", papers.NAMES)
def test_each_rule_names_its_cells_and_its_limit(store: Store, paper: str) -> None:
    lines, text = lines_of(store, paper), readings(paper)[0].name
    assert {line[-1] for line in lines.values()} == {"not run"}
    for part in (part for one in claims.load(paper) for part in one.parts):
        rule = lines[part.id, text][0]
        assert part.kind == "more" or re.search(rf" {part.limit:g}( to either side)?$", rule)
        assert rule.replace("100 − ", "").count(" − ") == len(part.cells) - 1
        assert "/" not in rule and "_" not in rule and "?" not in rule
        datasets = [DATASET_NAMES[name.split("/")[0]] for name in part.names if name.split("/")[0] in DATASET_NAMES]
        assert (
            re.findall(r"Fashion-MNIST|MNIST|CIFAR-10|Yale Face", rule) == datasets
        )  # in the order of the subtraction


def test_a_verdict_comes_with_what_it_rests_on(store: Store) -> None:
    put(store, "none", [99.0, 99.1, 99.2], [10.0, 11.0, 12.0])
    put(store, "epistemic", [98.5], [50.0])
    lines, text = lines_of(store, "harakeh"), readings("harakeh")[0].name
    # 4.3027 * 0.1 / sqrt(3) = 0.248, and one more training within twice that: 99.37 lies between.
    found = ["99.37", "99.10 [98.85, 99.35] ×3", "in that of one more training", "replicated"]
    assert lines["mnist-accuracy", text][1:] == found == lines["mnist-accuracy", "one_draw"][1:]  # the same victim
    assert lines["mnist-accuracy-epistemic", text][2:] == ["98.50, one seed", "–", "one seed"]
    assert lines["mnist-accuracy-aleatoric", text][2:] == ["not run", "–", "not run"]
    assert told(store, parse("mnist-accuracy", "harakeh"))[0] == "replicated: 99.10 [98.85, 99.35]"


def test_a_victim_that_is_not_the_papers_is_told_with_its_accuracy(store: Store) -> None:
    put(store, "none", [95.0, 95.1, 95.2], [10.0, 11.0, 12.0])
    lines, text = lines_of(store, "harakeh"), readings("harakeh")[0].name
    assert lines["mnist-fgsm-drop", text][2].startswith("84.10 [")
    assert (
        lines["mnist-fgsm-drop", text][-1] == "victim not matched; the size is undecided; clean accuracy 95.1 for 99.37"
    )
    # The accuracy itself is what the sentence is about: it is judged.
    assert lines["mnist-accuracy", text][3:] == ["outside", "not replicated"]


def test_the_victim_of_membership_is_the_network_that_was_asked(store: Store) -> None:
    """It has half of the data, so that its accuracy is another than that of the network under attack by images."""
    for cell in galinkin.main("paper"):
        if isinstance(cell, Membership) and (cell.dataset, cell.network) == ("mnist", "lenet5"):
            measured = {
                "membership": 60.0 + cell.seed,
                "accuracy": 98.4 if cell.bayesian else 90.0,
                "test_points": 100.0,
            }
            store.put(cell, Result(measured, {}), FACTS)
    found = verdict(store, parse("mnist-lenet5-membership", "galinkin"))
    assert found.word == "victim not matched"
    assert [(one.name, one.ours) for one in found.missed] == [("mnist/lenet5/plain/accuracy", 90.0)]


def test_halves_on_different_processors_are_told(store: Store) -> None:
    put(store, "none", [99.0, 99.1], [10.0, 11.0])
    put(store, "epistemic", [98.5, 98.6], [20.0, 25.0], device="Another chip")
    found = verdict(store, parse("mnist-fgsm-epistemic-gain", "harakeh"))
    assert found.reasons == ("2 of 2 pairs were not computed alike",)


@pytest.mark.parametrize("paper", papers.NAMES)
def test_the_summary_adds_up_to_the_number_of_sentences(store: Store, paper: str) -> None:
    total, counts = re.fullmatch(r"(\d+) claims, (.*)", verdicts(store, paper)).groups()  # type: ignore[union-attr]
    found = {word: int(count) for count, _, word in (part.partition(" ") for part in counts.split(", "))}
    assert sum(found.values()) == int(total) == len(claims.load(paper))
    untestable = sum(not one.parts for one in claims.load(paper))
    assert found == {"not run": int(total) - untestable} | (
        {"not testable as written": untestable} if untestable else {}
    )


@pytest.mark.parametrize("paper", papers.NAMES)
def test_the_summary_of_parts_adds_up_to_their_number(store: Store, paper: str) -> None:
    sentences, judged, counts = re.fullmatch(r"(\d+) claims in (\d+) parts: (.*)", parts(store, paper)).groups()  # type: ignore[union-attr]
    assert int(sentences) == len(claims.load(paper))
    assert counts == f"{judged} not run" and int(judged) == sum(len(one.parts) for one in claims.load(paper))


# --- the list ----------------------------------------------------------------------------------------------------------


def entries(store: Store, paper: str) -> dict[str, str]:
    """Each entry by the id of its sentence."""
    made = claims_list(store, paper).split("\n::::\n\n")
    return dict(zip([one.id for one in claims.load(paper)], made, strict=True))


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


# --- coverage -----------------------------------------------------------------------------------------------------------


def test_every_published_number_is_in_one_column(store: Store) -> None:
    assert coverage.totals(store) == {"not run": sum(len(published.load(paper)) for paper in papers.NAMES)}
    put(store, "none", [99.0] * 5, [10.0] * 5)
    put(store, "epistemic", [98.0] * 4, [10.0] * 4)
    put(store, "aleatoric", [98.0] * 2, [10.0] * 2)
    counts = {(row.paper, row.words): row.counts for row in coverage.rows(store)}["harakeh", ("mnist",)]
    # FGSM's two numbers of each victim, and the clean accuracy in the rows of CW and JSMA.
    assert counts == {
        "as written, 5 seeds or more": 4,
        "as written, 3 or 4": 4,
        "as written, 1 or 2": 4,
        "not run": 12,
    }


def test_a_number_of_another_reading_or_scale_is_counted_apart(store: Store) -> None:
    for profile, network in (("paper", "basic_cnn_tutorial"), ("reduced", "fully_convolutional_tutorial")):
        for cell in harakeh.main(profile):
            if isinstance(cell, FGSM) and cell.network == network and cell.estimator == "none" and cell.seed == 0:
                store.put(cell, Result({"accuracy": 90.0, "adversarial_accuracy": 9.0, "test_points": 1e4}, {}), FACTS)
    counts = {row.words: row.counts for row in coverage.rows(store) if row.paper == "harakeh"}
    assert counts["mnist",]["read otherwise only"] == 4 and counts["cifar10",]["reduced only"] == 2


def test_the_command_prints_a_line_a_row_and_one_for_all(cli: Any) -> None:
    lines = cli("coverage").stdout.splitlines()
    assert len(lines) == len(coverage.rows(Store())) + 2
    counts = coverage.totals(Store())
    assert lines[-1].split() == ["all", *map(str, (counts.total(), *(counts[one] for one in coverage.COLUMNS)))]


def test_no_page_states_another_count_of_published_numbers() -> None:
    """Pages take the counts by their tokens; what cannot, as the README, has to state today's."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    counts = coverage.totals(Store())
    right = {str(counts.total()), *map(str, counts.values())}
    for page in pages:
        text = re.sub(r"\{n\}`[^`]*`", "", page.read_text(encoding="utf-8"))
        told = re.findall(r"\b(\d+) (?:of (?:the )?(\d+) )?(?:published|printed) numbers", " ".join(text.split()))
        assert {number for pair in told for number in pair if number} <= right, page.name


# --- corrections --------------------------------------------------------------------------------------------------------


def test_the_commits_that_the_page_names_are_in_the_history() -> None:
    """Who doubts that a rule was there first looks the commit up: one that was rebased away proves nothing."""
    shallow = subprocess.run(
        ["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if shallow.stdout.strip() != "false":
        pytest.skip("needs the whole history")
    named = re.findall(r"`([0-9a-f]{7})`", (ROOT / "book" / "claims.md").read_text(encoding="utf-8"))
    assert len(named) > 8
    for commit in named:
        check_own(commit)


def test_every_entry_of_before_has_become_a_sentence_or_a_part() -> None:
    entries = claims_page.before()
    assert len(entries) == len({(one["paper"], one["id"]) for one in entries}) == 92
    assert {one["word"] for one in entries} <= set(get_args(Word))
    assert all(parse(f"text:{one['now']}", one["paper"]) for one in entries)


def test_every_changed_word_is_corrected_and_says_why() -> None:
    store = Store(ROOT / "results")
    rows = claims_page.corrections_table(store).rows
    changed = [
        f"`{one['id']}`"
        for one in claims_page.before()
        if one["word"] != verdict(store, parse(f"text:{one['now']}", one["paper"])).word
    ]
    told = " ".join(row[1] for row in rows)
    assert changed and all(name in told for name in changed)
    assert all(row[-1] for row in rows)


def test_the_words_are_counted_before_and_now() -> None:
    rows = {row[0]: row[1:] for row in claims_page.words_table(Store(ROOT / "results")).rows}
    counted = Counter(one["word"] for one in claims_page.before())
    assert {word: int(row[2]) for word, row in rows.items() if row[2] != "0"} == counted | {"in all": 92}
    sentences = [one for paper in papers.REPLICATED for one in claims.load(paper)]
    assert rows["in all"][:2] == [str(len(sentences)), str(sum(len(one.parts) for one in sentences))]
