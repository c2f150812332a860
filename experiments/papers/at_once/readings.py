"""What the chapter's own numbers are called.

An id is `<data set>/<kind>/<quantity>`, such as `mnist/dropout/worst_case`; between kind and quantity can stand what is changed,
one of `CHANGED`: `mnist/dropout/l2/worst_case`, `cifar10/robust/fifth/odds_auc`. A quantity is a measurement, of the
experiment that measures it. Nobody has printed any: this is a study of our own, and `text` is the profile it was declared for.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

from experiments.papers.at_once.evasion import ATTACKS
from experiments.papers.at_once.grid import FEWER, SETTINGS
from experiments.papers.at_once.membership import LIRA, OF_THE_MEAN, RMIA
from experiments.papers.at_once.shifts import SHIFTS
from experiments.papers.at_once.victims import KINDS
from experiments.reading import Reading, Source
from lib.errors import BadValue, check_choice
from lib.uncertainty import UNCERTAINTY_SCORES

DATASETS = ("mnist", "cifar10")
READINGS = (Reading("text", "at `reduced`", ("reduced",)), Reading("wide", "wider networks, all data", ("paper",)))
PARTS = dict(zip(("half", "fifth"), FEWER, strict=True))  # of the members
CHANGED = ("l2", *PARTS)

LOOKS = (*OF_THE_MEAN, "draw", "spread")
RATES = ("accuracy", "held_out", "auc", "tpr_at_1pct", "tpr_at_01pct", "control_auc", "control_tpr_at_1pct")


def _rated(*scores: str) -> set[str]:
    """Every rate of every score."""
    return {"_".join(pair) for pair in product(scores, RATES)}


IMAGES = ("wrong", *SHIFTS, "adversarial", "aware")
OF_SCORE = {f"{what}_{images}" for what, images in product(("auroc", "rejected"), IMAGES)} | {
    "evades_adversarial",
    "evades_aware",
}
JUDGED = ("", *(f"_{name}" for name in (*SHIFTS, "adversarial", *(f"aware_{score}" for score in UNCERTAINTY_SCORES))))
CALIBRATED = {"_".join(pair) for pair in product(OF_SCORE, UNCERTAINTY_SCORES)} | {
    f"{what}{images}" for what, images in product(("accuracy", "ece", "nll"), JUDGED)
}
EVADED = {f"accuracy_{name}" for lines in ATTACKS.values() for name in lines} | set(
    "worst_case worst_case_naive only_black_box answers_at_random answers_probabilities warnings epsilon".split()
)

# What each experiment measures; of what several do, the first is meant.
MEASURES: dict[str, set[str]] = {
    "label_only": {"train_distance", "others_distance", "unreached", *_rated("label_only")},
    "leak": {
        *"train_accuracy others_accuracy test_accuracy adv_train_accuracy adv_others_accuracy".split(),
        *_rated(*LOOKS, *(f"adv_{name}" for name in LOOKS), *LIRA, *RMIA),
    },
    "calibration": CALIBRATED,
    "evasion": EVADED,
}
MEASURED = frozenset.union(*map(frozenset, MEASURES.values()))


def sources(one: Reading, path: Sequence[str]) -> list[list[Source]]:
    """The one row of an id."""
    if len(path) not in (3, 4):
        raise BadValue(f"id: expected data set/kind/quantity, got {'/'.join(path)}")
    dataset, kind, *changed, quantity = path
    check_choice("data set", dataset, DATASETS)
    check_choice("kind", kind, tuple(KINDS))
    check_choice("quantity", quantity, tuple(sorted(MEASURED)))
    attack = next(attack for attack, names in MEASURES.items() if quantity in names)
    settings: dict[str, Any] = {"dataset": dataset, "kind": kind, "attack": attack}
    if attack == "evasion":
        settings["norm"] = "l2" if "l2" in changed else "linf"
    elif changed:
        part = PARTS[check_choice("part of the members", changed[0], tuple(PARTS))]
        settings["train_size"] = SETTINGS["victims"][one.profiles[0]][dataset]["train_size"] // part
    return [[Source(settings, quantity, one.profiles)]]


def victims(path: Sequence[str]) -> list[tuple[str, str]]:
    """None: no clean accuracy has been printed that a victim could miss."""
    return []
