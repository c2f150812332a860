"""How numbers are written: percentages with their intervals and seeds, verdicts with what they rest on."""

import math
from collections.abc import Mapping, Sequence
from typing import get_args

from experiments.verdicts import Verdict, Word
from lib.metrics import Interval, mean_interval

NOT_RUN = "not run"
ONE_SEED = "one seed"
# Measurements that are no percentages.
FORMATS = {
    **dict.fromkeys(("queries", "answers", "passes", "training_epochs"), ",.0f"),
    **dict.fromkeys(("l2", "sigma", "adversarial_sigma", "largest_perturbation"), ".3f"),
    "median_distance": ".2g",
}


def percent(value: float | None) -> str:
    """A percentage."""
    return NOT_RUN if value is None else f"{value:z.1f} %"


def one_number(value: float, measurement: str) -> str:
    """A number as its measurement is written."""
    return format(value, FORMATS[measurement]) if measurement in FORMATS else percent(value)


def over_seeds(values: Sequence[float], *, lowest: float = -math.inf, highest: float = math.inf) -> str:
    """A number a seed as "mean [low, high] ×seeds", or "mean, one seed", or "not run".

    The interval ends at `lowest` and `highest`, beyond which there can be no value.
    """
    return of_interval(mean_interval(values).within(lowest, highest) if values else None)


def of_interval(found: Interval | None) -> str:
    """A mean with its interval as "mean [low, high] ×seeds", or "mean, one seed", or "not run"."""
    if found is None:
        return NOT_RUN
    if found.n == 1:
        return f"{found.mean:z.1f}, {ONE_SEED}"
    return f"{found.mean:z.1f} [{found.low:z.1f}, {found.high:z.1f}] ×{found.n}"


def evidence(found: Verdict) -> str:
    """What a verdict rests on, such as "0.78 [-0.61, 2.17] ×5"."""
    if found.estimate is None:
        return NOT_RUN
    if found.low is None or found.high is None:
        return f"{found.estimate:z.2f}, {ONE_SEED}"
    return f"{found.estimate:z.2f} [{found.low:z.2f}, {found.high:z.2f}] ×{found.seeds}"


def in_columns(found: Interval | None) -> list[str]:
    """Mean, both ends of the interval, which one seed has not, and the number of seeds, for a file that readers download."""
    if found is None:
        return [NOT_RUN, "", "", "0"]
    ends = [f"{end:z.3f}" for end in (found.low, found.high)] if found.n > 1 else ["", ""]
    return [f"{found.mean:z.3f}", *ends, str(found.n)]


def in_words(counts: Mapping[Word, int]) -> str:
    """How many have which verdict, the best first; a word that none has is left out."""
    return ", ".join(f"{counts[word]} {word}" for word in reversed(get_args(Word)) if counts.get(word))
