"""Checkpoints: weights come back to the bit, or not at all."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import pickle
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib import models
from lib.errors import BadValue
from lib.models import Network
from lib.training import checkpoints
from lib.training.checkpoints import load_weights, save_weights, trained, write_atomically

NOTES = {"losses": [1.5, 0.25], "seconds": 3.25}


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def saved(tmp_path: Path, untrained: Callable[..., Network]) -> tuple[Network, Path]:
    network, path = untrained(), tmp_path / "cache" / "key.safetensors"
    save_weights(network, path, NOTES)
    return network, path


@pytest.mark.parametrize("name", models.ARCHITECTURES)
@pytest.mark.parametrize("heteroscedastic", [False, True])
def test_weights_and_notes_come_back(
    name: str, heteroscedastic: bool, untrained: Callable[..., Network], tmp_path: Path
) -> None:
    width = 64 if name == "resnet18" else 4  # torchvision's has one width only
    network, other = (untrained(name, seed=seed, width=width, heteroscedastic=heteroscedastic) for seed in (0, 1))
    assert not same(network, other)
    path = tmp_path / "a" / "b" / "key.safetensors"
    save_weights(network, path, NOTES)
    assert load_weights(other, path).items() >= NOTES.items()
    assert same(network, other)
    for layer in other.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(network.eval()(x), other.eval()(x))
    assert [file.name for file in path.parent.iterdir()] == ["key.safetensors"]


def test_the_file_is_safetensors_and_nothing_else(saved: tuple[Network, Path]) -> None:
    """A length, a JSON header, raw numbers: nothing that could be executed."""
    network, path = saved
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert json.loads(header.pop("__metadata__")["state"]) == NOTES
    assert header.keys() == network.state_dict().keys()
    assert len(content) == 8 + length + 4 * sum(p.numel() for p in network.parameters())
    name, entry = next(iter(header.items()))
    start, end = (8 + length + offset for offset in entry["data_offsets"])
    stored = torch.frombuffer(bytearray(content[start:end]), dtype=torch.float32)
    assert torch.equal(stored, network.state_dict()[name].contiguous().flatten())


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


@pytest.mark.parametrize("older", [False, True])
def test_a_pickle_in_the_place_of_weights_is_refused_unopened(
    older: bool, saved: tuple[Network, Path], tmp_path: Path
) -> None:
    """Even one whose checksum is right."""
    network, path = saved
    content = pickle.dumps(Trap(tmp_path / "sprung"))
    path.write_bytes(content)
    if older:
        path.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))
    with pytest.raises(BadValue, match="damaged"):
        trained(network, "key", Trainer(), cache=path.parent)
    assert not (tmp_path / "sprung").exists()


def flipped(content: bytes, at: int, bit: int = 0) -> bytes:
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: flipped(content, 0),
        lambda content: flipped(content, 20),
        lambda content: flipped(content, len(content) - 1),
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content[:4],
        lambda content: b"",
        lambda content: content + b"\0",
        lambda content: content.replace(b'"sha256":"', b'"sha257":"'),
        lambda content: content.replace(b"__metadata__", b"__metadatb__"),
        None,
    ],
)
def test_a_damaged_or_missing_file_is_refused_and_the_network_left_alone(
    damage: Callable[[bytes], bytes] | None, saved: tuple[Network, Path], untrained: Callable[..., Network]
) -> None:
    _, path = saved
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    network = untrained(seed=1)
    told = "expected a file, and there is none" if damage is None else ".*; delete it to train again"
    with pytest.raises(BadValue, match=rf"^checkpoint {path}: {told}$"):
        load_weights(network, path)
    assert same(network, untrained(seed=1))


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.faults)])
def test_no_bit_of_the_notes_can_change_unseen(
    every: int, saved: tuple[Network, Path], untrained: Callable[..., Network]
) -> None:
    """Nor of the rest of the header: what the notes say becomes a measurement."""
    network, path = saved
    content = path.read_bytes()
    size = 8 + int.from_bytes(content[:8], "little")
    assert b"losses" in content[:size]
    for at in range(0, 8 * size, every):
        path.write_bytes(flipped(content, at // 8, at % 8))
        with pytest.raises(BadValue):
            load_weights(network, path)


@pytest.mark.parametrize(
    "other", [{"name": "basic_cnn"}, {"width": 5}, {"classes": 38}, {"heteroscedastic": True}, {"shape": (3, 28, 28)}]
)
def test_weights_of_another_network_are_refused(
    other: dict[str, Any], saved: tuple[Network, Path], untrained: Callable[..., Network]
) -> None:
    with pytest.raises(BadValue, match="not of this network"):
        load_weights(untrained(**other), saved[1])


# --- the cache --------------------------------------------------------------------------------------------------------


class Trainer:
    """Trains by filling with a number, and counts how often."""

    def __init__(self, value: float = 1.0) -> None:
        self.calls, self.value = 0, value

    def __call__(self, network: nn.Module, snapshot: Path | None) -> dict[str, Any]:
        self.calls += 1
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(self.value)
        return dict(NOTES)


def values(network: nn.Module) -> set[float]:
    return {float(value) for parameter in network.parameters() for value in parameter.detach().unique()}


def test_a_network_is_trained_once_a_key(untrained: Callable[..., Network], tmp_path: Path) -> None:
    train = Trainer()
    first, second, other = untrained(), untrained(seed=1), untrained(seed=2)
    assert trained(first, "a", train, cache=tmp_path) == NOTES
    assert trained(second, "a", train, cache=tmp_path).items() >= NOTES.items()
    assert train.calls == 1 and same(first, second)
    trained(other, "b", train, cache=tmp_path)
    assert train.calls == 2


def test_fresh_trains_again_and_no_cache_keeps_nothing(untrained: Callable[..., Network], tmp_path: Path) -> None:
    trained(untrained(), "a", Trainer(1), cache=tmp_path)
    again, train = untrained(), Trainer(2)
    trained(again, "a", train, cache=tmp_path, fresh=True)
    assert train.calls == 1 and values(again) == {2.0}
    for _ in range(2):
        trained(untrained(), "b", train, cache=None)
    assert train.calls == 3 and not list(tmp_path.glob("b*"))


def test_a_damaged_checkpoint_is_reported_not_trained_over(untrained: Callable[..., Network], tmp_path: Path) -> None:
    trained(untrained(), "a", Trainer(), cache=tmp_path)
    path = tmp_path / "a.safetensors"
    path.write_bytes(flipped(path.read_bytes(), 100))
    train = Trainer()
    with pytest.raises(BadValue, match="damaged"):
        trained(untrained(), "a", train, cache=tmp_path)
    assert train.calls == 0
    trained(untrained(), "a", train, cache=tmp_path, fresh=True)  # what a verification does heals it
    trained(untrained(), "a", train, cache=tmp_path)
    assert train.calls == 1


@pytest.mark.parametrize(
    "damage", [lambda content: flipped(content, 100), lambda content: b"", lambda content: content[:99]]
)
def test_what_the_message_of_a_damaged_checkpoint_says_works(
    damage: Callable[[bytes], bytes], untrained: Callable[..., Network], tmp_path: Path
) -> None:
    trained(untrained(), "a", Trainer(), cache=tmp_path)
    path = tmp_path / "a.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadValue) as caught:
        trained(untrained(), "a", Trainer(), cache=tmp_path)
    assert str(caught.value).startswith(f"checkpoint {path}: ") and str(caught.value).endswith(
        "; delete it to train again"
    )
    path.unlink()
    train = Trainer(2)
    for _ in range(2):
        trained(untrained(), "a", train, cache=tmp_path)
    assert train.calls == 1


# --- a cache that is full, cannot be written, or is written by others -------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_training_holds_though_its_weights_cannot_be_kept(
    number: int, untrained: Callable[..., Network], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", fail)
    network = untrained()
    with pytest.warns(checkpoints.NotKept, match=rf"checkpoint {tmp_path}/a\.safetensors: cannot be kept \(.*{number}"):
        assert trained(network, "a", Trainer(2), cache=tmp_path) == NOTES
    assert values(network) == {2.0} and not list(tmp_path.iterdir())


def test_without_room_for_the_weights_nothing_is_trained(
    untrained: Callable[..., Network], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, train = untrained(), Trainer()
    needed = 4 * sum(4 * parameter.numel() for parameter in network.parameters())
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=needed - 1))
    with pytest.raises(OSError, match=rf"MiB of free space, got 0\.\d: '{tmp_path}/new/one'") as caught:
        trained(network, "a", train, cache=tmp_path / "new" / "one")
    assert caught.value.errno == errno.ENOSPC and train.calls == 0
    trained(network, "a", train, cache=None)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=needed))
    trained(network, "a", train, cache=tmp_path / "new" / "one")
    assert train.calls == 2


def test_every_load_beside_a_process_that_rewrites_is_whole(untrained: Callable[..., Network], tmp_path: Path) -> None:
    network, path, stop = untrained(), tmp_path / "key.safetensors", threading.Event()
    save_weights(network, path, NOTES)

    def rewrite() -> None:
        for i in itertools.count():
            if stop.is_set():
                return
            save_weights(network, path, {**NOTES, "seconds": float(i), "more": "x" * (i % 99)})

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        seen, deadline = set[float](), time.monotonic() + 60
        while len(seen) < 20 and time.monotonic() < deadline:
            seen.add(load_weights(network, path)["seconds"])
    finally:
        stop.set()
        writer.join()
    assert len(seen) > 3, "both were at work"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CHECKPOINT_DIR": "/some/where"}, "/some/where"),
        ({"CHECKPOINT_DIR": "/some/where", "XDG_CACHE_HOME": "/cache"}, "/some/where"),
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/robust-private-uncertain"),
        ({}, str(Path.home() / ".cache" / "robust-private-uncertain")),
    ],
)
def test_the_cache_is_outside_the_repository(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CHECKPOINT_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert checkpoints.default_cache() == Path(expected)


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", ["os.fsync", "pathlib.Path.replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fails, fail)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_two_threads_may_write_one_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the workers of a Dask process do that train the same victim."""
    both, failures = threading.Barrier(2), []
    monkeypatch.setattr("os.fsync", lambda descriptor: both.wait(10))

    def write(content: bytes) -> None:
        try:
            write_atomically(tmp_path / "file", content)
        except OSError as error:
            failures.append(error)

    contents = [b"a" * 1000, b"b" * 3000]
    threads = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and (tmp_path / "file").read_bytes() in contents


def test_parts_of_killed_writers_are_swept_once_they_are_old(tmp_path: Path) -> None:
    old, new, other = (tmp_path / "a" / name for name in (".key.json.1.part", ".key.json.2.part", "mine.part"))
    old.parent.mkdir()
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (time.time() - 100, time.time() - 100))
    checkpoints.sweep(tmp_path, older=60)
    assert sorted(old.parent.iterdir()) == sorted([new, other])
    checkpoints.sweep(tmp_path / "none", older=60)


def test_a_tensor_that_is_a_view_is_saved_whole(tmp_path: Path) -> None:
    """safetensors refuses tensors that share memory or are not contiguous: what is saved is neither."""

    class Transposed(nn.Module):
        def __init__(self, weight: Tensor) -> None:
            super().__init__()
            self.weight = nn.Parameter(weight.T)

    network, path = Transposed(torch.arange(6.0).view(2, 3)), tmp_path / "key.safetensors"
    save_weights(network, path, {})
    other = Transposed(torch.zeros(2, 3))
    load_weights(other, path)
    assert same(network, other)
