"""What a machine that is lent for minutes leaves behind, carried to the next: records, and trainings that are under way.

`packing` puts the records into one archive; here it travels with snapshots, trained networks and parts of measurements of the
cells that are not recorded yet, in a folder of small parts, for ways that nothing large fits through. A part is named by its
checksum, so that what has not changed since need not travel again; a sealed list, `parts.json`, says which parts make up which
file. Whole, or not at all: a part that is missing or damaged is refused. Of two snapshots the one that is further on counts.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments import packing
from experiments.records import Record, Store, key_of, sealed, unsealed
from experiments.run import MEASURED, weights_of
from lib.errors import BadValue, shown
from lib.training.checkpoints import SNAPSHOT, SUFFIX, tensors_of, write_atomically

PART = 2**24  # bytes of the largest part
LIST = "parts.json"
AGAIN = "carry it over again"
RECORDS = "records.tar.gz"
NAME = re.compile(rf"[0-9a-f]{{12}}({re.escape(SNAPSHOT)}|{re.escape(SUFFIX)}|\.[a-z0-9]+{re.escape(MEASURED)})")


def under_way(cells: Sequence[Any], cache: Path) -> list[Path]:
    """The files in `cache` that `cells`, which are not recorded yet, would go on from."""
    found: dict[Path, None] = {}
    for cell in cells:
        for one in cell.trainings():
            found |= dict.fromkeys(cache / f"{weights_of(one)}{suffix}" for suffix in (SNAPSHOT, SUFFIX))
        found |= dict.fromkeys(sorted(cache.glob(f"{key_of(cell)}.*{MEASURED}")))
    return [path for path in found if path.exists()]


def pack(records: Sequence[Record], store: Store, trainings: Sequence[Path], folder: Path) -> int:
    """Write `records` of `store` and the files of `trainings` into `folder`; returns in how many parts.

    Raises:
        BadValue: there is nothing to pack; see `packing.pack` and `cut`.
    """
    if not (records or trainings):
        raise BadValue("records: expected at least one to pack, or a training under way, got none")

    def files() -> Iterator[tuple[str, bytes]]:
        if records:
            with tempfile.TemporaryDirectory() as place:
                packing.pack(records, store, Path(place) / RECORDS)
                yield RECORDS, (Path(place) / RECORDS).read_bytes()
        for path in trainings:
            yield path.name, path.read_bytes()

    return cut(files(), folder)


def unpack(folder: Path, store: Store, cache: Path) -> tuple[int, int, list[str]]:
    """Put records into `store` and trainings into `cache`; returns how many records are new, how many were there, and which
    files of trainings were added.

    Raises:
        BadValue: as of `packing.unpack` and `joined`; a file that is no training, is damaged, or is there already with
            other content. Nothing is added then.
    """
    new = [name for name, content in joined(folder) if name != RECORDS and _is_new(folder, name, content, cache)]
    counts = (0, 0)
    for name, content in joined(folder):
        if name == RECORDS:
            counts = packing.unpack(folder / RECORDS, store, content=content)
    for name, content in joined(folder):
        if name in new:
            write_atomically(cache / name, content)
    return *counts, new


def _is_new(folder: Path, name: str, content: bytes, cache: Path) -> bool:
    """Whether a file of a training, once it is known to be one, is to be written."""
    if not NAME.fullmatch(name):
        raise BadValue(f"{folder}: expected records and trainings, got {shown(name)}")
    try:
        told = tensors_of(content)[1]
    except ValueError as error:
        raise BadValue(f"{folder}, {name}: {error}") from error
    path = cache / name
    if name.endswith(SNAPSHOT):
        if path.with_suffix(SUFFIX).exists():  # trained to the end meanwhile
            return False
        return not path.exists() or bool(tensors_of(path.read_bytes())[1]["step"] < told["step"])
    if path.exists() and path.read_bytes() != content:
        raise BadValue(f"{folder}, {name}: {path} is there already with other content; remove one of the two")
    return not path.exists()


def cut(files: Iterable[tuple[str, bytes]], folder: Path) -> int:
    """Write files, by name, into `folder` as parts; returns how many. Parts of other files that lay there are removed.

    Raises:
        BadValue: a folder of something else; it cannot be written.
    """
    listed: dict[str, list[str]] = {}
    try:
        if folder.exists() and not (folder.is_dir() and ((folder / LIST).exists() or not any(folder.iterdir()))):
            raise BadValue(f"{folder}: expected a new folder, or one of parts to replace, got something else")
        for name, content in files:
            listed[name] = []
            for start in range(0, len(content), PART):
                part = content[start : start + PART]
                listed[name].append(hashlib.sha256(part).hexdigest())
                if not (path := folder / listed[name][-1]).exists():
                    write_atomically(path, part)
        write_atomically(folder / LIST, sealed({"files": listed}))
        used = {part for parts in listed.values() for part in parts}
        for path in folder.iterdir():
            if len(path.name) == 64 and path.name not in used:
                path.unlink()
    except OSError as error:
        raise BadValue(f"{folder}: cannot be written ({error})") from error
    return len(used)


def joined(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files in `folder`, by name, once every part of all of them is known to be there and whole.

    Raises:
        BadValue: no list of parts, or a damaged one; a part that is missing or damaged. The message names it.
    """
    path = folder / LIST
    listed = unsealed(_read(path), _names, name=str(path), kind="a list of parts", repair=AGAIN)
    for part in (part for parts in listed.values() for part in parts):
        _part(folder / part)
    for name, parts in listed.items():
        yield name, b"".join(_part(folder / part) for part in parts)


def _names(found: dict[str, Any]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = found["files"]
    if bad := [part for parts in files.values() for part in parts if not (len(part) == 64 and part.isalnum())]:
        raise ValueError(f"{bad[0]!r} names no part")
    return files


def _part(path: Path) -> bytes:
    if hashlib.sha256(content := _read(path)).hexdigest() != path.name:
        raise BadValue(f"part {path}: damaged, its checksum is not its name; {AGAIN}")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadValue(f"{path}: is missing or cannot be read ({error}); {AGAIN}") from error
