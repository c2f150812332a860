"""Errors that a person can act on, and the checks that raise them before any work starts."""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import TypeVar

Choice = TypeVar("Choice")


class BadValue(ValueError):
    """A setting, name or file is wrong; the message names it and says what was expected. The command line exits with 2."""


class VictimWarning(UserWarning):
    """A victim is not what an attack or a measurement takes it for, so that the result may say less than it seems to."""


def check_number(name: str, value: object, *, low: float = -math.inf, high: float = math.inf) -> float:
    """`value` as a float, if it is a finite number in [low, high].

    Raises:
        BadValue: for a bool, a string (also "8/255"), NaN, an infinity, or a number outside the bounds.
    """
    expected = f"a finite number in [{low:g}, {high:g}]"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise BadValue(f"{name}: expected {expected}, got {value!r} ({type(value).__name__})")
    number = float(value)
    if not math.isfinite(number) or not low <= number <= high:
        raise BadValue(f"{name}: expected {expected}, got {value!r}")
    return number


def check_count(name: str, value: object, *, low: int = 1) -> int:
    """`value` as an int, if it is a whole number of at least `low`.

    Raises:
        BadValue: otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise BadValue(f"{name}: expected a whole number of at least {low}, got {value!r}")
    return int(value)


def check_flag(name: str, value: object) -> bool:
    """`value`, if it is True or False; a string such as "no" would count as true.

    Raises:
        BadValue: otherwise.
    """
    if not isinstance(value, bool):
        raise BadValue(f"{name}: expected True or False, got {value!r}")
    return value


def check_choice(name: str, value: object, choices: Iterable[Choice]) -> Choice:
    """`value`, if it is one of `choices`.

    Raises:
        BadValue: otherwise; the message lists the choices.
    """
    known = list(choices)
    for one in known:
        if isinstance(value, type(one)) and value == one:
            return one
    raise BadValue(f"{name}: unknown {value!r}; expected one of {', '.join(map(str, known))}")
