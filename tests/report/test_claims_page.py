"""The page of claims: sentences with their parts, the words counted, and what was corrected."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, get_args

import pytest
from facts import FACTS

from experiments import claims, coverage, papers, published
from experiments.address import parse, readings
from experiments.judging import told, verdict
from experiments.papers import galinkin, harakeh
from experiments.papers.galinkin.membership import Membership
from experiments.papers.harakeh.fgsm import FGSM
from experiments.records import ROOT, Result, Store
from experiments.verdicts import Word
from report import claims_page
from report.names import DATASET_NAMES
from report.prose import verdicts


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


def rows_of(store: Store, paper: str) -> dict[str, list[str]]:
    """Each row of the table by the id of its sentence or part."""
    ids = [
        id_ for one in claims.load(paper) for id_ in (one.id, *(part.id for part in one.parts if len(one.parts) > 1))
    ]
    return dict(zip(ids, map(list, claims_page.claims_table(store, paper).rows), strict=True))


@pytest.mark.parametrize("paper", papers.NAMES)
def test_every_sentence_has_a_row_with_its_parts_below_it(store: Store, paper: str) -> None:
    rows = rows_of(store, paper)
    for sentence in claims.load(paper):
        row = rows[sentence.id]
        assert sentence.quote in row[0] and sentence.where in row[0] and len(row) == 5 + len(readings(paper))
        word = "not run" if sentence.parts else "**not testable as written**"
        assert {row[3], *row[6:]} == {word} and row[5] == "–"
        assert sentence.parts or row[1] == f"none: {sentence.reason}"
        assert all(rows[part.id][0] == "↳" for part in sentence.parts if part.id != sentence.id)


@pytest.mark.parametrize("paper", papers.NAMES)
def test_each_rule_names_its_cells_and_its_limit(store: Store, paper: str) -> None:
    rows = rows_of(store, paper)
    for part in (part for one in claims.load(paper) for part in one.parts):
        rule = rows[part.id][1]
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
    rows = rows_of(store, "harakeh")
    # 4.3027 * 0.1 / sqrt(3) = 0.248, and one more training within twice that: 99.37 lies between.
    assert rows["mnist-accuracy"][2:6] == [
        "99.37",
        "**replicated**",
        "99.10 [98.85, 99.35], 3 seeds",
        "in that of one more training",
    ]
    assert rows["mnist-accuracy"][6] == "**replicated**: 99.10 [98.85, 99.35], 3 seeds"  # the same victim
    assert rows["mnist-accuracy-epistemic"][3:6] == ["**one seed**", "98.50", "–"]
    assert rows["mnist-accuracy-aleatoric"][3:6] == ["not run", "–", "–"]
    assert rows["mnist-accuracy-around-99"][3:6] == ["not run", "1 replicated, 1 one seed, 1 not run", "–"]
    assert told(store, parse("mnist-accuracy", "harakeh"))[0] == "replicated: 99.10 [98.85, 99.35]"


def test_a_victim_that_is_not_the_papers_is_told_with_its_accuracy(store: Store) -> None:
    put(store, "none", [95.0, 95.1, 95.2], [10.0, 11.0, 12.0])
    rows = rows_of(store, "harakeh")
    assert rows["mnist-fgsm-drop"][3] == "**victim not matched**"
    assert rows["mnist-fgsm-drop"][4].startswith("84.10 [") and rows["mnist-fgsm-drop"][4].endswith(
        "; clean accuracy 95.1 for 99.37"
    )
    # The accuracy itself is what the sentence is about: it is judged.
    assert rows["mnist-accuracy"][3:6:2] == ["**not replicated**", "outside"]


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
    assert {word: int(row[0]) for word, row in rows.items() if row[0] != "0"} == counted | {"in all": 92}
    sentences = [one for paper in papers.REPLICATED for one in claims.load(paper)]
    assert rows["in all"][1:] == [str(sum(len(one.parts) for one in sentences)), str(len(sentences))]
