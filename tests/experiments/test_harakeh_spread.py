"""JSMA on the tutorial's own images, and several substitutes of one victim."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from experiments import papers
from experiments.address import parse, sources
from experiments.cell import Common
from experiments.execution import Job
from experiments.papers.harakeh.black_box import BlackBox, Substitutes
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


def test_the_first_substitute_is_that_of_the_black_box_and_the_next_another() -> None:
    cell = only(Substitutes)
    assert isinstance(cell, Substitutes)
    settings = {field.name: getattr(cell, field.name) for field in fields(BlackBox)}  # type: ignore[arg-type]
    alone = BlackBox(**{**settings, "attack": "black_box"})
    found = result_of(cell, Job())
    each = found.curves["adversarial_accuracy_of_each"]
    assert each[0] == result_of(alone, Job()).measurements["adversarial_accuracy"]
    assert len(each) == 2 and found.measurements["adversarial_accuracy"] == pytest.approx(sum(each) / 2)
    assert found.measurements["adversarial_accuracy_variance"] == pytest.approx((each[0] - each[1]) ** 2 / 2)
    single = result_of(replace(cell, substitutes=1), Job()).measurements
    assert single["adversarial_accuracy"] == each[0] and single["adversarial_accuracy_variance"] == 0


@pytest.mark.parametrize(
    ("name", "id_", "attack"),
    [
        ("first_ten", "mnist/jsma/epistemic/fooling_rate", "jsma_first_ten"),
        ("substitutes", "mnist/black_box/none/adversarial_accuracy", "substitutes"),
    ],
)
def test_a_reading_finds_them_in_five_seeds(name: str, id_: str, attack: str) -> None:
    ((source,),) = sources(parse(f"{name}:{id_}", "harakeh"))
    assert source.settings["attack"] == attack
    cells = [cell for cell in papers.get("harakeh").grid("paper") if cell.attack == attack]
    assert {cell.seed for cell in cells} == set(range(5)) and len(cells) == 15
    assert {cell.network for cell in cells} == {"basic_cnn"}
