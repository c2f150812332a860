"""What benchmarks share: the command line, a clock, a victim that counts, other people's attacks, rows printed and kept."""

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from experiments.records import Store
from lib import data, models, training
from lib.errors import BadValue, check_count
from report import benchmark_page


class Implementation(NamedTuple):
    """One of the implementations that are compared, and the package that it comes in; none for ours."""

    name: str
    attack: Callable[..., Any]  # of victim, images and labels
    package: str = "lib"
    one_by_one: bool = False  # an image at a time, whatever the batch


def installed(*candidates: Implementation) -> list[Implementation]:
    """Those whose package is here."""
    return [one for one in candidates if find_spec(one.package)]


class Counted(nn.Module):
    """A victim that counts its calls, the images it is shown, those whose scores are differentiated, and the time it takes."""

    def __init__(self, victim: nn.Module) -> None:
        super().__init__()
        self.victim = victim
        self.random, self.bounds = getattr(victim, "random", False), getattr(victim, "bounds", (0.0, 1.0))
        self.calls = self.images = self.backwards = 0
        self.seconds = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """The victim's scores."""
        start = time.process_time()
        scores: Tensor = self.victim(x)
        self.seconds += time.process_time() - start
        self.calls, self.images = self.calls + 1, self.images + len(x)
        if scores.requires_grad:
            scores.register_hook(self._differentiated)
        return scores

    def _differentiated(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


def attacked(attack: Callable[..., Any], victim: nn.Module, x: Tensor, y: Tensor) -> tuple[Any, float, Counted]:
    """What an attack makes of images, the processor seconds that it takes, and what it asks of the victim."""
    counted = Counted(victim).eval()
    start = time.process_time()
    made = attack(counted, x.clone(), y)
    return made, time.process_time() - start, counted


def by_foolbox(
    kind: str, victim: nn.Module, x: Tensor, y: Tensor, *, targeted: bool = False, at_once: int = 0, **settings: Any
) -> Tensor:
    """What Foolbox's attack `kind` makes of images, all at once or `at_once`."""
    import foolbox

    torch.manual_seed(0)
    attack = getattr(foolbox.attacks, kind)(**settings)
    criterion = foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification
    model = foolbox.PyTorchModel(victim, bounds=(0, 1))
    parts = zip(x.split(at_once or len(x)), y.split(at_once or len(x)), strict=True)
    return torch.cat([attack.run(model, images, criterion(labels)) for images, labels in parts])


def by_art(kind: str, victim: nn.Module, x: Tensor, y: Tensor, *, labels: bool = False, **settings: Any) -> Tensor:
    """What the attack `kind` of the adversarial-robustness-toolbox makes of images, by labels or all at once."""
    from art.attacks import evasion
    from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier

    def predict(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return victim(torch.from_numpy(np.asarray(images, dtype=np.float32))).numpy()

    shape, bounds = tuple(x.shape[1:]), (0, 1)
    if labels:  # its own wrapper of PyTorch fails these attacks under NumPy 2
        classifier = BlackBoxClassifier(predict, shape, 10, clip_values=bounds)
    else:
        classifier = PyTorchClassifier(victim, nn.CrossEntropyLoss(), shape, 10, clip_values=bounds, device_type="cpu")
        settings["batch_size"] = len(x)
    np.random.seed(0)
    attack = getattr(evasion, kind)(classifier, verbose=False, **settings)
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def command_line(told: str | None, *, counts: dict[str, int], **more: dict[str, Any]) -> Any:
    """The options of a benchmark: whole numbers of at least 1 by their defaults, and others as argparse takes them."""
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in counts.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, how in more.items():
        parser.add_argument(f"--{name}", **how)
    options = parser.parse_args()
    for name in counts:
        check_count(name, getattr(options, name.replace("-", "_")))
    torch.set_num_threads(getattr(options, "threads", 1))
    return options


def run(main: Callable[[], None]) -> None:
    """A benchmark, which ends in one line where a value is bad or the data are not there."""
    try:
        main()
    except BadValue as error:
        sys.exit(f"{sys.argv[0]}: {error}")


def mnist_victim(name: str, *, epochs: int, n: int, dropout: float = 0.0) -> tuple[models.Network, Tensor, Tensor]:
    """The network `name` after some epochs on 10,000 images of MNIST, and the first `n` test images that it recognises.

    Raises:
        BadValue: it recognises fewer, or the data are not there.
    """
    mnist = data.load("mnist")
    network = models.build(name, shape=mnist.shape, classes=10, seed=0, dropout=dropout)
    training.fit(network, mnist.train.first(10_000), training.TrainingConfig(epochs=epochs), seed=0)
    return network, *recognised(network, mnist.test, n)


def recognised(network: nn.Module, images: data.Split, n: int) -> tuple[Tensor, Tensor]:
    """The first `n` of some images that a network recognises.

    Raises:
        BadValue: it recognises fewer.
    """
    x, y = images.take(torch.arange(min(len(images), 4 * n)))
    with torch.no_grad():
        right = network.eval()(x).argmax(1) == y
    if right.sum() < n:
        raise BadValue(f"images: the network recognises {right.sum()} of {len(y)}, expected at least {n}")
    return x[right][:n], y[right][:n]


def seconds_of(work: Callable[[], object], *, seconds: float) -> float:
    """Median seconds of `work` by PyTorch's clock, which warms up and waits for a GPU, over calls of `seconds` in all."""
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=seconds).median


def printed(title: str, head: str, rows: Iterable[list[str]]) -> list[list[str]]:
    """Print a table, each row as soon as it is there, names wide and numbers at the right; returns its rows."""
    kept = []
    for name, *numbers in chain([["", *head.split()]], rows):
        print(f"{title:<48} {name:<24}" + "".join(f"{number:>10}" for number in numbers), flush=True)
        kept.append([title, name, *numbers])
    return kept[1:]


def keep(name: str, rows: list[list[str]], *, folder: object = None) -> None:
    """Put rows where the book finds them, with the command that printed them, but for the path of a `folder`."""
    command = ("FOLDER" if part == str(folder) else part for part in sys.orig_argv[1:])
    benchmark_page.keep(Store(), name, rows, command=shlex.join(command))
