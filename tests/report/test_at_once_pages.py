"""What the fourth chapter shows, from made-up records: which kinds are in the corner, how dark a square is, and who is named."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pytest
from facts import FACTS

from experiments import claims, coverage, published
from experiments.address import check_planned, parse
from experiments.find import row
from experiments.papers.at_once.evasion import ATTACKS
from experiments.papers.at_once.grid import SETTINGS
from experiments.papers.at_once.readings import DATASETS, MEASURES, PARTS
from experiments.papers.at_once.victims import KINDS
from experiments.records import Result, Store
from report import claims_page
from report.papers import at_once, at_once_answer, at_once_figures
from report.tables import Number, values_at

# Every bound is met, none by a margin.
WANTED = {
    "worst_case": 50.0,
    "lira_tpr_at_1pct": 2.0,
    "ece": 5.0,
    "auroc_wrong_entropy": 80.0,
    "accuracy": 90.0,
}


def put(store: Store, kind: str, values: Mapping[str, float], *, dataset: str = "mnist", seeds: int = 2) -> None:
    """Records of a kind that hold these of their measurements."""
    for attack, names in MEASURES.items():
        norm = {"norm": "linf"} if attack == "evasion" else {}
        for cell in row("at_once", "reduced", dataset=dataset, kind=kind, attack=attack, **norm)[:seeds]:
            kept = {name: value for name, value in values.items() if name in names}
            store.put(cell, Result({**kept, "test_points": 100.0}, {}), FACTS)


# --- the corner -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, (True, True, True)),
        ({"worst_case": 49.0}, (False, True, True)),
        ({"lira_tpr_at_1pct": 2.5}, (True, False, True)),
        ({"ece": 5.5}, (True, True, False)),
        ({"auroc_wrong_entropy": 79.0}, (True, True, False)),
    ],
)
def test_a_kind_is_in_the_corner_by_the_rule(
    changes: Mapping[str, float], found: tuple[bool, ...], store: Store
) -> None:
    put(store, "dropout", {**WANTED, **changes})
    assert at_once_answer.virtues(store, "mnist", "dropout") == found


def test_on_one_seed_nothing_is_decided(store: Store) -> None:
    put(store, "dropout", WANTED, seeds=1)
    assert at_once_answer.virtues(store, "mnist", "dropout") is None


def test_the_corner_is_named_once_every_kind_is_known(store: Store) -> None:
    for kind in KINDS:
        assert at_once_answer.DERIVED["corner/mnist"](store) == "not run"
        put(store, kind, {**WANTED, "worst_case": 60.0 if kind.startswith("robust") else 10.0})
    assert at_once_answer.DERIVED["corner/mnist"](store) == at_once_answer.DERIVED["robust/mnist"](store)
    assert at_once_answer.DERIVED["robust/mnist"](store).split(", ") == [
        "PGD-trained",
        "PGD-trained with dropout",
        "PGD-trained ensemble",
    ]
    assert at_once_answer.DERIVED["corner/cifar10"](store) == "not run"
    for kind in KINDS:
        put(store, kind, {**WANTED, "lira_tpr_at_1pct": 9.0}, dataset="cifar10")
    assert at_once_answer.DERIVED["corner/cifar10"](store) == "none"


def test_a_claim_is_told_of_each_data_set_alone(store: Store) -> None:
    """A data set that is not run takes nothing from what the other one says, nor does it read as decided."""
    told = at_once_answer.DERIVED["claim/pgd-training-protects"]
    assert told(store) == "not run"
    for kind, left in {"plain": 5.0, "robust": 80.0}.items():
        put(store, kind, {"worst_case": left})
    assert told(store) == "MNIST: replicated"
    assert at_once_answer.counted(store, "mnist").startswith("26 claims, 1 replicated, ")
    assert at_once_answer.counted(store, "cifar10") == "26 claims, 26 not run"
    entry = claims_page.claims_list(store, "at_once").split("\n", 1)[0]
    assert "MNIST [replicated]" in entry and "CIFAR-10 [not run]" in entry
    for kind, left in {"plain": 80.0, "robust": 5.0}.items():
        put(store, kind, {"worst_case": left}, dataset="cifar10")
    assert told(store) == "MNIST: replicated; CIFAR-10: not replicated"


def test_words_on_the_first_seeds_do_not_know_of_the_others(store: Store) -> None:
    for kind, left in {"plain": 5.0, "robust": 80.0}.items():
        put(store, kind, {"worst_case": left}, seeds=3)
    before = at_once_answer.counted(store, "mnist")
    put(store, "plain", {"worst_case": 80.0}, seeds=5)
    put(store, "plain", {"worst_case": 5.0}, seeds=3)
    put(store, "robust", {"worst_case": 80.0}, seeds=5)
    assert before == "26 claims, 1 replicated, 25 not run"
    assert at_once_answer.counted_first(store, "mnist") == "1 replicated, 25 not run"
    assert at_once_answer.counted(store, "mnist") == "26 claims, 1 inconclusive, 25 not run"


def test_a_virtue_inside_the_bounds_is_bold(store: Store) -> None:
    put(store, "robust", {**WANTED, "lira_tpr_at_1pct": 9.0, "auroc_aware_entropy": 70.0})
    table = at_once_answer.virtues_table(store, "mnist")
    one = dict(zip(table.head, next(line for line in table.rows if line[0] == "PGD-trained"), strict=True))
    bold = {name for name, cell in one.items() if cell.startswith("**")}
    assert all(isinstance(cell, Number) for cell in table.rows[-1][1:-1]), "bold or not, it leads to its records"
    assert one["Worst case"].address == "at_once:mnist/robust/worst_case"  # type: ignore[attr-defined]
    assert bold == {"Worst case", "Calibration error"} and one["Members found"].startswith("9.0")
    assert one["Cost"] == "×4 / ×1" and len(table.rows) == len(KINDS)  # 50 epochs of 13 passes against 50 of 3


def test_what_others_print_stands_beside_the_same_score_of_ours(store: Store) -> None:
    put(store, "plain", {"lira_auc": 70.0, "odds_tpr_at_01pct": 0.5})
    table = at_once_answer.literature(store)
    lira, *_, threshold = table.rows
    assert lira[1:] == ["68.56", lira[2], "5.93", "not run"] and lira[2].startswith("70.0")
    assert threshold[3] == "0.09" and threshold[4].startswith("0.5") and table.head[2] == "AUC, ours, MNIST"


# --- figures --------------------------------------------------------------------------------------------------------------


def test_a_square_is_dark_where_an_attacker_has_all_and_says_why_it_is_empty(store: Store) -> None:
    put(store, "plain", {"accuracy_fgsm": 0.0, "odds_auc": 50.0, "gap_auc": 75.0})
    figure, table = at_once_figures.crossed(store, "mnist")
    labels = {text.get_text() for axis in figure.axes for text in axis.texts}
    assert labels == {"0", "50", "75", "–", "not run"}
    plt.close(figure)
    line = at_once.Line("", "", 100, 0)
    fgsm, noise, other = (f"mnist/{name}" for name in ("plain/accuracy_fgsm", "plain/accuracy_noise", "dropout/ece"))
    (found,) = at_once_figures.forest.lines(store, "at_once", {"": [at_once.Row("", {"x": fgsm})]})[""]
    assert at_once_figures._square(store, fgsm, found.ours["x"], line) == ("0", 0.9)
    assert at_once_figures._square(store, noise, None, line) == ("–", 0.0)
    assert at_once_figures._square(store, other, None, line) == ("not run", 0.0)
    assert len(table.rows) == len(KINDS) * sum(map(len, at_once.CROSSED.values()))


def test_the_corner_is_drawn_on_each_panel_with_what_is_measured(store: Store) -> None:
    for kind in ("plain", "robust"):
        put(store, kind, WANTED)
    figure, table = at_once_figures.corner(store)
    kept = {axis.get_title(): patch.get_y() for axis in figure.axes for patch in axis.patches}
    assert kept == {"MNIST": at_once_answer.ROBUST["mnist"]}  # a data set of which nothing is recorded has no panel
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"plain", "PGD-trained", "wanted"}
    assert {line[1] for line in table.rows if line[4] != "not run"} == {"plain", "robust"}
    plt.close(figure)


def test_the_gap_is_that_of_the_same_victim(store: Store) -> None:
    put(store, "plain", {"train_accuracy": 100.0, "others_accuracy": 90.0, "odds_auc": 60.0})
    rows = at_once.GAPS["MNIST"]
    assert values_at(store, "at_once", rows[0].ours["x"]) == [10.0, 10.0]
    assert [line.label for line in rows[len(KINDS) :]] == ["plain", "plain", "robust", "robust"]
    assert sum("/fifth/" in line.ours["y"] for line in rows) == len(PARTS)


@pytest.mark.parametrize("name", at_once_figures.QUESTIONS)
def test_every_way_to_ask_compares_two_victims_on_one_question(name: str) -> None:
    for way in at_once_figures.QUESTIONS[name].ways:
        more, less = (parse(one, "at_once") for one in way.address.split(" - "))
        check_planned(more)
        assert more.id.split("/")[::2] == less.id.split("/")[::2]  # data set, and what is asked
        assert KINDS[more.id.split("/")[1]].robust >= KINDS[less.id.split("/")[1]].robust


@pytest.mark.parametrize("norm", ATTACKS)
def test_a_slider_starts_at_the_budget_of_the_measurements(norm: str) -> None:
    (slider,) = {at_once.BUDGETS[norm].slider, at_once.LEFT[norm].slider}
    assert slider is not None and slider.start == SETTINGS["budgets"]["mnist"][norm]["epsilon"]


def test_every_kind_and_every_attack_has_a_name() -> None:
    known = {f"{'l2/' * (norm == 'l2')}accuracy_{name}" for norm, lines in ATTACKS.items() for name in lines}
    assert {name for name in at_once.CALLED if "accuracy_" in name} == known
    labels = [look["label"] for look in at_once.VICTIMS.values()]
    assert len(set(labels)) == len(KINDS) and not any("," in label for label in labels)  # they are listed with commas


# --- a study of our own ---------------------------------------------------------------------------------------------------


def test_nobody_has_printed_a_number_of_ours(store: Store) -> None:
    assert published.load("at_once") == {} and claims.tolerances("at_once") == {}
    assert coverage.totals(store).total() == 156


def test_our_sentences_are_no_quotations(store: Store) -> None:
    told = claims_page.claims_list(store, "at_once")
    assert "“" not in told and "| Paper |" not in told and "Paper's value" not in told
    assert "“" in claims_page.claims_list(store, "song")


def test_every_claim_is_about_both_data_sets_and_is_planned() -> None:
    sentences = claims.load("at_once")
    assert len(sentences) >= 12
    for one in sentences:
        names = [name for part in one.parts for name in part.names]
        assert {name.split("/")[0] for name in names} == set(DATASETS)
        for name in names:
            check_planned(parse(name, "at_once"))
