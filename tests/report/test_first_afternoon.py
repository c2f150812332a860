"""The page's code runs as it stands, block after block, and does what the page says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lib

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book" / "first_afternoon.md").read_text()


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What all blocks define, run in an empty folder under the package's name elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "robust_private_uncertain", lib)
    found: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE):
        exec(compile(block, "book/first_afternoon.md", "exec"), found)
    return found


def test_the_ten_tasks_run_and_come_to_something(names: dict[str, Any]) -> None:
    assert len(re.findall(r"^## \d+\. ", PAGE, flags=re.MULTILINE)) == 10
    clean, curve = names["result"].clean_accuracy, [accuracy for _, accuracy in names["curve"]]
    assert clean > 80 and curve == sorted(curve, reverse=True) and curve[-1] < clean - 20
    worst = names["worst"]
    assert worst.worst_case[0] <= min(left for (left,) in worst.accuracy.values())
    assert names["fooled"].shape == (2, 60)
    assert names["once_more"].accuracy["FGSM"][0] == names["result"].accuracy["FGSM"][0]
    found, network = names["found"], names["network"]
    assert found.found.all() and torch.equal(network(found.adversarial).argmax(1), names["target"])
    far, likely, inside = names["far"], names["likely"], names["inside"][0]
    assert far[:40].mean() > far[40:].mean() and lib.membership.auc(likely[inside], likely[~inside]) > 0.55
    assert {path.name for path in Path().iterdir()} >= {"worst.state", "worst.json", "leaky.safetensors"}


def test_its_sentences_are_short() -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    sentences = re.split(r"(?<=[.:?])\s+|\n\n", prose)
    assert all(len(sentence.split()) <= 20 for sentence in sentences), [s for s in sentences if len(s.split()) > 20]
