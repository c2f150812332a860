"""How uncertain a victim is about an image, by any of the scores that are used to reject images."""

from collections.abc import Callable

from torch import Tensor

from ..errors import BadValue, check_choice
from ..metrics import entropy, mutual_information
from .victims import Deterministic, Heteroscedastic, Victim


def aleatoric_variance(victim: Victim, x: Tensor, samples: Tensor) -> Tensor:
    """The variance that a heteroscedastic network gives its logits, mean over classes: (n,)."""
    if not isinstance(victim, Heteroscedastic):
        raise BadValue(f"victim: expected a heteroscedastic one, got {type(victim).__name__}")
    return victim.sigma(x).square().mean(1)


# Of images (n, c, h, w) and samples (m, n, k), each (n,): the first two in nats, of the answer, and of label and draw.
UNCERTAINTY_SCORES: dict[str, Callable[[Victim, Tensor, Tensor], Tensor]] = {
    "entropy": lambda victim, x, samples: entropy(victim.combine(samples).log_softmax(1)),
    "mutual_information": lambda victim, x, samples: mutual_information(samples.log_softmax(-1)),
    "variance": aleatoric_variance,
}


def scores_of(victim: Victim) -> tuple[str, ...]:
    """The uncertainty scores that `victim` has."""
    if isinstance(victim, Deterministic):
        return ("entropy",)
    return ("entropy", "variance" if isinstance(victim, Heteroscedastic) else "mutual_information")


def check_score(name: str, victim: Victim) -> str:
    """`name`, if it is one of the scores of `victim`."""
    return check_choice("score", name, scores_of(victim))
