"""The Boundary attack aimed at a class, as the text has it: from a point "classified as part of the target class".

As written elsewhere here it is untargeted, as the tables count any other label. Each image is aimed at another class, drawn from
the seed, and starts at a test image of that class that the victim recognises, so that no attempt fails for want of a start.
"""

from typing import Any, Literal

import torch
from torch import Tensor

from experiments.cell import Count, Precision, Result, Size, checked
from experiments.papers.galinkin.evasion import LIMIT, draw_images, spent, votes
from experiments.papers.galinkin.victims import Cell
from experiments.run import Bench, recognised
from lib import seeds
from lib.data import Split
from lib.errors import BadValue
from lib.evasion.boundary import boundary
from lib.metrics import percent
from lib.uncertainty import Victim


@checked
class Aimed(Cell):
    """One targeted Boundary attack on one victim; it believes the first answer."""

    TITLES = ("Boundary, targeted",)

    attack: Literal["boundary_targeted"] = "boundary_targeted"
    attempts: Count = 100
    iterations: Count = 5000
    judges: Count = 50  # fresh answers that vote
    test_size: Size = 0  # of the accuracy; 0: the whole test set
    answer_precision: Precision = "float32"  # bfloat16 would round away the attack's small changes

    def work(self) -> float:
        """As of the untargeted attack."""
        return self.training_work() + self.passes * (10_000 + self.attempts * (25.0 * self.iterations + self.judges))

    def measure(self, bench: Bench, victim: Victim) -> Result:
        """Aim images that the victim recognises, and count what it takes for the target, by one answer and by vote."""
        test = bench.test(self.test_size)
        right = recognised(victim, test)
        x, y = test.take(draw_images(victim, test, right, **self.chosen("seed attempts judges")))
        targets, start = targets_and_starts(self, test, right, y)
        source = seeds.generator(self.seed, "attack")
        usual: dict[str, Any] = {"generator": source, "lead": 1, "check_answers": 0}
        with bench.attacking():
            found = boundary(victim, x, targets, targeted=True, start=start, iterations=self.iterations, **usual)
        with torch.no_grad():
            answers = victim(found.adversarial).argmax(1)
        by_vote = votes(victim, found.adversarial, self.judges).argmax(1) == targets
        distance = torch.linalg.vector_norm((found.adversarial - x).flatten(1), dim=1)  # measured afresh
        limit = LIMIT["cifar10" if "cifar10" in self.dataset else "mnist"]["l2"]
        measured = {
            "success": percent(answers == targets),
            "success_untargeted": percent(answers != y),
            "success_vote": percent(by_vote),
            "success_within": percent(by_vote & (distance <= limit)),
            "limit": limit,
            "median_distance": distance[by_vote].median().item() if by_vote.any() else -1.0,
            **spent(found, passes=self.passes),
        }
        return Result(measured | {"accuracy": percent(right), "test_points": float(self.attempts)}, {})


def targets_and_starts(config: Aimed, test: Split, right: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """For labels y (n,) other classes (n,), and recognised images of these (n, c, h, w).

    Raises:
        BadValue: the victim recognises images of one class alone.
    """
    source = seeds.generator(config.seed, "targets")
    indices = right.nonzero().flatten()
    order = indices[torch.randperm(len(indices), generator=source).to(indices.device)]
    classes = torch.unique(test.labels[order])
    if len(classes) < 2:
        raise BadValue(f"attempts: expected a victim that recognises two classes or more, got {len(classes)}")
    targets, starts = [], []
    for label in y.tolist():
        others = classes[classes != label]
        target = others[int(torch.randint(len(others), (), generator=source))]
        own = order[test.labels[order] == target]
        targets.append(target)
        starts.append(own[int(torch.randint(len(own), (), generator=source))])
    return torch.stack(targets), test.take(torch.stack(starts))[0]
