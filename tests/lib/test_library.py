"""The code that README and the library's page show runs as it stands, on smaller data, and the page leaves no attack out."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from foolbox import attacks

from lib import evasion

ROOT = Path(__file__).resolve().parents[2]
# What someone else's experiments would import.
LIBRARY = (
    "counting data evaluation evasion evasion.examination judging membership membership.shadows "
    "metrics models seeds training training.robust uncertainty worst_case"
).split()
SMALLER = {
    'data.load("mnist")': 'data.load("digits_as_mnist")',
    "TrainingConfig()": "TrainingConfig(epochs=1)",
    "torch.arange(100)": "torch.arange(3)",
}


def code(page: str) -> list[str]:
    """The blocks of Python of a page; those that show a file of the project begin with its name, and are another test's."""
    found = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    return [block for block in found if not block.startswith("# ")]


def test_the_code_of_the_librarys_page_runs() -> None:
    names: dict[str, Any] = {}
    blocks = code("book/library.md")
    assert blocks
    for block in blocks:
        for shown, run in SMALLER.items():
            block = block.replace(shown, run)
        assert "mnist" not in block or "digits_as_mnist" in block
        exec(compile(block, "book/library.md", "exec"), names)
    assert names["adversarial"].shape == names["x"].shape == (3, 1, 28, 28)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install` makes of the project, built from a copy without network."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in ("lib", "experiments", "report", "benchmarks"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    how = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *how, "--wheel-dir", str(target), str(source)], check=True)
    (made,) = target.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel in it, which sees the packages that are installed here: its Python."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    how = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", *how, str(wheel)], check=True)
    return python


@pytest.fixture(scope="module")
def installed(environment: Path) -> Path:
    """The folder that it was installed into."""
    (packages,) = environment.parents[1].glob("lib/python*/site-packages")
    return packages


def test_readmes_code_runs_as_it_stands_beside_a_folder_lib_of_ones_own(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").write_text("")
    (tmp_path / "lib" / "mine.py").write_text("ANSWER = 42\n")
    checks = """
from importlib.util import find_spec
from lib.mine import ANSWER
assert ANSWER == 42 and not find_spec("experiments") and not find_spec("report") and not find_spec("benchmarks")
assert rpu.__version__ and adversarial.shape == (10, 1, 28, 28) and leaks.auc
assert found.found.float().mean() > 0.5  # what the attack by labels shows a reader
print(rpu.__file__)
"""
    (tmp_path / "example.py").write_text("\n".join([*code("README.md"), checks]))
    run = subprocess.run(
        [environment, "example.py"], cwd=tmp_path, env={"OMP_NUM_THREADS": "1"}, text=True, capture_output=True
    )
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.splitlines()[-1]).is_relative_to(environment.parents[1])


def test_what_is_installed_is_the_whole_library_and_nothing_else(installed: Path) -> None:
    files = {path.relative_to(ROOT / "lib") for path in (ROOT / "lib").rglob("*") if path.suffix in (".py", ".typed")}
    package = installed / "robust_private_uncertain"
    found = {path.relative_to(package) for path in package.rglob("*") if path.suffix in (".py", ".typed")}
    assert found == files and Path("py.typed") in files
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"robust_private_uncertain", "here.pth"}


def test_the_library_imports_no_more_than_it_says_that_it_needs(
    environment: Path, installed: Path, tmp_path: Path
) -> None:
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
    run = subprocess.run([environment, "-c", script], cwd=tmp_path, env={}, text=True, capture_output=True)
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
    assert ours == {*evasion.ATTACKS, *evasion.DECISION_ATTACKS} - {"pgd_aware"}


def test_every_attack_is_on_the_page() -> None:
    page = (ROOT / "book" / "library_reference.md").read_text()
    for name in (*evasion.ATTACKS, *evasion.DECISION_ATTACKS):
        assert f".. autofunction:: lib.evasion.{name}\n" in page
