"""Files as a folder of small parts, for ways that nothing large fits through, and back: whole, or not at all.

A part is named by its checksum, so that what has not changed since need not travel again. A list that is sealed like a record,
`parts.json`, says which parts make up which file; a part that is missing or damaged, or a damaged list, is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from experiments.records import sealed, unsealed
from lib.errors import BadValue
from lib.training.checkpoints import write_atomically

PART = 2**24  # bytes of the largest part
LIST = "parts.json"
AGAIN = "carry it over again"


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
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadValue(f"{path}: cannot be read ({error}); {AGAIN}") from error
    listed = unsealed(content, _names, name=str(path), kind="a list of parts", repair=AGAIN)
    for parts in listed.values():
        for part in parts:
            _read(folder / part)
    for name, parts in listed.items():
        yield name, b"".join(_read(folder / part) for part in parts)


def _names(found: dict[str, Any]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = found["files"]
    if bad := [part for parts in files.values() for part in parts if not (len(part) == 64 and part.isalnum())]:
        raise ValueError(f"{bad[0]!r} names no part")
    return files


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadValue(f"part {path}: is missing or cannot be read ({error}); {AGAIN}") from error
    if hashlib.sha256(content).hexdigest() != path.name:
        raise BadValue(f"part {path}: damaged, its checksum is not its name; {AGAIN}")
    return content
