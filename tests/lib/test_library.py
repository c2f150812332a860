"""The code that README and the library's page show runs as it stands, on smaller data, and the page leaves no attack out."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from foolbox import attacks

from lib import evasion, membership

ROOT = Path(__file__).resolve().parents[2]
# What someone else's experiments would import.
LIBRARY = (
    "data detection evaluation evasion judging membership membership.adversarial membership.archive membership.shadow metrics "
    "models seeds training training.robust uncertainty uncertainty.scores"
).split()
SMALLER = {
    'data.load("mnist")': 'data.load("digits_as_mnist")',
    "TrainingConfig()": "TrainingConfig(epochs=1)",
    "torch.arange(100)": "torch.arange(3)",
    'generator=seeds.generator(0, "attack"),': 'generator=seeds.generator(0, "attack"), iterations=2,',
    "carlini_wagner(look, x, (y + 1) % 10,": "carlini_wagner(look, x, (y + 1) % 10, iterations=2, search_steps=1,",
}


def code(page: str) -> list[str]:
    """The blocks of Python of a page."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "book/library.md"])
def test_the_code_shown_runs(page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"np": __import__("numpy")}
    names |= {f"z_{side}": torch.randn(20, 10).numpy() for side in ("in", "out")}
    names |= {f"y_{side}": torch.arange(20).numpy() % 10 for side in ("in", "out")}
    blocks = code(page)
    assert blocks
    for block in blocks:
        for shown, run in SMALLER.items():
            block = block.replace(shown, run)
        assert "mnist" not in block or "digits_as_mnist" in block
        exec(compile(block, page, "exec"), names)
    assert names["adversarial"].shape == names["x"].shape == (3, 1, 28, 28)
    if page == "README.md":
        assert membership.read(tmp_path / "answers.npz")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `pip install` would put on the path, built from a copy."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    shutil.copytree(ROOT / "lib", source / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, source)
    how = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *how, "--target", str(target), str(source)], check=True)
    return target


def test_what_is_installed_is_the_whole_library_and_nothing_else(installed: Path) -> None:
    files = {path.relative_to(ROOT / "lib") for path in (ROOT / "lib").rglob("*") if path.suffix in (".py", ".typed")}
    package = installed / "robust_private_uncertain"
    found = {path.relative_to(package) for path in package.rglob("*") if path.suffix in (".py", ".typed")}
    assert found == files and Path("py.typed") in files
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"robust_private_uncertain"}


def test_the_library_imports_no_more_than_it_says_that_it_needs(installed: Path, tmp_path: Path) -> None:
    """With every other direct dependency of the project out of reach, and away from its root."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    named = {re.split(r"[=<>]", one)[0] for one in needed}
    listed = re.findall(r"^([\w-]+)", (ROOT / "requirements.in").read_text(), flags=re.MULTILINE)
    hidden = {name.replace("-", "_") for name in listed} - named - {"scikit_learn"} | {"yaml", "IPython", "myst_nb"}
    script = f"""
import importlib, sys
for name in {sorted(hidden)}:
    sys.modules[name] = None
for name in {LIBRARY}:
    importlib.import_module("robust_private_uncertain." + name)
import robust_private_uncertain as rpu
print(rpu.__file__)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={"PYTHONPATH": str(installed)}, text=True, capture_output=True
    )
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()) == installed / "robust_private_uncertain" / "__init__.py"
    assert {"matplotlib", "papermill", "jupyterlab"} <= hidden


def test_the_names_of_other_libraries_are_theirs() -> None:
    """Of ours, CleverHans's and Foolbox's; ART is not installed here."""
    page = (ROOT / "book" / "library.md").read_text()
    rows = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| `")]
    owners = (
        lambda name: evasion,
        lambda name: import_module(f"cleverhans.torch.attacks.{name}"),
        lambda name: attacks,
    )
    ours = set()
    for row in rows:
        for owner, cell in zip(owners, row, strict=True):
            for name, settings in re.findall(r"`(\w+)\(([\w=, ]*)\)`", cell):
                known = inspect.signature(getattr(owner(name), name)).parameters
                assert set(re.findall(r"\w+", settings)) <= set(known), cell
                ours |= {name} if owner is owners[0] else set()
    assert ours == {*evasion.ATTACKS, *evasion.DECISION_ATTACKS, "train_substitute"} - {"pgd_aware"}


def test_every_attack_is_on_the_page() -> None:
    page = (ROOT / "book" / "library.md").read_text()
    for name in (*evasion.ATTACKS, *evasion.DECISION_ATTACKS):
        assert f".. autofunction:: lib.evasion.{name}\n" in page
