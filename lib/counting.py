"""How many images pass through a victim, forward and backward, while something is done to it: what an attack costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .models import Network


@dataclass
class Passes:
    """Passes of single images: one image shown to m draws of dropout, or to m members of an ensemble, counts m."""

    forward: int = 0
    backward: int = 0


@contextmanager
def counting(victim: nn.Module) -> Iterator[Passes]:
    """Count the passes of any victim, also within a `Look`, until the end of the block.

    What is counted are rows of logits, where they leave a network of ours, and otherwise where they leave the victim; backward,
    each time that a gradient goes back through them. Draws that share the layers before the first dropout count in full.
    """
    passes = Passes()

    def left(module: nn.Module, images: Any, answer: Any) -> None:
        logits = getattr(answer, "logits", answer)
        passes.forward += len(logits)
        if logits.requires_grad:
            logits.register_hook(back)

    def back(gradient: Tensor) -> None:
        passes.backward += len(gradient)

    networks = [one for one in victim.modules() if isinstance(one, Network)]
    inside = {part for one in networks for child in one.children() for part in child.modules()}
    heads = {one.head for one in networks if one not in inside}
    hooks = [module.register_forward_hook(left) for module in heads or {victim}]
    try:
        yield passes
    finally:
        for hook in hooks:
            hook.remove()
