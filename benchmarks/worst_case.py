"""What is left of a victim's accuracy by our worst case and by AutoAttack's parts as torchattacks has them, at equal budgets.

python -m benchmarks.worst_case [--images 200] [--steps 50] [--queries 1000] [--keep]

Two victims on MNIST, each in float32 on one thread, and the first test images that it recognises, in l_inf:
    saturated  LeNet-5 after two epochs on 10,000 images, its logits times 100, epsilon 0.1: its cross-entropy has no gradient
    robust     LeNet-5 trained by PGD, epsilon 0.2, on 20,000 images; kept among the checkpoints

A row for each attack, and one for those of AutoAttack together, APGD, APGD-T and Square, of each library:
    left      share of the images that the victim still recognises
    s         processor time, in seconds
    forward   images shown to the victim, and
    backward  images differentiated, for each image attacked
"""

import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks import harness
from lib import data, evasion, models, training
from lib.errors import VictimWarning
from lib.training import checkpoints, robust

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Scaled(nn.Module):
    """A network whose logits are multiplied."""

    def __init__(self, network: nn.Module, scale: float) -> None:
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, k)."""
        scores: Tensor = self.network(x)
        return self.scale * scores


def saturated(n: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The victim that hides its gradients, and images that it recognises."""
    network, x, y = harness.mnist_victim("lenet5", epochs=2, n=n)
    return Scaled(network, 100.0).eval(), x, y


def defended(n: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The victim trained by PGD, and images that it recognises."""
    mnist = data.load("mnist")
    network = models.build("lenet5", shape=mnist.shape, classes=10, seed=0)
    config = robust.RobustConfig(
        steps=2000,
        batch_size=100,
        learning_rate=1e-3,
        second_rate=1e-4,
        second_from=1500,
        l2=0.0,
        loss="mean",
        epsilon=0.2,
        step_size=0.05,
        attack_steps=7,
        ramp=500,
        precision="float32",
    )

    def train(network: nn.Module, _: object) -> dict[str, list[float]]:
        return {"losses": training.fit_robust(network, mnist.train.first(20_000), config, seed=0).losses}

    checkpoints.trained(network, "benchmark-lenet5-pgd-0.2", train, cache=checkpoints.default_cache())
    return network, *harness.recognised(network, mnist.test, n)


def ours(name: str, epsilon: float, **settings: object) -> Attack:
    """One of our attacks."""
    return lambda victim, x, y: evasion.ATTACKS[name](
        victim, x, y, epsilon=epsilon, generator=torch.Generator().manual_seed(0), **settings
    )


def theirs(kind: str, epsilon: float, **settings: object) -> Attack:
    """One of torchattacks'."""

    def attack(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        import torchattacks

        torch.manual_seed(0)  # for its PGD, which has no seed of its own
        adversarial: Tensor = getattr(torchattacks, kind)(victim, eps=epsilon, **settings)(x, y)
        return adversarial

    return attack


def compare(attacks: dict[str, Attack], victim: nn.Module, x: Tensor, y: Tensor) -> Iterator[list[str]]:
    """A row for each attack, and for those of AutoAttack together."""
    together: dict[str, Tensor] = {}
    for name, attack in attacks.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VictimWarning)  # a cross-entropy without gradients is what is to be shown
            adversarial, seconds, counted = harness.attacked(attack, victim, x, y)
        with torch.no_grad():
            left = victim(adversarial).argmax(1) == y
        library, kind = name.split(", ")
        if not kind.startswith("PGD"):
            together[library] = together.get(library, torch.ones_like(left)) & left
        passes = [f"{count / len(x):.1f}" for count in (counted.images, counted.backwards)]
        yield [name, f"{left.double().mean():.1%}", f"{seconds:.1f}", *passes]
    for library, left in together.items():
        yield [f"{library}, worst case", f"{left.double().mean():.1%}", "–", "–", "–"]


def main() -> None:
    """Print a table for each victim."""
    options = harness.command_line(
        __doc__, counts={"images": 200, "steps": 50, "queries": 1000}, keep={"action": "store_true"}
    )
    rows = []
    for title, victim_of, epsilon in (("saturated", saturated, 0.1), ("robust", defended, 0.2)):
        steps = {"epsilon": epsilon, "steps": options.steps}
        attacks = {
            "ours, PGD CE": ours("pgd", **steps),
            "ours, PGD log-odds": ours("pgd", loss="log_odds", **steps),
            "ours, APGD CE": ours("apgd", loss="cross_entropy", **steps),
            "ours, APGD log-odds": ours("apgd", **steps),
            "ours, APGD DLR": ours("apgd", loss="dlr", **steps),
            "ours, APGD-T DLR": ours("apgd", loss="dlr", targets=9, **steps),
            "ours, Square": ours("square", epsilon, queries=options.queries),
            "torchattacks, PGD": theirs("PGD", alpha=2.5 * epsilon / options.steps, **steps),
            "torchattacks, APGD CE": theirs("APGD", loss="ce", **steps),
            "torchattacks, APGD DLR": theirs("APGD", loss="dlr", **steps),
            "torchattacks, APGD-T DLR": theirs("APGDT", **steps),
            "torchattacks, Square": theirs("Square", epsilon, n_queries=options.queries),
        }
        victim, x, y = victim_of(options.images)
        found = compare(attacks, victim, x, y)
        rows += harness.printed(f"{title}, epsilon {epsilon}, {len(x)} images", "left s forward backward", found)
    if options.keep:
        harness.keep("worst_case", rows)


if __name__ == "__main__":
    harness.run(main)
