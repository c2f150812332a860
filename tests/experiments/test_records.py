"""Run records: keys that stay, files that are whole or refused, and where a result says it comes from."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from facts import FACTS, facts
from hypothesis import given
from hypothesis import strategies as st

from experiments import provenance, records, schema
from experiments.papers import harakeh
from experiments.records import Record, Result, Store, key_of, sealed
from lib import data
from lib.errors import BadValue

CellMaker = Callable[..., harakeh.FGSM]
RESULT = Result({"accuracy": 97.25, "training_loss": 0.1 + 0.2}, {"epsilon": [0.0, 0.3], "accuracy": [97.0, 12.5]})
PROVENANCE = facts(fingerprint="ba9876543210", seconds=1.5)


@dataclass(frozen=True)
class Simple:
    """A cell with settings of every kind."""

    paper: str = "harakeh"
    profile: str = "smoke"
    dataset: str = "digits_as_mnist"
    seed: int = 0
    version: int = 1
    rate: float = 1 / 255
    steps: tuple[float, ...] = (0.0, 0.1)


# --- keys -------------------------------------------------------------------------------------------------------------


def test_keys_are_what_they_were() -> None:
    """Every recorded result is found by its key: a change of the hashing, or of a default, would orphan them all."""
    assert key_of(Simple()) == "dc70638b39a4"
    assert (
        records.digest({"b": [1.5, 2], "a": "é"}) == "741f5d50fdf1fa016633780f4acd95ed3a5b5e9b2a0197326156a4a7f2d4e1dd"
    )
    assert key_of(harakeh.FGSM()) == "c2496cb4c489"
    assert key_of(harakeh.FGSM(), only=harakeh.Cell.VICTIM) == "09ab31843513"
    assert [key_of(cell) for cell in harakeh.grid("paper")][:2] == ["c2496cb4c489", "76e2a00d9893"]


def test_no_two_cells_of_the_grids_share_a_key() -> None:
    cells = [cell for profile in harakeh.PROFILES for cell in harakeh.grid(profile)]
    assert len({key_of(cell) for cell in cells}) == len(set(cells)) == len(cells)
    assert all(len(key_of(cell)) == 12 and int(key_of(cell), 16) >= 0 for cell in cells)


OTHER = {
    "profile": "smoke",
    "dataset": "cifar10",
    "network": "fully_convolutional",
    "estimator": "epistemic",
    "seed": 1,
    "version": 2,
    "width": 32,
    "dropout": 0.25,
    "train_size": 100,
    "test_size": 100,
    "epochs": 7,
    "batch_size": 64,
    "learning_rate": 0.01,
    "label_smoothing": 0.0,
    "augmentation": "flip_and_shift",
    "precision": "float32",
    "draws": 11,
    "epsilon": 0.1,
    "curve_epsilons": (0.0, 0.3),
    "curve_size": 500,
}
FIXED = {"paper", "attack"}  # which have one value so far


def test_every_setting_is_part_of_the_key() -> None:
    assert OTHER.keys() | FIXED == {field.name for field in dataclasses.fields(harakeh.FGSM)}
    keys = {key_of(harakeh.FGSM()), *(key_of(harakeh.FGSM(**{name: value})) for name, value in OTHER.items())}
    assert len(keys) == 1 + len(OTHER)


def test_so_are_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_of(Simple())
    monkeypatch.setitem(data.CHECKSUMS, "digits_as_mnist", "0" * 64)
    assert key_of(Simple()) != before


def test_the_key_of_a_part_depends_on_that_part_alone() -> None:
    victim = key_of(harakeh.FGSM(), only=harakeh.Cell.VICTIM)
    for name, value in OTHER.items():
        changed = key_of(harakeh.FGSM(**{name: value}), only=harakeh.Cell.VICTIM) != victim
        assert changed == (name in harakeh.Cell.VICTIM), name
    unneeded = {"profile", "attack", "test_size", "draws", "epsilon", "curve_epsilons", "curve_size"}
    assert set(harakeh.Cell.VICTIM) == (OTHER.keys() | FIXED) - unneeded


def test_cells_that_are_equal_have_one_key() -> None:
    assert key_of(Simple()) == key_of(Simple(rate=1 / 255, steps=(0.0, 0.1)))
    assert key_of(Simple(rate=0.1 + 0.2)) != key_of(Simple(rate=0.3))  # to the last bit


def test_whole_numbers_and_floats_that_are_equal_have_one_key() -> None:
    whole, floats = (
        harakeh.FGSM(epsilon=0, curve_epsilons=(0, 1)),
        harakeh.FGSM(epsilon=0.0, curve_epsilons=(0.0, 1.0)),
    )
    assert whole == floats and key_of(whole) == key_of(floats)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_setting_that_is_no_number_has_no_key(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        key_of(Simple(rate=value))


# --- round trip -------------------------------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written(store: Store) -> None:
    cell = Simple()
    assert store.get(cell) is None and list(store.all("harakeh")) == []
    store.put(cell, RESULT, PROVENANCE)
    record = store.get(cell)
    settings = {**dataclasses.asdict(cell), "steps": [0.0, 0.1]}
    assert record == Record(key_of(cell), settings, RESULT.measurements, RESULT.curves, PROVENANCE)
    assert store.path(cell) == store.root / "harakeh" / "smoke" / f"{key_of(cell)}.json"
    assert list(store.all("harakeh")) == [record] and list(store.all("song")) == []
    assert store.get(replace(cell, seed=1)) is None


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    measurements=st.dictionaries(st.text(), st.one_of(numbers, st.integers())),
    curve=st.lists(numbers),
    seconds=st.floats(0, 1e9),
)
def test_every_number_comes_back_to_the_bit(
    measurements: dict[str, float], curve: list[float], seconds: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("results"))
    store.put(Simple(), Result(measurements, {"c": curve}), facts(seconds=seconds))
    record = store.get(Simple())
    assert record is not None and repr(record.measurements) == repr(measurements)
    assert repr(record.curves["c"]) == repr(curve) and record.provenance == facts(seconds=seconds)


def test_a_second_result_replaces_the_first(store: Store) -> None:
    store.put(Simple(), RESULT, PROVENANCE)
    store.put(Simple(), Result({"accuracy": 1.0}, {}), FACTS)
    record = store.get(Simple())
    assert record is not None and record.measurements == {"accuracy": 1.0} and not record.curves
    assert record.provenance == FACTS
    assert len(list(store.all("harakeh"))) == 1


def test_all_records_come_in_order_also_those_of_no_grid(store: Store) -> None:
    cells = [Simple(seed=seed, profile=profile) for profile in ("smoke", "paper") for seed in range(4)]
    for cell in cells:
        store.put(cell, RESULT, PROVENANCE)
    found = [(record.config["profile"], record.key) for record in store.all("harakeh")]
    assert found == sorted((cell.profile, key_of(cell)) for cell in cells)


def test_the_record_that_put_returns_is_the_one_that_get_reads(store: Store, tiny_cell: CellMaker) -> None:
    written = store.put(tiny_cell(curve_epsilons=()), RESULT, PROVENANCE)
    assert store.get(tiny_cell(curve_epsilons=())) == replace(written, config={**written.config, "curve_epsilons": []})


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_flipped_byte_is_refused_wherever_it_stands(store: Store) -> None:
    """Unless the file still says the same, as where one kind of space stands for another."""
    original = store.put(Simple(), RESULT, PROVENANCE)
    path = store.path(Simple())
    content, refused = path.read_bytes(), 0
    assert (read := store.get(Simple())) is not None and read.measurements == original.measurements
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :])
        try:
            assert store.get(Simple()) == read
        except BadValue as error:
            refused += 1
            assert str(path) in str(error) and "restore it" in str(error)
    assert refused > 0.7 * len(content)


@pytest.mark.parametrize("kept", [0, 1, 0.5, -1, -3])
def test_a_truncated_record_is_refused(kept: float, store: Store) -> None:
    store.put(Simple(), RESULT, PROVENANCE)
    path = store.path(Simple())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    if kept == -1:  # only the line's end
        assert store.get(Simple()) is not None
        return
    with pytest.raises(BadValue, match="not a record"):
        store.get(Simple())


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"3", b'"record"', b"{}", b'{"sha256": "0"}', b"<html>", b"\xff\xfe{}", b"{'key': 1}"],
)
def test_what_is_no_record_is_refused(content: bytes, store: Store) -> None:
    path = store.path(Simple())
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(
        BadValue, match=rf"^record {path}: not a record .*; restore it with git or delete it to recompute$"
    ):
        store.get(Simple())
    with pytest.raises(BadValue):
        list(store.all("harakeh"))


def rewrite(path: Path, change: Callable[[dict[str, Any]], object], *, sign: bool = False) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    if sign:
        content["sha256"] = records.digest({name: value for name, value in content.items() if name != "sha256"})
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["measurements"].update(accuracy=99.9),
        lambda content: content["measurements"].update(accuracy="97.25"),
        lambda content: content["measurements"].pop("accuracy"),
        lambda content: content["curves"]["accuracy"].reverse(),
        lambda content: content["config"].update(seed=1),
        lambda content: content["provenance"].update(seconds=0.1),
        lambda content: content.update(key="0" * 12),
        lambda content: content.update(sha256="0" * 64),
        lambda content: content.update(sha256=None),
        lambda content: content.pop("sha256"),
        lambda content: content.pop("curves"),
        lambda content: content.update(comment="tidied up"),
        pytest.param(lambda content: content["measurements"].update(accuracy=math.nan)),
    ],
)
def test_a_record_changed_by_hand_is_refused(change: Any, store: Store) -> None:
    store.put(Simple(), RESULT, PROVENANCE)
    rewrite(store.path(Simple()), change)
    with pytest.raises(BadValue) as caught:
        store.get(Simple())
    assert str(caught.value).startswith(f"record {store.path(Simple())}: ")


@pytest.mark.parametrize("change", [{"seed": 1}, {"rate": 0.5}, {"version": 2}])
def test_the_record_of_another_cell_under_this_name_is_refused(change: dict[str, Any], store: Store) -> None:
    other = Simple(**change)
    store.put(other, RESULT, PROVENANCE)
    shutil.copy(store.path(other), store.path(Simple()))
    with pytest.raises(BadValue, match=f"is that of cell {key_of(other)}, expected {key_of(Simple())}"):
        store.get(Simple())
    assert store.get(other) is not None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content["config"].update(rate=0.75), "its settings are those of"),
        (lambda content: content["measurements"].update(accuracy="x"), "'accuracy': expected a finite number"),
    ],
)
def test_a_record_whose_settings_or_measurements_are_none_of_its_is_refused(
    change: Any, told: str, store: Store
) -> None:
    """Though its checksum is right."""
    path = store.path(Simple())
    store.put(Simple(), RESULT, PROVENANCE)
    content = json.loads(path.read_text())
    del content["sha256"]
    change(content)
    path.write_bytes(sealed(content))
    with pytest.raises(BadValue, match=told):
        store.get(Simple())


def test_a_copied_record_does_not_count_twice(store: Store) -> None:
    store.put(Simple(), RESULT, PROVENANCE)
    shutil.copy(store.path(Simple()), store.path(Simple()).with_name("copy.json"))
    with pytest.raises(BadValue, match=r"copy\.json"):
        list(store.all("harakeh"))


def test_a_record_that_cannot_be_read_is_refused(store: Store) -> None:
    store.path(Simple()).mkdir(parents=True)
    with pytest.raises(BadValue):
        store.get(Simple())


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["measurements", "curves", "provenance"])
def test_nan_is_refused_before_anything_is_written(place: str, value: float, store: Store) -> None:
    bad = {
        "measurements": (Result({"accuracy": value}, {}), {}),
        "curves": (Result({}, {"accuracy": [1.0, value]}), {}),
        "provenance": (Result({}, {}), {"seconds": value}),
    }[place]
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.put(Simple(), *bad)
    assert not store.root.exists()
    store.put(Simple(), RESULT, PROVENANCE)
    content = store.path(Simple()).read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.put(Simple(), *bad)
    assert store.path(Simple()).read_bytes() == content


@pytest.mark.parametrize("fails", ["os.fsync", "pathlib.Path.replace"])
def test_a_failed_write_leaves_the_old_record_and_no_part(
    fails: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(Simple(), RESULT, PROVENANCE)
    before = store.get(Simple())

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fails, fail)
        for cell in (Simple(), Simple(seed=1)):
            with pytest.raises(OSError, match="No space left"):
                store.put(cell, Result({"accuracy": 0.0}, {}), {})
    assert store.get(Simple()) == before and store.get(Simple(seed=1)) is None
    assert [path for path in store.root.rglob("*") if path.is_file()] == [store.path(Simple())]


WRITES = 150


def write_often(root: Path, writer: int) -> None:
    """What one of several writers does, in a process of its own."""
    for i in range(WRITES):
        size = 1 + (7 * i + writer) % 50  # of different lengths, so that a torn file would show
        Store(root).put(
            Simple(), Result({"writer": float(writer)}, {"values": [float(writer)] * size}), facts(seconds=i)
        )


def test_with_several_writers_of_one_cell_every_read_is_whole(store: Store) -> None:
    context = multiprocessing.get_context("fork")  # which starts at once: the modules are there
    writers = [context.Process(target=write_often, args=(store.root, writer)) for writer in range(3)]
    for process in writers:
        process.start()
    seen, reads = set(), 0
    while any(process.is_alive() for process in writers):
        record = store.get(Simple())
        if record is not None:
            reads += 1
            seen.add((record.measurements["writer"], record.provenance["seconds"]))
            assert set(record.curves["values"]) == {record.measurements["writer"]}
    for process in writers:
        process.join()
    assert [process.exitcode for process in writers] == [0, 0, 0]
    assert reads > 20 and len(seen) > 5
    assert [path.name for path in store.path(Simple()).parent.iterdir()] == [f"{key_of(Simple())}.json"]


# --- provenance -------------------------------------------------------------------------------------------------------


def test_a_result_says_where_it_comes_from() -> None:
    described = provenance.describe(device="cpu", seconds=1.23456, processor_seconds=2.0)
    assert described["seconds"] == 1.23
    assert torch.__version__.startswith(described["versions"]["torch"])
    assert described["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert described["threads"] == torch.get_num_threads() and 50 < described["peak_memory_mib"] < 10**6
    assert described["device"] and described["finished"].endswith("+00:00")
    json.dumps(described, allow_nan=False)
    schema.Provenance(**described)  # what is recorded can be read


@pytest.mark.parametrize(
    "device", ["NVIDIA H100 80GB HBM3", "13th Gen Intel(R) Core(TM) i7 @ 2.10GHz", "AMD Ryzen™ 9", "aarch64"]
)
def test_what_makers_call_their_devices_can_be_read(device: str) -> None:
    assert schema.Provenance(**facts(device=device)).device == device


def test_outside_a_checkout_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib").mkdir()
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit.__wrapped__() == "unknown"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_commit_with_changed_code_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("a = 1\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    commit = git("rev-parse", "--short=12", "HEAD")
    assert provenance.commit.__wrapped__() == commit
    (tmp_path / "notes.txt").write_text("not code")
    assert provenance.commit.__wrapped__() == commit
    (tmp_path / "lib" / "a.py").write_text("a = 2\n")
    assert provenance.commit.__wrapped__() == f"{commit}+"
