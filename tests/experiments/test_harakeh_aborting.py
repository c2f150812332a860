"""CW with CleverHans 2's `abort_early`: the same as without where the loss falls, given up where it does not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments import papers
from experiments.address import parse, sources
from experiments.cell import Result
from experiments.execution import Job
from experiments.papers.harakeh.aborting import AbortingCW, aborting_carlini_wagner
from experiments.run import result_of
from lib.evasion import Look, carlini_wagner
from lib.uncertainty import Deterministic

SETTINGS = {"iterations": 20, "constant": 10.0, "learning_rate": 0.05, "confidence": 0.0}


class Linear(nn.Module):
    """Two classes by the mean of an image, and how often it was asked; `drift` is added to the loss at every look."""

    def __init__(self, drift: float = 0.0) -> None:
        super().__init__()
        self.scale, self.drift, self.asked = nn.Parameter(torch.tensor(4.0)), drift, 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += 1
        far = self.scale * (x.flatten(1).mean(1) - 0.5) - self.drift * self.asked
        return torch.stack([-far, far], 1)


def images() -> tuple[Tensor, Tensor]:
    x = torch.rand(6, 1, 3, 3, generator=torch.Generator().manual_seed(1)) * 0.4
    return x, torch.ones(6, dtype=torch.int64)


def test_where_the_loss_falls_it_is_the_librarys_attack() -> None:
    x, targets = images()
    network = Linear()
    found = aborting_carlini_wagner(Look(Deterministic(network), "mean", draws=1), x, targets, **SETTINGS)
    usual = carlini_wagner(Deterministic(Linear()), x, targets, targeted=True, **SETTINGS)
    assert network.asked == 20 and not torch.equal(found, x)
    assert torch.equal(found, usual)


def test_where_the_loss_does_not_fall_the_batch_is_given_up_at_the_second_look_at_it() -> None:
    """After a tenth of the 20 iterations: at the third look, whose image is not kept."""
    x, targets = images()
    network = Linear(drift=5.0)
    found = aborting_carlini_wagner(Look(Deterministic(network), "mean", draws=1), x, targets, **SETTINGS)
    assert network.asked == 3
    torch.testing.assert_close(found, x)


def test_its_cells_are_the_texts_network_in_two_forms_five_times() -> None:
    cells = [cell for cell in papers.get("harakeh").grid("paper") if isinstance(cell, AbortingCW)]
    assert len(cells) == 25 and {(cell.network, cell.iterations, cell.constant) for cell in cells} == {
        ("basic_cnn", 100, 10.0)
    }
    assert {cell.form for cell in cells if cell.estimator == "epistemic"} == {"one_draw", "mean"}
    for name, form in (("none", "mean"), ("epistemic", "one_draw")):
        ((source,),) = sources(parse(f"aborting:mnist/cw/{name}/fooling_rate", "harakeh"))
        assert (source.settings["attack"], source.settings["form"], source.attempts) == ("cw_aborting", form, 10)


def test_the_smoke_cell_measures_what_cw_does() -> None:
    (cell,) = (cell for cell in papers.get("harakeh").grid("smoke") if isinstance(cell, AbortingCW))
    found: Result = result_of(cell, Job())
    assert {"fooling_rate", "fooling_rate_min", "misclassified", "auroc_entropy"} <= found.measurements.keys()
    assert found.measurements["test_points"] == 100
