"""What git knows of records: each that was replaced or removed has a note that says why.

A record's checksum tells that a file is as it was written, not who wrote it. Its first version stands in the history: a change of
settings or of an experiment's `version` makes another key, so a record under the same name with other content was computed
again, or edited. Either is said in `results/replaced.toml`, with the blob that stood there before; superseded ones need no note.
"""

import json
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from experiments import papers
from experiments.records import ROOT as ROOT
from lib.errors import BadValue

NOTES = Path("results", "replaced.toml")
RECORD = re.compile(rf"results/((?:{'|'.join(papers.NAMES)})/[a-z]+/[0-9a-f]{{12}})\.json")


@dataclass(frozen=True, order=True)
class Replaced:
    """A record that no longer is what it was: its name in the store, and the git blob that it was."""

    name: str
    blob: str

    def __str__(self) -> str:
        return f"{self.name} {self.blob}"


def replaced(root: Path) -> set[Replaced]:
    """Every record that was replaced or removed since it was first committed, those not committed yet included.

    Raises:
        BadValue: `root` is no git checkout, or a shallow one.
    """
    if _git(root, "rev-parse", "--is-shallow-repository").strip() != "false":
        raise BadValue("history: expected a whole clone, this one is shallow: git fetch --unshallow")
    form = ["--raw", "--abbrev=12", "--no-renames", "--diff-filter=MD"]
    committed = _git(root, "log", "-m", "--format=", *form, "--", "results")
    since = _git(root, "diff", *form, "HEAD", "--", "results")
    found = set()
    for line in (committed + since).splitlines():
        facts, _, path = line.partition("\t")
        if named := RECORD.fullmatch(path):
            _, _, before, _, kind = facts.split()
            if kind != "D" or not (root / "results" / "superseded" / f"{named[1]}.json").exists():
                found.add(Replaced(named[1], before))
    return found


def noted(root: Path) -> set[Replaced]:
    """Those that the file of notes explains.

    Raises:
        BadValue: it is none.
    """
    path = root / NOTES
    if not path.exists():
        return set()
    try:
        notes = tomllib.loads(path.read_text(encoding="utf-8")).get("replaced", [])
        if any(not str(note["why"]).strip() for note in notes):
            raise ValueError("a note without a reason")
        return {Replaced(*line.split()) for note in notes for line in note["records"]}
    except (ValueError, KeyError, TypeError) as error:
        raise BadValue(f"{path}: expected notes, each with why and records, got {error}") from error


def unexplained(root: Path) -> list[Replaced]:
    """Those that were replaced without a note."""
    return sorted(replaced(root) - noted(root))


def note(changes: list[Replaced], why: str, root: Path) -> None:
    """Add a note of why these were replaced."""
    lines = [f"  {json.dumps(str(one))}," for one in changes]
    text = "\n".join(["", "[[replaced]]", f"why = {json.dumps(why)}", "records = [", *lines, "]", ""])
    with (root / NOTES).open("a", encoding="utf-8") as file:
        file.write(text)


def _git(root: Path, *arguments: str) -> str:
    try:
        asked = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        raise BadValue(f"history: expected a git checkout at {root} ({error})") from error
    return asked.stdout
