"""Bad parameters of a chapter, as papermill and the command line pass them: one line that names the parameter, no work."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import papermill
import pytest

from experiments import execution
from lib.errors import BadValue
from report.chapter import Chapter, parameters
from report.execution import check_given, execute

pytestmark = pytest.mark.bad_input

BAD: dict[str, tuple[Any, ...]] = {
    "profile": (None, "", " ", "Paper", "papers", 0, 1.0, True, [], {}, ["paper"], b"paper", math.nan, "../paper"),
    "compute": (None, "", "always", "Never", 0, 1, True, False, [], {}, math.nan, "missing "),
    "device": (None, "", "gpu", "cpu:7", "cuda:99", "CPU", 0, 1.5, True, [], {}, math.nan, "cpu\n", "meta", "cpu,cuda"),
    "seed_count": (None, "", "5", 0, -1, 2.5, 5.0, math.nan, math.inf, -math.inf, True, [], {}, [5], b"5", "five"),
    **{
        name: (1, "x", None, [], {})
        for name in ("seeds", "Profile", "profile ", "_profile", "In", "Chapter", "sys", "")
    },
}
CASES = [(name, value) for name, values in BAD.items() for value in values]


@pytest.fixture(autouse=True)
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is executed or computed."""

    def work(*arguments: Any, **keywords: Any) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr(papermill, "execute_notebook", work)
    monkeypatch.setattr(execution, "run", work)


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}={value!r}" for name, value in CASES])
def test_a_bad_parameter_is_one_line(name: str, value: Any, tmp_path: Path) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: parameters({name: value}),
        lambda: execute("song", tmp_path / "out.ipynb", {name: value}),
    ]
    if name in ("profile", "compute", "device", "seed_count"):
        calls.append(lambda: Chapter("song", {"compute": "never", name: value}))
    for call in calls:
        with pytest.raises(BadValue, match=r"^parameter ") as caught:
            call()
        assert name in str(caught.value) and "\n" not in str(caught.value) and "expected" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "pair", ["", "=", "=5", "profile", "profile=", "seed_count=+5", "seed_count=٥", "seed_count=9e9", "x=1"]
)
def test_a_malformed_pair_is_one_line(pair: str) -> None:
    with pytest.raises(BadValue, match=r"^parameter ") as caught:
        parameters(check_given([pair]))
    assert "\n" not in str(caught.value)
