"""Records that were replaced: git tells which, and the notes must say why."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import history
from lib.errors import BadValue

Git = Callable[..., str]
RECORD = "harakeh/paper/0123456789ab"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """A checkout with one record, committed."""

    def call(*arguments: str) -> str:
        usual = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *usual, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    call("init", "--quiet")
    write(tmp_path, "first")
    commit(call)
    return call


def write(root: Path, content: str, name: str = RECORD) -> Path:
    path = root / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def commit(git: Git) -> None:
    git("add", ".")
    git("commit", "--quiet", "--allow-empty", "-m", "x")


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("removed", [True, False])
def test_a_record_that_changes_needs_a_note(removed: bool, committed: bool, git: Git, tmp_path: Path) -> None:
    assert history.unexplained(tmp_path) == []
    blob = git("rev-parse", "--short=12", f"HEAD:results/{RECORD}.json")
    path = write(tmp_path, "edited")
    if removed:
        path.unlink()
    if committed:
        commit(git)
    expected = history.Replaced(RECORD, blob)
    assert history.unexplained(tmp_path) == [expected]
    history.note([expected], 'by "today\'s" code', tmp_path)
    assert history.unexplained(tmp_path) == [] and history.replaced(tmp_path) == {expected}
    commit(git)
    if not removed:  # the note is of one change, not of all to come
        write(tmp_path, "edited again")
        (left,) = history.unexplained(tmp_path)
        assert left.name == RECORD and left.blob != blob


def test_what_is_new_superseded_or_no_record_needs_none(git: Git, tmp_path: Path) -> None:
    write(tmp_path, "a new one", "song/paper/0123456789ab")
    for name in ("verified/harakeh/0123456789ab", "benchmarks/speed", "equivalence/song"):
        write(tmp_path, "first", name)
    commit(git)
    for name in ("verified/harakeh/0123456789ab", "benchmarks/speed", "equivalence/song"):
        write(tmp_path, "again", name)
    (tmp_path / "results" / "superseded" / "harakeh" / "paper").mkdir(parents=True)
    git("mv", f"results/{RECORD}.json", f"results/superseded/{RECORD}.json")
    commit(git)
    assert history.replaced(tmp_path) == set()


def test_a_change_in_a_merge_is_seen(git: Git, tmp_path: Path) -> None:
    git("checkout", "--quiet", "-b", "other")
    write(tmp_path, "theirs", "song/paper/0123456789ab")
    commit(git)
    git("checkout", "--quiet", "-")
    git("merge", "--quiet", "--no-ff", "--no-commit", "other")
    write(tmp_path, "slipped in")
    commit(git)
    assert [one.name for one in history.unexplained(tmp_path)] == [RECORD]


@pytest.mark.parametrize(
    "content",
    [
        "replaced = 3",
        "[[",
        "[[replaced]]\nrecords = []",
        '[[replaced]]\nwhy = " "\nrecords = []',
        '[[replaced]]\nwhy = "x"\nrecords = ["a"]',
    ],
)
def test_notes_that_are_none_are_refused(content: str, git: Git, tmp_path: Path) -> None:
    (tmp_path / history.NOTES).write_text(content)
    with pytest.raises(BadValue, match=r"replaced\.toml: expected notes, each with why and records"):
        history.noted(tmp_path)


def test_where_there_is_no_history_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(BadValue, match=r"^history: expected a git checkout"):
        history.replaced(tmp_path)


def test_a_shallow_clone_is_refused(git: Git, tmp_path: Path) -> None:
    commit(git)
    git("clone", "--quiet", "--depth=1", f"file://{tmp_path}", str(tmp_path / "shallow"))
    with pytest.raises(BadValue, match="shallow"):
        history.replaced(tmp_path / "shallow")


def test_the_command_names_them_and_adds_the_note(
    git: Git, cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "ROOT", tmp_path)
    write(tmp_path, "edited")
    outcome = cli("history")
    assert outcome.rc == 1 and outcome.stdout.startswith(f"replaced without a note: {RECORD} ")
    assert cli("history", "--why", " ").rc == 2
    assert cli("history", "--why", "computed again").rc == 0 and cli("history").rc == 0
    assert cli("history", "--why", "again").rc == 2


def test_the_records_of_this_repository_have_their_notes() -> None:
    try:
        history.replaced(history.ROOT)
    except BadValue as error:
        pytest.skip(str(error))
    assert history.unexplained(history.ROOT) == [], "python -m experiments history --why REASON adds a note"
