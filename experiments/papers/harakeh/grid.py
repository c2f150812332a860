"""The cells of the replication: `main` holds the rows of the tables, `deviations` one changed setting each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from experiments.cell import PROFILES
from experiments.papers import added
from experiments.papers.harakeh.black_box import BlackBox
from experiments.papers.harakeh.fgsm import CIFAR_EPSILONS, FGSM
from experiments.papers.harakeh.gradient import Gradient
from experiments.papers.harakeh.targeted import CW, JSMA
from experiments.papers.harakeh.victims import Cell
from lib.errors import check_choice
from lib.evasion import FORMS
from lib.uncertainty import ESTIMATORS
from lib.uncertainty.scores import OF_ESTIMATOR

SEEDS = 5
LOSS_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)

_CIFAR: dict[str, Any] = {"augmentation": "flip_and_shift"}
_FEW: dict[str, Any] = {"width": 16, "train_size": 20_000}
_SMOKE: dict[str, Any] = {"width": 8, "epochs": 2, "draws": 3, "train_size": 600}
# The victims of each profile: narrower networks and the first 20,000 training images in `reduced`. Which attacks besides
# FGSM each of them faces, and whether there is an ensemble of it, is `ATTACKED` and `ENSEMBLES`.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "paper": [
        {"dataset": "mnist", "network": "basic_cnn"},
        {"dataset": "mnist", "network": "basic_cnn_tutorial"},
        {"dataset": "cifar10", "network": "fully_convolutional_tutorial", **_CIFAR},
        {"dataset": "cifar10", "network": "fully_convolutional", **_CIFAR},
        {"dataset": "mnist", "network": "fully_connected", "width": 200},
    ],
    "reduced": [
        {"dataset": "mnist", "network": "basic_cnn", **_FEW},
        {"dataset": "cifar10", "network": "fully_convolutional_tutorial", **_FEW, **_CIFAR},
    ],
    "smoke": [
        {"dataset": "digits_as_mnist", "network": "basic_cnn", **_SMOKE},
        {"dataset": "digits_as_cifar10", "network": "fully_convolutional", **_CIFAR, **_SMOKE},
    ],
}


@dataclass(frozen=True)
class Deviation:
    """A setting that the paper leaves open, changed in one cell: what it does to which measurement."""

    title: str
    measurement: str
    usual: Cell
    changed: Cell


def grid(profile: str) -> list[Cell]:
    """Every cell of `profile`, the most wanted first; seeds outermost, so that an interrupted run leaves whole seeds.

    Raises:
        BadValue: unknown profile.
    """
    return list(
        dict.fromkeys([*main(profile), *(one.changed for one in deviations(profile)), *added("harakeh", profile)])
    )


def main(profile: str) -> list[Cell]:
    """The cells behind the tables: those of FGSM, then the other attacks, the published ones first.

    Raises:
        BadValue: unknown profile.
    """
    check_choice("profile", profile, PROFILES)
    cells: list[Cell] = []
    for seed in range(1 if profile == "smoke" else SEEDS):
        usual = [{"profile": profile, "seed": seed, **variant} for variant in VARIANTS[profile]]
        cells += [FGSM(estimator=estimator, **one, **_fgsm(one)) for one in usual for estimator in ESTIMATORS]
        cells += [cell for one in usual if _is_whole(one) for cell in _attacked(one)]
        cells += [cell for one in usual if _has_ensemble(one) for cell in _ensemble(one)]
    return cells if profile != "smoke" else [cell for cell in cells if _in_smoke(cell)]


def _in_smoke(cell: Cell) -> bool:
    """What is enough to see everything work: on the second data set, besides FGSM, the plain network alone."""
    return cell.attack == "fgsm" or cell.estimator == "none" or "cifar10" not in cell.dataset


def _fgsm(one: dict[str, Any]) -> dict[str, Any]:
    """What FGSM's cells need besides: epsilons of the curve, and how many images are attacked."""
    epsilons = {"curve_epsilons": CIFAR_EPSILONS} if "cifar10" in one["dataset"] else {}
    if one["profile"] == "smoke":
        return {"test_size": 50, "curve_size": 30, "curve_epsilons": (0.0, 0.1, 0.3)}
    return {**epsilons, **({"test_size": 2000} if one["profile"] == "reduced" else {})}


def _is_whole(one: dict[str, Any]) -> bool:
    """Whether a variant faces every attack: all but CIFAR-10 at full size, where FGSM is the only row that the paper has."""
    return bool(one["profile"] != "paper" or one["dataset"] == "mnist")


def _has_ensemble(one: dict[str, Any]) -> bool:
    """Whether there are ensembles of a variant: where M more networks a seed are cheap."""
    return bool(one["network"] == "fully_connected" or one["profile"] == "reduced")


def _attacked(one: dict[str, Any]) -> Iterator[Cell]:
    """All attacks but FGSM's own row on the three victims of a variant; for a plain network all forms are the same."""
    small, tests, few = _sizes(one)
    for kind in (CW, JSMA):
        sizes = _of_kind(kind, small)
        yield kind(estimator="none", **one, **sizes)
        for form in FORMS:
            yield from (
                kind(estimator=estimator, form=form, **one, **sizes) for estimator in ("aleatoric", "epistemic")
            )
    yield from (BlackBox(estimator=estimator, **one, **tests, **_own_start(one)) for estimator in ESTIMATORS)
    for estimator in ESTIMATORS:
        yield from _within_budget(one, few, estimator)


def _ensemble(one: dict[str, Any]) -> Iterator[Cell]:
    """The same attacks on an ensemble of M = 5 networks, through its mean."""
    small, tests, few = _sizes(one)
    five = {**one, "estimator": "ensemble", "draws": 2 if one["profile"] == "smoke" else 5}
    yield FGSM(**five, **_fgsm(one))
    for kind in (CW, JSMA):
        yield kind(**five, **_of_kind(kind, small))
    yield from _within_budget(five, few, "ensemble")
    yield BlackBox(**five, **tests, **_own_start(one))


def _own_start(one: dict[str, Any]) -> dict[str, Any]:
    """The version of the black box in which a substitute of the victim's own shape has a start of its own."""
    return {"version": 2} if one["network"] == "fully_connected" else {}


def _of_kind(kind: type[CW | JSMA], small: dict[str, Any]) -> dict[str, Any]:
    """Those of the sizes for targeted attacks that cells of `kind` have a field for."""
    return {name: value for name, value in small.items() if hasattr(kind, name)}


def _within_budget(one: dict[str, Any], few: dict[str, Any], estimator: str) -> Iterator[Cell]:
    """FGSM and PGD in every form, and PGD that knows each score; at 8/255 on CIFAR-10, where 0.3 leaves no image."""
    usual = {**one, "estimator": estimator, "epsilon": 8 / 255 if "cifar10" in one["dataset"] else 0.3, **few}
    forms = ("mean",) if estimator == "none" or one["profile"] == "smoke" else FORMS
    for form in forms:
        yield Gradient(form=form, **{**usual, "steps": 1})
        yield Gradient(form=form, **{**usual, "loss_steps": _loss_steps(one) if form == "mean" else ()})
    for score in OF_ESTIMATOR[estimator]:
        yield Gradient(attack="aware", form="expectation", score=score, **usual)


def _loss_steps(one: dict[str, Any]) -> tuple[float, ...]:
    """After how many steps the loss is taken, through the mean."""
    return LOSS_STEPS[:2] if one["profile"] == "smoke" else LOSS_STEPS


def _sizes(one: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """How much a profile attacks: settings of the targeted attacks, of the black box, and within a budget."""
    if one["profile"] == "smoke":
        tiny = {"judges": 5}
        box = {"held_out": 20, "rounds": 2, "substitute_epochs": 2, "judged": 20, "test_size": 60}
        return (
            {"attack_runs": 1, "iterations": 5, "gamma": 0.004, **tiny},
            {**tiny, **box},
            {"test_size": 20, "steps": 2, "loss_size": 5, **tiny},
        )
    if one["profile"] == "reduced":
        runs = 1 if one["dataset"] == "cifar10" else 3  # JSMA takes four times as many steps there
        return {"attack_runs": runs}, {"test_size": 2000, "judged": 500}, {"test_size": 300}
    return {}, {}, {}


def deviations(profile: str) -> list[Deviation]:
    """The settings that the paper leaves open, each changed alone, where three seeds of it are cheap: MNIST at `reduced`."""
    check_choice("profile", profile, PROFILES)
    if profile != "reduced":
        return []
    found = []
    for seed in range(3):
        one = {"profile": profile, "seed": seed, **VARIANTS["reduced"][0]}
        small, tests, _ = _sizes(one)
        fooled, right = "fooling_rate", "adversarial_accuracy"

        def add(title: str, measurement: str, usual: Cell, **changed: Any) -> None:
            found.append(Deviation(title, measurement, usual, replace(usual, **changed)))

        for estimator in ("none", "epistemic"):
            cw = CW(estimator=estimator, **one, **small)
            add(f"CW, learning rate 0.1 → 0.2 ({estimator})", fooled, cw, attack_rate=0.2)
            box = BlackBox(estimator=estimator, **one, **tests)
            add(f"black box, sign of the augmentation − then + → always + ({estimator})", right, box, sign="plus")
            fgsm = FGSM(estimator=estimator, **one, **_fgsm(one))
            add(f"label smoothing 0.1 → 0 ({estimator})", right, fgsm, label_smoothing=0.0)
        fgsm = FGSM(estimator="epistemic", **one, **_fgsm(one))
        add("draws T 10 → 2 (epistemic)", right, fgsm, draws=2)
        add("draws T 10 → 50 (epistemic)", right, fgsm, draws=50)
        cw = CW(estimator="epistemic", form="expectation", **one, **small)
        add("CW through expectation, confidence κ 0 → 1 (epistemic)", fooled, cw, confidence=1.0)
    return found
