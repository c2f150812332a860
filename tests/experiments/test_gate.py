"""The behaviour gate passes where nothing has changed, and fails where an attack is broken, whatever else was edited."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

from experiments import gate, probe
from experiments.records import settings
from experiments.selection import select
from lib.errors import BadValue

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
FGSM = Path("lib/evasion/gradient.py")
CELL = Path("experiments/papers/harakeh/fgsm.py")


Ask = Callable[..., subprocess.CompletedProcess[str]]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own with the code, committed."""
    folder = tmp_path_factory.mktemp("gate") / "project"
    for name in ("lib", "experiments"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "base")
    return folder


@pytest.fixture
def project(committed: Path, tmp_path: Path) -> Path:
    """A copy of that, to be edited."""
    return Path(shutil.copytree(committed, tmp_path / "project"))


@pytest.fixture
def ask(project: Path) -> Ask:
    """Runs the project's own gate on its plain FGSM cell."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "experiments", "gate", *arguments]
        wanted = ["--paper", "harakeh", "--only", "attack=fgsm", "--only", "estimator=none"]
        environment = {**os.environ, "PYTHONPATH": str(project)}
        return subprocess.run([*command, *wanted], cwd=project, env=environment, capture_output=True, text=True)

    return call


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new))


def declare(path: Path, field: str) -> None:
    """Put `field` at the head of the only class of cells in `path`."""
    text, found = re.subn(r'(\nclass \w+\(.*\):\n    """.*?"""\n)', rf"\1\n    {field}\n", path.read_text())
    assert found == 1
    path.write_text(text)


def test_what_has_not_changed_passes_whatever_its_text(project: Path, ask: Ask) -> None:
    path = project / FGSM
    path.write_text(path.read_text() + "\n\nUNUSED = 1  # the text differs, what it does not\n")
    done = ask("HEAD")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"([1-9]) smoke cells since HEAD: \1 equal, 0 raised, 0 new, 0 changed\n", done.stdout)


def test_a_broken_attack_fails_and_a_raised_version_passes(project: Path, ask: Ask) -> None:
    edit(project / FGSM, "ascend(x, y, radius, stuck)", "ascend(x, y, 0.5 * radius, stuck)")
    broken = ask("HEAD")
    *lines, total = broken.stdout.splitlines()
    assert broken.returncode == 1 and re.search(r": 0 equal, 0 raised, 0 new, [1-9] changed$", total)
    assert all(re.match(r"changed  harakeh smoke .* fgsm seed 0: \w+ [\d.]+, now [\d.]+$", line) for line in lines)
    declare(project / CELL, "version: int = 2")
    raised = ask("HEAD")
    assert raised.returncode == 0, raised.stderr
    assert re.search(r"0 equal, [1-9] raised, 0 new, 0 changed\n$", raised.stdout)
    assert "version 1, now 2" in raised.stdout


def test_a_new_setting_is_unknown_to_the_base(project: Path, ask: Ask) -> None:
    declare(project / CELL, "momentum: float = 0.0")
    done = ask("HEAD")
    assert done.returncode == 0 and re.search(r"0 equal, 0 raised, [1-9] new, 0 changed\n$", done.stdout)


def test_code_that_cannot_be_run_is_told_in_one_line(project: Path, ask: Ask) -> None:
    edit(project / FGSM, "import torch\n", "import torchh\n")
    done = ask("HEAD")
    assert done.returncode == 1 and done.stdout == "" and "No module named 'torchh'" in done.stderr


@pytest.mark.parametrize("base", ["0123456789ab", "--output=x", "nobody"])
def test_a_base_that_is_none_is_named(base: str) -> None:
    with pytest.raises(BadValue, match=f"base: '{re.escape(base)}' is no commit of this clone"):
        gate.compare([], base)


def test_the_committed_base_is_a_commit() -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", gate.default_base())
    with pytest.raises(BadValue, match="base: expected a commit"):
        gate.default_base(Path("nowhere"))


def test_the_probe_leaves_out_time_alone(tmp_path: Path) -> None:
    (cell,) = select("harakeh", "smoke", only=["attack=fgsm", "estimator=none", "network=basic_cnn"])
    found = probe.answer(settings(cell), "experiments", tmp_path)
    assert found["curves"].keys() == {"epsilon", "accuracy"}
    assert {"accuracy", "adversarial_accuracy", "test_points"} < found["measurements"].keys()
    assert not any(name.endswith("_seconds") for name in found["measurements"])
    assert probe.answer({**settings(cell), "attack": "none"}, "experiments", tmp_path) == {
        "unknown": "no experiment has these settings"
    }
    later = probe.answer({**settings(cell), "paper": "of later"}, "experiments", tmp_path)
    assert later == {"unknown": "no such paper"}


def test_a_record_has_only_code_run_that_this_branch_comes_from(project: Path) -> None:
    own = git(project, "rev-parse", "HEAD")
    gate.check_own(own[:12], project)
    git(project, "checkout", "--quiet", "-b", "theirs")
    (project / "lib" / "theirs.py").write_text("print('theirs')\n")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "theirs")
    theirs = git(project, "rev-parse", "HEAD")
    git(project, "checkout", "--quiet", "-")
    for commit in (theirs, theirs[:12], "unknown", "0" * 12):
        with pytest.raises(BadValue, match=f"commit {commit} of a record: expected one from the history"):
            gate.check_own(commit, project)
