"""Errors that a person can act on, and the checks that raise them before any work starts.

Whatever is called `check_...`, here or elsewhere, raises a `BadValue`, unless it says otherwise, of what is not as it says.
"""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import TypeVar

Choice = TypeVar("Choice")
Kind = TypeVar("Kind")
LONGEST, SHORT = 200, 40  # characters of a value in an error; beside its type


class BadValue(ValueError):
    """A setting, name or file is wrong; the message names it and says what was expected. The command line exits with 2."""


class VictimWarning(UserWarning):
    """A victim is not what an attack or a measurement takes it for, so that the result may say less than it seems to."""


def shown(value: object) -> str:
    """`value` as an error shows it: its repr, in one line, cut short where it is long."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an int of thousands of digits, lists inside lists
        text = f"what cannot be shown ({type(value).__name__})"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def check_number(name: str, value: object, *, low: float = -math.inf, high: float = math.inf) -> float:
    """`value` as a float, if it is a finite number in [low, high]; a bool and a string (also "8/255") are none."""
    expected = f"a finite number in [{low:g}, {high:g}]"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise BadValue(f"{name}: expected {expected}, got {shown(value)} ({type(value).__name__})")
    try:
        number = float(value)
    except OverflowError:  # an int beyond the largest float
        number = math.inf
    if not math.isfinite(number) or not low <= number <= high:
        raise BadValue(f"{name}: expected {expected}, got {shown(value)}")
    return number


def check_count(name: str, value: object, *, low: int = 1, high: int | None = None) -> int:
    """`value` as an int, if it is a whole number of at least `low` and, where there is a bound, at most `high`."""
    inside = isinstance(value, Integral) and low <= int(value) and (high is None or int(value) <= high)
    if isinstance(value, bool) or not isinstance(value, Integral) or not inside:
        expected = f"of at least {low}" if high is None else f"in [{low}, {high}]"
        raise BadValue(f"{name}: expected a whole number {expected}, got {shown(value)}")
    return int(value)


def check_flag(name: str, value: object) -> bool:
    """`value`, if it is True or False; a string such as "no" would count as true."""
    if not isinstance(value, bool):
        raise BadValue(f"{name}: expected True or False, got {shown(value)}")
    return value


def check_kind(name: str, value: object, kind: type[Kind] | tuple[type[Kind], ...], expected: str) -> Kind:
    """`value`, if it is of a `kind`, which the message calls `expected`; of what takes long to show it tells the type alone."""
    if not isinstance(value, kind):
        text, own = shown(value), type(value).__name__
        raise BadValue(f"{name}: expected {expected}, got {f'{text} ({own})' if len(text) <= SHORT else own}")
    return value


def check_choice(name: str, value: object, choices: Iterable[Choice]) -> Choice:
    """`value`, if it is one of `choices`, which the message lists."""
    known = list(choices)
    for one in known:
        if isinstance(value, type(one)) and value == one:
            return one
    raise BadValue(f"{name}: unknown {shown(value)}; expected one of {', '.join(map(str, known))}")
