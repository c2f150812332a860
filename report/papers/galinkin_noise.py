"""Attacks on random answers in the Galinkin chapter: what they claim, what fresh answers confirm, and at which change."""

from itertools import product

from experiments.papers.galinkin.readings import ATTACKS, NETWORKS
from report.figures.curves import Curves
from report.figures.forest import Row, Rows
from report.figures.looks import Looks
from report.names import called
from report.papers.galinkin import DATASETS, PAPER

CLAIMED = Looks.declared(PAPER, "count")
VICTIM_LOOKS = Looks.declared(PAPER, "answer")
# Where an attack on each of them is.
SEEN = {key: f"{key}:{{at}}/bayesian/{{attack}}" for key in VICTIM_LOOKS} | {"plain": "mean:{at}/plain/{attack}"}


def _seen(attack: str, at: str) -> dict[str, str]:
    """The address of each of them, by the key of its look."""
    return {key: address.format(at=at, attack=attack) for key, address in SEEN.items()}


def _noise(dataset: str, attack: str) -> list[Row]:
    seen = _seen(attack, f"{dataset}/lenet5")
    return [Row(VICTIM_LOOKS[key]["label"], {name: f"{at}?{name}" for name in CLAIMED}) for key, at in seen.items()]


NOISE: Rows = {
    f"{called(attack, dataset)}, LeNet-5: images fooled (%)": _noise(dataset, attack)
    for dataset, attack in product(DATASETS, ATTACKS)
}


# --- curves ---------------------------------------------------------------------------------------------------------------


def _by_victim(attack: str, title: str = "") -> dict[str, dict[str, str]]:
    return {f"{title}{called(*one)}": _seen(attack, "/".join(one)) for one in product(DATASETS, NETWORKS)}


LIMITS, LIMITS_BOUNDARY = (
    Curves.declared(PAPER, attack, lines=_by_victim(attack), looks=VICTIM_LOOKS)
    for attack in ("hop_skip_jump", "boundary")
)
ANSWERS = Curves.declared(
    PAPER,
    "answers",
    lines={title: one for attack in ATTACKS for title, one in _by_victim(attack, f"{called(attack)}: ").items()},
    looks=VICTIM_LOOKS,
)
