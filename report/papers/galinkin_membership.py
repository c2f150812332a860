"""What the Galinkin chapter shows of membership: what leaks, what could explain the published accuracies, and how they arise."""

from __future__ import annotations

from itertools import product
from statistics import NormalDist, fmean
from typing import Any

from experiments import published
from experiments.papers.galinkin import MEMBERSHIP_CODE, OVERFITTED, RARE, Membership
from experiments.papers.galinkin.rows import NETWORKS, VICTIMS
from experiments.records import Record, Store
from lib import data
from report.numbers import NOT_RUN
from report.papers.galinkin_pages import DATASETS, PAPER, VICTIM_NAMES, Panels, named, records, victim_of
from report.tables import DATASET_NAMES, Table, of

# The share of members among all training and test images.
MEMBERS = {name: data.SIZES[name][0] / sum(data.SIZES[name]) for name in DATASETS}
PRINTED_AREA = 64.0  # the one that the paper prints (section 4), in whole percent: LeNet-5 on CIFAR-10
# One change each from membership inference as written.
HYPOTHESES: dict[str, dict[str, Any]] = {
    "as written": {},
    "shadow trained on the target's own images": {"shadow": "same"},
    "target asked about pixels of 0 to 255": {"inputs": "raw"},
    "non-members from another distribution": {"nonmembers": "inverted"},
    "trained for 100 epochs, never stopped": OVERFITTED,
}
# Of a Bayesian victim alone: with dropout as rare as in the membership code it can be overfitted too.
RARELY: dict[str, dict[str, Any]] = {
    "so, with dropout 0.05": {**OVERFITTED, "dropout": RARE},
    "so, and the spread over the draws is seen": {**OVERFITTED, "dropout": RARE, "features": "top3_spread"},
}
# By which of his two repositories the target that is attacked as coded is trained.
TRAINED: dict[str, dict[str, Any]] = {"evasion": {"patience": 2}, "membership": MEMBERSHIP_CODE}
# What of a Bayesian victim's answers the attack network sees.
POSTERIORS: dict[str, dict[str, Any]] = {
    "dropout off": {"answers": "off"},
    "one draw": {"answers": "one_draw"},
    "mean of T draws": {"answers": "mean"},
    "mean, and spread over the draws": {"answers": "mean", "features": "top3_spread"},
}


def written(victim: str, **changes: Any) -> dict[str, Any]:
    """What tells the membership cells as written from all others, with some settings changed."""
    usual = {"adversary": "salem", "features": "top3", "shadow": "disjoint", "inputs": "unit", "nonmembers": "test"}
    return {**usual, "patience": 2, "answers": "mean" if victim == "bayesian" else "off", **changes}


def coded(victim: str, trained: str = "evasion") -> dict[str, Any]:
    """What tells the membership cells as coded from all others, by a name of `TRAINED`."""
    rare = {"dropout": RARE} if trained == "membership" and victim == "bayesian" else {}
    return {"adversary": "as_coded", **TRAINED[trained], **rare}


def hypotheses_table(store: Store) -> Table:
    """What could lift the accuracy of membership inference, each alone, on LeNet-5."""
    rows = []
    columns = ("membership", "auc", "tpr_at_1pct", "tpr_at_01pct", "odds_auc", "control", "membership_as_coded")
    for dataset, victim in product(DATASETS, VICTIMS):
        for name, changes in {**HYPOTHESES, **(RARELY if victim == "bayesian" else {})}.items():
            wanted = {"part": "target", **written(victim, **changes)}
            kept = records(store, dataset, "lenet5", victim, Membership, **wanted)
            title = f"{DATASET_NAMES[dataset]}, {VICTIM_NAMES[victim]}"
            gap = [record.measurements["train_accuracy"] - record.measurements["accuracy"] for record in kept]
            shown = f"{fmean(gap):.1f}" if gap else NOT_RUN
            rows.append([title, name, *(of(kept, one) for one in columns), shown])
    head = "LeNet-5,Setting,Accuracy,AUC,TPR at 1 % FPR,TPR at 0.1 % FPR,AUC of log-odds,Control,Scored as coded,Train − test"
    return Table(head.split(","), rows)


def coded_table(store: Store) -> Table:
    """The accuracy of the code taken apart: how often it says member of members and of others, and what one makes of that."""
    printed, rows = published.load(PAPER), []
    columns = ("tpr", "fpr", "membership_as_coded", "membership", "auc", "auc_as_coded")
    for dataset, network, victim in product(DATASETS, NETWORKS, VICTIMS):
        text = printed[f"{dataset}/{network}/{victim}/membership"].text
        for trained in TRAINED if network == "lenet5" else ["evasion"]:
            kept = records(store, dataset, network, victim, Membership, **coded(victim, trained))
            name = f"{named(dataset, network, kept)}, {VICTIM_NAMES[victim]}"
            rows.append([name, trained, *(of(kept, one) for one in columns), text])
    head = (
        "Victim,Trained by the code of,Says member: of members,of others,Accuracy as coded,Balanced accuracy,AUC,"
        "AUC as coded,Paper's accuracy"
    )
    return Table(head.split(","), rows)


def posterior_table(store: Store) -> Table:
    """Membership of Bayesian victims by what the attack network sees of their answers."""
    rows = []
    for dataset in DATASETS:
        for network in NETWORKS:
            for name, changes in POSTERIORS.items():
                wanted = written("bayesian", **changes)
                kept = records(store, dataset, network, "bayesian", Membership, part="target", **wanted)
                columns = ("membership", "auc", "advantage", "tpr_at_1pct", "tpr_at_01pct")
                rows.append([named(dataset, network, kept), name, *(of(kept, one) for one in columns)])
    head = "Victim,The attack sees,Accuracy,AUC,Advantage,TPR at 1 % FPR,TPR at 0.1 % FPR"
    return Table(head.split(","), rows)


def roc_panels(store: Store) -> Panels:
    """The ROC of membership inference as written, four victims a data set as in his Figures 2 and 3."""
    found: Panels = {}
    for dataset in DATASETS:
        lines = {
            (network, victim == "bayesian"): records(
                store, dataset, network, victim, Membership, part="target", **written(victim)
            )
            for network in NETWORKS
            for victim in VICTIMS
        }
        found[DATASET_NAMES[dataset]] = lines
    return found


def counted_panels(store: Store) -> Panels:
    """The records of both networks, by procedure and whether the victim is Bayesian, one panel a data set."""
    found: Panels = {}
    for dataset in DATASETS:
        lines: dict[Any, list[Record]] = {}
        for victim in VICTIMS:
            one = {"written": {"part": "target", **written(victim)}, "coded": coded(victim)}
            for name, wanted in one.items():
                kept = (records(store, dataset, network, victim, Membership, **wanted) for network in NETWORKS)
                lines[name, victim == "bayesian"] = [record for some in kept for record in some]
        found[DATASET_NAMES[dataset]] = lines
    return found


def members_by_panel() -> dict[str, float]:
    """The share of members among all judged images, by title of a panel."""
    return {DATASET_NAMES[name]: share for name, share in MEMBERS.items()}


def printed_by_panel() -> dict[str, list[tuple[float, float]]]:
    """His accuracies, each after the rate of "member" that gives it without telling anything apart, by title of a panel."""
    found: dict[str, list[tuple[float, float]]] = {DATASET_NAMES[name]: [] for name in DATASETS}
    for name, row in accuracies().items():
        dataset = name.split("/")[0]
        found[DATASET_NAMES[dataset]].append((equal_rates(dataset, row.value), row.value))
    return found


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


def equal_rates_table() -> Table:
    """His accuracies of membership inference, and the rate of "member" that gives each without telling anything apart."""
    rows = []
    for name, row in accuracies().items():
        rows.append([victim_of(name)[0], row.text, f"{equal_rates(name.split('/')[0], row.value):.1f}"])
    return Table(["Victim", "Paper's accuracy", "Says member, of all images"], rows)
