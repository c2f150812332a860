"""What every attack asks of its victim, images, labels and settings before it begins."""

import math
import warnings

import torch
from torch import Tensor, nn

from ..errors import BadValue, VictimWarning, check_count, check_flag, check_kind, check_number
from ..layers import check_evaluating
from ..metrics import check_no_nan
from ..seeds import check_generator

SAME = 1e-4  # relative l2 distance of two answers to the same question, from which AutoAttack calls a victim random


def check_attack(
    victim: nn.Module, x: Tensor, y: Tensor, targeted: bool, generator: torch.Generator | None
) -> tuple[float, float]:
    """The victim's bounds, once what every attack of `ATTACKS` is called with is known to fit; see `check_images`."""
    check_flag("targeted", targeted)
    if generator is not None:
        check_generator(generator)
    return check_images(victim, x, y)


def check_images(victim: nn.Module, x: Tensor, y: Tensor, *, gradients: bool = True) -> tuple[float, float]:
    """The victim's bounds, once `x` and `y` are known to be images inside them and one label each, and it is not training.

    It must take images in float32 and, where the attack follows `gradients`, nothing may come from or happen in inference mode.
    """
    check_kind("victim", victim, nn.Module, "a torch.nn.Module")
    low, high = getattr(victim, "bounds", (0.0, 1.0))
    check_evaluating(victim)
    for name, value in (("x", x), ("y", y)):
        check_kind(name, value, Tensor, "a torch.Tensor")
    if x.dim() != 4 or y.shape != x.shape[:1]:
        raise BadValue(f"x, y: expected (n, c, h, w) and (n,), got {tuple(x.shape)} and {tuple(y.shape)}")
    if x.dtype != torch.float32:
        scaled = ", and divide by 255" if x.dtype == torch.uint8 else ""
        raise BadValue(f"x: expected images in torch.float32, got {x.dtype}: call float(){scaled}")
    if y.dtype != torch.int64:
        raise BadValue(f"y: expected labels in torch.int64, got {y.dtype}: call long()")
    if len(y) > 0 and y.min() < 0:
        raise BadValue(f"y: expected labels of at least 0, got {int(y.min())}")
    if len(x) > 0 and (not torch.isfinite(x).all() or x.min() < low or x.max() > high):
        told = "scale them; a network that wants them normalised as well is made by models.adopt(mean=, std=)"
        raise BadValue(f"x: expected finite values in [{low:g}, {high:g}], got {x.min():g} to {x.max():g}: {told}")
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
            raise BadValue(f"{name}: expected a tensor that gradients can flow by, got one of torch.inference_mode()")


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
        told = f"got weights in {got}: call float()"
        raise BadValue(f"victim: expected one that takes images in torch.float32, {told}") from error


def scores_of(victim: nn.Module, x: Tensor) -> Tensor:
    """What a victim answers to `x` (n, c, h, w), if they are scores (n, k) of at least two classes."""
    scores = victim(x)
    if not isinstance(scores, Tensor) or scores.dim() != 2 or scores.shape[1] < 2:
        got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise BadValue(f"victim: expected it to answer with scores (n, k) of two classes or more, got {got}")
    if len(scores) != len(x):
        raise BadValue(f"victim: expected a row of scores for each of {len(x)} images, got {tuple(scores.shape)}")
    return scores


def looks_like_probabilities(scores: Tensor) -> bool:
    """Whether all of `scores` (..., k) are in [0, 1] and their rows sum to 1: AutoAttack's check of the range of outputs."""
    shown = scores.detach()
    inside = shown.numel() > 0 and shown.min() >= 0 and shown.max() <= 1
    return bool(inside and ((shown.sum(-1) - 1).abs() < 1e-4).all())


def differ(once: Tensor, again: Tensor) -> bool:
    """Whether two answers (n, k) to the same question show that a victim is random, by AutoAttack's check."""
    length = torch.linalg.vector_norm
    return bool((length(once - again, dim=1) > SAME * length(once, dim=1)).any())


def check_answers(scores: Tensor) -> Tensor:
    """`scores` (..., k), if none is NaN, with a warning if all look like probabilities, whose losses and margins mislead."""
    check_no_nan("victim: answered with", scores)
    if looks_like_probabilities(scores):
        warnings.warn(
            "victim: expected logits or log-probabilities, and its answers look like probabilities, in [0, 1] and of sum 1: "
            "attacks on these fail more often, and confidences mislead; use the network before its softmax, or the logarithm",
            VictimWarning,
            stacklevel=3,
        )
    return scores


def gradient_of(value: Tensor, x: Tensor, *, again: bool = False) -> Tensor:
    """Of a `value` () made of a victim's answers to `x`, the gradient at `x`; `again` keeps what another one takes.

    It must be there, and can be followed: of NaN the sign is 0, and an image would stay where it is.
    """
    gradient = None
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value, x, retain_graph=again, allow_unused=True)
    if gradient is None:
        told = "got some cut off from them: does it detach(), round, or leave torch? Attacks by decisions need none"
        raise BadValue(f"victim: expected answers that have a gradient at its images, {told}")
    if gradient.isnan().any():
        raise BadValue(f"victim: expected gradients that are numbers, got NaN in {int(gradient.isnan().sum())} places")
    return gradient


def check_classes(y: Tensor, classes: int) -> None:
    """See that each of the labels `y` (n,) is one of the victim's classes, whose number its first answer shows."""
    if len(y) > 0 and int(y.max()) >= classes:
        raise BadValue(f"y: expected labels below {classes}, the number of the victim's classes, got {int(y.max())}")


def extent(x: Tensor, norm: str, bounds: tuple[float, float]) -> float:
    """The largest distance of two images of the shape of `x` (n, c, h, w) inside `bounds`, in l_inf, l2 or l0."""
    features, width = math.prod(x.shape[1:]), bounds[1] - bounds[0]
    return {"linf": width, "l2": width * math.sqrt(features), "l0": float(features)}[norm]


def for_each(name: str, value: object, like: Tensor, *, low: float = 1, high: float = math.inf) -> Tensor:
    """A setting of each of n images, (n,), in [low, high]: a number, which is that of all, or a tensor (n,).

    It is of the type of `like` (n, ...): images for numbers, labels for whole ones.
    """
    whole = not like.is_floating_point()
    if not isinstance(value, Tensor) or value.dim() == 0:
        one = check_count(name, value, low=int(low)) if whole else check_number(name, value, low=low, high=high)
        return like.new_full((len(like),), one)
    fits = value.shape == like.shape[:1] and not (whole and value.is_floating_point())
    if not fits or not ((value >= low) & (value <= high)).all():
        expected = (
            f"a {'whole ' * whole}number in [{low:g}, {high:g}] or a tensor of one for each image, ({len(like)},)"
        )
        raise BadValue(f"{name}: expected {expected}, got {tuple(value.shape)} such as {value.flatten()[:3].tolist()}")
    return value.detach().to(like, copy=True)


def check_budget(epsilon: object, x: Tensor, norm: str, bounds: tuple[float, float]) -> Tensor:
    """The budget of each image of `x` (n, c, h, w), (n, 1, 1, 1): a number or a tensor (n,), from 0 to what the bounds leave."""
    return for_each("epsilon", epsilon, x, low=0.0, high=extent(x, norm, bounds)).view(-1, 1, 1, 1)


def check_steps(step_size: float | None, steps: int, radius: Tensor, largest: float) -> Tensor:
    """The length of a step in each ball of `radius` (n, 1, 1, 1), at most `largest`, and 0 only where there is no budget.

    If `step_size` is None, 2.5 radius / steps: a walk gets from any point of the ball to its boundary and has steps left
    (Madry et al. 2018, section 5).
    """
    check_count("steps", steps)
    if step_size is None:
        return 2.5 * radius / steps
    if check_number("step_size", step_size, low=0.0, high=largest) == 0 and radius.any():
        raise BadValue(f"step_size: expected a positive number of at most {largest:g}, got {step_size!r}")
    return torch.full_like(radius, step_size)


def keep_within(found: Tensor, x: Tensor, radius: Tensor | None, order: float) -> Tensor:
    """`found` (n, c, h, w) where it is within `radius` (n, 1, 1, 1) of `x` in the norm of that order, `x` where it is not."""
    if radius is None:
        return found
    distance = torch.linalg.vector_norm((found - x).double(), order, dim=(1, 2, 3), keepdim=True)
    return torch.where(distance <= radius, found, x)
