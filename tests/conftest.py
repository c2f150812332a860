"""What the tests share: small data, small networks, small cells, folders of their own, and the command line.

Nothing here reaches outside: every test writes to its own temporary folder, also its checkpoints, and no test downloads.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

import report.__main__
from experiments import command_line
from experiments.papers import harakeh
from experiments.records import Store
from lib import data, models, training
from lib.data import Dataset, Split
from lib.models import Network

ROOT = Path(__file__).resolve().parent.parent
DATA_FOLDERS = {
    "mnist": "MNIST/raw",
    "fashion_mnist": "FashionMNIST/raw",
    "cifar10": "cifar-10-batches-py",
    "yale": "CroppedYale",
}
REPORT = ("book", "chapter")  # the commands of `python -m report`; the others are those of `python -m experiments`
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

torch.set_num_threads(1)
# The same examples on every machine, and no time limit on one: a busy machine is not a defect.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long `faults` unless -m names them, and skip, with a reason, what needs data or a browser that is not here.

    `data` may name the sets a test needs, as in `@pytest.mark.data("yale")`; with no name it needs all four.
    """
    if "faults" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("faults")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    root = os.environ.get("DATA_DIR")
    browser = next(filter(shutil.which, BROWSERS), None)
    for item in items:
        if marker := item.get_closest_marker("data"):
            for name in marker.args or DATA_FOLDERS:
                if root is None or not (Path(root) / DATA_FOLDERS[name]).is_dir():
                    now = "is not set" if root is None else f"is {root}"
                    reason = f"needs the data set {name}: set DATA_DIR to the folder that holds {DATA_FOLDERS[name]} (it {now})"
                    item.add_marker(pytest.mark.skip(reason=reason))
                    break
        if item.get_closest_marker("browser") and browser is None:
            item.add_marker(pytest.mark.skip(reason=f"needs a browser: none of {', '.join(BROWSERS)} is on the PATH"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Checkpoints go to the test's own folder, never to the user's cache."""
    folder = tmp_path / "checkpoints"
    monkeypatch.setenv("CHECKPOINT_DIR", str(folder))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty folder of records."""
    return Store(tmp_path / "results")


@pytest.fixture
def settings_kept() -> Iterator[None]:
    """PyTorch's global settings, which computing a cell changes."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """scikit-learn's digits in the shape of MNIST."""
    return data.load("digits_as_mnist")


@pytest.fixture(scope="session")
def few(digits: Dataset) -> Split:
    """200 training images."""
    return digits.train.first(200)


@pytest.fixture
def untrained() -> Callable[..., Network]:
    """Makes a small network for the digits; any argument of `models.build` can be changed."""

    def build(name: str = "fully_convolutional", **changes: Any) -> Network:
        return models.build(name, **{"shape": (1, 28, 28), "classes": 10, "seed": 0, "width": 4, **changes})

    return build


@pytest.fixture
def trained(trained_once: Network) -> Network:
    """A small network that tells most digits apart, a copy of its own for every test."""
    return copy.deepcopy(trained_once)


@pytest.fixture(scope="session")
def trained_once(digits: Dataset) -> Network:
    """What `trained` copies: a victim leaves its dropout switched on."""
    network = models.build("basic_cnn_tutorial", shape=(1, 28, 28), classes=10, seed=0, width=8, dropout=0.125)
    config = training.TrainingConfig(epochs=3, batch_size=32, learning_rate=5e-3, precision="float32")
    training.fit(network, digits.train.first(600), config, seed=0)
    return network


TINY: dict[str, Any] = {
    "width": 2,
    "epochs": 1,
    "train_size": 64,
    "test_size": 20,
    "draws": 2,
    "curve_size": 10,
    "curve_epsilons": (0.0, 0.3),
}
"""Settings with which a cell takes a fraction of a second."""


@pytest.fixture
def tiny_options() -> list[str]:
    """The same settings for the command line, of the cells that have them all."""
    texts = {name: ",".join(map(str, value)) if isinstance(value, tuple) else value for name, value in TINY.items()}
    return ["--only", "attack=fgsm", *(part for name, text in texts.items() for part in ("--set", f"{name}={text}"))]


@pytest.fixture
def tiny_cell() -> Callable[..., harakeh.FGSM]:
    """Makes a cell that takes a fraction of a second."""

    def make(**changes: Any) -> harakeh.FGSM:
        usual = {"profile": "smoke", "dataset": "digits_as_mnist", "network": "basic_cnn", **TINY}
        return harakeh.FGSM(**{**usual, **changes})

    return make


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    rc: int
    stdout: str
    stderr: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Runs `python -m experiments ...` in this process: the same function, without seconds of imports."""
    monkeypatch.setenv("PROGRESS_BARS", "0")
    monkeypatch.setattr(sys, "argv", ["experiments"])

    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        try:
            main = report.__main__.main if arguments[:1] in [(name,) for name in REPORT] else command_line.main
            rc = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # how argparse ends
            rc = stop.code if isinstance(stop.code, int) else 1
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
        captured = capsys.readouterr()
        return Outcome(rc, captured.out, captured.err)

    return call


@pytest.fixture
def start_cli() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `python -m experiments ...` as a process of its own, on one thread; none outlives its test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "report" if arguments[0] in REPORT else "experiments", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PROGRESS_BARS": "0", "OMP_NUM_THREADS": "1", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def run_cli(start_cli: Callable[..., subprocess.Popen[str]]) -> Callable[..., Outcome]:
    """Runs `python -m experiments ...` to its end."""

    def run(*arguments: str | Path, env: dict[str, str] | None = None, timeout: float = 120) -> Outcome:
        process = start_cli(*arguments, env=env)
        stdout, stderr = process.communicate(timeout=timeout)
        return Outcome(process.returncode, stdout, stderr)

    return run
