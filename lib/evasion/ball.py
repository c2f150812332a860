"""The balls that gradient attacks move in, with a radius for each image: steps, projections and random points."""

import torch
from torch import Tensor

NORMS = ("linf", "l2")
TINY = torch.finfo(torch.float32).tiny  # keeps 0 / 0 away


def steepest(gradient: Tensor, norm: str) -> Tensor:
    """The step of length 1 along which a loss of this gradient (n, c, h, w) rises most; none where it is 0."""
    if norm == "linf":
        return gradient.sign()
    # Divided by its largest feature first: of small gradients the squares would be lost in float32.
    scaled = gradient / gradient.abs().amax((1, 2, 3), keepdim=True).clamp_min(TINY)
    return scaled / l2(scaled).clamp_min(TINY)


def project(change: Tensor, radius: Tensor, norm: str) -> Tensor:
    """The point nearest in l2 to `change` (n, c, h, w) in the ball of `radius` (n, 1, 1, 1) around 0."""
    if norm == "linf":
        return change.minimum(radius).maximum(-radius)
    # d min(1, r / |d|)
    return change * (radius / l2(change).clamp_min(TINY)).clamp_max(1)


def anywhere(x: Tensor, radius: Tensor, norm: str, generator: torch.Generator) -> Tensor:
    """Points drawn uniformly from the balls around 0, whatever the memory layout of `x` (n, c, h, w), on its device."""
    source = torch.Generator(x.device)
    source.manual_seed(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
    drawn = torch.empty(x.shape, device=x.device)
    if norm == "linf":
        return project(drawn.uniform_(-1, 1, generator=source) * radius, radius, norm)
    # r u^(1/d) g / |g|: a normal vector points anywhere, and of radii a share u^d lies within u
    drawn.normal_(generator=source)
    length = torch.rand(radius.shape, generator=source, device=x.device) ** (1 / drawn[0].numel())
    return radius * length * steepest(drawn, norm)


def begin(
    x: Tensor, radius: Tensor, norm: str, bounds: tuple[float, float], generator: torch.Generator | None
) -> Tensor:
    """Where a walk in the balls around `x` begins: anywhere inside the bounds, or at `x` without a generator."""
    return x if generator is None else (x + anywhere(x, radius, norm, generator)).clamp(*bounds)


def keep(x: Tensor, radius: Tensor, norm: str, bounds: tuple[float, float], point: Tensor) -> Tensor:
    """`point` brought back into the ball around `x`, and from there into the bounds, which leads no farther from it."""
    return (x + project(point - x, radius, norm)).clamp(*bounds)


def l2(change: Tensor) -> Tensor:
    """The l2 norm of each image: (n, 1, 1, 1)."""
    length: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
    return length
