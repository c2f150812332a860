"""The cells of the replication: `main` holds the rows of the tables, `deviations` one changed setting each."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from experiments.cell import PROFILES
from experiments.grid import CHANGED, PUBLISHED, Grid, Pairs, settings_of, wanted
from experiments.papers.harakeh.aborting import AbortingCW
from experiments.papers.harakeh.black_box import BlackBox, Substitutes
from experiments.papers.harakeh.fgsm import CIFAR_EPSILONS, FGSM
from experiments.papers.harakeh.gradient import Gradient
from experiments.papers.harakeh.targeted import CW, JSMA, FirstTen
from experiments.papers.harakeh.victims import OF_ESTIMATOR, Cell
from lib.errors import check_choice
from lib.evasion import FORMS
from lib.uncertainty import ESTIMATORS

SEEDS = 5
FEW_SEEDS = 3  # of what `reduced` has besides FGSM
LOSS_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)  # after which PGD's loss is taken, through the mean
ENSEMBLE: dict[str, Any] = {"estimator": "ensemble", "draws": 5}
RANDOM = ("aleatoric", "epistemic")  # in the order of their cells

SETTINGS = settings_of("harakeh")
VARIANTS: dict[str, list[dict[str, Any]]] = SETTINGS["victims"]
ATTACK_RUNS = {"mnist": 3, "cifar10": 1}  # at `reduced`: JSMA takes four times as many steps on CIFAR-10


@dataclass(frozen=True)
class Deviation:
    """A setting that the paper leaves open, changed in one cell: what it does to which measurement."""

    title: str
    measurement: str
    usual: Cell
    changed: Cell


PLAIN, DROPOUT = {"estimator": "none"}, {"estimator": "epistemic"}
BOX = "black box, sign of the augmentation − then + → always +"
EXPECTED = "CW through expectation, confidence κ 0 → 1"
# By title and measurement: an attack on a victim, and what is changed.
OPEN: list[tuple[str, str, type[Cell], dict[str, Any], dict[str, Any]]] = [
    ("CW, learning rate 0.1 → 0.2 (plain)", "fooling_rate", CW, PLAIN, {"attack_rate": 0.2}),
    (f"{BOX} (plain)", "adversarial_accuracy", BlackBox, PLAIN, {"sign": "plus"}),
    ("label smoothing 0.1 → 0 (plain)", "adversarial_accuracy", FGSM, PLAIN, {"label_smoothing": 0.0}),
    ("CW, learning rate 0.1 → 0.2 (dropout)", "fooling_rate", CW, DROPOUT, {"attack_rate": 0.2}),
    (f"{BOX} (dropout)", "adversarial_accuracy", BlackBox, DROPOUT, {"sign": "plus"}),
    ("label smoothing 0.1 → 0 (dropout)", "adversarial_accuracy", FGSM, DROPOUT, {"label_smoothing": 0.0}),
    ("draws T 10 → 2 (dropout)", "adversarial_accuracy", FGSM, DROPOUT, {"draws": 2}),
    ("draws T 10 → 50 (dropout)", "adversarial_accuracy", FGSM, DROPOUT, {"draws": 50}),
    (f"{EXPECTED} (dropout)", "fooling_rate", CW, {**DROPOUT, "form": "expectation"}, {"confidence": 1.0}),
]


def deviations(profile: str) -> list[Deviation]:
    """The settings that the paper leaves open, each changed alone, where three seeds of it are cheap: MNIST at `reduced`."""
    first = {"profile": check_choice("profile", profile, PROFILES), **VARIANTS[profile][0]}
    return [
        Deviation(title, measurement, usual, replace(usual, **change))
        for title, measurement, kind, victim, change in OPEN
        for seed in range(FEW_SEEDS if profile == "reduced" else 0)
        for usual in (_cell(kind, first, seed=seed, **victim),)
    ]


def _kept(cell: Cell) -> bool:
    """Enough to see everything work in `smoke`: on the second data set, besides FGSM, the plain network alone."""
    small = cell.attack == "fgsm" or cell.estimator == "none" or "cifar10" not in cell.dataset
    return cell.profile != "smoke" or small


def _of_victims(one: dict[str, Any]) -> Pairs:
    """The victims of a variant under FGSM and, but on CIFAR-10 at full size, every other attack, the published ones first.

    The fully connected network is not the paper's. The tutorial's is attacked by what its reading shows.
    """
    dense, cheap, smoke = one["network"] == "fully_connected", one["profile"] == "reduced", one["profile"] == "smoke"
    first = "other forms" if dense else PUBLISHED
    later = "more seeds" if dense or cheap else ""
    yield from wanted(first, *(_cell(FGSM, one, estimator=name) for name in ESTIMATORS), seeds=SEEDS, later=later)
    if one["profile"] == "paper" and one["dataset"] != "mnist":
        return
    seeds = FEW_SEEDS if cheap else SEEDS
    tutorial = one["network"] == "basic_cnn_tutorial"
    through_mean = [_cell(kind, one, estimator=name) for kind in (CW, JSMA) for name in ("none", *RANDOM)]
    boxes = [_cell(BlackBox, one, estimator=name) for name in ESTIMATORS]
    yield from wanted(first, *through_mean, *boxes, seeds=seeds, later=later)
    forms = [form for form in FORMS if form != "mean" and not (tutorial and form == "one_draw")]
    targeted = [_cell(kind, one, estimator=e, form=form) for kind in (CW, JSMA) for form in forms for e in RANDOM]
    within = [cell for estimator in ESTIMATORS for cell in _within_budget(one, estimator)]
    yield from wanted("other forms", *targeted, *within, seeds=seeds, later=later)
    if one["network"] == "basic_cnn" and not cheap:
        yield from wanted("other forms", *_aborting(one), seeds=SEEDS)
        several = [_cell(Substitutes, one, estimator=name) for name in ESTIMATORS[: 1 if smoke else None]]
        first_ten = [_cell(FirstTen, one, estimator=name) for name in ESTIMATORS[: 1 if smoke else None]]
        yield from wanted("other forms", *first_ten, *several, seeds=SEEDS)
    if not tutorial:
        yield from wanted("aware attacks", *_aware(one, ESTIMATORS), seeds=seeds, later=later)
    if dense or cheap:  # M = 5 networks a seed
        five = one | ENSEMBLE
        cells = [*(_cell(kind, five) for kind in (FGSM, CW, JSMA)), *_within_budget(five, "ensemble", ("mean",))]
        yield from wanted("other forms", *cells, _cell(BlackBox, five), seeds=seeds, later="more seeds")
        yield from wanted("aware attacks", *_aware(five, ["ensemble"]), seeds=seeds, later="more seeds")
        if one["dataset"] == "mnist":
            yield from wanted("other forms", *_within_budget(five, "ensemble"))


def _aborting(one: dict[str, Any]) -> list[Cell]:
    """CW with the tutorial's switch, through one draw, as he may have run it, and through the mean."""
    if one["profile"] == "smoke":
        return [_cell(AbortingCW, one, estimator="epistemic")]
    random = [_cell(AbortingCW, one, estimator=name, form=form) for name in RANDOM for form in ("one_draw", "mean")]
    return [_cell(AbortingCW, one, estimator="none"), *random]


def _within_budget(one: dict[str, Any], estimator: str, forms: Iterable[str] = FORMS) -> list[Cell]:
    """FGSM and PGD in every form; of a plain network all are the same."""
    smoke, victim, cells = one["profile"] == "smoke", {**one, "estimator": estimator}, []
    for form in ("mean",) if estimator == "none" or smoke else forms:
        loss_steps = LOSS_STEPS[: 2 if smoke else None] if form == "mean" else ()
        cells += [_cell(Gradient, victim, form=form, **own) for own in ({"steps": 1}, {"loss_steps": loss_steps})]
    return cells


def _aware(one: dict[str, Any], estimators: Iterable[str]) -> list[Cell]:
    """PGD that knows each score of the victim."""
    return [
        _cell(Gradient, {**one, "estimator": estimator}, attack="aware", form="expectation", score=score)
        for estimator in estimators
        for score in OF_ESTIMATOR[estimator]
    ]


def _cell(kind: type[Cell], one: dict[str, Any], **own: Any) -> Cell:
    """A cell of an attack on a victim, of the size that the profile has."""
    usual: dict[str, Any] = {}
    if kind is FGSM and "cifar10" in one["dataset"]:
        usual = {"curve_epsilons": CIFAR_EPSILONS}
    if kind is Gradient:
        usual = {"epsilon": 8 / 255 if "cifar10" in one["dataset"] else 0.3}  # 0.3 leaves no image of CIFAR-10
    if kind is BlackBox and one["network"] == "fully_connected":
        usual = {"version": 2}  # in which a substitute of the victim's own shape has a start of its own
    if kind in (CW, JSMA) and one["profile"] == "reduced":
        usual = {"attack_runs": ATTACK_RUNS[one["dataset"]]}
    return kind(**{**one, **usual, **SETTINGS["less"][one["profile"]].get(kind.attacks()[0], {}), **own})


_GRID = Grid(
    "harakeh",
    lambda profile: (pair for one in VARIANTS[profile] for pair in _of_victims({"profile": profile, **one})),
    lambda profile: ((CHANGED, one.changed) for one in deviations(profile)),
    kept=_kept,
)
promised, grid, main = _GRID.promised, _GRID.cells, _GRID.main
