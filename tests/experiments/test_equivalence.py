"""Whether a record still holds: the list of commits and kinds, how it is read, and what stands in for a record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from facts import facts

from experiments import equivalence, papers
from experiments.equivalence import Pair, State, kind_of, stand_in, state
from experiments.papers import galinkin, harakeh, song
from experiments.records import Record, Result, Store
from experiments.verification import Check, Comparison
from lib.errors import BadValue

PROVENANCE = facts(commit="abc123+")
KIND = "harakeh fgsm estimator=epistemic"
MEASURED = {"base": "f" * 12, "processor": "A chip", "torch": "2", "measured": "2026-11-27"}


@pytest.fixture
def record(store: Store) -> Record:
    return store.put(harakeh.FGSM(estimator="epistemic"), Result({"accuracy": 90.0}, {}), PROVENANCE)


def check(now: float) -> Check:
    return Check((Comparison("accuracy", 90.0, now, 1.0),), {"commit": "fff999"})


@pytest.mark.parametrize(
    ("pair", "checked", "expected"),
    [
        (None, None, State("not measured", "its commit has not been through the gate")),
        (Pair(commit="abc123", kind=KIND, equal=None, why="old code"), None, State("not measured", "old code")),
        (Pair(commit="abc123", kind=KIND, equal=True), None, State("equal by the gate")),
        (
            Pair(commit="abc123", kind=KIND, equal=False, why="draws shared"),
            None,
            State("changed since", "draws shared"),
        ),
        (
            Pair(commit="abc123", kind=KIND, equal=False, why="draws shared"),
            90.5,
            State("verified", "recomputed by fff999"),
        ),
        (Pair(commit="abc123", kind=KIND, equal=True), 92.0, State("equal by the gate")),
        (
            Pair(commit="abc999", kind=KIND, equal=True),
            None,
            State("not measured", "its commit has not been through the gate"),
        ),
        (
            Pair(commit="abc123", kind="harakeh fgsm", equal=True),
            None,
            State("not measured", "its commit has not been through the gate"),
        ),
    ],
)
def test_the_word_on_a_record(record: Record, pair: Pair | None, checked: float | None, expected: State) -> None:
    pairs = {} if pair is None else {(pair.commit, pair.kind): pair}
    assert state(record, pairs, None if checked is None else check(checked)) == expected


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (harakeh.FGSM(), "harakeh fgsm"),
        (harakeh.FGSM(network="fully_connected", label_smoothing=0.0), "harakeh fgsm no label_smoothing"),
        (
            harakeh.Gradient(estimator="epistemic", form="expectation"),
            "harakeh pgd estimator=epistemic form=expectation",
        ),
        (harakeh.BlackBox(sign="plus", version=2), "harakeh black_box sign=plus version=2"),
        (
            galinkin.Evasion(bayesian=True, answers="mean", aware=True),
            "galinkin hop_skip_jump answers=mean aware bayesian",
        ),
        (galinkin.Membership(part="target", patience=0), "galinkin membership no patience"),
        (song.Threshold(train_epsilon=0.1), "song threshold train_epsilon"),
        (
            song.Threshold(dataset="digits_as_yale", attack_loss="cross_entropy"),
            "song threshold attack_loss=cross_entropy",
        ),
        (song.Threshold(precision="float32", l2=0.0), "song threshold no l2 precision=float32"),
    ],
)
def test_kinds_name_what_departs_from_the_usual(cell: Any, kind: str) -> None:
    assert kind_of(cell) == kind
    numbers = {name: value for name, value in (("seed", 3), ("epochs", 9)) if hasattr(cell, name)}
    assert kind_of(replace(cell, profile="reduced", **numbers)) == kind


@pytest.mark.parametrize("paper", papers.NAMES)
def test_every_cell_of_a_grid_has_a_stand_in_of_its_kind(paper: str) -> None:
    for profile in ("reduced", "paper"):
        for cell in papers.get(paper).grid(profile):
            small = stand_in(cell)
            assert small.profile == "smoke" and type(small) is type(cell) and kind_of(small) == kind_of(cell)


def test_of_settings_that_no_experiment_has_nothing_is_known(record: Record) -> None:
    old = replace(record, config={**record.config, "colour": "red"})
    assert state(old, {}, None) == State("not measured", "no experiment has its settings any more")


def test_what_is_kept_is_what_is_loaded(store: Store) -> None:
    assert equivalence.load(store, "harakeh") == {}
    pairs = [
        Pair(commit="b", kind="y", equal=False, why="Größe"),
        Pair(commit="a", kind="z", equal=True),
        Pair(commit="a", kind="x", equal=None),
    ]
    equivalence.keep(store, "harakeh", pairs, measured=MEASURED)
    equivalence.keep(store, "harakeh", [Pair(commit="b", kind="y", equal=True)], measured={"measured": "2026-11-28"})
    assert list(equivalence.load(store, "harakeh").values()) == [
        pairs[2],
        pairs[1],
        Pair(commit="b", kind="y", equal=True),
    ]
    (path,) = (store.root / equivalence.FOLDER).iterdir()
    path.write_text(path.read_text().replace('"kind"', '"sort"', 1))
    with pytest.raises(BadValue, match=r"harakeh\.json: expected a list of commits and kinds"):
        equivalence.load(store, "harakeh")


def test_what_the_list_lacks_is_asked_for_by_commit_and_kind(store: Store, record: Record) -> None:
    store.put(harakeh.FGSM(estimator="epistemic", seed=1), Result({}, {}), PROVENANCE)
    store.put(harakeh.FGSM(), Result({}, {}), facts(commit="fff999"))
    found = equivalence.unknown(store, "harakeh")
    assert {commit: list(kinds) for commit, kinds in found.items()} == {"abc123": [KIND], "fff999": ["harakeh fgsm"]}
    equivalence.keep(store, "harakeh", [Pair(commit="abc123", kind=KIND, equal=True)], measured=MEASURED)
    assert list(equivalence.unknown(store, "harakeh")) == ["fff999"]


@pytest.mark.parametrize("paper", papers.NAMES)
def test_every_committed_record_has_been_through_the_gate(paper: str) -> None:
    """Or a reason why not stands in the list: `python -m experiments gate --records` adds what is missing."""
    words = {one.word for one in equivalence.states(Store(), paper).values()}
    assert equivalence.unknown(Store(), paper) == {}
    assert not words or "equal by the gate" in words
