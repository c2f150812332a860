"""Run records as one small archive, from the machine that computed them to the one that keeps them.

An archive is a gzipped tar of `<paper>/<profile>/<key>.json`. Nothing of it is believed: every member is read and checked as a
record, and only if all of them are sound, and none is there already with other content, is any of them written.
"""

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from experiments.records import Record, Store, parse
from lib.errors import BadValue, shown
from lib.training.checkpoints import write_atomically

MEMBER = re.compile(r"[a-z]+/[a-z]+/[0-9a-f]{12}\.json")
LARGEST = 2**26  # bytes of an archive, unzipped: a hundred times what a paper's records take


def pack(records: Sequence[Record], store: Store, path: Path) -> int:
    """Write `records` of `store` to the archive at `path`; returns how many. The same records make the same bytes.

    Raises:
        BadValue: there are none, or more than an archive may hold; the archive cannot be written, or would replace what is none.
    """
    if not records:
        raise BadValue("records: expected at least one to pack, got none")
    if path.exists() and not (path.is_file() and tarfile.is_tarfile(path)):
        raise BadValue(f"{path}: expected a new name or an archive to replace, got something else")
    names = sorted(record.name for record in records)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name in names:
            content = (store.root / name).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    if (size := archive.offset) > LARGEST:
        raise BadValue(f"records: expected at most {LARGEST} bytes of them in one archive, got {size}: pack fewer")
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise BadValue(f"{path}: cannot be written ({error})") from error
    return len(names)


def unpack(path: Path, store: Store) -> tuple[int, int]:
    """Put the records of the archive at `path` into `store`; returns how many are new, how many were there.

    Raises:
        BadValue: not such an archive, a member that is no record or not the one that its name says, or a record that is there
            already with other content; a record that cannot be written. Nothing is added then.
    """
    found = _read(path)
    new = {}
    for name, content in found.items():
        record = parse(content, f"{path}, {name}")
        if record.name != name:
            raise BadValue(f"{path}, {name}: is the record {record.name}, expected that of its name")
        target = store.root / name
        if not target.exists():
            new[target] = content
        elif target.read_bytes() != content:
            raise BadValue(f"{path}, {name}: {target} is there already with other content; remove one of the two")
    try:
        for target, content in new.items():
            write_atomically(target, content)
    except OSError as error:
        for written in new:
            written.unlink(missing_ok=True)
        raise BadValue(f"{path}: its records cannot be written, none is added ({error})") from error
    return len(new), len(found) - len(new)


def _read(path: Path) -> dict[str, bytes]:
    """The members of the archive, once it is known to hold nothing but records, and no more than fits."""
    found: dict[str, bytes] = {}
    try:
        with gzip.open(path) as zipped:
            content = zipped.read(LARGEST + 1)  # a few bytes may unzip to more than this machine holds
        if len(content) > LARGEST:
            raise BadValue(f"expected at most {LARGEST} bytes unzipped, got more")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for entry in archive:
                if not entry.isfile() or entry.issparse() or not MEMBER.fullmatch(entry.name):
                    raise BadValue(
                        f"expected only records such as song/paper/0123456789ab.json, got {shown(entry.name)}"
                    )
                if entry.name in found:
                    raise BadValue(f"expected each record once, got {entry.name!r} twice")
                held = archive.extractfile(entry)
                assert held is not None
                found[entry.name] = held.read()
    except (OSError, EOFError, ValueError, RecursionError, tarfile.TarError, zlib.error) as error:
        raise BadValue(f"{path}: cannot be read as an archive of records ({error})") from error
    if not found:
        raise BadValue(f"{path}: expected records, the archive is empty")
    return found
