"""Run records: what was measured, with which settings, by which code, on what.

A cell is one frozen dataclass of flat settings; its key is a short hash of those, of the version of its experiment and of
the checksum of its data. A record is one JSON file, `results/<paper>/<profile>/<key>.json`, written under a temporary name
and renamed. The commit of the code that computed it is recorded, but it is no part of the key: a result that took hours survives
a refactoring. Whether it still holds is what the gate, `equivalence` and `verify` say.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from experiments.cell import Common as Cell
from experiments.cell import Result as Result
from experiments.schema import Content
from lib import data
from lib.errors import BadValue
from lib.training.checkpoints import write_atomically

ROOT = Path(__file__).resolve().parent.parent
REPAIR = "restore it with git or delete it to recompute"

T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """A result with where it comes from."""

    key: str
    config: Mapping[str, Any]
    measurements: Mapping[str, float]
    curves: Mapping[str, list[float]]
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Where it lies in a store."""
        return f"{self.config.get('paper')}/{self.config.get('profile')}/{self.key}.json"


def settings(cell: Cell) -> dict[str, Any]:
    """The fields of a cell as plain values."""
    return {field.name: getattr(cell, field.name) for field in fields(cell)}


def key_of(cell: Cell, *, only: tuple[str, ...] | None = None) -> str:
    """Twelve hexadecimal digits that name a cell, or, with `only`, the part of it that those fields make up."""
    values = settings(cell)
    chosen = values if only is None else {name: values[name] for name in only}
    return _key(chosen, data.CHECKSUMS[cell.dataset])


def _key(config: Mapping[str, Any], checksum: str | None) -> str:
    """The digits of settings, on the data of that checksum."""
    return digest({"config": config, "data": checksum})[:12]


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of `content`; NaN and infinities are errors."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def sealed(content: Mapping[str, Any]) -> bytes:
    """`content` as a JSON file that ends with its checksum, by which a reader knows that it is whole."""
    return (json.dumps({**content, "sha256": digest(content)}, indent=1, allow_nan=False) + "\n").encode()


def unsealed(content: bytes, make: Callable[[dict[str, Any]], T], *, name: str, kind: str, repair: str = REPAIR) -> T:
    """What `make` makes of content that is as `sealed` wrote it.

    Raises:
        BadValue: not JSON, not the `kind` of content that `make` takes, or changed since; the message begins with `name`.
    """
    try:
        found = json.loads(content)
        stated = found.pop("sha256")
        whole = stated == digest(found)
        made = make(found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadValue(f"{name}: not {kind} ({error}); {repair}") from error
    if not whole:
        raise BadValue(f"{name}: damaged, its checksum does not match; {repair}")
    return made


class Store:
    """The folder of records. Every read checks what it reads."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = ROOT / "results" if root is None else root

    def path(self, cell: Cell) -> Path:
        """Where the record of `cell` stands, or will."""
        return self.root / cell.paper / cell.profile / f"{key_of(cell)}.json"

    def get(self, cell: Cell) -> Record | None:
        """The record of `cell`; None if it was never computed.

        Raises:
            BadValue: the file is damaged or is the record of something else.
        """
        path = self.path(cell)
        if not path.exists():
            return None
        record = read(path)
        if record.key != path.stem:
            raise BadValue(f"record {path}: is that of cell {record.key}, expected {path.stem}; restore or delete it")
        return record

    def put(self, cell: Cell, result: Result, provenance: Mapping[str, Any]) -> Record:
        """Record a result; what stood there before is replaced whole."""
        record = Record(key_of(cell), settings(cell), dict(result.measurements), dict(result.curves), dict(provenance))
        write_atomically(self.path(cell), sealed(vars(record)))
        return record

    def all(self, paper: str) -> Iterator[Record]:
        """Every record of `paper`, in order of profile and key; those that were superseded are in a store of their own."""
        for path in sorted((self.root / paper).glob("*/*.json")):
            record = read(path)
            if self.root / record.name != path:
                raise BadValue(f"record {path}: is that of cell {record.name}; restore or delete it")
            yield record

    @property
    def superseded(self) -> "Store":
        """The records of settings that no grid has any more: no number is made of them, but the hours were spent."""
        return Store(self.root / "superseded")

    def check(self) -> None:
        """See that records can be written, before anything is computed.

        Raises:
            BadValue: the folder is none, or cannot be made or written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise BadValue(f"--results {self.root}: cannot hold records ({error})") from error


def read(path: Path) -> Record:
    """The record at `path`.

    Raises:
        BadValue: not JSON, not a record, or not as it was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadValue(f"record {path}: cannot be read ({error}); {REPAIR}") from error
    return parse(content, f"record {path}")


@cache  # a book asks for each record some fifty times: the same bytes are checked once
def parse(content: bytes, name: str) -> Record:
    """The record in `content`, which errors call `name`.

    Raises:
        BadValue: not JSON, not of the schema of a record, not as it was written, or with settings that are not those of its key.
    """

    def checked(found: dict[str, Any]) -> Record:
        Content(**found)
        return Record(**found)

    record = unsealed(content, checked, name=name, kind="a record")
    if (key := _key(record.config, data.CHECKSUMS.get(record.config.get("dataset", "")))) != record.key:
        raise BadValue(f"{name}: its settings are those of {key}, not of {record.key}; {REPAIR}")
    return record
