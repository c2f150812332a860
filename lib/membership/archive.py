"""Membership inference from a file: a network's answers to its training images and to others, saved by any tool."""

import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BadValue
from .roc import auc_interval, tpr_interval
from .scores import MEMBERSHIP_SCORES, are_probabilities, check_answers
from .threshold import Inference, by_threshold

SIDES = ("member", "nonmember")
ARRAYS = tuple(name for side in SIDES for name in (side, f"{side}_labels"))
REPORTED = {  # by the names that reports have always had
    "log_odds": "log_odds",
    "modified_entropy": "negative_modified_entropy",
    "entropy": "negative_entropy",
    "correctness": "correctness",
}


@dataclass(frozen=True)
class Answers:
    """A network's answers to n images of known labels, on one side of membership."""

    scores: Tensor  # (n, k) logits or log-probabilities
    labels: Tensor  # (n,)


def read(path: str | Path) -> tuple[Answers, Answers]:
    """The answers to members and to non-members in the .npz file at `path`.

    It holds `member` (n, k) and `nonmember` (m, k), either probabilities or logits, `member_labels` (n,) and `nonmember_labels`
    (m,). Rows of no negative number whose sum is 1 within a thousandth are probabilities.

    Raises:
        BadValue: a file that cannot be read, or is pickled; an array that is missing, empty or of another shape or type; a
            NaN; a label that is no class; numbers in [0, 1] whose rows do not sum to 1; probabilities on one side and logits on
            the other, or some rows of each.
    """
    try:
        arrays = _arrays(Path(path))
        scales = {name: _scale(arrays, name) for name in SIDES}
        classes = {name: arrays[name].shape[1] for name in SIDES}
        _check_alike("both probabilities or both logits", scales)
        _check_alike("as many classes in both", classes)
    except BadValue as error:
        raise BadValue(f"{path}: {error}") from error
    scores = [arrays[name].double() for name in SIDES]
    if scales["member"] == "probabilities":
        scores = [side.log() for side in scores]
    member, nonmember = (Answers(side, arrays[f"{name}_labels"]) for side, name in zip(scores, SIDES, strict=True))
    return member, nonmember


def infer(path: str | Path) -> dict[str, Inference]:
    """What each score, with the best threshold for these very points, tells of membership in the file at `path` (see `read`)."""
    return {name: by_threshold(*sides) for name, sides in _scores(*read(path)).items()}


def report(path: str | Path) -> dict[str, Any]:
    """The same as a dict for JSON, with sizes and 95 % intervals; None stands for no interval and for an infinite threshold.

    What stands at the top is inference by the confidence in the true label (Song et al. 2019, equation 7), ordered by its
    log-odds: `threshold` is a probability, `threshold_log_odds` the same where probabilities near 1 would be alike. The other
    scores follow under `other_scores`, with thresholds on their own scales.
    """
    member, nonmember = read(path)
    found = {}
    for name, sides in _scores(member, nonmember).items():
        rates = {"tpr_at_1pct": 0.01, "tpr_at_01pct": 0.001}
        intervals = {"auc": auc_interval(*sides)} | {key: tpr_interval(*sides, rate) for key, rate in rates.items()}
        ends = {f"{key}_interval": [interval.low, interval.high] for key, interval in intervals.items()}
        found[name] = asdict(by_threshold(*sides)) | ends
    by_confidence = found.pop("log_odds")
    odds = torch.tensor(by_confidence["threshold"], dtype=torch.float64)
    by_confidence |= {"threshold": float(odds.sigmoid()), "threshold_log_odds": float(odds)}
    sizes = {"members": len(member.labels), "nonmembers": len(nonmember.labels), "classes": member.scores.shape[1]}
    return {**_finite(by_confidence), **sizes, "other_scores": _finite(found)}


def _scores(member: Answers, nonmember: Answers) -> dict[str, tuple[Tensor, Tensor]]:
    """Each score of the members and of the others."""
    sides = member, nonmember
    found = {
        name: [MEMBERSHIP_SCORES[score](side.scores, side.labels) for side in sides] for name, score in REPORTED.items()
    }
    return {name: (inside, outside) for name, (inside, outside) in found.items()}


def _arrays(path: Path) -> dict[str, Tensor]:
    """The four arrays as tensors of float64 or int64."""
    try:
        with path.open("rb") as opened:  # np.load itself leaves a damaged file open
            loaded = np.load(opened, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                raise BadValue(f"expected an .npz file of {', '.join(ARRAYS)}, got a single array")
            if missing := [name for name in ARRAYS if name not in loaded.files]:
                raise BadValue(f"{missing[0]}: expected this array, the file holds {', '.join(loaded.files) or 'none'}")
            return {name: _tensor(name, loaded[name]) for name in ARRAYS}
    except BadValue:
        raise
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise BadValue(f"cannot be read as an .npz file of plain arrays ({error})") from error


def _tensor(name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "fiu":
        raise BadValue(f"{name}: expected numbers, got {array.dtype}")
    return torch.from_numpy(array.astype(np.float64 if array.dtype.kind == "f" else np.int64))


def _scale(arrays: Mapping[str, Tensor], name: str) -> str:
    """Whether one side has probabilities or logits: what most of its rows are, for a row of logits may sum to 1 by chance."""
    scores, labels = arrays[name], f"{name}_labels"
    check_answers(scores, arrays[labels], names=(name, labels))
    if len(scores) == 0:
        raise BadValue(f"{name}: expected at least one row, got none")
    whole = are_probabilities(scores)
    if 2 * int(whole.sum()) <= len(whole):
        if scores.min() >= 0 and scores.max() <= 1:
            raise BadValue(
                f"{name}: expected rows that sum to 1, or logits; all its numbers lie in [0, 1]: normalise it"
            )
        return "logits"
    if not whole.all():
        row = int((~whole).nonzero()[0])
        found = f"row {row} sums to {float(scores[row].sum()):g}, its smallest is {float(scores[row].min()):g}"
        raise BadValue(f"{name}: most rows are probabilities, expected all to be; {found}")
    return "probabilities"


def _check_alike(expected: str, found: Mapping[str, object]) -> None:
    if found["member"] != found["nonmember"]:
        raise BadValue(f"member, nonmember: expected {expected}, got {found['member']} and {found['nonmember']}")


def _finite(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_finite(value) for value in values]
    return values if math.isfinite(values) else None
