"""The drawing of Harakeh's networks says of them what their modules say."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from experiments.find import row
from experiments.papers.harakeh.readings import TEXT
from lib import data, models

DRAWN = (Path(__file__).resolve().parents[2] / "book" / "static" / "harakeh-figure1.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("dataset", "convolutions"), [("mnist", "three"), ("cifar10", "two of them")])
def test_the_drawn_networks_are_those_that_the_cells_train(dataset: str, convolutions: str) -> None:
    cell = row("harakeh", "paper", dataset=dataset, **TEXT[dataset], estimator="epistemic")[0]
    shape, classes = data.SHAPES[dataset], len(data.CLASSES[dataset])
    network = models.build(cell.network, shape=shape, classes=classes, seed=0, width=cell.width, dropout=cell.dropout)
    (line,) = [
        one for one in DRAWN.splitlines() if f"{sum(w.numel() for w in network.parameters()):,} parameters" in one
    ]
    assert convolutions in line
    found = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.out_channels == 64]
    assert len(found) == {"three": 3, "two of them": 2}[convolutions] and "64 filters" in DRAWN
    assert f"p = {cell.dropout:g}" in DRAWN and f"T = {cell.draws}" in DRAWN
