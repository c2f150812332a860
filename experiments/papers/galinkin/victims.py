"""Galinkin's victims: what a cell says of the network under attack, on which part of the data it is trained, and how."""

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from experiments.cell import Common, Count, DataName, Dropout, Flag, OneOf, Rate, Size, checked, part_of, within
from experiments.run import Bench
from lib import data, models, seeds, training
from lib.data import Split
from lib.errors import BadValue
from lib.models import Network
from lib.training import TrainingConfig
from lib.uncertainty import Deterministic, MonteCarloDropout, Victim

PARTS = ("whole", "target", "shadow")
Part = Annotated[str, OneOf(PARTS)]
# How a network with dropout answers: with dropout off, as the paper's code has it; by one draw; by the mean of T.
ANSWERS = ("off", "one_draw", "mean")


@checked
class Cell(Common):
    """What every cell of this paper says of its victim. The defaults are the paper's settings where it has any.

    Raises:
        BadValue: a value outside its range, random answers of a network without dropout, or halves that stop on the test set,
            which are the non-members of the attack that they are for.
    """

    VICTIM = tuple(
        "paper dataset network bayesian seed part copy dropout train_size epochs batch_size learning_rate patience min_delta "
        "stop_on augmentation precision".split()
    )
    NOTED = ("training_epochs",)

    paper: Literal["galinkin"] = "galinkin"
    dataset: DataName = "mnist"
    network: Literal["lenet5", "lenet5_coded", "resnet18", "shadow_coded"] = "lenet5"
    bayesian: Flag = False  # with dropout after every layer
    part: Part = "whole"  # of the training data: all of it, or one of two disjoint halves
    copy: Size = 0  # another network trained on the same images, by weights and batches of its own
    dropout: Dropout = 0.5  # of a Bayesian network; 0.4 in a ResNet
    epochs: Count = 25  # at most
    learning_rate: Rate = 0.035
    patience: Size = 2  # epochs without an improvement by min_delta; 0: no early stopping
    min_delta: Annotated[float, within(0, 1e3)] = 1e-3
    stop_on: Literal["validation", "test"] = "validation"  # which loss stops the training early; the paper's code: test
    answers: Annotated[str, OneOf(ANSWERS)] = "off"
    draws: Count = 10  # T, where answers are means

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bayesian and self.answers != "off":
            raise BadValue(f"answers: expected off for a network without dropout, got {self.answers!r}")
        if self.stop_on == "test" and self.part != "whole":
            raise BadValue(f"stop_on: expected validation for a {self.part}, got 'test'")

    def available(self) -> tuple[int, int]:
        """Of the part that is trained on; a tenth of the training set is held out where it stops the training."""
        train, test = data.SIZES[self.dataset]
        if self.stop_on == "validation":
            train = train * 9 // 10 if self.part == "whole" else train * 45 // 100
        return train, test

    @property
    def estimator(self) -> str:
        """The estimator of this victim in the words of the other chapters."""
        return "epistemic" if self.bayesian else "none"

    @property
    def passes(self) -> int:
        """Through the network, for one answer of the victim."""
        return self.draws if self.answers == "mean" else 1

    def training_work(self) -> float:
        """As if it never stopped early."""
        return 3.0 * self.epochs * points(self)

    def trained_as(self) -> Self:
        """Plain networks have no dropout, whatever its rate."""
        return self if self.bayesian else replace(self, dropout=0.0)

    def architecture(self) -> dict[str, Any]:
        """Of the usual width; a copy has weights of its own."""
        width = models.WIDTHS.get(self.network, 64)
        return {"seed": seed_of(self), "width": width, "dropout": self.dropout if self.bayesian else 0.0}

    def train(self, network: Network, dataset: data.Dataset, **usual: Any) -> dict[str, Any]:
        """Until the loss on what is held out no longer falls."""
        config = part_of(self, TrainingConfig, label_smoothing=0.0, optimizer="sgd")
        train_on, validation = splits(self, dataset)
        return vars(training.fit(network, train_on, config, seed=seed_of(self), validation=validation, **usual))

    def victim(self, bench: Bench) -> tuple[Victim, dict[str, Any]]:
        """The network as it answers."""
        network, notes = bench.network(self)
        return victim_of(self, network, device=bench.device), notes


def seed_of(config: Cell) -> int:
    """The seed of weights and batches."""
    return config.seed if config.copy == 0 else seeds.derive(config.seed, f"copy {config.copy}") % 2**31


def points(config: Cell) -> int:
    """How many images the victim of `config` is trained on."""
    return config.train_size or config.available()[0]


def splits(config: Cell, dataset: data.Dataset) -> tuple[Split, Split]:
    """What the victim of `config` is trained on, and what its early stopping looks at.

    A tenth of the training set is held out for validation; the rest is the whole, or two disjoint halves for target and
    shadow. Where the test set stops the training, as the paper's code has it, the whole is the whole training set.
    """
    if config.stop_on == "test":
        return dataset.train.first(config.train_size or None), dataset.test
    n = len(dataset.train)
    rest = {"whole": n * 9 // 10} if config.part == "whole" else dict.fromkeys(("target", "shadow"), n * 45 // 100)
    parts = data.partition(n, {"validation": n // 10, **rest}, seed=config.seed)
    train_on, validation = (dataset.train.subset(parts[part]) for part in (config.part, "validation"))
    return train_on.first(config.train_size or None), validation


def victim_of(config: Cell, network: Network, *, device: str) -> Victim:
    """The victim that answers as `config` says: without draws, by one fresh draw, or by the mean of T.

    It computes in the precision of its answers, where the cell has one, or else in the one that it was trained in.
    """
    precision = getattr(config, "answer_precision", config.precision)
    if config.answers == "off":
        return Deterministic(network, precision=precision)
    generator = seeds.generator(config.seed, "inference", device)
    return MonteCarloDropout(network, generator=generator, draws=config.passes, precision=precision)
