"""The three checks that every setting passes through: what they let by, what they refuse, and what they say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import BadValue, check_choice, check_count, check_flag, check_number


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, 0.3, 5e-324, np.float64(0.3)])
def test_numbers_inside_the_bounds_come_back_as_floats(value: Any) -> None:
    checked = check_number("epsilon", value, low=0.0, high=1.0)
    assert checked == value and type(checked) is float


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (-1, "got -1"),
        (-5e-324, "got -5e-324"),
        (1.0000000000000002, "got 1.0000000000000002"),
        (2, "got 2"),
        (math.nan, "got nan"),
        (math.inf, "got inf"),
        (-math.inf, "got -inf"),
        (True, "got True (bool)"),
        (False, "got False (bool)"),
        ("8/255", "got '8/255' (str)"),
        ("0.3", "got '0.3' (str)"),
        (None, "got None (NoneType)"),
        (0.1 + 0j, "(complex)"),
        ((0.1,), "(tuple)"),
        (torch.tensor(0.1), "(Tensor)"),
    ],
)
def test_anything_else_is_refused_with_its_name_the_bounds_and_the_value(value: Any, told: str) -> None:
    with pytest.raises(BadValue) as caught:
        check_number("epsilon", value, low=0.0, high=1.0)
    message = str(caught.value)
    assert message.startswith("epsilon: expected a finite number in [0, 1], got ") and told in message


@given(value=st.one_of(st.floats(), st.integers(-(2**60), 2**60)), bounds=st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
def test_a_number_passes_exactly_if_it_is_finite_and_inside(value: float, bounds: tuple[float, float]) -> None:
    low, high = sorted(bounds)
    if math.isfinite(value) and low <= value <= high:
        assert check_number("x", value, low=low, high=high) == value
    else:
        with pytest.raises(BadValue, match=r"^x: "):
            check_number("x", value, low=low, high=high)


def test_without_bounds_only_the_kind_counts() -> None:
    assert check_number("x", -1e300) == -1e300
    with pytest.raises(BadValue, match=r"x: expected a finite number in \[-inf, inf\], got inf"):
        check_number("x", math.inf)


@pytest.mark.parametrize(("value", "low"), [(1, 1), (7, 1), (0, 0), (10**30, 1), (np.int64(3), 1)])
def test_counts_pass_unchanged(value: int, low: int) -> None:
    found = check_count("steps", value, low=low)
    assert found == value and type(found) is int


def test_numpys_numbers_pass_as_pythons() -> None:
    found = check_number("epsilon", np.float32(0.5), low=0.0, high=1.0)
    assert found == 0.5 and type(found) is float


@pytest.mark.parametrize(
    "value", [0, -1, 1.0, 2.5, math.nan, math.inf, True, "3", None, (3,), np.float32(3), np.bool_(True)]
)
def test_what_is_no_count_is_refused(value: Any) -> None:
    with pytest.raises(BadValue) as caught:
        check_count("steps", value)
    assert str(caught.value) == f"steps: expected a whole number of at least 1, got {value!r}"


@pytest.mark.parametrize("value", [0, 1, "no", "", None, np.bool_(True), [True]])
def test_only_true_and_false_are_flags(value: Any) -> None:
    assert check_flag("targeted", True) is True and check_flag("targeted", False) is False
    with pytest.raises(BadValue) as caught:
        check_flag("targeted", value)
    assert str(caught.value) == f"targeted: expected True or False, got {value!r}"


def test_a_choice_passes_unchanged() -> None:
    assert check_choice("dataset", "yale", {"mnist": 1, "yale": 2}) == "yale"


@pytest.mark.parametrize("value", ["Mnist", "mnist ", "", "mnist,yale", None, 0, True, ["mnist"]])
def test_an_unknown_choice_is_refused_with_the_known_ones(value: Any) -> None:
    with pytest.raises(BadValue) as caught:
        check_choice("dataset", value, iter(["mnist", "yale"]))
    assert str(caught.value) == f"dataset: unknown {value!r}; expected one of mnist, yale"


def test_a_bad_value_is_a_value_error() -> None:
    """So that code which knows nothing of this project can catch it."""
    assert issubclass(BadValue, ValueError)
