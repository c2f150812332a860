"""Archives of records: nothing is lost, nothing unsound comes in, and what is there is never overwritten."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from facts import FACTS

from experiments import packing
from experiments.packing import pack, unpack
from experiments.records import Record, Result, Store
from lib.errors import BadValue

CellMaker = Callable[..., Any]
Cli = Callable[..., Any]


@pytest.fixture
def full(store: Store, tiny_cell: CellMaker) -> Store:
    """A folder with three records."""
    for seed in range(3):
        store.put(tiny_cell(seed=seed), Result({"accuracy": 90.0 + seed}, {}), FACTS)
    return store


def records(store: Store) -> list[Record]:
    return list(store.all("harakeh"))


def contents(store: Store) -> dict[str, bytes]:
    return {path.relative_to(store.root).as_posix(): path.read_bytes() for path in store.root.glob("*/*/*.json")}


def archive(path: Path, members: dict[str, bytes]) -> Path:
    """A tar with any members under any names."""
    with tarfile.open(path, "w:gz") as opened:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
    return path


def test_what_is_packed_is_unpacked_to_the_byte(full: Store, tmp_path: Path) -> None:
    path, there = tmp_path / "records.tar.gz", Store(tmp_path / "there")
    assert pack(records(full), full, path) == 3
    assert unpack(path, there) == (3, 0)
    assert contents(there) == contents(full)
    assert unpack(path, there) == (0, 3), "a second time there is nothing new"


def test_the_same_records_make_the_same_archive(full: Store, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    pack(records(full), full, one)
    pack(records(full)[::-1], full, two)
    assert one.read_bytes() == two.read_bytes()


def test_a_record_that_is_there_with_other_content_refuses_the_archive(
    full: Store, tiny_cell: CellMaker, tmp_path: Path
) -> None:
    path, there = tmp_path / "records.tar.gz", Store(tmp_path / "there")
    pack(records(full), full, path)
    there.put(tiny_cell(seed=1), Result({"accuracy": 0.0}, {}), FACTS)
    before = contents(there)
    with pytest.raises(BadValue, match="already with other content"):
        unpack(path, there)
    assert contents(there) == before, "nothing of a refused archive is written"


def test_an_archive_whose_records_find_no_room_adds_none(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, there, written = tmp_path / "records.tar.gz", Store(tmp_path / "there"), list[int]()
    pack(records(full), full, path)

    def fsync(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(BadValue, match=rf"^{path}: its records cannot be written, none is added \(.*No space left"):
        unpack(path, there)
    assert contents(there) == {} and len(written) == 3


def test_a_damaged_record_refuses_the_archive(full: Store, tmp_path: Path) -> None:
    members = contents(full)
    name = sorted(members)[1]
    members[name] = members[name].replace(b"91.0", b"99.0")
    there = Store(tmp_path / "there")
    with pytest.raises(BadValue, match=f"{name}: damaged"):
        unpack(archive(tmp_path / "a.tar.gz", members), there)
    assert contents(there) == {}


def test_a_record_under_another_name_refuses_the_archive(full: Store, tmp_path: Path) -> None:
    content = next(iter(contents(full).values()))
    path = archive(tmp_path / "a.tar.gz", {"harakeh/smoke/0123456789ab.json": content})
    with pytest.raises(BadValue, match="expected that of its name"):
        unpack(path, Store(tmp_path / "there"))


@pytest.mark.parametrize(
    "name", ["../x.json", "/etc/x.json", "harakeh/smoke/../../0123456789ab.json", "harakeh/x.json", "x"]
)
def test_names_that_lead_elsewhere_refuse_the_archive(full: Store, tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.tar.gz", {name: next(iter(contents(full).values()))})
    with pytest.raises(BadValue, match="expected only records"):
        unpack(path, Store(tmp_path / "there"))
    assert not (tmp_path / "there").exists()


def test_links_refuse_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as opened:
        entry = tarfile.TarInfo("harakeh/smoke/0123456789ab.json")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(entry)
    with pytest.raises(BadValue, match="expected only records"):
        unpack(path, Store(tmp_path / "there"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not an archive", "cannot be read"),
        (gzip.compress(b"not a tar at all" * 100), "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "a.tar.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadValue, match=f"a.tar.gz: {said}"):
        unpack(path, Store(tmp_path / "there"))


def zipped_zeros(mebibytes: int) -> bytes:
    """So many MiB of nothing, in a thousandth of that."""
    return gzip.compress(bytes(2**20), mtime=0) * mebibytes


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    return entry.tobuf(tarfile.GNU_FORMAT)


NAME = "harakeh/smoke/0123456789ab.json"
BOMBS = {
    "zeros": zipped_zeros(4096),
    "one large record": gzip.compress(header(NAME, 2**33)) + zipped_zeros(4096),
    "many records": b"".join(
        gzip.compress(header(f"harakeh/smoke/{i:012x}.json", 2**24)) + zipped_zeros(16) for i in range(300)
    ),
    "a long name": gzip.compress(header("././@LongLink", 2**33, tarfile.GNUTYPE_LONGNAME)) + zipped_zeros(4096),
    "long names of long names": gzip.compress(header("././@LongLink", 0, tarfile.GNUTYPE_LONGNAME) * 20_000),
    "a sparse record": gzip.compress(header(NAME, 2**40, tarfile.GNUTYPE_SPARSE) + bytes(1024)),
    "a wrong number": gzip.compress(
        header("x", 9, tarfile.XHDTYPE) + b"9 size=x\n".ljust(512, b"\0") + header(NAME, 0)
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_unzipped(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(BOMBS[name])
    tracemalloc.start()
    with pytest.raises(BadValue, match=r"a\.tar\.gz") as caught:
        unpack(path, Store(tmp_path / "there"))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "\n" not in str(caught.value) and most < 3 * packing.LARGEST and not (tmp_path / "there").exists()


@pytest.mark.parametrize("name", ["notes.txt", "empty", "folder", "link"])
def test_what_is_no_archive_is_not_replaced_by_one(name: str, full: Store, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("precious")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("notes.txt")
    with pytest.raises(BadValue, match=f"{name}: expected a new name or an archive to replace"):
        pack(records(full), full, tmp_path / name)
    assert (tmp_path / "notes.txt").read_text() == "precious" and (tmp_path / "link").is_symlink()
    assert pack(records(full), full, tmp_path / "new") == pack(records(full), full, tmp_path / "new") == 3


def test_what_cannot_be_unpacked_is_not_packed(full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LARGEST", 2000)
    with pytest.raises(BadValue, match=r"expected at most 2000 bytes of them in one archive, got [0-9]+: pack fewer"):
        pack(records(full), full, tmp_path / "a.tar.gz")
    assert not (tmp_path / "a.tar.gz").exists()


def test_a_truncated_archive_is_refused_whole(full: Store, tmp_path: Path) -> None:
    path = tmp_path / "records.tar.gz"
    pack(records(full), full, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadValue):
        unpack(path, Store(tmp_path / "there"))
    assert contents(Store(tmp_path / "there")) == {}


def test_nothing_to_pack_is_an_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="at least one"):
        pack([], store, tmp_path / "a.tar.gz")
    assert not (tmp_path / "a.tar.gz").exists()


def test_the_commands(cli: Cli, store: Store, tmp_path: Path) -> None:
    """`pack` takes the cells asked for, `unpack` says what is new; both refuse in one line."""
    from experiments import papers

    cell = papers.get("harakeh").grid("smoke")[0]
    store.put(cell, Result({"accuracy": 90.0}, {}), FACTS)
    path, there = tmp_path / "out.tar.gz", tmp_path / "there"
    packed = cli("pack", path, "--paper", "harakeh", "--profile", "smoke", "--results", store.root)
    assert packed.rc == 0 and packed.stdout == f"1 records packed into {path}\n"
    unpacked = cli("unpack", path, "--results", there)
    assert unpacked.rc == 0 and unpacked.stdout == "1 records added, 0 were there already\n"
    assert json.loads(Store(there).path(cell).read_bytes())["measurements"] == {"accuracy": 90.0}
    refused = cli("pack", path, "--paper", "harakeh", "--profile", "smoke", "--results", tmp_path / "empty")
    assert refused.rc == 2 and refused.stderr.count("\n") == 1
