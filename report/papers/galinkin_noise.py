"""Attacks on random answers in the Galinkin chapter: what they claim, what fresh answers confirm, and at which change."""

from __future__ import annotations

from itertools import product

from experiments.papers.galinkin.readings import ATTACKS, NETWORKS, VICTIMS
from experiments.records import Store
from report.figures.curves import Curves
from report.figures.looks import BLUE, GREEN, INK, OPEN, ORANGE, PURPLE, VERMILLION, Looks, look
from report.figures.panels import TO_100
from report.figures.sliders import Slider
from report.forests import Row, Rows
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES
from report.papers.galinkin import DATASETS, PAPER
from report.tables import Table, row, table

CLAIMED = Looks(
    "count",
    {
        "found": look("claimed by the attack", VERMILLION, "o", **OPEN),
        "success_vote": look("confirmed: vote of fresh answers", BLUE, "o"),
    },
)
# How a victim answers, and whether the attack knows that answers are random.
VICTIM_LOOKS = Looks(
    "victim",
    {
        "plain": look("plain network", BLUE, "o", "-"),
        "off": look("dropout off", INK, "D", "-."),
        "mean": look("mean of T, naive", VERMILLION, "s", "--"),
        "mean_aware": look("mean of T, aware", ORANGE, "^", "-"),
        "one_draw": look("one draw, naive", PURPLE, "v", "--"),
        "one_draw_aware": look("one draw, aware", GREEN, "P", "-"),
    },
)
# Where an attack on each of them is.
SEEN = {key: f"{key}:{{at}}/bayesian/{{attack}}" for key in VICTIM_LOOKS} | {"plain": "mean:{at}/plain/{attack}"}
# Which scans are looked at: as coded, on pixels of the right scale, and ended after a few iterations.
SCANNED = {
    ("0 to 255", "as drawn"): "scanned:{at}?",
    ("0 to 1", "as drawn"): "scanned:{at}?scale=unit&",
    ("0 to 255", "at most 10"): "coded:{at}?longest=10&",
}

NOISE: Rows = {
    f"{ATTACK_NAMES[attack]}, {DATASET_NAMES[dataset]}, LeNet-5: images fooled (%)": [
        Row(
            VICTIM_LOOKS[key]["label"],
            {name: f"{at.format(at=f'{dataset}/lenet5', attack=attack)}?{name}" for name in CLAIMED},
        )
        for key, at in SEEN.items()
    ]
    for dataset, attack in product(DATASETS, ATTACKS)
}


# --- curves ---------------------------------------------------------------------------------------------------------------


def _seen(attack: str, title: str = "") -> dict[str, dict[str, str]]:
    return {
        f"{title}{DATASET_NAMES[dataset]}, {NETWORK_NAMES[network]}": {
            key: at.format(at=f"{dataset}/{network}", attack=attack) for key, at in SEEN.items()
        }
        for dataset, network in product(DATASETS, NETWORKS)
    }


def _limits(attack: str, norm: str) -> Curves:
    """Success within a limit on the change, by the vote of fresh answers."""
    return Curves(
        lines=_seen(attack),
        x="limit",
        y="success_within",
        looks=VICTIM_LOOKS,
        xlabel=rf"limit on the change ($\ell_{norm}$, images in [0, 1])",
        ylabel="success within the limit (%)",
        settings={"xscale": "symlog", "ylim": TO_100},
    )


LIMITS, LIMITS_BOUNDARY = _limits("hop_skip_jump", r"\infty"), _limits("boundary", "2")
# Images for which the attack has found something within the limit, by its own account, against the answers asked for.
ANSWERS = Curves(
    lines={title: one for attack in ATTACKS for title, one in _seen(attack, f"{ATTACK_NAMES[attack]}: ").items()},
    x="answers",
    y="success_by_answers",
    looks=VICTIM_LOOKS,
    xlabel="answers of the victim, for an image (logarithmic)",
    ylabel="claimed within the limit (%)",
    settings={"xscale": "log", "ylim": TO_100},
)
WITHIN = {
    norm: Slider(
        label=f"Limit on the change ({words}, images in [0, 1])",
        told="Images on which the attack succeeds within the limit, by the vote of fresh answers.",
        x="limit",
        y="success_within",
        looks=VICTIM_LOOKS,
        start=start,
    )
    for norm, words, start in (("linf", "ℓ∞", 0.3), ("l2", "ℓ2", 2.0))
}
ANSWERS_SPENT = Slider(
    label="Answers that the attack spends on an image",
    told="Images for which it claims success within the limit; fresh answers may say otherwise.",
    x="answers",
    y="success_by_answers",
    looks=VICTIM_LOOKS,
    start=10_000,
)


# --- downloads ------------------------------------------------------------------------------------------------------------


def noise_table(store: Store) -> Table:
    """Every attack on every victim: what it claims, what a vote confirms, and what it spent."""
    rows = [
        row(
            f"{DATASET_NAMES[dataset]}, {NETWORK_NAMES[network]}",
            ATTACK_NAMES[attack],
            VICTIM_LOOKS[key]["label"],
            at=at.format(at=f"{dataset}/{network}", attack=attack),
        )
        for dataset, network, attack in product(DATASETS, NETWORKS, ATTACKS)
        for key, at in SEEN.items()
    ]
    columns = {
        "Claimed": "{at}?found",
        "By one fresh answer": "{at}?success",
        "By vote": "{at}?success_vote",
        "By vote within the limit": "{at}?success_within",
        "Answers an image": "{at}?answers",
        "Passes an image": "{at}?passes",
    }
    return table(store, PAPER, "Victim,Attack,It answers by", rows, columns)


def scan_table(store: Store) -> Table:
    """The attacks as coded, by whether an attempt had a class to reach, on which scale of pixels and network; and cut short."""
    rows = [
        row(
            f"{DATASET_NAMES[dataset]}, {NETWORK_NAMES[network]}",
            {"plain": "no", "bayesian": "yes"}[victim],
            ATTACK_NAMES[attack],
            *words,
            at=at.format(at=f"{dataset}/{network}/{victim}/{attack}"),
        )
        for dataset, network, victim, attack in product(DATASETS, (*NETWORKS, "lenet5_coded"), VICTIMS, ATTACKS)
        for words, at in SCANNED.items()
    ]
    columns = {
        "Success": "{at}success",
        "Untargeted": "{at}success_untargeted",
        "Targeted": "{at}success_targeted",
        "First label right": "{at}first_label_right",
    }
    return table(store, PAPER, "Network,Dropout in training,Attack,Pixels,Iterations", rows, columns)
