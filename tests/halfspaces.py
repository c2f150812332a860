"""Victims whose boundary is known in closed form, for the attacks that see decisions only."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lib.evasion.decision import Decided
from lib.uncertainty import Victim

SHAPE = (1, 4, 4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Halfspace(nn.Module):
    """Class 1 where w . x > b, in double precision so that no rounding depends on the batch; counts what it is shown."""

    random, bounds = False, (0.0, 1.0)

    def __init__(self, w: Tensor, b: float) -> None:
        super().__init__()
        self.w, self.b = w.double(), b
        self.shown = self.calls = 0
        self.range = [math.inf, -math.inf]

    def forward(self, x: Tensor) -> Tensor:
        self.shown, self.calls = self.shown + len(x), self.calls + 1
        low, high = x.detach().aminmax() if len(x) else (math.inf, -math.inf)
        self.range = [min(self.range[0], float(low)), max(self.range[1], float(high))]
        score = self.score(x)
        return torch.stack([-score, score], 1)

    def score(self, x: Tensor) -> Tensor:
        return (x.flatten(1).double() * self.w).sum(1) - self.b


class Noisy(Halfspace):
    """The same, each answer flipped with probability `flips`."""

    random = True

    def __init__(self, w: Tensor, b: float, flips: float) -> None:
        super().__init__(w, b)
        self.flips, self.generator = flips, generator(1)

    def forward(self, x: Tensor) -> Tensor:
        scores = super().forward(x)
        flipped = torch.rand(len(x), generator=self.generator) < self.flips
        return torch.where(flipped[:, None], -scores, scores)


class Fading(Halfspace):
    """Class 1 in a share sigmoid(k score) of the answers: on the boundary itself a vote is a toss-up."""

    random = True

    def __init__(self, w: Tensor, b: float, k: float) -> None:
        super().__init__(w, b)
        self.k, self.generator = k, generator(1)

    def forward(self, x: Tensor) -> Tensor:
        scores = super().forward(x)
        drawn = torch.rand(len(x), generator=self.generator) < (self.k * scores[:, 1]).sigmoid()
        return torch.where(
            drawn[:, None], scores.abs() * torch.tensor([-1.0, 1.0]), scores.abs() * torch.tensor([1.0, -1.0])
        )


def weights(seed: int = 0) -> Tensor:
    """Weights of either sign, none near zero."""
    size = 0.5 + torch.rand(math.prod(SHAPE), generator=generator(seed))
    return size * torch.randn(math.prod(SHAPE), generator=generator(seed + 1)).sign()


def halfspace(kind: type[Halfspace] = Halfspace, *arguments: float, seed: int = 0) -> Any:
    """One that passes near the middle of the cube."""
    w = weights(seed)
    return kind(w, 0.5 * float(w.sum()) + 0.5, *arguments)


def problem(n: int, victim: Halfspace, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images near the middle, and on which side they are."""
    x = 0.35 + 0.3 * torch.rand(n, *SHAPE, generator=generator(seed + 100))
    return x, (victim.score(x) > 0).long()


def same(one: Decided, other: Decided, order: Tensor) -> None:
    """That image order[i] of `one` has become what image i of `other` has."""
    torch.testing.assert_close(one.adversarial[order], other.adversarial, atol=1e-4, rtol=0)
    for name in ("found", "answers"):
        assert torch.equal(getattr(one, name)[order], getattr(other, name)), name
    torch.testing.assert_close(one.distance[order], other.distance, atol=1e-4, rtol=0)


class Never(Victim):
    """A victim that may not be asked."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def sample(self, x: Tensor, draws: int) -> Tensor:
        raise AssertionError("the victim was asked before the settings were checked")

    def forward(self, x: Tensor) -> Tensor:
        return self.sample(x, 1)


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor that is made inside."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.bytes = max(self.bytes, made.numel() * made.element_size())
        return made
