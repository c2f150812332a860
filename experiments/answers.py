"""Membership inference from a file: a network's answers to its training images and to others, saved by any tool."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.arrays import read_arrays
from lib.errors import BadValue, check_kind
from lib.membership import MEMBERSHIP_SCORES, auc_interval, by_threshold, confidence, lira, log_odds, rmia, tpr_interval
from lib.membership.scores import are_probabilities, check_answers

SIDES = ("member", "nonmember")
ARRAYS = tuple(name for side in SIDES for name in (side, f"{side}_labels"))
SHADOWS = tuple(name for side in SIDES for name in (f"{side}_shadows", f"{side}_shadows_in"))
MANY = 32  # shadows on each side of a point, from which on LiRA takes the point's own variance
REPORTED = {  # by the names that reports have always had
    "log_odds": "log_odds",
    "modified_entropy": "negative_modified_entropy",
    "entropy": "negative_entropy",
    "correctness": "correctness",
}


@dataclass(frozen=True)
class Answers:
    """A network's answers to n images of known labels, on one side of membership, and those of s shadows if there are any."""

    scores: Tensor  # (n, k) logits or log-probabilities
    labels: Tensor  # (n,)
    confidence: Tensor  # (n,) the probability of the label: as the file has it, or by the softmax of its logits
    shadow_scores: Tensor  # (s, n) log-odds of the label
    shadow_in: Tensor  # (s, n) whether the shadow was trained on the image


def read(path: str | Path) -> tuple[Answers, Answers]:
    """The answers to members and to non-members in the .npz file at `path`.

    It holds `member` (n, k) and `nonmember` (m, k), either probabilities or logits, `member_labels` (n,) and `nonmember_labels`
    (m,). Rows of no negative number whose sum is 1 within a thousandth are probabilities. If there are shadow models, it also
    holds their answers to the same images, `member_shadows` (s, n, k) and `nonmember_shadows` (s, m, k), and whether each was
    trained on them, `member_shadows_in` (s, n) and `nonmember_shadows_in` (s, m), True or False.

    Raises:
        BadValue: a file that cannot be read, is pickled or too large; an array that is missing, empty or of another shape or
            type; a NaN; a label that is no class; numbers in [0, 1] whose rows do not sum to 1; probabilities on one side and
            logits on the other, or some rows of each.
    """
    with _naming(path):
        check_kind("path", path, (str, Path), "the name of a file")
        arrays = read_arrays(Path(path), ARRAYS, SHADOWS)
        if missing := [name for name in SHADOWS if name not in arrays and len(arrays) > len(ARRAYS)]:
            raise BadValue(f"{missing[0]}: expected this array beside those of other shadow answers")
        scales, found = {}, {}
        for side in SIDES:
            scales[side], found[side] = _answers(arrays, side)
        _check_alike("both probabilities or both logits", scales)
        _check_alike("as many classes in both", {side: one.scores.shape[1] for side, one in found.items()})
        _check_alike("as many shadows of both", {side: len(one.shadow_in) for side, one in found.items()})
        return found["member"], found["nonmember"]


def report(path: str | Path) -> dict[str, Any]:
    """What each score, with the best threshold for these very points, tells of membership in the file at `path` (see `read`).

    A dict for JSON, with sizes and 95 % intervals; None stands for no interval and for an infinite threshold. Confidence is the
    probability of the label as it stands in the file, so that equal ones are never told apart, as in Song et al. 2019, equation
    7; log-odds also order what has rounded to 1. With shadows there are `lira` and `rmia` too, online if every point has shadows
    with and without it, and with a variance of its own if these are `MANY`.

    What stands at the top is inference by log-odds: `threshold` is a probability, `threshold_log_odds` the same where
    probabilities near 1 would be alike. The other scores follow under `other_scores`, with thresholds on their own scales.
    """
    member, nonmember = read(path)
    with _naming(path):
        scores = _scores(member, nonmember)
    found = {}
    for name, sides in scores.items():
        rates = {"tpr_at_1pct": 0.01, "tpr_at_01pct": 0.001}
        intervals = {"auc": auc_interval(*sides)} | {key: tpr_interval(*sides, rate) for key, rate in rates.items()}
        ends = {f"{key}_interval": [interval.low, interval.high] for key, interval in intervals.items()}
        found[name] = asdict(by_threshold(*sides)) | ends
    top = found.pop("log_odds")
    odds = torch.tensor(top["threshold"], dtype=torch.float64)
    top |= {"threshold": float(odds.sigmoid()), "threshold_log_odds": float(odds)}
    sizes = {"members": len(member.labels), "nonmembers": len(nonmember.labels), "classes": member.scores.shape[1]}
    sizes |= {"shadows": len(member.shadow_in)}
    return {"score": "log_odds", **_finite(top), **sizes, "other_scores": _finite(found)}


def _scores(member: Answers, nonmember: Answers) -> dict[str, tuple[Tensor, Tensor]]:
    """Each score of the members and of the others."""
    sides = member, nonmember
    found = {
        name: [MEMBERSHIP_SCORES[score](side.scores, side.labels) for side in sides] for name, score in REPORTED.items()
    }
    found["confidence"] = [side.confidence for side in sides]
    if len(member.shadow_in):
        inside = torch.cat([side.shadow_in for side in sides], 1)
        stack = torch.cat([side.shadow_scores for side in sides], 1), inside, torch.cat(found["log_odds"])
        online = bool(inside.any(0).all())
        fewest = min(int(which.sum(0).min()) for which in ((inside, ~inside) if online else (~inside,)))
        judged = {
            "lira": lira(*stack, online=online, variance="per_example" if fewest >= MANY else "global"),
            "rmia": rmia(*stack, online=online),
        }
        found |= {name: [both[: len(member.labels)], both[len(member.labels) :]] for name, both in judged.items()}
    return {name: (inside, outside) for name, (inside, outside) in found.items()}


def _answers(arrays: Mapping[str, NDArray[Any]], side: str) -> tuple[str, Answers]:
    """One side's answers and their scale."""
    labels = _labels(arrays, f"{side}_labels")
    scale, logits, p = _logits(side, _numbers(arrays, side), labels)
    if f"{side}_shadows" not in arrays:
        nothing = torch.zeros(0, len(labels))
        return scale, Answers(logits, labels, p, nothing, nothing.bool())
    stack, which = _numbers(arrays, f"{side}_shadows"), arrays[f"{side}_shadows_in"]
    if stack.shape[1:] != logits.shape or which.shape != stack.shape[:2] or len(stack) == 0 or which.dtype != bool:
        expected = f"(s, {len(logits)}, {logits.shape[1]}) and bool (s, {len(logits)})"
        shapes = f"{tuple(stack.shape)} and {which.dtype} {which.shape}"
        raise BadValue(f"{side}_shadows, {side}_shadows_in: expected {expected}, got {shapes}")
    again = labels.repeat(len(stack))
    odds = log_odds(_logits(f"{side}_shadows", stack.flatten(0, 1), again, f"{side}_labels")[1], again)
    return scale, Answers(logits, labels, p, odds.view(stack.shape[:2]), torch.from_numpy(which))


def _numbers(arrays: Mapping[str, NDArray[Any]], name: str) -> Tensor:
    if arrays[name].dtype.kind not in "fiu":
        raise BadValue(f"{name}: expected numbers, got {arrays[name].dtype}")
    with np.errstate(over="ignore"):  # of more than float64 can hold: infinite numbers are refused by name
        return torch.from_numpy(arrays[name].astype(np.float64))


def _labels(arrays: Mapping[str, NDArray[Any]], name: str) -> Tensor:
    labels = arrays[name]
    if labels.dtype.kind not in "iu":
        raise BadValue(f"{name}: expected whole numbers, got {labels.dtype}")
    if labels.size and int(labels.max()) >= 2**63:
        raise BadValue(f"{name}: expected classes, got {labels.max()}")
    return torch.from_numpy(labels.astype(np.int64))


def _logits(name: str, scores: Tensor, labels: Tensor, which: str = "") -> tuple[str, Tensor, Tensor]:
    """The scale of one array, itself or the logarithm of its probabilities (n, k), and the probabilities of the labels (n,).

    The scale is what most of its rows are, for a row of logits may sum to 1 by chance.
    """
    check_answers(scores, labels, names=(name, which or f"{name}_labels"))
    if len(scores) == 0:
        raise BadValue(f"{name}: expected at least one row, got none")
    whole = are_probabilities(scores)
    if 2 * int(whole.sum()) <= len(whole):
        if scores.min() >= 0 and scores.max() <= 1:
            raise BadValue(
                f"{name}: expected rows that sum to 1, or logits; all its numbers lie in [0, 1]: normalise it"
            )
        return "logits", scores, confidence(scores, labels)
    if not whole.all():
        row = int((~whole).nonzero()[0])
        found = f"row {row} sums to {float(scores[row].sum()):g}, its smallest is {float(scores[row].min()):g}"
        raise BadValue(f"{name}: most rows are probabilities, expected all to be; {found}")
    return "probabilities", scores.log(), scores.gather(1, labels[:, None])[:, 0]


def _check_alike(expected: str, found: Mapping[str, object]) -> None:
    if found["member"] != found["nonmember"]:
        raise BadValue(f"member, nonmember: expected {expected}, got {found['member']} and {found['nonmember']}")


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """What is refused inside is refused with the name of the file."""
    try:
        yield
    except BadValue as error:
        raise BadValue(f"{path}: {error}") from error


def _finite(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_finite(value) for value in values]
    return values if not isinstance(values, float) or math.isfinite(values) else None
