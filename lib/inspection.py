"""What the code of a module from elsewhere names: whether it heeds its mode, and whether it calls dropout as a function.

It is read, not run: methods of its own classes and of those it inherits from, what stands behind a decorator, and functions of
its file that these call. What is reached by an attribute of another module is not seen.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from types import CodeType, FunctionType, MethodType

import torch
from torch import nn

DROPOUT = re.compile(r"(feature_)?(alpha_)?dropout[123]?d?_?")
KNOWN = ("torch.nn.", __name__.removesuffix("inspection"))


def is_foreign(layer: nn.Module) -> bool:
    """Whether `layer` is neither ours nor one of `torch.nn`."""
    return not type(layer).__module__.startswith(KNOWN)


def heeds_mode(layer: nn.Module) -> bool:
    """Whether `layer`, a foreign one, may answer otherwise while training; of scripted code nobody knows."""
    return isinstance(layer, torch.jit.ScriptModule) or "training" in _names_of(layer)


def calls_dropout(layer: nn.Module) -> bool:
    """Whether `layer` is a foreign one that calls dropout as a function, as far as its code tells."""
    return is_foreign(layer) and any(map(DROPOUT.fullmatch, _names_of(layer)))


def _names_of(layer: nn.Module) -> frozenset[str]:
    return _names_of_classes(type(layer).__mro__) | _names([vars(layer).get("forward")])


@lru_cache(maxsize=512)
def _names_of_classes(kinds: tuple[type, ...]) -> frozenset[str]:
    foreign = [one for one in kinds if not one.__module__.startswith(KNOWN)]
    return _names(method for one in foreign for name, method in vars(one).items() if name != "__init__")


def _names(roots: Iterable[object]) -> frozenset[str]:
    """Every name that the functions among `roots`, and those that they call, look up."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        function = waiting.pop()
        if isinstance(function, MethodType | classmethod | staticmethod):
            function = function.__func__
        elif isinstance(function, property):
            function = function.fget
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        found.add(function.__name__)
        waiting += _inside(function)
        if (function.__module__ or "").startswith(("torch.", *KNOWN)):
            continue
        names = set(_looked_up(function.__code__))
        found |= names
        waiting += (function.__globals__.get(name) for name in names)
    return frozenset(found)


def _inside(function: FunctionType) -> Iterator[object]:
    """What a function closes over: what a decorator wraps, for example."""
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # one that is still empty
            yield cell.cell_contents


def _looked_up(code: CodeType) -> Iterator[str]:
    """The names in a piece of code, and in those written inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _looked_up(constant)
