"""An attack and an estimator are added to a copy of the project by the text of README, in four files each, and reach a figure."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A smoke number stands in no table of results. So the smoke record is filed under the cell of the paper's profile first.
FILE_AND_SHOW = """
from experiments.papers.harakeh import {module}
from experiments.records import Result, Store
from report import status_page
from report.figures.forest import data, lines
from report.papers.harakeh import PAPER, victims_by_attack

def shown(store):
    return data(victims_by_attack(), lines(store, PAPER, victims_by_attack()))

kind, store = {module}.{kind}, Store()
(smoke,), (paper,) = kind.grid("smoke"), kind.grid("paper")
before = shown(store)
record = store.get(smoke)
store.put(paper, Result(record.measurements, record.curves), record.provenance)
after = shown(store)
assert status_page.grid_table(store)  # no page lacks a name for it
print(record.measurements["adversarial_accuracy"])
for table in (before, after):
    named = [dict(zip(table.head, row)) for row in table.rows]
    print(*[one["ours"] for one in named if (one["group"], one["reading"]) == ({group!r}, {reading!r})], sep="|")
"""


def steps(title: str) -> dict[str, list[str]]:
    """The code blocks of a section of README by the file that their first line names, and after which word it goes in."""
    section = re.split(r"^##+ ", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    (text,) = [one for one in section if one.startswith(title + "\n")]
    found = {}
    for block in re.findall(r"^ *```python\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE):
        first, _, code = block.partition("\n")
        file, _, where = first.strip().removeprefix("# ").partition(", in ")
        found[file] = [code if where else dedent(code), *re.findall(r"`(\w+)`", where)]
    return found


def added(project: Path, title: str) -> list[str]:
    """Do what a section of README says in the copy at `project`; returns the files touched."""
    changes = steps(title)
    for file, (code, *place) in changes.items():
        path = project / file
        if not place:
            assert not path.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
        else:
            function, name = place
            start = path.read_text().index(f"def {function}(")
            before, after = path.read_text()[:start], path.read_text()[start:]
            line = re.search(rf"^    {name} = .*\n", after, flags=re.MULTILINE)
            assert line is not None
            code = re.sub("^ {3}", "", code, flags=re.MULTILINE)  # of the list it stands in
            path.write_text(before + after[: line.end()] + code + after[line.end() :])
    return list(changes)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, without records of smoke cells."""
    for name in ("lib", "experiments", "report", "results"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "smoke"))
    for name in ("pyproject.toml", "_toc.yml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def run(project: Path, *command: str) -> str:
    """What `python COMMAND` prints in the copy."""
    environment = {"CHECKPOINT_DIR": str(project / "checkpoints"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=project, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("title", "only", "module", "kind", "group", "reading"),
    [
        ("Add an attack", "attack=noise", "noise", "Noise", "Noise: accuracy left (%)", "none"),
        ("Add an estimator", "estimator=jitter", "jitter", "Jittered", "FGSM: accuracy left (%)", "new"),
    ],
)
def test_readmes_steps_lead_from_four_files_to_a_number_in_a_figure(
    title: str, only: str, module: str, kind: str, group: str, reading: str, project: Path
) -> None:
    files = added(project, title)
    assert len(files) == 4
    run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", files[-1])
    told = run(project, "-m", "experiments", "run", "--paper", "harakeh", "--profile", "smoke", "--only", only)
    assert len(list((project / "results" / "harakeh" / "smoke").glob("*.json"))) == 1, told
    shown = FILE_AND_SHOW.format(module=module, kind=kind, group=group, reading=reading)
    value, before, after = run(project, "-c", shown).splitlines()
    assert f"{float(value):.3f}" in after.split("|") and f"{float(value):.3f}" not in before.split("|")
    # The gate, the plan and the status know the new cell too, and imports still run one way.
    assert "1 recorded" in run(project, "-m", "experiments", "status", "--profile", "smoke", "--only", only)
    lint = Path(sys.executable).parent / "lint-imports"
    assert subprocess.run([lint], cwd=project, capture_output=True, check=False).returncode == 0


def test_every_file_of_the_steps_is_new_or_the_chapters() -> None:
    for title in ("Add an attack", "Add an estimator"):
        new = [file for file in steps(title) if not (ROOT / file).exists()]
        assert len(new) == 3
        assert set(steps(title)) - set(new) == {"report/papers/harakeh.py"}


def test_contributing_has_every_module_of_the_experiments_in_its_order_of_reading() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| Question | Modules |")[2].partition("\n## ")[0]
    modules = {path.stem for path in (ROOT / "experiments").glob("*.py")} - {"__init__", "__main__"}
    named = re.findall(r"`([\w/]+)`", table.replace("`infer`", ""))
    assert sorted(named) == sorted(modules | {"papers/__init__"})
