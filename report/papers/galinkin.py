"""What the Galinkin chapter shows, as addresses: the rows of its forest plots, the lines of its curves, and how they look."""

from itertools import product

from experiments.address import reading
from experiments.papers.galinkin.readings import ATTACKS, NETWORKS, VICTIMS
from report.figures.forest import Row, Rows, beside
from report.figures.looks import Looks
from report.figures.specification import Question, Way
from report.names import DATASET_NAMES, NETWORK_NAMES, QUANTITY_NAMES, VICTIM_NAMES, called

PAPER = "galinkin"
READINGS = ("text", "coded", "reduced")  # whose records stand for a number on the first page: the first that has any
DATASETS = ("mnist", "cifar10")
# One change each from membership inference as written; those of Bayesian victims alone: with dropout as rare as in the membership
# code these can be overfitted too.
HYPOTHESES_TRIED = ("text", "same", "raw", "inverted", "overfitted", "overfitted_rare", "overfitted_rare_spread")
# What stands beside a printed number; open marks are of `reduced`.
READ = Looks.declared(PAPER, "reading")
KINDS = Looks.declared(PAPER, "victim")
PAIRS = tuple(product(NETWORKS, VICTIMS))


def _claim(dataset: str, network: str, victim: str, quantity: str) -> str:
    """What he claims he claims of Bayesian networks."""
    return f"text:{dataset}-{network}-{quantity.replace('_', '-')}" if victim == "bayesian" else ""


def _membership(dataset: str, network: str, victim: str) -> Row:
    id_, claim = f"{dataset}/{network}/{victim}/membership", _claim(dataset, network, victim, "membership")
    return beside(called(network, victim), id_, ("text", "coded"), claim)


MEMBERSHIP: Rows = {
    **{f"{called(name)}: membership accuracy (%)": [_membership(name, *pair) for pair in PAIRS] for name in DATASETS},
    "Means over networks (his Table 2)": [
        beside(called(*one), f"{'/'.join(one)}/membership", ("text", "coded")) for one in product(DATASETS, VICTIMS)
    ],
}


def _evasion(dataset: str, attack: str, network: str, victim: str) -> Row:
    """Where nothing is random there is no noise to know of; ResNet-18 was attacked at `reduced`."""
    id_, small = f"{dataset}/{network}/{victim}/{attack}", "_reduced" * (network == "resnet18")
    found = {
        f"text{small}": f"{'reduced' if small else 'text'}:{id_}",
        f"coded{small}": f"coded{small}:{id_}",
        f"limit{small}": f"{'mean_aware' if victim == 'bayesian' else 'mean'}:{id_}?success_within",
    }
    return Row(called(network, victim), found, id_, _claim(dataset, network, victim, attack))


ATTACKED = tuple(product(DATASETS, ATTACKS))
EVASION: Rows = {
    **{f"{called(*one)}: success (%)": [_evasion(*one, *pair) for pair in PAIRS] for one in ATTACKED},
    "Means over victims (his Table 3)": [
        beside(called(*one), "/".join(one), ("text_reduced=reduced", "coded_reduced")) for one in ATTACKED
    ],
}


def _accuracy(dataset: str, network: str, victim: str) -> Row:
    id_, asked = (f"{dataset}/{network}/{victim}/{name}" for name in ("accuracy", "membership?accuracy"))
    found = {"text": f"text:{asked if network == 'resnet18' else id_}", "coded": f"coded:{id_}"}
    return Row(called(network, victim), found | ({"rare": f"rare:{asked}"} if victim == "bayesian" else {}), id_)


ACCURACY: Rows = {f"{called(name)}: test accuracy (%)": [_accuracy(name, *pair) for pair in PAIRS] for name in DATASETS}

# A LeNet-5 that is trained until it has the accuracy that he prints, and what nobody's attack would have had of it.
CONTROLLED = Looks.declared(PAPER, "measured")


def _controlled(dataset: str, quantity: str, victim: str) -> Row:
    id_ = f"{dataset}/lenet5/{victim}/{quantity}"
    found = {"matched": f"matched:{id_}"}
    if quantity in ATTACKS:
        found |= {"noise": f"matched:{id_}?success_noise", "nothing": f"matched:{id_}?success_no_attack"}
    return Row(f"{QUANTITY_NAMES[quantity]}, {VICTIM_NAMES[victim]}", found, id_)


MATCHED: Rows = {
    f"{called(dataset)}, LeNet-5 (%)": [
        _controlled(dataset, *one) for one in product(("accuracy", "membership", *ATTACKS), VICTIMS)
    ]
    for dataset in DATASETS
}


def _tried(name: str, dataset: str) -> Row:
    victims = ("bayesian",) if "rare" in name else VICTIMS
    found = {victim: f"{name}:{dataset}/lenet5/{victim}/membership" for victim in victims}
    return Row(reading(PAPER, name).title, found)


HYPOTHESES: Rows = {
    f"{called(dataset)}, LeNet-5: membership accuracy (%)": [_tried(name, dataset) for name in HYPOTHESES_TRIED]
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
