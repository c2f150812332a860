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

With --keep the rows go to results/benchmarks, from where the book shows them.
"""

from collections.abc import Iterator
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks import harness
from benchmarks.harness import Implementation, by_art, by_foolbox, installed
from lib import evasion

GAMMA = 80 / 784  # a whole number of pairs, for gamma 0.1 allows 39.2, which some round up


def carlini_wagner(*, targeted: bool) -> list[Implementation]:
    """The implementations of CW that are installed, ours first."""
    same = {"confidence": 0, "initial_const": 10, "binary_search_steps": 1, "targeted": targeted}
    foolbox = partial(by_foolbox, "L2CarliniWagnerAttack", steps=100, stepsize=0.2, **same)
    art = partial(by_art, "CarliniL2Method", max_iter=100, learning_rate=0.2, **same)
    return installed(
        Implementation("ours", partial(evasion.carlini_wagner, targeted=targeted)),
        Implementation("Foolbox", partial(foolbox, abort_early=False), "foolbox"),
        Implementation("Foolbox, abort early", partial(foolbox, abort_early=True), "foolbox"),
        Implementation("CleverHans, one by one", partial(cleverhans_cw, targeted=targeted), "cleverhans", True),
        Implementation("ART", art, "art"),
    )


def jsma() -> list[Implementation]:
    """The implementations of JSMA that are installed, ours first."""
    return installed(
        Implementation("ours", partial(evasion.jsma, targeted=True, theta=1.0, gamma=GAMMA)),
        Implementation("torchattacks, one by one", torchattacks_jsma, "torchattacks", True),
        Implementation("ART", partial(by_art, "SaliencyMapMethod", theta=1.0, gamma=GAMMA), "art"),
    )


def cleverhans_cw(victim: nn.Module, x: Tensor, y: Tensor, *, targeted: bool) -> Tensor:
    """CleverHans's, an image at a time: in a batch it weighs every image's loss by every image's constant."""
    from cleverhans.torch.attacks.carlini_wagner_l2 import carlini_wagner_l2

    how = {"lr": 0.2, "initial_const": 10, "binary_search_steps": 1, "max_iterations": 100}
    pairs = zip(x.split(1), y.split(1), strict=True)
    return torch.cat([carlini_wagner_l2(victim, image, 10, label, targeted, **how) for image, label in pairs])


def torchattacks_jsma(victim: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """torchattacks': it takes a batch, and attacks an image at a time."""
    import torchattacks

    attack = torchattacks.JSMA(victim, theta=1.0, gamma=GAMMA)
    attack.set_mode_targeted_by_label(quiet=True)
    adversarial: Tensor = attack(x, target)
    return adversarial


def compare(
    attacks: list[Implementation], *, network: nn.Module, x: Tensor, y: Tensor, norm: int, targeted: bool, times: int
) -> Iterator[list[str]]:
    """A row for each implementation, all run in turn, so many times."""
    seconds: dict[str, list[float]] = {}
    measured: dict[str, list[str]] = {}
    for repetition in range(times):
        for name, attack, _, one_by_one in attacks:
            if one_by_one and repetition > 0:
                continue
            adversarial, taken, victim = harness.attacked(attack, network, x, y)
            seconds.setdefault(name, []).append(taken / len(x))
            with torch.no_grad():
                answer = network(adversarial).argmax(1)
            success = answer == y if targeted else answer != y
            change = torch.linalg.vector_norm((adversarial - x).flatten(1), norm, dim=1)[success].mean()
            passes = [f"{victim.images / len(x):.1f}", f"{victim.backwards / len(x):.1f}"]
            measured[name] = [f"{success.double().mean():.2f}", f"{change:.3f}", *passes]
    for name, found in measured.items():
        ratio = median(theirs / ours for theirs, ours in zip(seconds[name], seconds["ours"], strict=False))
        yield [name, f"{1000 * median(seconds[name]):.1f}", f"{ratio:.2f}", *found]


def main() -> None:
    """Train the victim, then print a table for each attack."""
    names = ["carlini_wagner", "jsma"]
    options = harness.command_line(
        __doc__,
        counts={"images": 64, "repetitions": 3},
        attack={"nargs": "+", "choices": names, "default": names},
        keep={"action": "store_true"},
    )
    network, x, y = harness.mnist_victim("basic_cnn_tutorial", epochs=2, n=options.images)
    white, next_class = torch.where(x > 0.98, 1.0, x), (y + 1) % 10
    away, towards = {"x": x, "y": y, "targeted": False}, {"y": next_class, "targeted": True}
    comparisons = {
        "carlini_wagner": [
            ("CW, untargeted", carlini_wagner(targeted=False), {**away, "norm": 2}),
            ("CW, targeted", carlini_wagner(targeted=True), {**towards, "x": x, "norm": 2}),
        ],
        "jsma": [("JSMA", jsma(), {**towards, "x": white, "norm": 0})],
    }
    for name in options.attack:
        rows = []
        for title, attacks, problem in comparisons[name]:
            found = compare(attacks, network=network, times=options.repetitions, **problem)
            head = "ms times success change forward backward"
            rows += harness.printed(f"{title}, {len(x)} images", head, found)
        if options.keep:
            harness.keep(name, rows)


if __name__ == "__main__":
    harness.run(main)
