"""Membership in the Galinkin chapter: what follows from his own way to count, and what leaks."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from statistics import NormalDist

from experiments import published
from experiments.address import reading
from experiments.judging import by_number
from experiments.papers.galinkin.readings import NETWORKS
from experiments.records import Store
from lib import data
from lib.metrics import Interval
from report.figures.curves import Curves
from report.figures.looks import Looks
from report.figures.scatter import Point
from report.names import DATASET_NAMES, WORDS, called
from report.numbers import percent
from report.papers.galinkin import DATASETS, PAPER
from report.tables import Table, records_at, row, table

# The share of members among all training and test images.
MEMBERS = {name: data.SIZES[name][0] / sum(data.SIZES[name]) for name in DATASETS}
OVERFITTED = (
    "cifar10/lenet5/plain/membership"  # whose area is the one that the paper prints (section 4), in whole percent
)
PRINTED_AREA = 64.0
PRINTED = {
    name: row.value
    for name, row in published.load(PAPER).items()
    if name.endswith("/membership") and name.count("/") == 3
}
COUNTED = Looks.declared(PAPER, "counted")
# --- the count ------------------------------------------------------------------------------------------------------------

COUNTS = {
    dataset: {
        key: "{0}:{dataset}/{1}/membership".format(*key.split("/"), dataset=dataset)
        for key in COUNTED
        if key != "printed"
    }
    for dataset in MEMBERS
}


def counted(store: Store) -> dict[str, list[Point]]:
    """The code's accuracy against how often "member" is said, a mark a record, in percent; his where nothing is told.

    An attack that cannot tell members from others lies on `nothing_told`; a record stands above it by 2 w (1 - w) (TPR - FPR).
    """
    found = {}
    for dataset, w in MEMBERS.items():
        pairs = [
            (key, one.measurements["tpr"], one.measurements["fpr"])
            for key, address in COUNTS[dataset].items()
            for one in records_at(store, PAPER, address)
        ]
        points = [(key, w * tpr + (1 - w) * fpr, w * tpr + (1 - w) * (100 - fpr)) for key, tpr, fpr in pairs]
        printed = [value for name, value in PRINTED.items() if name.startswith(dataset)]
        points += [("printed", equal_rates(dataset, value), value) for value in printed]
        found[DATASET_NAMES[dataset]] = [Point(key, Interval(x, x, x, 1), Interval(y, y, y, 1)) for key, x, y in points]
    return found


def nothing_told() -> dict[str, tuple[tuple[float, float], tuple[float, float]]]:
    """Where an attack lies that cannot tell members from others, by title of a panel: from never to always saying "member"."""
    # a = w r + (1 - w) (1 - r)
    return {DATASET_NAMES[name]: ((0, 100), (100 * (1 - w), 100 * w)) for name, w in MEMBERS.items()}


def counted_data(found: Mapping[str, list[Point]]) -> Table:
    """The numbers behind the figure of the count, one line a mark."""
    rows = [
        [title, COUNTED[one.key]["label"], f"{one.x.mean:.6g}", f"{one.y.mean:.6g}"]
        for title, points in found.items()
        for one in points
    ]
    return Table(["panel", "victim", "says_member", "accuracy_as_coded"], rows)


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


def _implied(_: Store, rounded: float) -> str:
    return f"{implied_signal('cifar10', PRINTED[OVERFITTED], PRINTED_AREA + rounded):.1f}"


def _as_coded(store: Store) -> list[bool]:
    """Whether each of LeNet-5's numbers that is on record as coded agrees with the printed one."""
    found = by_number(store, PAPER, reading(PAPER, "coded")).items()
    return [one.word == "replicated" for id_, one in found if "/lenet5/" in id_ and not id_.endswith("/accuracy")]


DERIVED: Mapping[str, Callable[[Store], str]] = {
    "coded_recorded": lambda store: str(len(_as_coded(store))),
    "coded_within": lambda store: str(sum(_as_coded(store))),
    "honest_area": lambda _: percent(honest_area(PRINTED[OVERFITTED])),
    "implied_signal_low": partial(_implied, rounded=0.5),
    "implied_signal_high": partial(_implied, rounded=-0.5),
    "equal_rates": lambda _: percent(equal_rates("mnist", PRINTED["mnist/lenet5/plain/membership"])),
}


# --- what leaks -----------------------------------------------------------------------------------------------------------

ROC_LOOKS = Looks.declared(PAPER, "network")
# As in his Figures 2 and 3.
ROC = Curves.declared(
    PAPER,
    "roc",
    lines={called(name): {key: f"text:{name}/{key}/membership" for key in ROC_LOOKS} for name in DATASETS},
    looks=ROC_LOOKS,
)


def posterior_table(store: Store) -> Table:
    """Membership of Bayesian victims by what the attack network sees of their answers."""
    rows = [
        row(
            called(dataset, network),
            words,
            at=f"{name}:{dataset}/{network}/bayesian/membership",
        )
        for dataset, network, (name, words) in product(DATASETS, NETWORKS, WORDS["posteriors"].items())
    ]
    columns = {
        "Accuracy": "{at}",
        "AUC": "{at}?auc",
        "Advantage": "{at}?advantage",
        "TPR at 1 % FPR": "{at}?tpr_at_1pct",
        "TPR at 0.1 % FPR": "{at}?tpr_at_01pct",
    }
    return table(store, PAPER, "Victim,The attack sees", rows, columns)
