"""Files that a machine made up: of whatever is in a record, an archive or a file of claims only a `BadValue` comes out."""

from __future__ import annotations

import copy
import gzip
import io
import json
import shutil
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from facts import facts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments import claims, costs, equivalence, packing, papers, records, verification
from experiments.papers import harakeh
from experiments.published import FOLDER
from experiments.records import Result, Store
from lib.errors import BadValue
from report import status_page

ROOT = Path(__file__).resolve().parents[2]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["<script>", "../..", "{download}`x`", "", "harakeh", "cpu", 10**400, 1e308, -0.0, "\n", "\x00"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
CLAIMS = {paper: tomllib.loads((FOLDER / paper / "claims.toml").read_text()) for paper in papers.NAMES}


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside of something."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def changed(draw: st.DrawFn, content: Any) -> Any:
    """The same with one or two things in it replaced, removed or added."""
    found = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from(list(places(found))))
        inside = found
        for key in way:
            inside = inside[key]
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "replace":
            inside[last] = draw(VALUES)
        elif what == "remove":
            del inside[last]
        elif isinstance(inside, dict):
            inside[draw(st.text(max_size=8))] = draw(VALUES)
        else:
            inside.append(draw(VALUES))
        if not list(places(found)):
            break
    return found


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The same bytes with a few of them replaced, removed or added."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(found) - 1)))
        found[at : at + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    return bytes(found)


def made(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]] = lambda content: content) -> Store:
    """A store of one record, whose content is changed before it is sealed, and that lies where its settings say."""
    store = Store(folder)
    record = store.put(harakeh.grid("reduced")[0], Result({"accuracy": 90.0}, {"c": [1.0]}), facts())
    verification.keep(store, record, verification.Check((), facts()))
    path = store.root / record.name
    content = {name: value for name, value in json.loads(path.read_text()).items() if name != "sha256"}
    content = change(content)
    try:
        content["key"] = records._key(content["config"], records.data.CHECKSUMS.get(content["config"]["dataset"]))
        path.unlink()
        path = store.root / "harakeh" / "reduced" / f"{content['key']}.json"
        path.write_bytes(records.sealed(content))
    except (ValueError, TypeError, KeyError, AttributeError):  # what cannot be sealed is written as it is
        path.write_text(json.dumps(content))
    return store


def use(store: Store) -> None:
    """What commands and pages make of a store."""
    for record in store.all("harakeh"):
        costs.cost(record)
    equivalence.unknown(store, "harakeh")
    costs.Prices("harakeh", store.all("harakeh"))
    for table in (status_page.changed_table(store), status_page.grid_table(store), status_page.costs_table(store)):
        assert "<script>" not in table.markdown(name="x", caption="y")


def toml(value: Any) -> str:
    """A value as TOML; what TOML does not know is a text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value) if isinstance(value, bool | int | str) else repr(value) if value is not None else '"none"'


with tempfile.TemporaryDirectory() as _folder:
    _store = made(Path(_folder))
    (_record,) = _store.all("harakeh")
    RECORD = vars(_record) | {"provenance": dict(_record.provenance)}
    packing.pack([_record], _store, Path(_folder) / "a.tar.gz")
    ARCHIVE = (Path(_folder) / "a.tar.gz").read_bytes()
    CONTENT = (_store.root / _record.name).read_bytes()


def a_record(content: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        use(made(Path(folder), lambda _: content))


def bytes_of_a_record(content: bytes) -> None:
    records.parse(content, "a record")


def bytes_of_an_archive(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, store = Path(folder) / "a.tar.gz", Store(Path(folder) / "there")
        path.write_bytes(content)
        try:
            packing.unpack(path, store)
        finally:  # either nothing, or what was packed
            written = [one for one in Path(folder).rglob("*") if one.is_file() and one != path]
            assert all(one.read_bytes() == CONTENT for one in written) and len(written) <= 1


def bytes_of_a_tar(content: bytes) -> None:
    bytes_of_an_archive(gzip.compress(content, 1))


def members_of_an_archive(members: list[tuple[str, bytes, bytes]]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, content in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    bytes_of_a_tar(buffer.getvalue())


def claims_of(content: Any) -> None:
    text = "\n".join(f"{json.dumps(str(name))} = {toml(value)}" for name, value in content.items())
    bytes_of_claims(text.encode(errors="replace"))


def bytes_of_claims(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(FOLDER / "harakeh", Path(folder) / "harakeh", ignore=shutil.ignore_patterns("*.py", "__*"))
        (Path(folder) / "harakeh" / "claims.toml").write_bytes(content)
        claims.load.__wrapped__("harakeh", folder=Path(folder))
        claims.tolerances.__wrapped__("harakeh", folder=Path(folder))


KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
PATHS = st.sampled_from([_record.name, f"/{_record.name}", f"../{_record.name}", "x"]) | st.text(
    min_size=1, max_size=30
)
FUZZ: dict[str, tuple[Callable[[Any], None], st.SearchStrategy[Any]]] = {
    "a record": (a_record, changed(RECORD)),
    "the bytes of a record": (bytes_of_a_record, damaged(CONTENT) | st.binary(max_size=200)),
    "an archive": (bytes_of_an_archive, damaged(ARCHIVE) | st.binary(max_size=200)),
    "a tar": (bytes_of_a_tar, damaged(gzip.decompress(ARCHIVE))),
    "members": (
        members_of_an_archive,
        st.lists(st.tuples(PATHS, KINDS, st.just(CONTENT) | st.binary(max_size=99)), max_size=3),
    ),
    "claims": (claims_of, changed(CLAIMS["harakeh"])),
    "the bytes of claims": (bytes_of_claims, damaged((FOLDER / "harakeh" / "claims.toml").read_bytes())),
}


def fuzz(name: str, examples: int) -> None:
    """Try so many examples of one kind of file."""
    check, strategy = FUZZ[name]

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(strategy)
    def one(content: Any) -> None:
        try:
            check(content)
        except BadValue as error:
            assert "\n" not in str(error) and len(str(error)) < 2000, str(error)

    one()


@pytest.mark.parametrize("name", FUZZ)
def test_whatever_is_in_a_file_is_used_or_refused(name: str) -> None:
    fuzz(name, 60)


@pytest.mark.faults
@pytest.mark.parametrize("name", FUZZ)
def test_whatever_is_in_many_files_is_used_or_refused(name: str) -> None:
    fuzz(name, 1000)
