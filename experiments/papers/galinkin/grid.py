"""The cells of the replication: `main` holds those behind tables and figures, `deviations` one changed setting each."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from experiments.cell import PROFILES
from experiments.grid import CHANGED, PUBLISHED, Grid, Pairs, settings_of, wanted
from experiments.papers.galinkin import matching
from experiments.papers.galinkin.aimed import Aimed
from experiments.papers.galinkin.evasion import Evasion
from experiments.papers.galinkin.membership import Membership
from experiments.papers.galinkin.scan import Scan
from experiments.papers.galinkin.victims import Cell
from lib.errors import check_choice

SEEDS = 5
HUNDRED = 100  # iterations of an attack, in that reading
# Since version 2 the last point of the Boundary attack lies a little farther out, clear of rounding.
ATTACKS: dict[str, Any] = {"hop_skip_jump": {"norm": "linf", "version": 1}, "boundary": {"norm": "l2", "version": 2}}
DROPOUT = {"lenet5": 0.5, "resnet18": 0.4}  # of the evasion code
RARE = 0.05  # of the membership code
# How that trains its targets, with the rate above.
MEMBERSHIP_CODE: dict[str, Any] = {"learning_rate": 0.01, "patience": 0}
OVERFITTED: dict[str, Any] = {"epochs": 100, "patience": 0}
# What could explain the published membership accuracies, each alone, with OVERFITTED.
HYPOTHESES: list[dict[str, Any]] = [{"shadow": "same"}, {"inputs": "raw"}, {"nonmembers": "inverted"}]
# How a Bayesian victim is seen otherwise: by an attacker who knows that answers are random, draw by draw, without draws.
WAYS = [("mean", True), ("one_draw", False), ("one_draw", True), ("off", False)]
# What the first takes: nearer to the boundary, noise drowns the direction.
AWARE: dict[str, dict[str, Any]] = {"hop_skip_jump": {"probe": 10.0}, "boundary": {"lead": 3}}
LOOKS: list[dict[str, Any]] = [{"features": "top3_spread"}, {"answers": "one_draw"}, {"answers": "off"}]

SETTINGS = settings_of("galinkin")


def variants(profile: str) -> list[dict[str, Any]]:
    """The networks of Table 1 in its order: data set, architecture, with dropout or without.

    Raises:
        BadValue: unknown profile.
    """
    smoke = check_choice("profile", profile, PROFILES) == "smoke"
    return [
        {
            **{"profile": profile, "dataset": f"digits_as_{dataset}" if smoke else dataset},
            **{"network": network, "bayesian": bayesian, "dropout": DROPOUT[network], **SETTINGS["victims"][profile]},
            **({"train_size": 32, "epochs": 1} if smoke and network == "resnet18" else {}),
        }
        for dataset in ("mnist", "cifar10")
        for network in DROPOUT
        for bayesian in (False, True)
        if profile != "reduced" or network == "resnet18"
        if not smoke or (dataset == "mnist" and (network == "lenet5" or not bayesian))
    ]


def _tables(profile: str) -> Pairs:
    """What the text describes: both attacks without a limit, and the first adversary of Salem et al.; and what the code runs."""
    for one in variants(profile):
        large = one["network"] == "resnet18"
        attacks = [*_written(one), *(_scan(one, attack) for attack in ATTACKS)]
        yield from wanted(PUBLISHED, *attacks, seeds=SEEDS, later="more seeds" if profile == "reduced" else "")
        inference = [_membership(one), _coded(one)]
        yield from wanted(PUBLISHED, *inference, seeds=SEEDS, later="more seeds" if large else "")
        if one["bayesian"]:
            seeds = 1 if large else SEEDS
            for answers, aware in WAYS:
                cells = [_evasion(one, attack, answers=answers, aware=aware) for attack in ATTACKS]
                worth, later = ("aware attacks", "") if aware else ("other forms", "more seeds")
                yield from wanted(worth, *cells, seeds=seeds, later=later)
                if aware and answers == "mean" and large and profile == "paper":  # claims are judged under it
                    yield from wanted(PUBLISHED, *cells, seeds=SEEDS)
            looks = (replace(_membership(one), **look) for look in LOOKS)
            yield from wanted("other forms", *looks, seeds=seeds, later="more seeds")


def _others(profile: str) -> Pairs:
    """One seed of each, and all of a Bayesian LeNet-5 with the dropout rate of the membership code: the text's "high probability"
    is another.
    """
    changed, smoke = partial(wanted, CHANGED), profile == "smoke"
    for one in variants(profile):
        rare, small = {**one, "dropout": RARE}, one["network"] == "lenet5"
        if small and (one["bayesian"] or not smoke):
            yield from changed(*matching.search(profile, one))
        if small:
            yield from changed(*_matched(one), *_read_otherwise(one), seeds=SEEDS)
        if small and not (smoke and one["bayesian"]):
            yield from changed(*[*_changed(one)][:: 2 if smoke else 1])
        if one["bayesian"] and not smoke:
            yield from changed(*_written(rare), _membership(rare), seeds=SEEDS if small else 1, later="more seeds")
            if not small:  # while it is watched its dropout is off, which batch norm does not bear
                yield from changed(replace(_membership(one), patience=0))


def _matched(one: dict[str, Any]) -> Iterator[Cell]:
    """What the text describes, of a LeNet-5 that has the paper's clean accuracy, and by whom its noise is known."""
    attacks = _written(one)
    if one["bayesian"]:
        attacks += [_evasion(one, attack, answers="mean", aware=True) for attack in ATTACKS]
    for part, cells in (("target", [_membership(one)]), ("whole", attacks)):
        candidate = matching.MATCHED.get((one["dataset"].removeprefix("digits_as_"), one["bayesian"], part))
        if one["profile"] == "paper" and candidate:
            yield from (replace(cell, **matching.settings(candidate)) for cell in cells)


def _read_otherwise(one: dict[str, Any]) -> Iterator[Cell]:
    """What the text may mean as well: a targeted Boundary attack, and 100 iterations where we read 100 attempts."""
    answers = "mean" if one["bayesian"] else "off"
    if one["profile"] != "smoke" or not one["bayesian"]:
        few: dict[str, Any] = {"attempts": 5, "judges": 5} if one["profile"] == "smoke" else {}
        yield Aimed(answers=answers, iterations=SETTINGS["iterations"]["boundary"][one["profile"]], **few, **one)
    if one["profile"] == "paper":
        yield from (replace(cell, iterations=HUNDRED) for cell in _written(one))


def _changed(one: dict[str, Any]) -> Iterator[Cell]:
    """Membership as written, and what the code leaves open, with one thing changed at a time."""
    paper, written = one["profile"] == "paper", _membership(one)
    longer = OVERFITTED if paper else {**OVERFITTED, "epochs": 2 * written.epochs}
    yield from (replace(written, **change) for change in (*HYPOTHESES, longer))
    if one["bayesian"] and paper:  # at its usual rate, dropout keeps it from learning by heart
        yield from (replace(written, dropout=RARE, features=look, **longer) for look in ("top3", "top3_spread"))
    for attack in ATTACKS:
        scan = _scan(one, attack)
        yield replace(scan, scale="unit")
        if paper:
            yield replace(scan, longest=SETTINGS["longest"]["reduced"])
        if "mnist" in one["dataset"]:
            yield replace(scan, network="lenet5_coded")  # the network that the code calls LeNet
    if paper:  # targets trained as the membership code has it, where ours otherwise are the evasion code's
        yield replace(_coded(one), dropout=RARE if one["bayesian"] else one["dropout"], **MEMBERSHIP_CODE)
    if not one["bayesian"]:
        yield _evasion(one, "hop_skip_jump", answer_precision="bfloat16")


def _kept(cell: Cell) -> bool:
    """Enough to see everything work in `smoke`: one attack on a ResNet-18 that is hardly trained, each look at LeNet-5 once."""
    if cell.profile != "smoke":
        return cell.profile == "paper" or not isinstance(cell, Membership)
    if cell.attack.startswith("boundary") and cell.bayesian:
        return isinstance(cell, Evasion) and cell.aware and cell.answers == "one_draw"
    return cell.network != "resnet18" or cell.attack == "hop_skip_jump"


def _heavy(cell: Cell) -> bool:
    return cell.profile == "paper" and cell.network == "resnet18" and not isinstance(cell, Membership)


def _written(one: dict[str, Any]) -> list[Evasion]:
    return [_evasion(one, attack, answers="mean" if one["bayesian"] else "off") for attack in ATTACKS]


def _evasion(one: dict[str, Any], attack: str, *, aware: bool = False, **own: Any) -> Evasion:
    sizes = {
        "iterations": SETTINGS["iterations"][attack][one["profile"]],
        **SETTINGS["evasion"][one["profile"]],
        **(AWARE[attack] if aware else {}),
    }
    return Evasion(attack=attack, aware=aware, **ATTACKS[attack], **sizes, **one, **own)


def _scan(one: dict[str, Any], attack: str) -> Scan:
    few: dict[str, Any] = {"attempts": 6} if one["profile"] == "smoke" else {}
    return Scan(
        attack=f"{attack}_scan", longest=SETTINGS["longest"][one["profile"]], stop_on="test", part="whole", **one, **few
    )


def _membership(one: dict[str, Any]) -> Membership:
    members = 100 if one["profile"] == "smoke" else 5000
    return Membership(answers="mean" if one["bayesian"] else "off", part="target", members=members, **one)


def _coded(one: dict[str, Any]) -> Membership:
    """Membership inference as the code runs it: dropout off, raw pixels, stopped by the test set, the same images twice."""
    coded: dict[str, Any] = {"adversary": "as_coded", "features": "unsorted", "shadow": "same", "inputs": "raw"}
    return Membership(stop_on="test", part="whole", members=0, **coded, **one)


_GRID = Grid("galinkin", _tables, _others, kept=_kept, heavy=_heavy)
promised, grid, main, deviations = _GRID.promised, _GRID.cells, _GRID.main, partial(_GRID.only, _others)
