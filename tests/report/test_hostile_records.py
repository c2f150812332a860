"""Whoever edits a record, a check, a list or a benchmark writes text into pages and nothing else: no mark-up, no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from bs4 import BeautifulSoup
from facts import facts
from hypothesis import given
from hypothesis import strategies as st
from sphinx.application import Sphinx

from experiments import equivalence, packing, papers, verification
from experiments.papers import harakeh
from experiments.records import Record, Result, Store, sealed
from experiments.verification import Check, Comparison
from lib.errors import BadValue
from report import benchmark_page, status_page
from report.tables import Table
from report.text import literal, unmarked

pytestmark = pytest.mark.bad_input

ROOT = Path(__file__).resolve().parents[2]
SECRET = "what only this machine knows"
TEXTS = [
    "x <script>alert(1)</script>",
    "x <img src=y onerror=alert(1)>",
    "x <javascript:alert(1)>",
    "x [y](javascript:alert(1)) ![z](secret.txt)",
    "x {download}`secret.txt` {raw}`<b>`",
    "x {{ 7 * 191 }} {{ cycler.__init__.__globals__ }}",
    "x $\\href{javascript:alert(1)}{y}$ \\(z\\)",
    "x | y || z",
    "x **y** _z_ ~~w~~ `v` [^1] ^t^",
    "x &lt;b&gt; &#60;b&#62; &amp;",
]
LINES = [
    "x\n\n```{literalinclude} secret.txt\n```\n\n",
    "x\r```{include} secret.txt\r```\r",
    "x\u2028:::{raw} html\u2028<script>alert(1)</script>\u2028:::",
    "x\n# A heading\n+++\n% a comment\n(target)=\n- [ ] y",
]
Made = Callable[[Store, str], list[Table]]


def device(store: Store, text: str) -> list[Table]:
    for attack in ("fgsm", "cw"):
        cell = next(cell for cell in harakeh.grid("reduced") if cell.attack == attack)
        store.put(cell, Result({"accuracy": 1.0, "training_seconds": 1.0}, {}), facts(device=text))
    return [status_page.grid_table(store)]


def why(store: Store, text: str) -> list[Table]:
    record = store.put(harakeh.grid("reduced")[0], Result({"accuracy": 1.0}, {}), facts())
    kind = equivalence.kind_of(papers.revive("harakeh", record.config))
    pair = equivalence.Pair(commit=record.provenance["commit"], kind=kind, equal=False, why=text)
    equivalence.keep(store, "harakeh", [pair], measured={})
    return [status_page.changed_table(store)]


def comparison(store: Store, text: str) -> list[Table]:
    record = store.put(harakeh.grid("reduced")[0], Result({"accuracy": 1.0}, {}), facts())
    verification.keep(store, record, Check((Comparison(text, 1.0, 1.0, 1.0),), facts()))
    return [status_page.checks_table(store)]


def benchmark(store: Store, text: str) -> list[Table]:
    benchmark_page.keep(store, "jsma", [["a", text, *["1"] * 6]], command=text)
    found, caption = benchmark_page.pages(store)["benchmark-gradients"]
    path = store.root / "benchmarks" / "jsma.json"
    content = {**json.loads(path.read_text()), "device": text}
    del content["sha256"]
    path.write_bytes(sealed(content))
    if "\n" not in text and text.isprintable():
        caption = benchmark_page.pages(store)["benchmark-gradients"][1]
        assert unmarked(caption).count(text) == 1
    return [found, Table([caption], [["-"]])]


WAYS: dict[str, tuple[Made, list[str]]] = {
    "device": (device, TEXTS),
    "why": (why, TEXTS),
    "comparison": (comparison, TEXTS + LINES),
    "benchmark": (benchmark, TEXTS + LINES),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a page for each way by which text gets into tables, each with a table for each hostile text."""
    top = tmp_path_factory.mktemp("hostile")
    source = top / "source"
    source.mkdir()
    (source / "secret.txt").write_text(SECRET)
    pages = ["index", *WAYS]
    (source / "index.md").write_text("# First\n\n```{toctree}\n" + "\n".join(WAYS) + "\n```\n")
    for way, (make, texts) in WAYS.items():
        parts = [f"# Of {way}"]
        for at, text in enumerate(texts):
            made = make(Store(top / f"{way}{at}"), text)
            captions = [table.head[0] if way == "benchmark" else "What it shows" for table in made]
            parts += [
                table.markdown(name=f"{way}-{at}-{i}", caption=caption)
                for i, (table, caption) in enumerate(zip(made, captions, strict=True))
            ]
        (source / f"{way}.md").write_text("\n\n".join(parts))
    enabled = yaml.safe_load((ROOT / "_config.yml").read_text())["parse"]["myst_enable_extensions"]
    settings = {"extensions": ["myst_nb"], "myst_enable_extensions": enabled, "root_doc": "index", "numfig": True}
    settings |= {"exclude_patterns": ["secret.txt"], "nb_execution_mode": "off"}
    app = Sphinx(source, None, top / "html", top / "doctrees", "html", settings, status=None, warning=None)
    app.build()
    assert all((top / "html" / f"{page}.html").is_file() for page in pages)
    return top / "html"


@pytest.mark.parametrize("way", WAYS)
def test_hostile_text_is_shown_word_for_word_and_does_nothing(built: Path, way: str) -> None:
    page = BeautifulSoup((built / f"{way}.html").read_text(), "html.parser").find("div", role="main")
    assert page is not None
    inside = page.select("table")
    assert not page.select(
        "table script, table img, table .math, table strong, table em, table h1, table .literal-block"
    )
    links = [str(link.get("href")) for table in inside for link in table.select("a")]
    assert all(link.startswith("#") for link in links), links
    shown = " ".join(" ".join(table.get_text().split()) for table in inside)
    for text in WAYS[way][1]:
        if way == "comparison":
            text = text.replace("_", " ")
        words = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        assert words in shown.translate({0x2019: "'", 0x201C: '"', 0x201D: '"'}), text


def test_no_file_of_this_machine_is_in_the_site(built: Path) -> None:
    names = [path for path in built.rglob("*") if path.is_file()]
    assert names and not [path for path in names if "secret" in path.name and "_sources" not in path.parts]
    assert not [path for path in names if SECRET.encode() in path.read_bytes()]
    assert not list(built.glob("_downloads/**/*.txt"))


@given(st.text())
def test_text_is_one_line_without_mark_up_and_comes_back(text: str) -> None:
    shown = literal(text)
    assert len(f"{shown}.".splitlines()) == 1 and not set(shown) & set("\\`*_{}[]<>$|~^")
    assert unmarked(shown) == "".join(one if one.isprintable() else " " for one in text)


# --- what is no record at all -------------------------------------------------------------------------------------------

DEEP: Any = json.loads("[" * 500 + "]" * 500)
BAD_FACTS: list[tuple[str, Any]] = [
    ("commit", "`<script>`"),
    ("commit", ""),
    ("commit", 7),
    ("commit", "abc123\n"),
    ("device", "one\ntwo"),
    ("device", "=HYPERLINK(1)"),
    ("device", ""),
    ("device", "x" * 1001),
    ("device", None),
    ("device", ["A chip"]),
    ("device_type", "<b>"),
    ("versions", {"torch": "<script>"}),
    ("versions", {"torch": 2}),
    ("versions", []),
    ("versions", DEEP),
    ("threads", "1"),
    ("threads", 0),
    ("threads", 1.5),
    ("threads", True),
    ("threads", 10**400),
    ("deterministic", "yes"),
    ("seconds", "1"),
    ("seconds", -1.0),
    ("seconds", 1e300),
    ("processor_seconds", {}),
    ("peak_memory_mib", -1),
    ("peak_memory_mib", 1e3),
    ("finished", "yesterday"),
    ("finished", "2026-11-22T01:27:22+00:00<script>"),
    ("fingerprint", "{download}"),
    ("unknown", 1),
    ("unknown", DEEP),
]


def edited(store: Store, change: Callable[[dict[str, Any]], object]) -> Record:
    """A record whose file was changed by somebody who made its checksum anew."""
    record = store.put(harakeh.grid("reduced")[0], Result({"accuracy": 90.0}, {"c": [1.0]}), facts())
    path = store.root / record.name
    content = json.loads(path.read_text())
    del content["sha256"]
    change(content)
    path.write_bytes(sealed(content))
    return record


def refused(store: Store, record: Record, tmp_path: Path, cli: Callable[..., Any]) -> str:
    """The line by which every command refuses a record, and an archive with it."""
    archive, name = tmp_path / "records.tar.gz", record.name
    packing.pack([record], store, archive)
    done = [cli(command, "--results", store.root) for command in ("status", "plan", "show")]
    done.append(cli("unpack", archive, "--results", tmp_path / "there"))
    for outcome in done:
        assert outcome.rc == 2 and outcome.stderr.count("\n") == 1 and name in outcome.stderr, outcome
        assert len(outcome.stderr) < 1000 and outcome.stderr.isascii()
    assert not list((tmp_path / "there").rglob("*.json"))
    return str(done[0].stderr)


@pytest.mark.parametrize(("name", "value"), BAD_FACTS, ids=lambda value: repr(value)[:30])
def test_a_fact_of_another_kind_is_refused_by_name(name: str, value: Any, store: Store) -> None:
    record = edited(store, lambda content: content["provenance"].update({name: value}))
    with pytest.raises(BadValue, match=f"{record.name}: not a record .*{name}"):
        next(store.all("harakeh"))


@pytest.mark.parametrize("name", list(facts()))
def test_a_fact_that_is_missing_is_refused_by_name(name: str, store: Store) -> None:
    record = edited(store, lambda content: content["provenance"].pop(name))
    with pytest.raises(BadValue, match=f"{record.name}: not a record .{name}: expected .*, got nothing"):
        next(store.all("harakeh"))


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no provenance": (lambda content: content.update(provenance={}), "commit: expected"),
    "provenance a list": (lambda content: content.update(provenance=[1]), "provenance: expected"),
    "deep measurements": (lambda content: content.update(measurements=DEEP), "measurements: expected"),
    "a measurement of text": (lambda content: content["measurements"].update(accuracy="<b>"), "'accuracy': expected"),
    "a huge measurement": (lambda content: content["measurements"].update(accuracy=10**400), "'accuracy': expected"),
    "a flag": (lambda content: content["measurements"].update(accuracy=True), "'accuracy': expected"),
    "curves a text": (lambda content: content.update(curves="c"), "curves: expected"),
    "a curve of texts": (lambda content: content["curves"].update(c=["1"]), "'c': expected"),
    "a setting with mark-up": (lambda content: content["config"].update(network="<b>"), "'network': expected"),
    "a setting with a path": (lambda content: content["config"].update(paper="../.."), "'paper': expected"),
    "a deep setting": (lambda content: content["config"].update(network=DEEP), "'network': expected"),
    "a part more": (lambda content: content.update(more=1), "more: Content has no such setting"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_record_of_another_shape_is_one_line_in_every_command(
    what: str, store: Store, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    change, told = CHANGES[what]
    assert told in refused(store, edited(store, change), tmp_path, cli)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b'{"a": NaN}'])
def test_deep_and_endless_files_are_one_line(content: bytes, store: Store, cli: Callable[..., Any]) -> None:
    record = edited(store, lambda content: None)
    (store.root / record.name).write_bytes(content)
    done = cli("status", "--results", store.root)
    assert done.rc == 2 and done.stderr.count("\n") == 1 and "not a record" in done.stderr


@pytest.mark.parametrize("name", ["commit", "kind", "why"])
@pytest.mark.parametrize("text", [*LINES, "\x1b[2J", "=cmd", 3, ["x"], DEEP], ids=lambda text: repr(text)[:12])
def test_a_list_of_equivalences_with_anything_but_lines_is_refused(
    name: str, text: Any, store: Store, cli: Callable[..., Any]
) -> None:
    equivalence.keep(store, "harakeh", [equivalence.Pair(commit="abc123", kind="harakeh cw", equal=True)], measured={})
    path = store.root / "equivalence" / "harakeh.json"
    content = json.loads(path.read_text())
    content["pairs"][0][name] = text
    path.write_text(json.dumps(content))
    done = cli("status", "--results", store.root)
    assert (
        done.rc == 2
        and done.stderr.count("\n") == 1
        and f"{name}: expected" in done.stderr
        and "\x1b" not in done.stderr
    )
