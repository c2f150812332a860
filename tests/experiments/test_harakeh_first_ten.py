"""JSMA on the tutorial's own images."""

from __future__ import annotations

import pytest
import torch

from experiments import papers
from experiments.address import parse, sources
from experiments.cell import Common
from experiments.execution import Job
from experiments.papers.harakeh.targeted import FirstTen
from experiments.run import result_of
from lib import data
from lib.errors import BadValue


def only(kind: type[Common]) -> Common:
    """The smoke cell of an experiment."""
    return next(cell for cell in papers.get("harakeh").grid("smoke") if type(cell) is kind)


def test_the_first_ten_images_are_attacked_whatever_they_show() -> None:
    dataset = data.loaded("digits_as_mnist")
    assert torch.equal(FirstTen(attack_runs=2).sources(dataset), torch.arange(20).view(2, 10))
    most = len(dataset.test) // 10
    with pytest.raises(BadValue, match=f"^attack_runs: expected at most {most}, ten test images each, got {most + 1}$"):
        FirstTen(attack_runs=most + 1).sources(dataset)


def test_they_are_aimed_at_the_nine_other_classes_each() -> None:
    assert result_of(only(FirstTen), Job()).measurements["test_points"] == 90


def test_a_reading_finds_them_in_five_seeds() -> None:
    ((source,),) = sources(parse("first_ten:mnist/jsma/epistemic/fooling_rate", "harakeh"))
    assert source.settings["attack"] == "jsma_first_ten"
    cells = [cell for cell in papers.get("harakeh").grid("paper") if isinstance(cell, FirstTen)]
    assert {cell.seed for cell in cells} == set(range(5)) and len(cells) == 15
    assert {cell.network for cell in cells} == {"basic_cnn"}
