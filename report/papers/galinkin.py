"""What the Galinkin chapter shows, as addresses: the rows of its forest plots, the lines of its curves, and how they look."""

from collections.abc import Mapping
from itertools import product

from experiments.address import reading
from experiments.papers.galinkin.readings import ATTACKS, NETWORKS, VICTIMS
from report.figures.forest import Row, Rows, beside
from report.figures.looks import BLUE, GREEN, OPEN, VERMILLION, Looks, look
from report.figures.specification import Question, Way
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES, QUANTITY_NAMES, VICTIM_NAMES

PAPER = "galinkin"
READINGS = ("text", "coded", "reduced")  # whose records stand for a number on the first page: the first that has any
DATASETS = ("mnist", "cifar10")
# One change each from membership inference as written; those of Bayesian victims alone: with dropout as rare as in the membership
# code these can be overfitted too.
HYPOTHESES_TRIED = ("text", "same", "raw", "inverted", "overfitted", "overfitted_rare", "overfitted_rare_spread")


# What stands beside a printed number; open marks are of `reduced`.
_READ = {
    "text": look("ours: as written", BLUE, "o"),
    "coded": look("ours: as coded", VERMILLION, "s"),
    "limit": look("ours: within a limit", GREEN, "^"),
}
READ = Looks(
    "reading",
    _READ
    | {f"{name}_reduced": one | OPEN | {"label": f"{one['label']}, reduced"} for name, one in _READ.items()}
    | {"rare": look("ours: dropout 0.05", GREEN, "^")},
)
KINDS = Looks("victim", {"plain": look("plain", BLUE, "o"), "bayesian": look("Bayesian", VERMILLION, "s")})


def _victim(network: str, victim: str) -> str:
    return f"{NETWORK_NAMES[network]}, {VICTIM_NAMES[victim]}"


def _membership(dataset: str) -> list[Row]:
    return [
        beside(
            f"{dataset}/{network}/{victim}/membership",
            "text",
            "coded",
            claim=f"text:{dataset}-{network}-membership" if victim == "bayesian" else "",
            label=_victim(network, victim),
        )
        for network, victim in product(NETWORKS, VICTIMS)
    ]


MEMBERSHIP: Rows = {
    **{f"{DATASET_NAMES[dataset]}: membership accuracy (%)": _membership(dataset) for dataset in DATASETS},
    "Means over networks (his Table 2)": [
        beside(
            f"{dataset}/{victim}/membership", "text", "coded", label=f"{DATASET_NAMES[dataset]}, {VICTIM_NAMES[victim]}"
        )
        for dataset, victim in product(DATASETS, VICTIMS)
    ],
}


def _evasion(dataset: str, attack: str) -> list[Row]:
    """Where nothing is random there is no noise to know of; ResNet-18 was attacked at `reduced`."""
    rows = []
    for network, victim in product(NETWORKS, VICTIMS):
        id_ = f"{dataset}/{network}/{victim}/{attack}"
        small = "_reduced" if network == "resnet18" else ""
        limited = f"{'mean_aware' if victim == 'bayesian' else 'mean'}:{id_}?success_within"
        found = {
            f"text{small}": f"{'reduced' if small else 'text'}:{id_}",
            f"coded{small}": f"coded{small}:{id_}",
            f"limit{small}": limited,
        }
        claim = f"text:{dataset}-{network}-{attack.replace('_', '-')}" if victim == "bayesian" else ""
        rows.append(Row(_victim(network, victim), found, id_, claim))
    return rows


EVASION: Rows = {
    **{
        f"{DATASET_NAMES[dataset]}, {ATTACK_NAMES[attack]}: success (%)": _evasion(dataset, attack)
        for dataset, attack in product(DATASETS, ATTACKS)
    },
    "Means over victims (his Table 3)": [
        beside(
            f"{dataset}/{attack}",
            "text_reduced=reduced",
            "coded_reduced",
            label=f"{DATASET_NAMES[dataset]}, {ATTACK_NAMES[attack]}",
        )
        for dataset, attack in product(DATASETS, ATTACKS)
    ],
}


def _accuracy(dataset: str, network: str, victim: str) -> Row:
    id_ = f"{dataset}/{network}/{victim}/accuracy"
    found: Mapping[str, str] = {"text": f"text:{id_}", "coded": f"coded:{id_}"}
    if network == "resnet18":
        found = {"text": f"text:{dataset}/{network}/{victim}/membership?accuracy", "coded": f"coded:{id_}"}
    if victim == "bayesian":
        found = {**found, "rare": f"rare:{dataset}/{network}/{victim}/membership?accuracy"}
    return Row(_victim(network, victim), found, id_)


ACCURACY: Rows = {
    f"{DATASET_NAMES[dataset]}: test accuracy (%)": [_accuracy(dataset, *one) for one in product(NETWORKS, VICTIMS)]
    for dataset in DATASETS
}

# A LeNet-5 that is trained until it has the accuracy that he prints, and what nobody's attack would have had of it.
CONTROLLED = Looks(
    "measured",
    {
        "matched": look("ours: at his accuracy", BLUE, "o"),
        "noise": look("noise of the same size", VERMILLION, "s"),
        "nothing": look("no attack", GREEN, "^"),
    },
)


def _controlled(dataset: str, quantity: str, victim: str) -> Row:
    id_ = f"{dataset}/lenet5/{victim}/{quantity}"
    found = {"matched": f"matched:{id_}"}
    if quantity in ATTACKS:
        found |= {"noise": f"matched:{id_}?success_noise", "nothing": f"matched:{id_}?success_no_attack"}
    return Row(f"{QUANTITY_NAMES[quantity]}, {VICTIM_NAMES[victim]}", found, id_)


MATCHED: Rows = {
    f"{DATASET_NAMES[dataset]}, LeNet-5 (%)": [
        _controlled(dataset, *one) for one in product(("accuracy", "membership", *ATTACKS), VICTIMS)
    ]
    for dataset in DATASETS
}

HYPOTHESES: Rows = {
    f"{DATASET_NAMES[dataset]}, LeNet-5: membership accuracy (%)": [
        Row(
            reading(PAPER, name).title,
            {
                victim: f"{name}:{dataset}/lenet5/{victim}/membership"
                for victim in (("bayesian",) if "rare" in name else VICTIMS)
            },
        )
        for name in HYPOTHESES_TRIED
    ]
    for dataset in DATASETS
}

# Whether the Bayesian network leaks more, in every way in which it was asked.
ASKED = {
    "as written": "text",
    "as coded": "coded",
    "dropout 0.05": "rare",
    "trained as the membership code": "membership_code",
    "overfitted": "overfitted",
}
QUESTION = Question(
    [
        Way(
            {"data": DATASET_NAMES[dataset], "network": NETWORK_NAMES[network], "how": how, "counted": counted},
            f"{name}:{dataset}/{network}/bayesian/membership?{measured}"
            f" - {'text' if name == 'rare' else name}:{dataset}/{network}/plain/membership?{measured}",
        )
        for dataset, network in product(DATASETS, NETWORKS)
        for how, name in ASKED.items()
        for counted, measured in {"balanced": "membership", "as the code counts": "membership_as_coded"}.items()
    ],
    printed=[
        (f"{dataset}/{network}/bayesian/membership", f"{dataset}/{network}/plain/membership")
        for dataset, network in product(DATASETS, NETWORKS)
    ],
    ylabel="Bayesian − plain: accuracy (points)",
)
