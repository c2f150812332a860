"""The FGSM rows of Table 2, on the whole test set, as published: T draws answer, and T fresh draws judge."""

from typing import Literal

from experiments.cell import Count, Result, Share, Shares, checked
from experiments.papers.harakeh.before_after import accuracy_curve, measure
from experiments.papers.harakeh.victims import Cell
from experiments.run import Bench
from lib import evasion
from lib.uncertainty import MonteCarloDropout, Victim

MNIST_EPSILONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
CIFAR_EPSILONS = (0.0, 1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255, 0.1, 0.2, 0.3)


@checked
class FGSM(Cell):
    """One cell of the FGSM rows."""

    NOTED = ("training_loss",)

    TITLES = ("FGSM",)

    attack: Literal["fgsm"] = "fgsm"
    epsilon: Share = 0.3
    curve_epsilons: Shares = MNIST_EPSILONS
    curve_size: Count = 1000  # the first so many test images carry the curve over epsilon

    def work(self) -> float:
        """An image is attacked and judged; on the curve, judged at every epsilon."""
        attacked = 5 * self.test_points + self.curve_size * (4 + len(self.curve_epsilons))
        return self.training_work() + self.passes * attacked

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Attack the test set, and the first images with every budget."""
        test = bench.test(self.test_size)
        measured = measure(victim, test, lambda v, x, y: evasion.fgsm(v, x, y, epsilon=self.epsilon))
        if isinstance(victim, MonteCarloDropout):  # the gradient of a single draw, as a naive attacker takes it
            naive = MonteCarloDropout(victim.network, generator=victim.generator, draws=1, precision=victim.precision)
            found = measure(victim, test, lambda _, x, y: evasion.fgsm(naive, x, y, epsilon=self.epsilon))
            measured["adversarial_accuracy_one_draw"] = found["adversarial_accuracy"]
        curve = accuracy_curve(victim, test.first(self.curve_size), self.curve_epsilons)
        measured["test_points"] = float(len(test))
        return Result(measured, {"epsilon": list(self.curve_epsilons), "accuracy": curve})
