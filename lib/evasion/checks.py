"""What every attack asks of its victim, images, labels and settings before it begins."""

import warnings

import torch
from torch import Tensor, nn

from ..errors import BadValue, VictimWarning, check_count, check_number
from ..layers import check_evaluating


def check_images(victim: nn.Module, x: Tensor, y: Tensor, *, gradients: bool = True) -> tuple[float, float]:
    """The victim's bounds, once `x` and `y` are known to be images inside them and one label each, and it is not training.

    It must take images in float32 and, where the attack follows `gradients`, nothing may come from or happen in inference mode.

    Raises:
        BadValue: otherwise.
    """
    if not isinstance(victim, nn.Module):
        raise BadValue(f"victim: expected a torch.nn.Module, got {type(victim).__name__}")
    low, high = getattr(victim, "bounds", (0.0, 1.0))
    check_evaluating(victim)
    for name, value in (("x", x), ("y", y)):
        if not isinstance(value, Tensor):
            raise BadValue(f"{name}: expected a torch.Tensor, got {type(value).__name__}")
    if x.dim() != 4 or y.shape != x.shape[:1]:
        raise BadValue(f"x, y: expected (n, c, h, w) and (n,), got {tuple(x.shape)} and {tuple(y.shape)}")
    if x.dtype != torch.float32:
        raise BadValue(f"x: expected images in torch.float32, got {x.dtype}")
    if y.dtype != torch.int64:
        raise BadValue(f"y: expected labels in torch.int64, got {y.dtype}")
    if len(y) > 0 and y.min() < 0:
        raise BadValue(f"y: expected labels of at least 0, got {int(y.min())}")
    if len(x) > 0 and (not torch.isfinite(x).all() or x.min() < low or x.max() > high):
        raise BadValue(f"x: expected finite values in [{low:g}, {high:g}], got {x.min():g} to {x.max():g}")
    if gradients:
        _check_inference_mode(victim, x, y)
    _check_precision(victim, x)
    return low, high


def _check_inference_mode(victim: nn.Module, x: Tensor, y: Tensor) -> None:
    """See that gradients can be had: `torch.inference_mode` turns them off for good, `torch.no_grad` does not matter."""
    if torch.is_inference_mode_enabled():
        raise BadValue(
            "victim: expected to follow its gradients, got a call inside torch.inference_mode(): use no_grad()"
        )
    weights = {f"victim: {name}": weight for name, weight in victim.named_parameters()}
    for name, value in {"x": x, "y": y, **weights}.items():
        if value.is_inference():
            raise BadValue(
                f"{name}: expected a tensor that gradients can flow by, got one made in torch.inference_mode()"
            )


def _check_precision(victim: nn.Module, x: Tensor) -> None:
    """See that a victim without float32 weights casts images itself: only then it is asked, about one image."""
    types = {weight.dtype for weight in victim.parameters() if weight.is_floating_point()}
    if len(x) == 0 or not types or torch.float32 in types:
        return
    try:
        with torch.no_grad():
            victim(x[:1])
    except RuntimeError as error:
        got = ", ".join(sorted(map(str, types)))
        raise BadValue(
            f"victim: expected one that takes images in torch.float32, got weights in {got}: call float()"
        ) from error


def check_scores(scores: object) -> Tensor:
    """The scores of a victim, if they are (n, k) of at least two classes.

    Raises:
        BadValue: otherwise.
    """
    if not isinstance(scores, Tensor) or scores.dim() != 2 or scores.shape[1] < 2:
        got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise BadValue(f"victim: expected it to answer with scores (n, k) of two classes or more, got {got}")
    return scores


def check_logits(scores: object) -> Tensor:
    """The same, with a warning where they are probabilities: of these losses and margins are not what attacks take them for.

    Raises:
        BadValue: as `check_scores`.
    """
    scores = check_scores(scores)
    tell_of_probabilities(scores)
    return scores


def looks_like_probabilities(scores: Tensor) -> bool:
    """Whether all of `scores` (..., k) are in [0, 1] and their rows sum to 1: AutoAttack's check of the range of outputs."""
    shown = scores.detach()
    inside = shown.numel() > 0 and shown.min() >= 0 and shown.max() <= 1
    return bool(inside and ((shown.sum(-1) - 1).abs() < 1e-4).all())


def tell_of_probabilities(scores: Tensor) -> None:
    """Warn if all of `scores` (..., k) look like probabilities."""
    if looks_like_probabilities(scores):
        warnings.warn(
            "victim: expected logits or log-probabilities, and its answers look like probabilities, in [0, 1] and of sum 1: "
            "attacks on these fail more often; attack the network before its softmax, or take the logarithm",
            VictimWarning,
            stacklevel=3,
        )


def check_classes(y: Tensor, classes: int) -> None:
    """See that each of the labels `y` (n,) is one of the victim's classes, whose number its first answer shows.

    Raises:
        BadValue: otherwise.
    """
    if len(y) > 0 and int(y.max()) >= classes:
        raise BadValue(f"y: expected labels below {classes}, the number of the victim's classes, got {int(y.max())}")


def check_steps(epsilon: float, step_size: float, steps: int, *, width: float) -> tuple[float, float]:
    """Budget and length of a step as floats, once they are known to be ones that steps of an attack can have.

    Raises:
        BadValue: a budget beyond `width`, that of the bounds; a step longer than the budget, or of no length; no steps.
    """
    epsilon = check_number("epsilon", epsilon, low=0.0, high=width)
    step_size = check_number("step_size", step_size, low=0.0, high=epsilon)
    check_count("steps", steps)
    if step_size == 0 < epsilon:
        raise BadValue(f"step_size: expected a positive number of at most epsilon = {epsilon:g}, got {step_size!r}")
    return epsilon, step_size
