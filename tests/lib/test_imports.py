"""Imports run one way: the contracts hold, and a forbidden import, put into a copy of the project, breaks them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint(folder: Path) -> tuple[int, str]:
    """The exit status and what import-linter says of the project in `folder`."""
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("lib", "experiments", "report"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold(project: Path) -> None:
    status, told = lint(project)
    assert status == 0, told
    assert "0 broken" in told


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("lib/metrics.py", "import experiments.cell", "The three rooms BROKEN"),
        ("lib/judging.py", "from report import tables", "The three rooms BROKEN"),
        ("experiments/records.py", "import report.names", "The three rooms BROKEN"),
        ("lib/data.py", "from . import models", "Inside the library BROKEN"),
        ("lib/evasion/checks.py", "from ..training import fit", "Inside the library BROKEN"),
        ("lib/seeds.py", "from .membership import roc", "Inside the library BROKEN"),
        ("experiments/records.py", "from experiments import claims", "Inside the experiments BROKEN"),
        ("report/tables.py", "from report import site", "Inside the report BROKEN"),
        ("lib/new.py", "'''A module that has no place among the layers yet.'''", "Inside the library"),
    ],
)
def test_a_forbidden_import_breaks_a_contract(file: str, line: str, told: str, project: Path) -> None:
    with (project / file).open("a") as opened:
        opened.write(f"\n{line}\n")
    status, found = lint(project)
    assert status != 0 and told in found, found


def test_the_library_names_itself_nowhere() -> None:
    """It is `lib` here and `robust_private_uncertain` elsewhere, so its imports are relative and its texts say neither."""
    for path in sorted((ROOT / "lib").rglob("*.py")):
        text = path.read_text()
        assert "from lib" not in text and "import lib" not in text and "`lib." not in text, path
