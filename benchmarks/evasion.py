"""Our attacks and other people's on the same images, side by side in one process.

python -m benchmarks.evasion [--images 64] [--repetitions 3] [--attack carlini_wagner jsma] [--keep]

The victim is the tutorial's basic CNN in float32 on one thread, after two epochs on 10,000 images of MNIST; the images are the
first of the test set that it recognises, the target of a digit is the next one. All implementations get the same settings: of
CW 100 iterations, 1 search step, constant 10, learning rate 0.2, confidence 0; of JSMA theta 1 and gamma 80/784, 40 pairs. For
JSMA pixels above 0.98 are made white: torchattacks never changes those, while ours, as CleverHans's, leaves out only white ones.

A table has a row for every implementation that is installed:
    ms        processor time an image: the median of the repetitions, in each of which all implementations take a turn, or
              the first one's for those that attack an image at a time, as they take minutes
    times     that time as a multiple of ours beside it
    success   share of images that are adversarial in a fresh look at them
    change    mean over those: its l2 norm for CW, for JSMA how many features it touches
    forward   images shown to the victim, and
    backward  images differentiated, for each image attacked

Measured numbers stand with the claims they bear out, at the heads of lib/evasion/carlini_wagner.py and lib/evasion/saliency.py;
with --keep the rows go to results/benchmarks, from where the book shows them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from experiments.records import Store
from lib import data, evasion, models, training
from lib.errors import BadValue, check_count
from report.benchmark_page import keep

GAMMA = 80 / 784  # a whole number of pairs, for gamma 0.1 allows 39.2, which some round up

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Implementation(NamedTuple):
    """One of the implementations that are compared."""

    name: str
    attack: Attack
    one_by_one: bool = False  # an image at a time, whatever the batch


class Counted(nn.Module):
    """A network that counts the images it is shown and those whose logits are differentiated."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.forwards = self.backwards = 0

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.network(x)
        self.forwards += len(x)
        if logits.requires_grad:
            logits.register_hook(self._differentiated)
        return logits

    def _differentiated(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


def carlini_wagner(*, targeted: bool) -> list[Implementation]:
    """The implementations of CW that are installed, ours first."""
    found = [Implementation("ours", partial(evasion.carlini_wagner, targeted=targeted))]
    if find_spec("foolbox"):
        for ending, early in (("", False), (", abort early", True)):
            found.append(Implementation("Foolbox" + ending, partial(foolbox_cw, targeted=targeted, abort_early=early)))
    if find_spec("cleverhans"):
        found.append(Implementation("CleverHans, one by one", partial(cleverhans_cw, targeted=targeted), True))
    if find_spec("art"):
        found.append(Implementation("ART", partial(art_cw, targeted=targeted)))
    return found


def foolbox_cw(victim: nn.Module, x: Tensor, y: Tensor, *, targeted: bool, abort_early: bool) -> Tensor:
    """Foolbox's: the whole batch at once."""
    import foolbox

    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=1, steps=100, stepsize=0.2, confidence=0, initial_const=10, abort_early=abort_early
    )
    criterion = foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification
    adversarial: Tensor = attack.run(foolbox.PyTorchModel(victim, bounds=(0, 1)), x, criterion(y))
    return adversarial


def cleverhans_cw(victim: nn.Module, x: Tensor, y: Tensor, *, targeted: bool) -> Tensor:
    """CleverHans's, an image at a time: in a batch it weighs every image's loss by every image's constant."""
    from cleverhans.torch.attacks.carlini_wagner_l2 import carlini_wagner_l2

    def one(image: Tensor, label: Tensor) -> Tensor:
        adversarial: Tensor = carlini_wagner_l2(
            victim, image, 10, label, targeted, lr=0.2, initial_const=10, binary_search_steps=1, max_iterations=100
        )
        return adversarial

    return torch.cat([one(*pair) for pair in zip(x.split(1), y.split(1), strict=True)])


def art_cw(victim: nn.Module, x: Tensor, y: Tensor, *, targeted: bool) -> Tensor:
    """The adversarial-robustness-toolbox's: the whole batch at once."""
    from art.attacks.evasion import CarliniL2Method

    attack = CarliniL2Method(
        art_classifier(victim, x), 0.0, targeted, 0.2, binary_search_steps=1, max_iter=100, initial_const=10,
        batch_size=len(x), verbose=False,
    )  # fmt: skip
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def jsma() -> list[Implementation]:
    """The implementations of JSMA that are installed, ours first."""
    found = [Implementation("ours", partial(evasion.jsma, theta=1.0, gamma=GAMMA))]
    if find_spec("torchattacks"):
        found.append(Implementation("torchattacks, one by one", torchattacks_jsma, True))
    if find_spec("art"):
        found.append(Implementation("ART", art_jsma))
    return found


def torchattacks_jsma(victim: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """torchattacks': it takes a batch, and attacks an image at a time."""
    import torchattacks

    attack = torchattacks.JSMA(victim, theta=1.0, gamma=GAMMA)
    attack.set_mode_targeted_by_label(quiet=True)
    adversarial: Tensor = attack(x, target)
    return adversarial


def art_jsma(victim: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """The adversarial-robustness-toolbox's: the whole batch at once."""
    from art.attacks.evasion import SaliencyMapMethod

    attack = SaliencyMapMethod(art_classifier(victim, x), theta=1.0, gamma=GAMMA, batch_size=len(x), verbose=False)
    return torch.from_numpy(attack.generate(x.numpy(), target.numpy()))


def art_classifier(victim: nn.Module, x: Tensor) -> Any:
    """The victim as ART wants it."""
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        victim, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=(0, 1), device_type="cpu"
    )


def recognised(network: nn.Module, test: data.Split, n: int) -> tuple[Tensor, Tensor]:
    """The first `n` images that `network` gives their own label, and that label."""
    x, y = test.take(torch.arange(min(len(test), 4 * n)))
    with torch.no_grad():
        right = network(x).argmax(1) == y
    if right.sum() < n:
        raise BadValue(f"images: the network recognises {right.sum()} of {len(y)}, expected at least {n}")
    return x[right][:n], y[right][:n]


def compare(
    implementations: list[Implementation],
    title: str,
    *,
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    norm: int,
    targeted: bool,
    repetitions: int,
) -> list[list[str]]:
    """Print a table with a row for each implementation, all run in turn, `repetitions` times, and return its rows."""
    seconds: dict[str, list[float]] = {}
    measured: dict[str, list[str]] = {}
    for repetition in range(repetitions):
        for name, attack, one_by_one in implementations:
            if one_by_one and repetition > 0:
                continue
            victim = Counted(network).eval()
            start = time.process_time()
            adversarial = attack(victim, x.clone(), y)
            seconds.setdefault(name, []).append((time.process_time() - start) / len(x))
            with torch.no_grad():
                answer = network(adversarial).argmax(1)
            success = answer == y if targeted else answer != y
            change = torch.linalg.vector_norm((adversarial - x).flatten(1), norm, dim=1)[success].mean()
            passes = [f"{victim.forwards / len(x):.1f}", f"{victim.backwards / len(x):.1f}"]
            measured[name] = [f"{success.double().mean():.2f}", f"{change:.3f}", *passes]
    line([title, "", "ms", "times", "success", "change", "forward", "backward"])
    rows = []
    for name, found in measured.items():
        times = median(theirs / ours for theirs, ours in zip(seconds[name], seconds["ours"], strict=False))
        rows.append([title, name, f"{1000 * median(seconds[name]):.1f}", f"{times:.2f}", *found])
        line(rows[-1])
    return rows


def line(cells: list[str]) -> None:
    """Print one row: names wide, numbers at the right."""
    first, second, *numbers = cells
    print(f"{first:<48} {second:<24}" + "".join(f"{number:>10}" for number in numbers), flush=True)


def main() -> None:
    """Train the victim, then print a table for each attack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--attack", nargs="+", choices=["carlini_wagner", "jsma"], default=["carlini_wagner", "jsma"])
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        check_count("images", options.images)
        check_count("repetitions", options.repetitions)
        mnist = data.load("mnist")
        network = models.build("basic_cnn_tutorial", shape=mnist.shape, classes=10, seed=0)
        training.fit(network, mnist.train.first(10_000), training.TrainingConfig(epochs=2), seed=0)
        x, y = recognised(network, mnist.test, options.images)
    except BadValue as error:
        parser.error(str(error))
    white, next_class = torch.where(x > 0.98, 1.0, x), (y + 1) % 10
    comparisons = {
        "carlini_wagner": [
            ("CW, untargeted", carlini_wagner(targeted=False), {"x": x, "y": y, "norm": 2, "targeted": False}),
            ("CW, targeted", carlini_wagner(targeted=True), {"x": x, "y": next_class, "norm": 2, "targeted": True}),
        ],
        "jsma": [("JSMA", jsma(), {"x": white, "y": next_class, "norm": 0, "targeted": True})],
    }
    report = partial(compare, network=network, repetitions=options.repetitions)
    for name in options.attack:
        rows = [
            row
            for title, attacks, problem in comparisons[name]
            for row in report(attacks, f"{title}, {len(x)} images", **problem)
        ]
        if options.keep:
            keep(Store(), name, rows, command=shlex.join(sys.orig_argv[1:]))


if __name__ == "__main__":
    main()
