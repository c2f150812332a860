"""Harakeh's victims: what a cell says of the network under attack, and how that becomes a trained victim."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from experiments.cell import Common, Count, DataName, Dropout, OneOf, Size, checked, part_of, within
from experiments.run import Bench
from lib import data, models, seeds, training
from lib.evasion.pieces import images_at_once
from lib.models import Network
from lib.progress import track
from lib.training import TrainingConfig
from lib.uncertainty import ESTIMATORS, Ensemble, Victim, estimate

Attack = Callable[[Tensor, Tensor], Tensor]  # images, and labels or targets, to adversarial images
# The uncertainty scores that a victim has, by its estimator.
OF_ESTIMATOR = {
    "none": ("entropy",),
    "epistemic": ("entropy", "mutual_information"),
    "aleatoric": ("entropy", "variance"),
    "ensemble": ("entropy", "mutual_information"),
}


@checked
class Cell(Common):
    """What every cell of this paper says: the victim, and how it answers. The defaults are the paper's settings.

    Raises:
        BadValue: a value outside its range.
    """

    VICTIM = tuple(
        "paper dataset network estimator seed width dropout train_size epochs batch_size learning_rate label_smoothing "
        "augmentation precision version".split()
    )

    paper: Literal["harakeh"] = "harakeh"
    dataset: DataName = "mnist"
    network: Annotated[str, OneOf(models.ARCHITECTURES)] = "basic_cnn"
    estimator: Annotated[str, OneOf([*ESTIMATORS, "ensemble"])] = "none"
    width: Count = 64  # filters of the first convolution, or units of a dense layer
    dropout: Dropout = 0.5  # of the epistemic estimator, after every convolution but the last of a head
    test_size: Size = 0  # 0: the whole test set
    epochs: Count = 6
    label_smoothing: Annotated[float, within(0, 0.99)] = 0.1
    draws: Count = 10  # T; the members of an ensemble

    @property
    def test_points(self) -> int:
        """How many test images a cell may use."""
        return self.test_size or data.SIZES[self.dataset][1]

    @property
    def passes(self) -> int:
        """Through a network, for one answer of the victim."""
        return self.draws if self.estimator in ("epistemic", "ensemble") else 1

    @property
    def passes_per_look(self) -> int:
        """Through a network, for one look of an attack at the victim in the form that the cell says."""
        return 1 if getattr(self, "form", "mean") == "one_draw" else self.passes

    def training_work(self) -> float:
        """Images that training passes through the network, forward and backward counted three."""
        train = self.train_size or data.SIZES[self.dataset][0]
        return 3.0 * self.epochs * train * (self.draws if self.estimator == "ensemble" else 1)

    def architecture(self) -> dict[str, Any]:
        """With dropout or with noisy logits, as the estimator needs it."""
        dropout = self.dropout if self.estimator == "epistemic" else 0.0
        noisy = self.estimator == "aleatoric"
        return {"seed": self.seed, "width": self.width, "dropout": dropout, "heteroscedastic": noisy}

    def train(self, network: Network, dataset: data.Dataset, **usual: Any) -> dict[str, Any]:
        """As the CleverHans tutorials do."""
        split = dataset.train.first(self.train_size or None)
        return vars(training.fit(network, split, part_of(self, TrainingConfig), seed=self.seed, **usual))

    def victim(self, bench: Bench) -> tuple[Victim, dict[str, Any]]:
        """The network and its estimator; or an ensemble, whose losses are those of its members on average."""
        if self.estimator == "ensemble":
            networks, notes = zip(*map(bench.network, members(self)), strict=True)
            losses = [sum(part) / len(part) for part in zip(*(note["losses"] for note in notes), strict=True)]
            total = {"losses": losses, "seconds": sum(note["seconds"] for note in notes)}
            return Ensemble(networks, precision=self.precision).to(bench.device), total
        network, note = bench.network(self)
        generator = seeds.generator(self.seed, "inference", bench.device)
        answers: dict[str, Any] = {"generator": generator, "draws": self.draws, "precision": self.precision}
        return estimate(self.estimator, network, **answers), note


def members(config: Cell) -> list[Cell]:
    """The plain victims that the ensemble of `config` consists of: that of its own seed, and others no cell else uses."""
    apart = [config.seed, *(1000 * (config.seed + 1) + i for i in range(1, config.draws))]
    return [replace(config, estimator="none", seed=seed) for seed in apart]


def in_batches(config: Cell, attack: Attack, x: Tensor, y: Tensor, *, progress: bool = False) -> Tensor:
    """What `attack` makes of every image, in batches whose passes fit into the usual number of images."""
    at_once = images_at_once(x.device, config.passes_per_look)
    batches = list(zip(torch.split(x, at_once), torch.split(y, at_once), strict=True))
    return torch.cat([attack(*batch) for batch in track(batches, config.attack, enabled=progress)])
