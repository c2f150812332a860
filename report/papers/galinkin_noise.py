"""Attacks on random answers in the Galinkin chapter: what they claim, what fresh answers confirm, and at which change."""

from itertools import product

from experiments.papers.galinkin.readings import ATTACKS, NETWORKS
from report.figures.curves import Curves, Slider
from report.figures.forest import Row, Rows
from report.figures.looks import BLUE, GREEN, INK, OPEN, ORANGE, PURPLE, VERMILLION, Looks, look
from report.figures.panels import TO_100
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES
from report.papers.galinkin import DATASETS

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


def _limits(attack: str, norm: str, words: str, start: float) -> Curves:
    """Success within a limit on the change, by the vote of fresh answers."""
    return Curves(
        lines=_seen(attack),
        x="limit",
        y="success_within",
        looks=VICTIM_LOOKS,
        xlabel=rf"limit on the change ($\ell_{norm}$, images in [0, 1])",
        ylabel="success within the limit (%)",
        settings={"xscale": "symlog", "ylim": TO_100},
        slider=Slider(
            f"Limit on the change ({words}, images in [0, 1])",
            "Images on which the attack succeeds within the limit, by the vote of fresh answers.",
            start,
        ),
    )


LIMITS = _limits("hop_skip_jump", r"\infty", "ℓ∞", 0.3)
LIMITS_BOUNDARY = _limits("boundary", "2", "ℓ2", 2.0)
# Images for which the attack has found something within the limit, by its own account, against the answers asked for.
ANSWERS = Curves(
    lines={title: one for attack in ATTACKS for title, one in _seen(attack, f"{ATTACK_NAMES[attack]}: ").items()},
    x="answers",
    y="success_by_answers",
    looks=VICTIM_LOOKS,
    xlabel="answers of the victim, for an image (logarithmic)",
    ylabel="claimed within the limit (%)",
    settings={"xscale": "log", "ylim": TO_100},
    slider=Slider(
        "Answers that the attack spends on an image",
        "Images for which it claims success within the limit; fresh answers may say otherwise.",
        start=10_000,
    ),
)
