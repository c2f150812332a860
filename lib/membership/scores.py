"""Scores by which an image looks like a member of the training set, from a network's answer and the true label.

All take logits or log-probabilities (n, k) and labels (n,), and give (n,) in float64: the larger, the more like a member. What
depends on 1 - p is computed from the other classes, never by subtraction: a network sure of nearly all that it was trained on
gives p_y = 1 in float32, and what tells its members apart would be lost.

Where the scale counts, probabilities are a `BadValue`: answers of which every row has no negative number and a sum of 1 within a
thousandth. Give their `.log()` or, of logits that are so by chance, as one row of two classes may be, `scores - 1`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .. import metrics
from ..errors import BadValue, check_kind, shown


def log_odds(scores: Tensor, labels: Tensor) -> Tensor:
    """Log-odds (n,) of the true class, of answers (n, k) to labels (n,): confidence on a scale that does not saturate."""
    scores = checked(scores, labels)
    # log p_y - log(1 - p_y) = z_y - log sum_{c != y} exp z_c
    return scores.gather(1, labels.long()[:, None])[:, 0] - _others(scores, labels)


def confidence(scores: Tensor, labels: Tensor) -> Tensor:
    """The probability of the true class (Yeom et al. 2018; Song et al.): it orders images as `log_odds` does, until it is 1."""
    return torch.sigmoid(log_odds(scores, labels))


def negative_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """How sure the answer is, whatever the label: its entropy in nats, negated."""
    return -metrics.entropy(checked(scores, labels).log_softmax(1))


def negative_modified_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """How sure the answer is of the true label: the modified entropy (Song and Mittal 2021), negated."""
    logp = checked(scores, labels).log_softmax(1)
    p, log_rest = logp.exp(), _log_complement(logp)
    # -Mentr(p, y) = (1 - p_y) log p_y + sum_{c != y} p_c log(1 - p_c), with 0 log 0 = 0
    right = torch.nn.functional.one_hot(labels.long(), logp.shape[1]).bool()
    weight, log = torch.where(right, log_rest.exp(), p), torch.where(right, logp, log_rest)
    return torch.where(weight == 0, 0.0, weight * log).sum(1)


def correctness(scores: Tensor, labels: Tensor) -> Tensor:
    """1 where the answer is the label, else 0: the gap attack (Yeom et al. 2018). Probabilities will do as well."""
    check_answers(scores, labels)
    return (scores.argmax(1) == labels).double()


MEMBERSHIP_SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "log_odds": log_odds,
    "confidence": confidence,
    "correctness": correctness,
    "negative_entropy": negative_entropy,
    "negative_modified_entropy": negative_modified_entropy,
}


def checked(scores: Tensor, labels: Tensor) -> Tensor:
    """`scores` in float64, if `check_answers` lets them and `labels` pass and not all of their rows are probabilities."""
    check_answers(scores, labels)
    if len(scores) > 0 and are_probabilities(scores).all():
        told = "give their .log() or, of logits that are so by chance, scores - 1"
        raise BadValue(f"scores: expected logits or log-probabilities, got rows that are all probabilities: {told}")
    return scores.double()


def check_answers(scores: Tensor, labels: Tensor, *, names: tuple[str, str] = ("scores", "labels")) -> None:
    """See that `scores` are answers on any scale and `labels` one class each; a message calls the two by `names`.

    Shapes must match, and no row may hold NaN, inf or nothing but -inf, which is the logarithm of no probability.
    """
    what, which = names
    check_kind(what, scores, Tensor, "a torch.Tensor")
    check_kind(which, labels, Tensor, "a torch.Tensor")
    if scores.dim() != 2 or scores.shape[1] < 2 or labels.shape != scores.shape[:1]:
        expected = "(n, k) with k >= 2 and (n,)"
        raise BadValue(f"{what}, {which}: expected {expected}, got {tuple(scores.shape)} and {tuple(labels.shape)}")
    n, classes = scores.shape
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise BadValue(f"{which}: expected whole numbers, got {labels.dtype}")
    if n > 0 and not 0 <= labels.min() <= labels.max() < classes:
        raise BadValue(f"{which}: expected classes 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}")
    # The largest of a row is NaN if any is.
    if n > 0 and len(bad := (~scores.amax(1).isfinite()).nonzero()) > 0:
        row = int(bad[0])
        raise BadValue(
            f"{what}: expected finite numbers or -inf, not only -inf; row {row} is {shown(scores[row].tolist())}"
        )


def are_probabilities(rows: Tensor) -> Tensor:
    """Which of `rows` (..., k) are probabilities: no negative number, and a sum of 1 within a thousandth."""
    rows = rows.double()
    return (rows >= 0).all(-1) & ((rows.sum(-1) - 1).abs() <= 1e-3 + 1e-9)


def _others(scores: Tensor, labels: Tensor) -> Tensor:
    """log sum_{c != y} exp z_c: (n,)."""
    return scores.scatter(1, labels.long()[:, None], -torch.inf).logsumexp(1)


def _log_complement(logp: Tensor) -> Tensor:
    """log(1 - p_c) of every class: only the largest can be near 1, and for that one the others are summed."""
    top = logp.argmax(1, keepdim=True)
    return (-logp.exp()).log1p().scatter(1, top, _others(logp, top[:, 0])[:, None])
