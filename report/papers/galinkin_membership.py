"""What the Galinkin chapter shows of membership: what leaks, what could explain his accuracies, and how they arise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from statistics import NormalDist

from experiments import published
from experiments.address import reading
from experiments.judging import by_number
from experiments.papers.galinkin.readings import NETWORKS, VICTIMS
from experiments.records import Store
from lib import data
from report.names import DATASET_NAMES, NETWORK_NAMES
from report.numbers import NOT_RUN, percent
from report.papers.galinkin import DATASETS, PAPER
from report.tables import Panels, Table, panels_at, records_at, row, table

# The share of members among all training and test images.
MEMBERS = {name: data.SIZES[name][0] / sum(data.SIZES[name]) for name in DATASETS}
OVERFITTED = (
    "cifar10/lenet5/plain/membership"  # whose area is the one that the paper prints (section 4), in whole percent
)
PRINTED_AREA = 64.0
# What of a Bayesian victim's answers the attack network sees.
POSTERIORS = {
    "dropout off": "off",
    "one draw": "one_draw",
    "mean of T draws": "text",
    "mean, and spread over the draws": "spread",
}


# --- tables -----------------------------------------------------------------------------------------------------------


def posterior_table(store: Store) -> Table:
    """Membership of Bayesian victims by what the attack network sees of their answers."""
    rows = [
        row(
            f"{DATASET_NAMES[dataset]}, {NETWORK_NAMES[network]}",
            words,
            at=f"{name}:{dataset}/{network}/bayesian/membership",
        )
        for dataset, network, (words, name) in product(DATASETS, NETWORKS, POSTERIORS.items())
    ]
    columns = {
        "Accuracy": "{at}",
        "AUC": "{at}?auc",
        "Advantage": "{at}?advantage",
        "TPR at 1 % FPR": "{at}?tpr_at_1pct",
        "TPR at 0.1 % FPR": "{at}?tpr_at_01pct",
    }
    return table(store, PAPER, "Victim,The attack sees", rows, columns)


# --- figures --------------------------------------------------------------------------------------------------------------


def roc_panels(store: Store) -> Panels:
    """The ROC of membership inference as written, four victims a data set as in his Figures 2 and 3."""
    addresses = {
        DATASET_NAMES[dataset]: {
            (network, victim == "bayesian"): f"text:{dataset}/{network}/{victim}/membership"
            for network, victim in product(NETWORKS, VICTIMS)
        }
        for dataset in DATASETS
    }
    return panels_at(store, PAPER, addresses, empty=True)


def counted_panels(store: Store) -> Panels:
    """The records of both networks, by procedure and whether the victim is Bayesian, one panel a data set."""
    addresses = {
        DATASET_NAMES[dataset]: {
            (name, victim == "bayesian"): f"{at}:{dataset}/{victim}/membership"
            for victim, (name, at) in product(VICTIMS, {"written": "text", "coded": "coded"}.items())
        }
        for dataset in DATASETS
    }
    return panels_at(store, PAPER, addresses, empty=True)


def members_by_panel() -> dict[str, float]:
    """The share of members among all judged images, by title of a panel."""
    return {DATASET_NAMES[name]: share for name, share in MEMBERS.items()}


def printed_by_panel() -> dict[str, list[tuple[float, float]]]:
    """His accuracies, each after the rate of "member" that gives it without telling anything apart, by title of a panel."""
    return {
        DATASET_NAMES[dataset]: [
            (equal_rates(dataset, row.value), row.value)
            for name, row in accuracies().items()
            if name.startswith(f"{dataset}/")
        ]
        for dataset in DATASETS
    }


def _watched_loss(store: Store, dataset: str) -> str:
    """What early stopping watched of a ResNet-18 with dropout off."""
    kept = records_at(store, PAPER, f"off:{dataset}/resnet18/bayesian/membership")
    losses = next((record.curves["watched_loss"] for record in kept if "watched_loss" in record.curves), [])
    return ", ".join(f"{loss:.1f}" for loss in losses) or NOT_RUN


# --- what follows from his numbers ----------------------------------------------------------------------------------------


def accuracies() -> dict[str, published.Published]:
    """His accuracies of membership inference, one a victim, by their published ids."""
    printed = published.load(PAPER)
    return {name: row for name, row in printed.items() if name.endswith("/membership") and name.count("/") == 3}


def equal_rates(dataset: str, accuracy: float) -> float:
    """How often an attack that cannot tell members says "member" if the code gives it `accuracy`, both in percent.

    The share w of the judged images are members, and "member" is said of the share r of these and of the others.
    """
    w = MEMBERS[dataset]
    # a = w r + (1 - w)(1 - r)  =>  r = (a - (1 - w)) / (2 w - 1)
    return 100 * (accuracy / 100 - (1 - w)) / (2 * w - 1)


def implied_signal(dataset: str, accuracy: float, area: float) -> float:
    """TPR - FPR in points of an attack that has, as the code counts, this accuracy and this area, all in percent."""
    w = MEMBERS[dataset]
    # a = w TPR + (1 - w)(1 - FPR),  A = (TPR + FPR) / 2  =>  TPR - FPR = 2 (a - w A - (1 - w)(1 - A))
    return 2 * (accuracy - w * area - (1 - w) * (100 - area))


def honest_area(accuracy: float) -> float:
    """The area under the ROC curve, in percent, of normal scores of equal spread whose best balanced accuracy is this one."""
    # accuracy = Phi(d / 2),  area = Phi(d / sqrt 2)
    normal = NormalDist()
    return 100 * normal.cdf(2**0.5 * normal.inv_cdf(accuracy / 100))


def _equal_rates(_: Store, name: str) -> str:
    return percent(equal_rates(name.split("/")[0], accuracies()[name].value))


def _implied(_: Store, rounded: float) -> str:
    return f"{implied_signal('cifar10', accuracies()[OVERFITTED].value, PRINTED_AREA + rounded):.1f}"


def _as_coded(store: Store) -> list[bool]:
    """Whether each of LeNet-5's numbers that is on record as coded agrees with the printed one."""
    found = by_number(store, PAPER, reading(PAPER, "coded")).items()
    return [one.word == "replicated" for id_, one in found if "/lenet5/" in id_ and not id_.endswith("/accuracy")]


DERIVED: Mapping[str, Callable[[Store], str]] = {
    "coded_recorded": lambda store: str(len(_as_coded(store))),
    "coded_within": lambda store: str(sum(_as_coded(store))),
    "honest_area": lambda _: percent(honest_area(accuracies()[OVERFITTED].value)),
    "implied_signal_low": partial(_implied, rounded=0.5),
    "implied_signal_high": partial(_implied, rounded=-0.5),
    "watched_loss/mnist": partial(_watched_loss, dataset="mnist"),
    **{f"equal_rates/{name.removesuffix('/membership')}": partial(_equal_rates, name=name) for name in accuracies()},
}
