"""How numbers are written: percentages with their intervals and seeds, verdicts with what they rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from experiments.published import Published
from experiments.verdicts import SLACK, Measured, Verdict
from lib.metrics import Interval, mean_interval, proportion_interval

NOT_RUN = "not run"
# Measurements that are no percentages.
FORMATS = {
    **dict.fromkeys(("queries", "answers", "passes", "training_epochs"), ",.0f"),
    **dict.fromkeys(("l2", "sigma", "adversarial_sigma", "largest_perturbation"), ".3f"),
    "median_distance": ".2g",
}


def percent(value: float | None) -> str:
    """A percentage."""
    return NOT_RUN if value is None else f"{value:.1f} %"


def one_number(value: float, measurement: str) -> str:
    """A number as its measurement is written."""
    return format(value, FORMATS[measurement]) if measurement in FORMATS else percent(value)


def over_seeds(values: Sequence[float], *, lowest: float = -math.inf, highest: float = math.inf) -> str:
    """A number a seed as "mean [low, high] ×seeds", without an interval for one seed, or "not run".

    The interval ends at `lowest` and `highest`, beyond which there can be no value.
    """
    if not values:
        return NOT_RUN
    interval = mean_interval(values)
    ends = f" [{max(lowest, interval.low):.1f}, {min(highest, interval.high):.1f}]" if interval.n > 1 else ""
    return f"{interval.mean:.1f}{ends} ×{interval.n}"


def interval_of(found: Measured) -> Interval:
    """The 95 % interval of a measured percentage: over seeds, or over test points where there is one seed."""
    if len(found.values) > 1:
        return mean_interval(found.values)
    share = proportion_interval(found.values[0] / 100 * found.points, found.points)
    return Interval(found.values[0], 100 * share.low, 100 * share.high, 1)


def number(found: Measured | None) -> str:
    """A measured percentage with its interval and number of seeds, such as "99.21 [99.10, 99.32] ×5"."""
    if found is None:
        return NOT_RUN
    interval = interval_of(found).within(0, 100)
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}] ×{interval.n}"


def marked(printed: Published, found: Measured | None, tolerance: float) -> str:
    """The measured number, with a tick where its mean lies within the declared tolerance of the printed one, or of its range."""
    if found is None:
        return NOT_RUN
    mean = interval_of(found).mean
    close = printed.low - tolerance - SLACK <= mean <= printed.high + tolerance + SLACK
    return number(found) + (" ✓" if close else "")


def evidence(found: Verdict) -> str:
    """What a verdict rests on, such as "0.78 [-0.61, 2.17], 1 seed"."""
    if found.estimate is None:
        return NOT_RUN
    source = f"{found.seeds} seeds" if found.interval_from == "seeds" else "1 seed"
    return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}], {source}"
