"""The behaviour gate: whether today's code measures, to the bit, what the code of another commit measures.

Keys hash settings, not code, so that a result that took hours survives a refactoring. What makes that honest is this gate: it
runs every smoke cell with the code of a base commit and with the working tree, on one machine, one thread each, and wants all
that was measured then, curves included, to be equal now, unless the `version` of the experiment was raised. What it cannot see is
what smoke cells do not do, such as compiled training: `verify` recomputes at full scale.

Claim: 71 cells take 19 s, both sides at once on two cores (EPYC).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments import probe
from experiments.records import ROOT, settings
from lib.errors import BadValue

BASE = Path("results", "equivalence", "base")  # the file that names the commit to compare with

Word = Literal["equal", "raised", "new", "changed"]


class GateFailed(RuntimeError):
    """The code of one side could not be asked; the message has the last line of its complaint."""


@dataclass(frozen=True)
class Outcome:
    """What became of one cell: equal, of a raised version, unknown to the base, or changed, and then how."""

    cell: Any
    word: Word
    why: str = ""


def default_base(root: Path = ROOT) -> str:
    """The commit that the committed file names.

    Raises:
        BadValue: there is no such file.
    """
    try:
        return (root / BASE).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadValue(f"base: expected a commit, none was given and {BASE} cannot be read ({error})") from error


def compare(cells: Sequence[Any], base: str, *, root: Path = ROOT) -> list[Outcome]:
    """Run `cells` with the code of commit `base` and with that of the working tree `root`.

    Raises:
        BadValue: `base` is no commit that this clone has.
        GateFailed: the code of a side cannot be run.
    """
    with checkout(base, root) as old, tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "cells.json")
        asked.write_text(json.dumps([settings(cell) for cell in cells]))
        sides = {tree: Path(folder, f"{name}.json") for name, tree in (("then", old), ("now", root))}
        running = {tree: _ask(tree, asked, out) for tree, out in sides.items()}
        for tree, process in running.items():
            _, complaint = process.communicate()
            if process.returncode:
                raise GateFailed(f"{base if tree == old else 'working tree'}: {complaint.strip().splitlines()[-1]}")
        then, now = (json.loads(out.read_text()) for out in sides.values())
    return [_judged(cell, *pair) for cell, *pair in zip(cells, then, now, strict=True)]


def check_own(commit: str, root: Path = ROOT) -> None:
    """See that a commit that a record names is one that today's code comes from: no record has others' code run.

    Raises:
        BadValue: it is not.
    """
    asked = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
    if subprocess.run(asked, cwd=root, capture_output=True).returncode:
        raise BadValue(
            f"commit {commit} of a record: expected one from the history of this branch, which may be shallow"
        )


@contextmanager
def checkout(commit: str, root: Path = ROOT) -> Iterator[Path]:
    """A folder with the files of `commit`, for a while.

    Raises:
        BadValue: this clone has no such commit; a shallow one may lack it.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree, archive = Path(folder, "tree"), Path(folder, "tree.tar")
        asked = ["git", "archive", f"--output={archive}", "--end-of-options", commit]
        made = subprocess.run(asked, cwd=root, capture_output=True, text=True)
        if made.returncode:
            told = made.stderr.strip()
            raise BadValue(f"base: {commit!r} is no commit of this clone, which may be shallow ({told})")
        shutil.unpack_archive(archive, tree, filter="data")
        yield tree


def _ask(tree: Path, cells: Path, out: Path) -> subprocess.Popen[str]:
    """Today's probe, run by the code in `tree`."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", probe.__file__, str(cells), str(out)]
    return subprocess.Popen(command, cwd=tree, env=environment, stderr=subprocess.PIPE, text=True)


def _judged(cell: Any, then: Mapping[str, Any], now: Mapping[str, Any]) -> Outcome:
    if "unknown" in then:
        return Outcome(cell, "new", then["unknown"])
    before, after = ({**side["measurements"], **side["curves"]} for side in (then, now))
    differs = [name for name, value in before.items() if after.get(name) != value]
    if differs and then["version"] < cell.version:
        return Outcome(cell, "raised", f"version {then['version']}, now {cell.version}")
    if differs:
        return Outcome(cell, "changed", f"{differs[0]} {before[differs[0]]}, now {after.get(differs[0], 'absent')}")
    more = ", ".join(sorted(after.keys() - before.keys()))
    return Outcome(cell, "equal", f"measured since as well: {more}" if more else "")
