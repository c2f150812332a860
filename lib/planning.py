"""How an attack is to be called, found out by what it is and what it takes, before any work is done."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .errors import BadValue, shown
from .evasion import ATTACKS, DECISION_ATTACKS, NORMS_OF
from .evasion.decision import NORMS


@dataclass(frozen=True)
class Plan:
    """An attack under a name."""

    name: str
    attack: Callable[..., Any]
    once: bool  # whether it looks for the least change, so that one run tells of every budget
    seeded: bool  # whether it takes a generator
    ours: bool  # whether it checks its settings before it looks at images
    decides: bool  # whether it is one of `DECISION_ATTACKS`, which need no gradients
    settings: Mapping[str, Any]  # what it is handed besides

    def levels(self, budgets: int) -> list[list[int]]:
        """The places of the budgets that each of its runs tells of."""
        return [list(range(budgets))] if self.once else [[place] for place in range(budgets)]

    def run(self, victim: nn.Module, x: Tensor, y: Tensor, epsilon: float, source: torch.Generator) -> Any:
        """What it makes of images; what it refuses is told with its name."""
        settings = {**self.settings, **({} if self.once else {"epsilon": epsilon})}
        try:
            return self.attack(victim, x, y, **settings, **({"generator": source} if self.seeded else {}))
        except BadValue as error:
            raise BadValue(f"attacks: {self.name!r}: {error}") from error


def plan(name: str, attack: Callable[..., Any], norm: str) -> Plan:
    """How to call `attack`, a function, or what `functools.partial` or `functools.wraps` makes of one, for budgets in `norm`.

    Raises:
        BadValue: it is not to be called; cannot bound `norm`; is targeted; or needs a setting that it has not got.
    """
    if not callable(attack) or not isinstance(name, str):
        raise BadValue(f"attacks: expected functions by name, such as evasion.pgd, got {shown(attack)} for {name!r}")
    function: Any = attack
    given: dict[str, Any] = {}
    known = {one: NORMS_OF[key] for key, one in ATTACKS.items()} | {one: (*NORMS,) for one in DECISION_ATTACKS.values()}
    while function not in known and (isinstance(function, partial) or hasattr(function, "__wrapped__")):
        given = (function.keywords if isinstance(function, partial) else {}) | given
        function = function.func if isinstance(function, partial) else function.__wrapped__
    decides = function in DECISION_ATTACKS.values()
    norms = (given["norm"],) if "norm" in given else known.get(function, (norm,))
    if norm not in norms:
        raise BadValue(f"attacks: expected ones that bound {norm}, got {name!r}, which bounds {' or '.join(norms)}")
    if given.get("targeted"):
        raise BadValue(f"attacks: expected ones that leave the labels, got {name!r}, which is targeted")
    try:
        takes = inspect.signature(attack).parameters
    except ValueError as error:  # a partial of what the function does not take, or no function of Python's
        raise BadValue(f"attacks: {name!r} cannot be called with {', '.join(given) or 'settings'}") from error
    anything = any(one.kind is one.VAR_KEYWORD for one in takes.values())
    once = decides or not ("epsilon" in takes or anything) or ("epsilon" in takes and takes["epsilon"].default is None)
    settings = {"norm": norm} if "norm" in takes else {}
    handed = {"generator", *settings} if once else {"generator", "epsilon", *settings}
    needed = [one for one in takes.values() if one.kind is one.KEYWORD_ONLY and one.default is one.empty]
    missing = ", ".join(one.name for one in needed if one.name not in handed)
    if missing:
        raise BadValue(f"attacks: {name!r} needs {missing}: hand it in by functools.partial")
    return Plan(name, attack, once, "generator" in takes or anything, function in known, decides, settings)
