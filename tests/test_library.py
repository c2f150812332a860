"""The code that README and the library's page show runs as it stands, on smaller data, and the page leaves no attack out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from lib import evasion, membership

ROOT = Path(__file__).resolve().parent.parent
SMALLER = {
    'data.load("mnist")': 'data.load("digits_as_mnist")',
    "TrainingConfig()": "TrainingConfig(epochs=1)",
    "torch.arange(100)": "torch.arange(3)",
    'generator=seeds.generator(0, "attack"),': 'generator=seeds.generator(0, "attack"), iterations=2,',
    "carlini_wagner(look, x, (y + 1) % 10,": "carlini_wagner(look, x, (y + 1) % 10, iterations=2, search_steps=1,",
}


def code(page: str) -> list[str]:
    """The blocks of Python of a page."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "book/library.md"])
def test_the_code_shown_runs(page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"np": __import__("numpy")}
    names |= {f"z_{side}": torch.rand(20, 10).numpy() for side in ("in", "out")}
    names |= {f"y_{side}": torch.arange(20).numpy() % 10 for side in ("in", "out")}
    blocks = code(page)
    assert blocks
    for block in blocks:
        for shown, run in SMALLER.items():
            block = block.replace(shown, run)
        assert "mnist" not in block or "digits_as_mnist" in block
        exec(compile(block, page, "exec"), names)
    assert names["adversarial"].shape == names["x"].shape == (3, 1, 28, 28)
    if page == "README.md":
        assert membership.read(tmp_path / "answers.npz")


def test_every_attack_is_on_the_page() -> None:
    page = (ROOT / "book" / "library.md").read_text()
    for name in (*evasion.ATTACKS, *evasion.DECISION_ATTACKS):
        assert f".. autofunction:: lib.evasion.{name}\n" in page
