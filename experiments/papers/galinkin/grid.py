"""The cells of the replication: `main` holds those behind tables and figures, `deviations` one changed setting each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from experiments.cell import PROFILES
from experiments.papers import added
from experiments.papers.galinkin.evasion import Evasion
from experiments.papers.galinkin.membership import Membership
from experiments.papers.galinkin.scan import Scan
from experiments.papers.galinkin.victims import Cell
from lib.errors import check_choice

SEEDS = 5
NORM = {"hop_skip_jump": "linf", "boundary": "l2"}
PROBE = {"linf": 10.0, "l2": 1.0}  # of an aware HopSkipJump: nearer to the boundary, noise drowns the direction
ITERATIONS = {"hop_skip_jump": 50, "boundary": 5000}  # Counterfit's
VERSION = {"hop_skip_jump": 1, "boundary": 2}  # since 2 its last point lies a little farther out, clear of rounding
DROPOUT = {"lenet5": 0.5, "resnet18": 0.4}  # of the evasion code
# The most iterations of an attempt of the scan; 0: what Counterfit draws. Without a limit on the change an attempt is decided at
# its start, so that few tell as much.
LONGEST = {"smoke": 3, "reduced": 10, "paper": 0}
RARE = 0.05  # of the membership code
# How that trains its targets, with the rate above.
MEMBERSHIP_CODE: dict[str, Any] = {"learning_rate": 0.01, "patience": 0}
OVERFITTED: dict[str, Any] = {"epochs": 100, "patience": 0}
# Digits are few: with the paper's batches and rate a network learns nothing of them.
_SMOKE: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 0.1,
    "draws": 3,
    "train_size": 300,
    "dropout": 0.1,
}
# What `reduced` leaves out, of attacks alone: draws, iterations and, but for scans, half of the attempts. Its victims are the
# paper's, for a ResNet-18 learns little with dropout at every layer from less. LeNet-5 and membership are run at `paper` alone.
_FEW: dict[str, Any] = {"draws": 5}


def variants(profile: str) -> list[dict[str, Any]]:
    """The networks of Table 1 in its order: data set, architecture, with dropout or without.

    Raises:
        BadValue: unknown profile.
    """
    check_choice("profile", profile, PROFILES)
    smoke = profile == "smoke"
    less = {"smoke": _SMOKE, "reduced": _FEW, "paper": {}}[profile]
    return [
        {
            "dataset": f"digits_as_{dataset}" if smoke else dataset,
            "network": network,
            "bayesian": bayesian,
            **{"dropout": DROPOUT[network], **less},
            **({"train_size": 32, "epochs": 1} if smoke and network == "resnet18" else {}),
        }
        for dataset in ("mnist", "cifar10")
        for network in DROPOUT
        for bayesian in (False, True)
        if profile != "reduced" or network == "resnet18"
        if not smoke or (dataset == "mnist" and (network == "lenet5" or not bayesian))
    ]


def grid(profile: str) -> list[Cell]:
    """Every cell of `profile`, the most wanted first; seeds outermost, so that an interrupted run leaves whole seeds.

    Raises:
        BadValue: unknown profile.
    """
    return list(dict.fromkeys([*main(profile), *deviations(profile), *added("galinkin", profile)]))


def main(profile: str) -> list[Cell]:
    """The cells behind Tables 1 to 3, the ROC figures and the dissection of the attacks on a random victim.

    Raises:
        BadValue: unknown profile.
    """
    cells: list[Cell] = []
    for seed in range(1 if profile == "smoke" else SEEDS):
        for variant in variants(profile):
            usual = {"profile": profile, "seed": seed, **variant}
            cells += [*_written(usual), *_coded(usual), *_random(usual)]
    if profile == "reduced":
        return [cell for cell in cells if not isinstance(cell, Membership)]
    return cells if profile != "smoke" else [cell for cell in cells if _in_smoke(cell)]


def _in_smoke(cell: Cell) -> bool:
    """What is enough to see everything work: one attack on a ResNet-18 that is hardly trained, each look at LeNet-5 once."""
    if cell.network == "resnet18":
        return cell.attack == "hop_skip_jump"
    if cell.attack.startswith("boundary") and cell.bayesian:
        return isinstance(cell, Evasion) and cell.aware and cell.answers == "one_draw"
    return True


def deviations(profile: str) -> list[Cell]:
    """What could explain the published membership accuracies, each alone, and what the code leaves open."""
    cells: list[Cell] = []
    for seed in range(1 if profile == "smoke" else SEEDS):
        for variant in variants(profile):
            usual = {"profile": profile, "seed": seed, **variant}
            if variant["network"] == "lenet5":
                cells += [*_hypotheses(usual), *_as_coded_otherwise(usual), *_rounded(usual)]
            cells += _trained_otherwise(usual)
    if profile == "reduced":
        return [cell for cell in cells if not isinstance(cell, Membership)]
    return cells if profile != "smoke" else [cell for cell in cells if not cell.bayesian and _in_smoke(cell)][::2]


def _written(usual: dict[str, Any]) -> Iterator[Cell]:
    """What the text describes: both attacks without a limit, and the first adversary of Salem et al."""
    answers = "mean" if usual["bayesian"] else "off"
    for attack in NORM:
        yield Evasion(attack=attack, answers=answers, **_sizes(usual, attack))
    yield Membership(answers=answers, **_pools(usual))


def _coded(usual: dict[str, Any]) -> Iterator[Cell]:
    """What the code runs: dropout off, the test set stops the training, random settings, raw pixels, the same images twice."""
    whole = {**usual, "stop_on": "test", "part": "whole"}
    for attack in NORM:
        yield Scan(attack=f"{attack}_scan", **whole, **_scan_sizes(usual))
    yield Membership(adversary="as_coded", features="unsorted", shadow="same", inputs="raw", **{**whole, "members": 0})


def _random(usual: dict[str, Any]) -> Iterator[Cell]:
    """Bayesian victims seen otherwise: by an attacker who knows that answers are random, draw by draw, without draws."""
    if not usual["bayesian"]:
        return
    for attack in NORM:
        sizes = _sizes(usual, attack)
        for answers, aware in (("mean", True), ("one_draw", False), ("one_draw", True), ("off", False)):
            own: dict[str, Any] = {}
            if aware:
                own = {"probe": PROBE[NORM[attack]]} if attack == "hop_skip_jump" else {"lead": 3}
            yield Evasion(attack=attack, answers=answers, aware=aware, **sizes, **own)
    yield Membership(answers="mean", features="top3_spread", **_pools(usual))
    yield Membership(answers="one_draw", **_pools(usual))
    yield Membership(answers="off", **_pools(usual))


def _hypotheses(usual: dict[str, Any]) -> list[Cell]:
    """Membership as written, with one thing changed at a time."""
    written = Membership(answers="mean" if usual["bayesian"] else "off", **_pools(usual))
    longer = {**OVERFITTED, "epochs": 2 * written.epochs} if usual["profile"] == "smoke" else OVERFITTED
    cells: list[Cell] = [
        replace(written, shadow="same"),
        replace(written, inputs="raw"),
        replace(written, nonmembers="inverted"),
        replace(written, **longer),
    ]
    if usual["bayesian"] and usual["profile"] == "paper":  # at its usual rate, dropout keeps it from learning by heart
        rarer = replace(written, dropout=RARE, **longer)
        cells += [rarer, replace(rarer, features="top3_spread")]
    return cells


def _as_coded_otherwise(usual: dict[str, Any]) -> Iterator[Cell]:
    """The scan on pixels of the right scale, and cut short; on MNIST also against the network that the code calls LeNet.

    And membership inference against targets trained as the membership code has it, where ours otherwise are the evasion code's.
    """
    whole = {**usual, "stop_on": "test", "part": "whole", **_scan_sizes(usual)}
    for attack in NORM:
        yield Scan(attack=f"{attack}_scan", scale="unit", **whole)
        if usual["profile"] == "paper":
            yield Scan(attack=f"{attack}_scan", **{**whole, "longest": LONGEST["reduced"]})
        if "mnist" in usual["dataset"]:
            yield Scan(attack=f"{attack}_scan", **{**whole, "network": "lenet5_coded"})
    if usual["profile"] == "paper":
        for cell in _coded(usual):
            if isinstance(cell, Membership):
                yield replace(cell, dropout=RARE if cell.bayesian else cell.dropout, **MEMBERSHIP_CODE)


def _rounded(usual: dict[str, Any]) -> Iterator[Cell]:
    """HopSkipJump as written on a plain victim that answers in bfloat16."""
    if not usual["bayesian"]:
        yield Evasion(answer_precision="bfloat16", **_sizes(usual, "hop_skip_jump"))


def _trained_otherwise(usual: dict[str, Any]) -> list[Cell]:
    """As written, of Bayesian victims with the dropout rate of the membership code: the text's "high probability" is another.

    And of a ResNet-18 that is never stopped: while it is watched its dropout is off, which batch norm does not bear.
    """
    if not usual["bayesian"]:
        return []
    rarer = list(_written({**usual, "dropout": RARE}))
    return rarer if usual["network"] == "lenet5" else [*rarer, Membership(answers="mean", patience=0, **_pools(usual))]


def _sizes(usual: dict[str, Any], attack: str) -> dict[str, Any]:
    """How much of an attack a profile runs."""
    sizes: dict[str, Any] = {"norm": NORM[attack], "iterations": ITERATIONS[attack], "version": VERSION[attack]}
    if usual["profile"] == "reduced":
        sizes |= {"iterations": {"hop_skip_jump": 10, "boundary": 500}[attack], "attempts": 50}
    if usual["profile"] == "smoke":
        sizes |= {"iterations": {"hop_skip_jump": 1, "boundary": 5}[attack], "initial_evaluations": 20}
        sizes |= {"attempts": 5, "judges": 5, "check_answers": 10, "start_tries": 10}
    return {**usual, **sizes}


def _scan_sizes(usual: dict[str, Any]) -> dict[str, Any]:
    """How much of a scan a profile runs."""
    return {"longest": LONGEST[usual["profile"]], **({"attempts": 6} if usual["profile"] == "smoke" else {})}


def _pools(usual: dict[str, Any]) -> dict[str, Any]:
    return {**usual, "part": "target", "members": 100 if usual["profile"] == "smoke" else 5000}
