"""Membership from a file: the same as from the tensors, and one clear line for whatever else a file can hold."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib import format as npy

from experiments import answers
from experiments.answers import read, report
from experiments.command_line import main
from lib.errors import BadValue
from lib.membership import (
    auc_interval,
    by_threshold,
    confidence,
    gap_attack,
    lira,
    log_odds,
    negative_modified_entropy,
    rmia,
)

Arrays = dict[str, Any]


def infer(path: Path) -> dict[str, Any]:
    """What each score tells, before it is put into words."""
    return {name: by_threshold(*sides) for name, sides in answers._scores(*read(path)).items()}


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


def with_shadows(found: Arrays, *, shadows: int = 8, online: bool = True) -> Arrays:
    """The same with the logits of shadows, each surer of what it was trained on; offline that is none of it."""
    source, more = np.random.default_rng(1), dict(found)
    for side in ("member", "nonmember"):
        labels, (n, classes) = found[f"{side}_labels"], found[side].shape
        inside = (source.random((shadows, n)).argsort(0) < shadows // 2) & online
        sure = 1.0 + 2.0 * inside[:, :, None] * np.eye(classes)[labels]
        more |= {f"{side}_shadows": source.normal(size=(shadows, n, classes)) + sure, f"{side}_shadows_in": inside}
    return more


def saved(folder: Path, found: Arrays) -> Path:
    path = folder / "answers.npz"
    np.savez(path, **found)
    return path


# --- what it finds ----------------------------------------------------------------------------------------------------


def test_it_is_what_the_tensors_give(tmp_path: Path) -> None:
    found = infer(saved(tmp_path, arrays()))
    member, member_labels, nonmember, nonmember_labels = (torch.from_numpy(array) for array in arrays().values())
    assert found["log_odds"] == by_threshold(log_odds(member, member_labels), log_odds(nonmember, nonmember_labels))
    sides = (negative_modified_entropy(member, member_labels), negative_modified_entropy(nonmember, nonmember_labels))
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


def test_confidence_is_the_probability_in_the_file_whose_ties_are_kept(tmp_path: Path) -> None:
    """As the published attack has it: nothing tells answers of 1 apart, though their log-odds still do."""
    found = arrays(scale=0.5)
    for side, sure in (("member", 60.0), ("nonmember", 30.0)):
        found[side] = found[side] + sure * np.eye(4)[found[f"{side}_labels"]]
    soft = {
        name: array.astype(np.float32) if array.ndim == 2 else array for name, array in as_probabilities(found).items()
    }
    assert (soft["member"].max(1) == 1).all() and (soft["nonmember"].max(1) == 1).all()
    told = infer(saved(tmp_path, soft))
    assert told["confidence"].auc == told["confidence"].accuracy == 0.5 and told["confidence"].threshold == 1
    assert told["log_odds"].auc == 1
    one_off = soft | {"nonmember": soft["nonmember"].copy()}
    one_off["nonmember"][:5] = [0.7, 0.1, 0.1, 0.1]
    one_off["nonmember_labels"] = one_off["nonmember_labels"].copy()
    one_off["nonmember_labels"][:5] = 0
    assert infer(saved(tmp_path, one_off))["confidence"].auc == pytest.approx(0.5 + 0.5 * 5 / 50)


def test_the_confidence_of_logits_is_their_softmax(tmp_path: Path) -> None:
    member, nonmember = read(saved(tmp_path, arrays()))
    for side in (member, nonmember):
        expected = side.scores.softmax(1)[torch.arange(len(side.labels)), side.labels]
        torch.testing.assert_close(side.confidence, expected)
        assert torch.equal(side.confidence, confidence(side.scores, side.labels))


@pytest.mark.parametrize(("shadows", "online"), [(8, True), (8, False), (64, True), (2, True)])
@pytest.mark.parametrize("scale", [dict, as_probabilities])
def test_shadows_are_asked(tmp_path: Path, shadows: int, online: bool, scale: Any) -> None:
    found = with_shadows(arrays(), shadows=shadows, online=online)
    path = saved(tmp_path, scale(found))
    told = infer(path)
    stack, inside, target = ([] for _ in range(3))
    for side in ("member", "nonmember"):
        labels = torch.from_numpy(found[f"{side}_labels"])
        stack.append(torch.stack([log_odds(torch.from_numpy(one), labels) for one in found[f"{side}_shadows"]]))
        inside.append(torch.from_numpy(found[f"{side}_shadows_in"]))
        target.append(log_odds(torch.from_numpy(found[side]), labels))
    given = torch.cat(stack, 1), torch.cat(inside, 1), torch.cat(target)
    likelier = lira(*given, online=online, variance="per_example" if shadows == 64 else "global")
    for name, scores in {"lira": likelier, "rmia": rmia(*given, online=online)}.items():
        expected = by_threshold(scores[:30], scores[30:])
        assert told[name].auc == pytest.approx(expected.auc, abs=1e-3) and told[name].auc > 0.55
    kept = json.loads(json.dumps(report(path), allow_nan=False))
    assert kept["shadows"] == shadows and {"lira", "rmia"} < kept["other_scores"].keys()


def test_shadow_answers_may_be_on_another_scale_than_the_target_s(tmp_path: Path) -> None:
    found = with_shadows(arrays())
    soft = {name: torch.from_numpy(found[name]).softmax(-1).numpy() for name in ("member_shadows", "nonmember_shadows")}
    told = [infer(saved(tmp_path, one))["lira"] for one in (found, found | soft)]
    assert told[0].auc == pytest.approx(told[1].auc, abs=1e-9)


def test_the_report_is_json(tmp_path: Path) -> None:
    path = saved(tmp_path, arrays())
    found = json.loads(json.dumps(report(path), allow_nan=False))
    assert (found["score"], found["shadows"]) == ("log_odds", 0)
    assert {"confidence", "modified_entropy", "entropy", "correctness"} == found["other_scores"].keys()
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


def shadowed(**changes: Any) -> Arrays:
    found = with_shadows(arrays()) | changes
    return {name: value for name, value in found.items() if value is not None}


REFUSED: list[tuple[Arrays, str]] = [
    (shadowed(member_shadows=None), r"member_shadows: expected this array beside those of other shadow answers"),
    (shadowed(nonmember_shadows_in=None), r"nonmember_shadows_in: expected this array beside"),
    (
        shadowed(member_shadows=np.zeros((8, 30))),
        r"member_shadows, member_shadows_in: expected \(s, 30, 4\) and bool \(s, 30\), got \(8, 30\) and bool \(8, 30\)",
    ),
    (shadowed(member_shadows=np.zeros((8, 30, 5))), r"member_shadows, .* got \(8, 30, 5\) and bool \(8, 30\)"),
    (shadowed(member_shadows_in=np.zeros((8, 30))), r"member_shadows, .* got \(8, 30, 4\) and float64 \(8, 30\)"),
    (shadowed(member_shadows_in=np.ones((7, 30), bool)), r"member_shadows, .* and bool \(7, 30\)"),
    (
        shadowed(member_shadows=np.zeros((0, 30, 4)), member_shadows_in=np.zeros((0, 30), bool)),
        r"member_shadows, .* got \(0, 30, 4\)",
    ),
    (shadowed(member_shadows=np.full((8, 30, 4), math.nan)), r"member_shadows: expected finite numbers or -inf"),
    (shadowed(member_shadows=np.full((8, 30, 4), 0.3)), r"member_shadows: expected rows that sum to 1, or logits"),
    (
        {name: value[:4] if "shadows" in name and "non" not in name else value for name, value in shadowed().items()},
        r"member, nonmember: expected as many shadows of both, got 4 and 8",
    ),
    (
        shadowed(member_shadows_in=np.ones((8, 30), bool)),
        r"shadow_in: expected a shadow without each point, got none of",
    ),
    (
        shadowed(member_shadows=np.ones((8, 30, 4)) - 2, nonmember_shadows=np.ones((8, 50, 4)) - 2),
        r"shadow_scores: expected scores that differ, got no variance on one side",
    ),
    (
        changed("member_labels", np.full(30, 2**63, np.uint64)),
        r"member_labels: expected classes, got 9223372036854775808",
    ),
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
    (changed("member_labels", np.zeros(30)), r"member_labels: expected whole numbers, got float64"),
    (
        with_entry("member", 7, math.nan),
        r"member: expected finite numbers or -inf, not only -inf; row 7 is \[nan, nan, nan, nan\]",
    ),
    (with_entry("nonmember", 2, math.inf), r"nonmember: expected finite numbers .*; row 2 is "),
    (changed("member", np.full((30, 4), "a")), r"member: expected numbers, got <U1"),
    (changed("member", np.zeros((30, 4), complex)), r"member: expected numbers, got complex128"),
    (changed("member_labels", np.zeros(30, bool)), r"member_labels: expected whole numbers, got bool"),
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
        report(path)
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


def test_scores_of_2_to_the_63_are_as_large_as_they_are(tmp_path: Path) -> None:
    """They once became negative, without a word."""
    found = arrays()
    found["member"] = np.zeros((30, 4), np.uint64)
    found["member"][np.arange(30), found["member_labels"]] = 2**63
    told = infer(saved(tmp_path, found))["log_odds"]
    assert told.auc == 1 and told.threshold == 2.0**63


# --- files that somebody has crafted ----------------------------------------------------------------------------------


def entry(header: bytes, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An array as it stands in an .npz file, with any header."""
    length = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    return npy.MAGIC_PREFIX + bytes(version) + length + header + content


def crafted(folder: Path, **entries: bytes) -> Path:
    """The usual file with other entries in the place of some."""
    path = saved(folder, {name: value for name, value in arrays().items() if name not in entries})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return path


HEADER = b"{'descr': '%s', 'fortran_order': False, 'shape': %s}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        npy.MAGIC_PREFIX,
        entry(b""),
        entry(HEADER % (b"<f8", b"(30, 4)")),  # without content
        entry(HEADER % (b"<f8", b"(-30, 4)")),
        entry(HEADER % (b"<f8", b"(30.0, 4)")),
        entry(HEADER % (b"<f8", b"(%s)" % b"2, " * 200)),
        entry(HEADER % (b"<f8", b"(" * 3000 + b")" * 3000)),
        entry(HEADER % (b"<f8", b"[" * 90 + b"]" * 90)),
        entry(HEADER % (b"no type", b"(30, 4)")),
        entry(HEADER % (b"<M8[ns]", b"(30, 4)"), bytes(960)),
        entry(HEADER % (b"|V8", b"(30, 4)"), bytes(960)),
        entry(HEADER % (b"|O", b"(30, 4)"), bytes(960)),
        entry(b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (30, 4)}", bytes(960)),
        entry(b"{'descr': (" * 2000),
        entry(b"{'descr': '<f8', \n\t 'shape': \xff}"),
        entry(b"\x00" * 100),
        entry(b" " * 12_000),
        entry(HEADER % (b"<f8", b"(30, 4)"), bytes(960), version=(9, 9)),
        entry(b"'" * 60, version=(2, 0)),
    ],
    ids=str,
)
def test_an_array_that_is_none_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = crafted(tmp_path, member=content)
    with pytest.raises(BadValue) as caught:
        report(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and told.isprintable() and len(told) < len(str(path)) + 300


@pytest.mark.parametrize("shape", [b"(2000000000000, 4)", b"(30, 4000000000)", b"(%d, %d)" % (2**62, 2**62)])
def test_what_would_not_fit_is_refused_by_its_header(tmp_path: Path, shape: bytes) -> None:
    path = crafted(tmp_path, nonmember=entry(HEADER % (b"<f2", shape)))
    with pytest.raises(
        BadValue, match=r"nonmember: expected arrays of at most 2147483648 bytes in all, got \(\d+, \d+\) of"
    ):
        report(path)


def test_small_files_that_unfold_to_large_ones_are_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.arrays.LIMIT", 2**16)
    zeros = {"member": np.full((30, 600), 2.0), "member_labels": np.zeros(30, int)}
    large = arrays() | zeros | {"nonmember": np.full((50, 600), 2.0), "nonmember_labels": np.zeros(50, int)}
    assert infer(saved(tmp_path, large))["log_odds"].auc == 0.5  # as large as it says on the disk: no bomb
    np.savez_compressed(tmp_path / "small.npz", **large)
    monkeypatch.setattr(npy, "read_array", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(BadValue, match=r"member: expected arrays of at most 65536 bytes"):
        infer(tmp_path / "small.npz")


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    content = entry(b"{" + b" " * 2**22, version=(2, 0))
    path = crafted(tmp_path, member=content)
    read_entry = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: asked.append(n) or read_entry(self, n))
    with pytest.raises(BadValue, match="cannot be read"):
        report(path)
    assert asked and max(asked) <= 2**14 and min(asked) >= 0


def test_names_that_would_move_a_terminal_do_not(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "names.npz", "w") as archive:
        archive.writestr("\x1b[2Jmember\n.npy", b"")
    with pytest.raises(BadValue) as caught:
        report(tmp_path / "names.npz")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("place", "value"), [(6, 1), (8, 99), (8, 12), (8, 14), (10, 255)])
def test_zip_files_of_a_kind_that_is_not_read(tmp_path: Path, place: int, value: int) -> None:
    """Encrypted, or packed in a way of its own: flags and methods in every entry of the directory and before its content."""
    path = saved(tmp_path, arrays())
    content = bytearray(path.read_bytes())
    for mark, shift in ((b"PK\x01\x02", 2), (b"PK\x03\x04", 0)):
        at = content.find(mark)
        while at >= 0:
            content[at + place + shift] = value
            at = content.find(mark, at + 4)
    path.write_bytes(content)
    try:
        report(path)
    except BadValue as refused:
        assert str(refused).isprintable()
    else:
        assert place == 10  # the time of day


DTYPES = st.one_of(
    hnp.floating_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.boolean_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(),
    hnp.byte_string_dtypes(),
    hnp.unicode_string_dtypes(),
)
ANY = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
FUZZED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def only_a_bad_value(path: Path) -> None:
    try:
        json.dumps(report(path), allow_nan=False)
    except BadValue as refused:
        assert str(refused).startswith(f"{path}: ") and "\n" not in str(refused)


@FUZZED
@given(
    content=st.binary(max_size=300),
    after=st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x93NUMPY"]),
)
def test_any_bytes(tmp_path: Path, content: bytes, after: bytes) -> None:
    path = tmp_path / "any.npz"
    path.write_bytes(after + content if len(after) < 20 else content + after)
    only_a_bad_value(path)


@FUZZED
@given(
    found=st.dictionaries(st.sampled_from(sorted(with_shadows(arrays()))), ANY, min_size=1, max_size=3),
    more=st.booleans(),
)
def test_any_arrays(tmp_path: Path, found: Arrays, more: bool) -> None:
    only_a_bad_value(saved(tmp_path, (with_shadows(arrays()) if more else arrays()) | found))


SMALL = {"allow_nan": True, "allow_infinity": True, "width": 64}


@FUZZED
@given(data=st.data(), shadows=st.integers(0, 3), n=st.integers(1, 3), m=st.integers(1, 3), classes=st.integers(1, 3))
def test_any_numbers(tmp_path: Path, data: st.DataObject, shadows: int, n: int, m: int, classes: int) -> None:
    """Of the right shapes, with any numbers in them."""
    number = st.one_of(st.floats(**SMALL), st.sampled_from([0.0, 0.5, 1.0, -math.inf, 1e308, -1e308, 5e-324]))
    found: Arrays = {}
    for side, size in (("member", n), ("nonmember", m)):
        found[side] = data.draw(hnp.arrays(np.float64, (size, classes), elements=number))
        found[f"{side}_labels"] = data.draw(hnp.arrays(np.int64, size, elements=st.integers(0, classes - 1)))
        if shadows:
            found[f"{side}_shadows"] = data.draw(hnp.arrays(np.float64, (shadows, size, classes), elements=number))
            found[f"{side}_shadows_in"] = data.draw(hnp.arrays(np.bool_, (shadows, size)))
    only_a_bad_value(saved(tmp_path, found))


@FUZZED
@given(
    header=st.binary(max_size=120),
    content=st.binary(max_size=64),
    kind=st.sampled_from([(1, 0), (2, 0), (3, 0), (0, 7)]),
)
def test_any_header(tmp_path: Path, header: bytes, content: bytes, kind: tuple[int, int]) -> None:
    for one in (header, HEADER % (b"<f8", header), HEADER % (header, b"(30, 4)")):
        only_a_bad_value(crafted(tmp_path, member=entry(one, content, kind)))
