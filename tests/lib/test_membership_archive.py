"""Membership from a file: the same as from the tensors, and one clear line for whatever else a file can hold."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.command_line import main
from lib.errors import BadValue
from lib.membership import (
    auc_interval,
    by_threshold,
    gap_attack,
    infer,
    log_odds,
    negative_modified_entropy,
    read,
    report,
)

Arrays = dict[str, Any]


def arrays(*, classes: int = 4, scale: float = 2.0) -> Arrays:
    """Logits and labels of 30 members, which the network is surer of, and 50 non-members."""
    source = np.random.default_rng(0)
    found: Arrays = {}
    for name, n, sure in (("member", 30, 3.0), ("nonmember", 50, 1.0)):
        labels = source.integers(classes, size=n)
        found |= {
            name: scale * source.normal(size=(n, classes)) + sure * np.eye(classes)[labels],
            f"{name}_labels": labels,
        }
    return found


def as_probabilities(found: Arrays) -> Arrays:
    return found | {name: torch.from_numpy(found[name]).softmax(1).numpy() for name in ("member", "nonmember")}


def saved(folder: Path, found: Arrays) -> Path:
    path = folder / "answers.npz"
    np.savez(path, **found)
    return path


# --- what it finds ----------------------------------------------------------------------------------------------------


def test_it_is_what_the_tensors_give(tmp_path: Path) -> None:
    found = infer(saved(tmp_path, arrays()))
    member, member_labels, nonmember, nonmember_labels = (torch.from_numpy(array) for array in arrays().values())
    assert found["log_odds"] == by_threshold(log_odds(member, member_labels), log_odds(nonmember, nonmember_labels))
    sides = (
        negative_modified_entropy(member, member_labels),
        negative_modified_entropy(nonmember, nonmember_labels),
    )
    assert found["modified_entropy"] == by_threshold(*sides)
    assert found["correctness"] == gap_attack(member, member_labels, nonmember, nonmember_labels)
    assert found["log_odds"].auc > 0.6


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("label_type", [np.uint8, np.int32, np.uint64])
def test_probabilities_and_logits_of_any_width_say_the_same(tmp_path: Path, dtype: type, label_type: type) -> None:
    whole = infer(saved(tmp_path, arrays()))
    for found in (arrays(), as_probabilities(arrays())):
        narrow = {name: array.astype(label_type if "labels" in name else dtype) for name, array in found.items()}
        for name, attack in infer(saved(tmp_path, narrow)).items():
            assert attack.auc == pytest.approx(whole[name].auc, abs=0.01)
            assert attack.accuracy == pytest.approx(whole[name].accuracy, abs=0.03)


def test_log_probabilities_are_logits(tmp_path: Path) -> None:
    with np.errstate(divide="ignore"):
        logs = {
            name: np.log(array) if "labels" not in name else array for name, array in as_probabilities(arrays()).items()
        }
    logs["member"][0, (logs["member_labels"][0] + 1) % 4] = -math.inf  # no probability at all
    assert infer(saved(tmp_path, logs))["log_odds"].auc == pytest.approx(
        infer(saved(tmp_path, arrays()))["log_odds"].auc, abs=0.01
    )


def test_probabilities_become_their_logarithms(tmp_path: Path) -> None:
    member, nonmember = read(saved(tmp_path, as_probabilities(arrays())))
    torch.testing.assert_close(member.scores, torch.from_numpy(arrays()["member"]).log_softmax(1))
    torch.testing.assert_close(nonmember.scores, torch.from_numpy(arrays()["nonmember"]).log_softmax(1))


def test_a_row_of_logits_may_sum_to_one_by_chance(tmp_path: Path) -> None:
    found = arrays()
    found["member"][3] = [0.25, 0.25, 0.25, 0.25]
    assert torch.equal(read(saved(tmp_path, found))[0].scores, torch.from_numpy(found["member"]))


def test_the_report_is_json(tmp_path: Path) -> None:
    path = saved(tmp_path, arrays())
    found = json.loads(json.dumps(report(path), allow_nan=False))
    assert (found["members"], found["nonmembers"], found["classes"]) == (30, 50, 4)
    attacks = infer(path)
    by_confidence = dataclasses.asdict(attacks.pop("log_odds"))
    odds = by_confidence.pop("threshold")
    assert {key: found[key] for key in by_confidence} == by_confidence
    assert found["threshold_log_odds"] == odds and found["threshold"] == pytest.approx(1 / (1 + math.exp(-odds)))
    assert found["other_scores"].keys() == attacks.keys()
    for name, attack in attacks.items():
        expected = dataclasses.asdict(attack)
        assert {key: found["other_scores"][name][key] for key in expected} == expected
    member, nonmember = (log_odds(side.scores, side.labels) for side in read(path))
    interval = auc_interval(member, nonmember)
    assert found["auc_interval"] == [interval.low, interval.high]
    low, high = found["tpr_at_1pct_interval"]
    assert 0 <= low <= found["tpr_at_1pct"] <= high <= 1


def test_the_threshold_is_a_probability_of_the_paper(tmp_path: Path) -> None:
    """The two-class case by hand: members have probabilities .9 and .8, others .3 and .2, so the best threshold is .8."""
    by_hand = {
        "member": np.array([[0.9, 0.1], [0.2, 0.8]]),
        "member_labels": np.array([0, 1]),
        "nonmember": np.array([[0.3, 0.7], [0.8, 0.2]]),
        "nonmember_labels": np.array([0, 1]),
    }
    found = report(saved(tmp_path, by_hand))
    assert (found["threshold"], found["accuracy"], found["auc"]) == (pytest.approx(0.8), 1.0, 1.0)


def test_the_command_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, arrays())
    assert main(["infer", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == report(path)


def test_the_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["infer", str(tmp_path / "none.npz")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "none.npz" in said


def test_it_is_json_where_numbers_are_infinite_or_missing(tmp_path: Path) -> None:
    """One member, of probability 1: an infinite threshold, and no interval of the area."""
    one_hot = {
        "member": np.eye(2)[:1],
        "member_labels": np.array([0]),
        "nonmember": np.full((2, 2), 0.5),
        "nonmember_labels": np.array([0, 1]),
    }
    path = saved(tmp_path, one_hot)
    assert infer(path)["log_odds"].threshold == math.inf
    attack = json.loads(json.dumps(report(path), allow_nan=False))
    assert (
        (attack["threshold"], attack["threshold_log_odds"]) == (1.0, None)
        and attack["auc_interval"] == [None, None]
        and attack["accuracy"] == 1.0
    )


# --- refusals ---------------------------------------------------------------------------------------------------------


def changed(name: str, value: Any) -> Arrays:
    return arrays() | {name: value}


def with_entry(name: str, row: int, value: float, found: Arrays | None = None) -> Arrays:
    found = arrays() if found is None else found
    found[name] = found[name].copy()
    found[name][row] = value
    return found


REFUSED: list[tuple[Arrays, str]] = [
    *(
        (
            {key: value for key, value in arrays().items() if key != name},
            rf"{name}: expected this array, the file holds \w+, ",
        )
        for name in arrays()
    ),
    ({}, r"member: expected this array, the file holds none"),
    (
        changed("member", np.zeros(30)),
        r"member, member_labels: expected \(n, k\) with k >= 2 and \(n,\), got \(30,\) and \(30,\)",
    ),
    (changed("nonmember", np.zeros((50, 1))), r"nonmember, nonmember_labels: .* got \(50, 1\) and \(50,\)"),
    (changed("member_labels", np.zeros(29, int)), r"member, member_labels: .* got \(30, 4\) and \(29,\)"),
    (changed("member_labels", np.zeros((30, 1), int)), r"member, member_labels: .* got \(30, 4\) and \(30, 1\)"),
    (
        changed("member", np.zeros((0, 4))) | {"member_labels": np.zeros(0, int)},
        r"member: expected at least one row, got none",
    ),
    (changed("nonmember", np.full((50, 5), -1.0)), r"member, nonmember: expected as many classes in both, got 4 and 5"),
    (with_entry("member_labels", 3, 4), r"member_labels: expected classes 0 to 3, got 0 to 4"),
    (with_entry("nonmember_labels", 3, -1), r"nonmember_labels: expected classes 0 to 3, got -1 to 3"),
    (changed("member_labels", np.zeros(30)), r"member_labels: expected whole numbers, got torch.float64"),
    (
        with_entry("member", 7, math.nan),
        r"member: expected finite numbers or -inf, not only -inf; row 7 is \[nan, nan, nan, nan\]",
    ),
    (with_entry("nonmember", 2, math.inf), r"nonmember: expected finite numbers .*; row 2 is "),
    (changed("member", np.full((30, 4), "a")), r"member: expected numbers, got <U1"),
    (changed("member", np.zeros((30, 4), complex)), r"member: expected numbers, got complex128"),
    (changed("member_labels", np.zeros(30, bool)), r"member_labels: expected numbers, got bool"),
    (
        changed("member", as_probabilities(arrays())["member"]),
        r"expected both probabilities or both logits, got probabilities and logits",
    ),
    (changed("nonmember", as_probabilities(arrays())["nonmember"]), r"expected both .*, got logits and probabilities"),
    (
        with_entry("member", 5, 0.2, as_probabilities(arrays())),
        r"member: most rows are probabilities, expected all to be; row 5 sums to 0.8, its smallest is 0.2",
    ),
    (
        {name: 1 / (1 + np.exp(-value)) if value.ndim == 2 else value for name, value in arrays().items()},
        r"member: expected rows that sum to 1, or logits; all its numbers lie in \[0, 1\]: normalise it",
    ),
    (
        changed("member", np.array([[{}, {}]] * 30, dtype=object)),
        r"cannot be read as an .npz file of plain arrays \(Object arrays",
    ),
]


@pytest.mark.parametrize(("found", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, found: Arrays, message: str) -> None:
    path = saved(tmp_path, found)
    with pytest.raises(BadValue, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


class Harm:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    bare, inside = tmp_path / "bare.npz", saved(tmp_path, changed("member", np.array([Harm(harm)], dtype=object)))
    bare.write_bytes(pickle.dumps(Harm(harm)))
    for path in (bare, inside):
        with pytest.raises(BadValue, match=r"cannot be read as an \.npz file of plain arrays"):
            infer(path)
    assert not harm.exists()


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("member, nonmember\n")
    for path in (tmp_path / "missing.npz", tmp_path, tmp_path / "empty.npz", tmp_path / "text.npz"):
        with pytest.raises(BadValue, match=r"cannot be read as an \.npz file of plain arrays"):
            read(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(BadValue, match="got a single array"):
        read(tmp_path / "one.npy")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_is_refused_or_read_as_it_was(tmp_path: Path, compressed: bool) -> None:
    """Cut short or with bytes changed anywhere: never anything but an answer or a `BadValue`."""
    path, source = tmp_path / "answers.npz", random.Random(0)
    (np.savez_compressed if compressed else np.savez)(path, **arrays())
    content, refused = path.read_bytes(), 0
    for trial in range(300):
        damaged = bytearray(content[: source.randrange(len(content))] if trial % 3 == 0 else content)
        for _ in range(0 if trial % 3 == 0 else source.choice([1, 20])):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        path.write_bytes(damaged)
        try:
            report(path)
        except BadValue:
            refused += 1
    assert refused > 200
