"""What a machine that is lent for minutes leaves behind, carried to the next: records, and trainings that are under way.

`packing` puts the records into one archive; here it travels with snapshots, trained networks and parts of measurements of the
cells that are not recorded yet, in the parts of `parts`. Where both machines have a snapshot, the one that is further on counts.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments import packing, parts
from experiments.records import Record, Store, key_of
from experiments.run import MEASURED, weights_of
from lib.errors import BadValue, shown
from lib.training.checkpoints import SNAPSHOT, SUFFIX, tensors_of, write_atomically

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
        BadValue: there is nothing to pack; see `packing.pack` and `parts.cut`.
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

    return parts.cut(files(), folder)


def unpack(folder: Path, store: Store, cache: Path) -> tuple[int, int, list[str]]:
    """Put records into `store` and trainings into `cache`; returns how many records are new, how many were there, and which
    files of trainings were added.

    Raises:
        BadValue: as of `packing.unpack` and `parts.joined`; a file that is no training, is damaged, or is there already with
            other content. Nothing is added then.
    """
    new = [name for name, content in parts.joined(folder) if name != RECORDS and _is_new(folder, name, content, cache)]
    counts = (0, 0)
    for name, content in parts.joined(folder):
        if name == RECORDS:
            counts = packing.unpack(folder / RECORDS, store, content=content)
    for name, content in parts.joined(folder):
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
