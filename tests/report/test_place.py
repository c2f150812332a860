"""Where a site is built: nobody else's files go, builds wait for each other, and whoever looks finds a whole site."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import site_scan as scan

from report import place, site
from report.execution import execute
from report.place import MARK, held, replace
from report.site import BuildFailed, build

ROOT = Path(__file__).resolve().parents[2]


def full(*arguments: object, **keywords: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A build only notes where it would build; nothing executes."""
    begun: list[Any] = []
    monkeypatch.setattr(site, "_build", lambda folder, given, **_: begun.append(folder))
    monkeypatch.setattr("report.execution.run", lambda *arguments: begun.append(arguments))
    return begun


# --- nobody else's files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["html/index.html", "source/notes.txt", "source/book/page.md", "precious", ".hidden"])
def test_a_folder_with_files_of_others_is_left_alone(
    name: str, no_work: list[Any], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    path = tmp_path / "theirs" / name
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    outcome = cli("book", "--output", tmp_path / "theirs")
    assert outcome.rc == 2 and outcome.stderr.count("\n") == 1 and "expected an empty folder" in outcome.stderr
    assert path.read_text() == "precious" and not (tmp_path / "theirs" / MARK).exists() and not no_work


def test_a_new_an_empty_and_an_own_folder_are_built_in(no_work: list[Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new/below", "empty", "new/below", "empty"):
        assert build(tmp_path / name) == tmp_path / name / "html" / "index.html"
        (tmp_path / name / "html").mkdir(exist_ok=True)
    assert len(no_work) == 4


def test_the_usual_folder_needs_no_mark(no_work: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "OURS", tmp_path / "_build")
    (tmp_path / "_build" / "smoke" / "html").mkdir(parents=True)
    build(tmp_path / "_build")
    build(tmp_path / "_build" / "smoke")
    assert len(no_work) == 2


@pytest.mark.parametrize("where", ["a file", "below a file", "nowhere", "a full disk"])
def test_where_nothing_can_be_written_is_one_line_before_any_work(
    where: str, no_work: list[Any], tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("precious")
    folder = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "x", "nowhere": Path("/proc/x/y")}
    if where == "a full disk":
        monkeypatch.setattr(tempfile, "TemporaryFile", full)
    for arguments in (("book", "--output"), ("chapter", "song")):
        path = folder.get(where, tmp_path / "full")
        outcome = cli(*arguments, path / "out.ipynb" if arguments[0] == "chapter" else path)
        assert outcome.rc == 2 and outcome.stderr.count("\n") == 1 and str(path) in outcome.stderr, outcome
    assert (tmp_path / "file").read_text() == "precious" and not no_work


def test_a_disk_that_fills_up_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    monkeypatch.setattr(site, "_assemble", full)
    outcome = cli("book", "--output", tmp_path / "site")
    assert outcome.rc == 1 and outcome.stderr == "python -m report: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    "name", ["song.ipynb", "harakeh.ipynb", "linked.ipynb", "same.ipynb", "out.txt", "out", "README.md"]
)
def test_a_chapter_never_overwrites_a_source_or_what_is_no_notebook(
    name: str, no_work: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    monkeypatch.setattr("report.execution.ROOT", tmp_path)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for one in ("song.ipynb", "harakeh.ipynb", "README.md"):
        (folder / one).write_text("precious")
    (folder / "linked.ipynb").symlink_to("song.ipynb")
    os.link(folder / "song.ipynb", folder / "same.ipynb")
    outcome = cli("chapter", "song", folder / ".." / "notebooks" / name)
    assert outcome.rc == 2 and outcome.stderr.count("\n") == 1 and name in outcome.stderr and not no_work
    assert {path.read_text() for path in folder.iterdir()} == {"precious"}
    execute("song", folder / "executed.ipynb", {})
    assert len(no_work) == 1


# --- one build at a time --------------------------------------------------------------------------------------------------


def test_a_second_build_waits_for_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []

    def second() -> None:
        with held(tmp_path / "site"):
            told.append("second")

    thread = threading.Thread(target=second)
    with held(tmp_path / "site"):
        thread.start()
        time.sleep(0.3)
        told.append("first")
    thread.join(10)
    assert told == ["first", "second"] and capsys.readouterr().err.count("waiting for another build") == 1


@pytest.mark.faults
def test_two_builds_of_the_whole_book_at_once_leave_one(start_cli: Callable[..., Any], tmp_path: Path) -> None:
    builds = [start_cli("book", "--output", tmp_path / "site") for _ in range(2)]
    for process in builds:
        _, complaint = process.communicate(timeout=1200)
        assert process.returncode == 0, complaint
    expected = scan.chapters(ROOT / "_toc.yml")
    assert not scan.missing_pages(scan.pages(tmp_path / "site" / "html"), expected)


def test_a_child_that_outlives_its_build_holds_the_folder(tmp_path: Path) -> None:
    with held(tmp_path / "site") as lock:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"], pass_fds=[lock])
    with held(tmp_path / "site"):
        assert child.poll() is not None or child.wait(0.1) == 0


def test_a_build_that_fails_keeps_the_old_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_of = {"index.html": "old"}
    (tmp_path / "site" / "html").mkdir(parents=True)
    (tmp_path / "site" / MARK).touch()
    (tmp_path / "site" / "html" / "index.html").write_text(build_of["index.html"])
    monkeypatch.setattr(site, "_assemble", lambda source, **_: (_ for _ in ()).throw(BuildFailed("planted")))
    with pytest.raises(BuildFailed, match="planted"):
        build(tmp_path / "site")
    assert (tmp_path / "site" / "html" / "index.html").read_text() == "old"


# --- a site that is replaced whole ----------------------------------------------------------------------------------------


def put(folder: Path, version: int) -> Path:
    folder.mkdir()
    for page in ("index.html", "search.html"):
        (folder / page).write_text(str(version))
    return folder


@pytest.mark.parametrize("exchanges", [True, False], ids=["exchange", "renames"])
def test_a_site_is_replaced(exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exchanges:
        monkeypatch.setattr(place, "_exchanged", lambda one, other: False)
    for version in range(3):
        replace(tmp_path / "html", put(tmp_path / "html.new", version))
        assert (tmp_path / "html" / "index.html").read_text() == str(version)
        assert [path.name for path in tmp_path.iterdir()] == ["html"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's exchange of two names")
def test_whoever_looks_finds_a_whole_site(tmp_path: Path) -> None:
    """A page opened at any moment is there, from a reader in a process of its own."""
    replace(tmp_path / "html", put(tmp_path / "html.new", 0))
    reader = "import pathlib, sys\nfor _ in range(20000): assert pathlib.Path(sys.argv[1]).stat()"
    child = subprocess.Popen([sys.executable, "-c", reader, str(tmp_path / "html")])
    version = 0
    while child.poll() is None:
        version += 1
        replace(tmp_path / "html", put(tmp_path / "html.new", version))
    assert child.returncode == 0 and version > 10
