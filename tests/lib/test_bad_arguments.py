"""Bad input to the library: a `BadValue` of one line that names the argument, before the victim or the data are touched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from experiments import answers, detection
from lib import data, evaluate, evasion, judging, membership, models, seeds, training, uncertainty
from lib.data import Split
from lib.errors import BadValue, shown
from lib.training import RobustConfig, TrainingConfig

pytestmark = pytest.mark.bad_input

NAN, INF = math.nan, math.inf
SQUARE = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
WORDS: tuple[Any, ...] = (None, "", "0.1", [], {}, b"1", True, SQUARE)  # none of which is a number
NUMBERS = (*WORDS, NAN, INF, -INF, -1)
COUNTS = (*WORDS, NAN, INF, 0, -1, 1.5, 2.0)
SEEDS = (*WORDS, NAN, INF, -1, 0.0, 1.5, "0")
FLAGS = (None, "", "no", 0, 1, NAN, [])
NAMES = (None, "", "nothing", 0, NAN, [], True, b"adam")
GENERATORS = (0, "seed", [], NAN, np.random.default_rng(0))


class Untouched(nn.Module):
    """A victim that must not be asked."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("work was begun")


class Linear(nn.Module):
    """Three classes of images of 1 x 4 x 4."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.layer(x.flatten(1))
        return answer


X, Y = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0])
SPLIT = Split((255 * X).to(torch.uint8), Y)
IMAGES = (None, "", [], 0, X.numpy(), X[0], X[:3], X.double(), X.int(), X - 1, X + 1, X * NAN, X / 0, X[:, :, :, 0])
LABELS = (None, "", [], 0, Y.numpy(), Y[:3], Y[None], Y.float(), Y.int(), Y > 0, Y - 1, X)
SETTINGS: dict[str, Sequence[Any]] = {
    "epsilon": (*(one for one in NUMBERS if one is not None), X, torch.rand(3), torch.full((4,), NAN), -torch.ones(4)),
    "targeted": FLAGS,
    "generator": GENERATORS,
    "norm": (*NAMES, "l1", "L2", "inf"),
    "loss": (*NAMES, "hinge"),
    "steps": COUNTS,
    "restarts": COUNTS,
    "queries": COUNTS,
    "iterations": COUNTS,
    "search_steps": COUNTS,
    "draws": COUNTS,
    "step_size": NUMBERS[1:],
    "area": (*NUMBERS, 1.5),
    "weight": NUMBERS,
    "constant": NUMBERS,
    "learning_rate": NUMBERS,
    "confidence": NUMBERS,
    "gamma": (*NUMBERS, 1.5),
    "theta": (*NUMBERS[:-1], 1.5),
    "score": NAMES,
    "targets": (*COUNTS[:-4], -1),
    "trials": COUNTS,
    "delta": (*NUMBERS, 1.5),
    "step_adapt": (*NUMBERS, 1.5),
    "probe": NUMBERS,
    "max_batch": COUNTS,
    "lead": COUNTS,
    "start_tries": COUNTS,
    "max_evaluations": COUNTS,
    "check_answers": (*COUNTS[:-4], -1),
    "x": IMAGES,
    "y": LABELS,
    "victim": (None, "", 0, [], torch.relu, nn.Linear),
}
Case = tuple[Callable[..., Any], dict[str, Any], str]


def cases(call: Callable[..., Any], usual: dict[str, Any], bad: dict[str, Sequence[Any]]) -> Iterator[Case]:
    """Each bad value of each argument among good ones."""
    for name, values in bad.items():
        for value in values:
            yield call, usual | {name: value}, name


def attacks() -> Iterator[Case]:
    """Every attack with every setting that it has."""
    usual = {"victim": Untouched(), "x": X, "y": Y}
    for attack in evasion.ATTACKS.values():
        has = attack.__code__.co_varnames[: attack.__code__.co_argcount + attack.__code__.co_kwonlyargcount]
        yield from cases(attack, usual | {"epsilon": 0.1}, {name: SETTINGS[name] for name in has if name in SETTINGS})
    for attack in evasion.DECISION_ATTACKS.values():
        has = attack.__code__.co_varnames[: attack.__code__.co_argcount + attack.__code__.co_kwonlyargcount]
        bad = {name: SETTINGS[name] for name in has if name in SETTINGS and name != "epsilon"}
        bad["generator"] = (None, *GENERATORS)
        yield from cases(attack, usual | {"generator": seeds.generator(0, "walk")}, bad)


def trainings() -> Iterator[Case]:
    """Both trainings and their settings."""
    shared = {
        "seed": SEEDS,
        "device": ("", "gpu", "cpu:7", "cuda:99", "meta", 1.5, [], b"cpu"),
        "progress": FLAGS,
        "snapshot": ("", "file", 0, True),
        "network": (None, "", 0, Linear, torch.relu, nn.Conv2d(1, 3, 3), nn.Linear(9, 3)),
        "split": (
            None,
            "",
            0,
            [],
            X,
            SPLIT.first(0),
            Split(SPLIT.images, Y + 1),
            (X, Y - 1),
            (X, Y.float()),
            (X * NAN, Y),
        ),
        "config": (None, "", 0, {}, TrainingConfig, RobustConfig),
    }
    usual = {"network": Linear(), "split": SPLIT, "seed": 0}
    plain, robust = TrainingConfig(epochs=1), RobustConfig(epsilon=0.1, step_size=0.1, steps=1, batch_size=2)
    more = {"config": (*shared["config"], robust), "validation": shared["split"][1:]}
    yield from cases(training.fit, usual | {"config": plain}, shared | more)
    more = {"config": (*shared["config"], plain), "every": NUMBERS, "observations": COUNTS, "compiled": FLAGS}
    yield from cases(training.fit_robust, usual | {"config": robust}, shared | more)
    numbers = {
        "learning_rate": (*NUMBERS, 11),
        "epochs": COUNTS,
        "batch_size": COUNTS,
        "label_smoothing": (*NUMBERS, 1.0),
    }
    names = {"augmentation": NAMES, "precision": (*NAMES, "float16"), "optimizer": (*NAMES, "lion")}
    yield from cases(TrainingConfig, {}, numbers | names | {"patience": (*SEEDS, "2"), "min_delta": NUMBERS})
    numbers = {"epsilon": (*NUMBERS, 1.5), "steps": COUNTS, "batch_size": COUNTS, "attack_steps": COUNTS, "ramp": SEEDS}
    yield from cases(
        RobustConfig, {"epsilon": 0.1, "step_size": 0.01}, numbers | names | {"l2": NUMBERS, "loss": NAMES}
    )


def victims() -> Iterator[Case]:
    """What a victim and a judgement of it are made of."""
    shapes = (
        None,
        "",
        0,
        (1, 4),
        (1, 4, 4, 4),
        (0, 4, 4),
        (1, -4, 4),
        (1, 4.5, 4),
        ("1", 28, 28),
        (1, 1, 1),
        [NAN] * 3,
    )
    bad = {"name": (*NAMES, "LeNet5"), "shape": shapes, "classes": COUNTS, "seed": SEEDS, "width": COUNTS[1:]}
    bad |= {"dropout": (*NUMBERS, 1.0), "heteroscedastic": FLAGS}
    yield from cases(models.build, {"name": "lenet5", "shape": (1, 28, 28), "classes": 10, "seed": 0}, bad)
    usual = {"estimator": "none", "network": Linear(), "generator": seeds.generator(0, "draws"), "draws": 2}
    bad = {
        "estimator": NAMES,
        "draws": COUNTS,
        "precision": (*NAMES, "float16"),
        "network": (None, "", 0, [], torch.relu),
    }
    yield from cases(uncertainty.estimate, usual, bad)
    network = models.build("lenet5", shape=(1, 28, 28), classes=3, seed=0, width=2, dropout=0.5)
    noisy = usual | {"estimator": "epistemic", "network": network}
    yield from cases(uncertainty.estimate, noisy, {"generator": (None, *GENERATORS)})
    plain = uncertainty.estimate("none", Linear(), generator=seeds.generator(0, "draws"), draws=1)
    yield from cases(judging.judge, {"victim": plain, "x": X}, {"draws": COUNTS, "victim": (None, "", Linear())})
    usual = {"victim": plain, "data": SPLIT, "attacks": {"fgsm": evasion.fgsm}, "epsilons": [0.1]}
    usual |= {"generator": seeds.generator(0, "evaluation")}
    bad = {
        "attacks": (None, "", "fgsm", [], {}, {"fgsm": None}, {"fgsm": "fgsm"}),
        "epsilons": (None, "", 0.1, [], [NAN], [-1], ["0.1"], [None], [INF], [2.0]),
        "norm": (*NAMES, "l1"),
        "draws": COUNTS,
        "generator": (None, *GENERATORS),
        "data": (None, "", 0, [], X, SPLIT.first(0)),
        "progress": FLAGS,
        "victim": (None, "", 0),
        "batch_size": COUNTS[1:],
    }
    yield from cases(evaluate, usual, bad)


def points() -> Iterator[Case]:
    """Data, seeds, and what is told of membership and rejection."""
    yield from cases(seeds.derive, {"seed": 0, "purpose": "weights"}, {"seed": SEEDS})
    yield from cases(seeds.generator, {"seed": 0, "purpose": "weights"}, {"seed": SEEDS})
    yield from cases(data.load, {"name": "mnist"}, {"name": (*NAMES, "../mnist", "MNIST")})
    yield from cases(Split, {"images": SPLIT.images, "labels": Y}, {"images": IMAGES[:9], "labels": LABELS})
    scores = (None, "", 0, [], torch.tensor([]), torch.tensor([1.0, NAN]))
    for tell in (
        membership.by_threshold,
        membership.auc,
        membership.advantage,
        membership.best_threshold,
        membership.roc,
    ):
        yield from cases(tell, {"member": Y.float(), "nonmember": Y.float()}, {"member": scores, "nonmember": scores})
    for score in membership.MEMBERSHIP_SCORES.values():
        z = torch.randn(4, 3)
        bad = {
            "scores": (None, "", 0, [], z[0], z[:3], z * NAN, z / 0, z[:, :1]),
            "labels": (None, "", 0, *LABELS[5:7], Y + 9, Y - 1),
        }
        yield from cases(score, {"scores": z, "labels": Y}, bad)
    yield from cases(
        detection.auroc, {"clean": Y.float(), "adversarial": Y.float()}, {"clean": scores, "adversarial": scores}
    )
    for infer in (answers.report, answers.read):
        yield from cases(infer, {}, {"path": ("", "nowhere.npz", Path("/"), Path("/dev/null"), None, 0)})


CASES = [*attacks(), *trainings(), *victims(), *points()]


def test_the_table_is_long() -> None:
    assert len(CASES) >= 400, len(CASES)


@pytest.mark.parametrize(
    ("call", "arguments", "name"),
    CASES,
    ids=[f"{call.__name__} {name}={shown(given[name])[:24]}" for call, given, name in CASES],
)
@pytest.mark.filterwarnings("ignore::lib.errors.VictimWarning")
def test_a_bad_value_is_one_line_that_names_it(call: Callable[..., Any], arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(BadValue) as caught:
        call(**arguments)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000
    # Scores and labels, images and labels, points and network are checked against each other.
    together = {"x": "y", "y": "x", "split": "network", "network": "split", "data": "images", "member": "scores"}
    together |= {"path": str(arguments[name]), "name": "network"}
    known = (name, together.get(name, name), "data", "labels", "images", "scores", "config", "answers")
    assert any(one in message for one in known), message
