"""The victims of the fourth chapter, shared by all of its experiments: what a cell says of one, and which images it learns.

Of a data set there is one pool of 2n images. A victim is trained on a random half of it, its members; the other half are images
of the same kind that it has not seen. Its 16 shadows are the same for victims of every seed: each two are trained on
complementary halves, so that every image is inside of exactly half of them.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from torch import Tensor

from experiments.cell import Common, Count, DataName, Dropout, OneOf, Precision, Share, Size, checked, part_of
from experiments.papers.at_once.networks import NETWORKS
from experiments.run import Bench
from lib import data, models, seeds, training
from lib.data import Split
from lib.errors import BadValue
from lib.models import Network
from lib.training import RobustConfig, TrainingConfig
from lib.uncertainty import Deterministic, Ensemble, Heteroscedastic, LastLayerLaplace, MonteCarloDropout, Victim

HELD_OUT = 500  # images


class Kind(NamedTuple):
    """What tells one kind of victim from another: how it answers, and whose trained networks it is made of."""

    made: Callable[..., Victim]
    trained: str  # the kind whose networks it has: another's, where nothing more is trained
    rate: str = ""  # the setting that is its dropout rate
    robust: bool = False  # by adversarial training


KINDS = {
    "plain": Kind(Deterministic, "plain"),
    "dropout": Kind(MonteCarloDropout, "dropout", "dropout"),
    "dropout_rare": Kind(MonteCarloDropout, "dropout_rare", "rare"),
    "heteroscedastic": Kind(Heteroscedastic, "heteroscedastic"),
    "ensemble": Kind(Ensemble, "plain"),
    "laplace": Kind(LastLayerLaplace, "plain"),
    "robust": Kind(Deterministic, "robust", robust=True),
    "robust_dropout": Kind(MonteCarloDropout, "robust_dropout", "dropout", robust=True),
    "robust_ensemble": Kind(Ensemble, "robust", robust=True),
}


@checked
class Cell(Common):
    """What every cell of this chapter says of its victim. Cells that differ in nothing but their kind have the same data.

    Raises:
        BadValue: a value outside its range; no number of members.
    """

    VICTIM = tuple(
        "paper dataset network kind seed copy member width dropout rare train_size epochs robust_epochs batch_size learning_rate "
        "augmentation train_epsilon train_steps precision".split()
    )
    RESUMES = True

    paper: Literal["at_once"] = "at_once"
    dataset: DataName = "mnist"
    network: Annotated[str, OneOf(NETWORKS)] = "small_cnn"
    kind: Annotated[str, OneOf(KINDS)] = "plain"
    width: Count = 16
    dropout: Dropout = 0.5  # of kinds with dropout: before both dense layers, while training and while answering
    rare: Dropout = 0.1  # of the kind that drops less
    train_size: Size = 1000  # members
    copy: Size = 0  # 0: the victim; 1, 2, ...: its shadows
    member: Size = 0  # of an ensemble; the first is the network of the kind that it is made of
    epochs: Count = 30
    robust_epochs: Count = 30  # of adversarial training
    train_epsilon: Share = 0.1  # the budget of its attack, in l_inf
    train_steps: Count = 5  # of its attack, each of 2.5 budgets / steps
    draws: Count = 10  # T, the draws of an answer
    members: Count = 5  # of an ensemble
    precision: Precision = "float32"  # of training; answers are float32

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.train_size:
            raise BadValue("train_size: expected a number of members, at most half of the images, got 0")

    def available(self) -> tuple[int, int]:
        """Half of the training images can be members."""
        train, test = data.SIZES[self.dataset]
        return train // 2, test

    @property
    def estimator(self) -> str:
        """The kind, as the other chapters call what tells victims apart."""
        return self.kind

    @property
    def networks(self) -> int:
        """How many the victim consists of."""
        return self.members if KINDS[self.kind].made is Ensemble else 1

    @property
    def rate(self) -> float:
        """Of dropout."""
        return float(getattr(self, KINDS[self.kind].rate, 0.0))

    @property
    def passes(self) -> int:
        """Through dense layers, or a network of an ensemble, for one answer of the victim."""
        return self.draws if KINDS[self.kind].made is MonteCarloDropout else self.networks

    def training_work(self) -> float:
        """Of all of its networks."""
        robust = KINDS[self.kind].robust
        passes = self.robust_epochs * (3.0 + 2.0 * self.train_steps) if robust else 3.0 * self.epochs
        return self.networks * self.train_size * passes

    def trained_as(self) -> Self:
        """The kind that is trained, and of its settings those that count."""
        kind = KINDS[self.kind]
        idle: dict[str, Any] = (
            {"epochs": 1} if kind.robust else {"robust_epochs": 1, "train_epsilon": 0.0, "train_steps": 1}
        )
        return replace(self, kind=kind.trained, dropout=self.rate, rare=0.0, **idle)

    def untrained(self, dataset: data.Dataset) -> Network:
        """With a second head if it is heteroscedastic."""
        return models.build(
            NETWORKS[self.network],
            shape=dataset.shape,
            classes=len(dataset.classes),
            seed=seed_of(self),
            width=self.width,
            dropout=self.rate,
            heteroscedastic=self.kind == "heteroscedastic",
        )

    def train(
        self, network: Network, dataset: data.Dataset, *, until: float = math.inf, **usual: Any
    ) -> dict[str, Any]:
        """Naturally, or on adversarial examples; to the last epoch, without weight decay, so that members are learnt by heart.

        Adversarial training alone is long enough to stop on the way, at `until`.
        """
        members, seed = halves(self, dataset)[0], seed_of(self)
        if not KINDS[self.kind].robust:
            config = part_of(self, TrainingConfig, label_smoothing=0.0)
            return vars(training.fit(network, members, config, seed=seed, **usual))
        changes: dict[str, Any] = dict.fromkeys(("second_rate", "third_rate"), self.learning_rate)
        changes |= {"steps": self.robust_epochs * (self.train_size // self.batch_size), "l2": 0.0, "loss": "mean"}
        changes |= {"epsilon": self.train_epsilon, "attack_steps": self.train_steps}
        changes |= {"step_size": 2.5 * self.train_epsilon / self.train_steps}
        return vars(
            training.fit_robust(
                network, members, part_of(self, RobustConfig, **changes), seed=seed, until=until, **usual
            )
        )

    def victim(self, bench: Bench) -> tuple[Victim, dict[str, Any]]:
        """The networks as the kind answers with them, and the notes of their trainings, of which the seconds are the sum."""
        cells = [replace(self, member=self.member + i) for i in range(self.networks)]
        networks, notes = zip(*map(bench.network, cells), strict=True)
        made, generator = KINDS[self.kind].made, seeds.generator(self.seed, f"draws of copy {self.copy}", bench.device)
        noted = {**notes[0], "seconds": sum(note["seconds"] for note in notes)}
        if made is Ensemble:
            return Ensemble(networks).to(bench.device), noted
        if made is Deterministic:
            return Deterministic(networks[0]), noted
        settings: dict[str, Any] = {"generator": generator, "draws": self.draws}
        if made is LastLayerLaplace:
            settings["points"] = halves(self, bench.dataset)[0].to(bench.device)
            settings["prior"] = held_out(self, bench.dataset).to(bench.device)
        return made(networks[0], **settings), noted

    def shadow(self, i: int) -> Self:
        """The cell of shadow i, counted from 1: of victims of every seed the same."""
        return replace(self, copy=i, seed=0)


def seed_of(cell: Cell) -> int:
    """The seed of weights and batches."""
    if not cell.copy and not cell.member:
        return cell.seed
    return seeds.derive(cell.seed, f"copy {cell.copy}, member {cell.member}") % 2**31


def pool(cell: Cell, dataset: data.Dataset) -> Split:
    """The 2n images of members and others: of fewer members, the first of those of more."""
    chosen = data.partition(len(dataset.train), {"pool": 2 * cell.train_size}, seed=0)["pool"]
    return dataset.train.subset(chosen)


def held_out(cell: Cell, dataset: data.Dataset) -> Split:
    """Images outside of the pool, by which a setting may be chosen that is not trained."""
    n = len(dataset.train)
    sizes = {"pool": 2 * cell.train_size, "held out": min(HELD_OUT, n - 2 * cell.train_size)}
    return dataset.train.subset(data.partition(n, sizes, seed=0)["held out"])


def inside(cell: Cell) -> Tensor:
    """Which images of the pool the victim, or the shadow, is trained on: (2n,), a random half."""
    pair, second = (cell.copy + 1) // 2, cell.copy % 2 == 0
    purpose = f"members of shadows {pair}" if cell.copy else "members"
    order = torch.randperm(2 * cell.train_size, generator=seeds.generator(cell.seed, purpose))
    which = torch.zeros(2 * cell.train_size, dtype=torch.bool)
    which[order[: cell.train_size]] = True
    return ~which if cell.copy and second else which


def halves(cell: Cell, dataset: data.Dataset) -> tuple[Split, Split]:
    """Members and others."""
    points, which = pool(cell, dataset), inside(cell)
    return points.subset(which), points.subset(~which)
