"""What the Galinkin chapter shows of evasion: how attacks fail on random answers, how they succeed, and how the code counts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from statistics import fmean
from typing import Any

from experiments.papers.galinkin import DROPOUT, LONGEST, RARE, Evasion, Membership, Scan
from experiments.papers.galinkin.rows import ATTACKS, NETWORKS, VICTIMS
from experiments.records import Record, Store
from report.numbers import NOT_RUN
from report.papers.galinkin_membership import written
from report.papers.galinkin_pages import DATASETS, LABELS, Panels, are_reduced, named, records
from report.tables import ATTACK_NAMES, Table, of

# How the attacks see a victim with dropout: its answers, and whether the attacker knows that they are random.
SEEN: dict[tuple[str, bool], str] = {
    ("off", False): "dropout off",
    ("mean", False): "mean of T, naive",
    ("mean", True): "mean of T, aware",
    ("one_draw", False): "one draw, naive",
    ("one_draw", True): "one draw, aware",
}

# What of a scan is looked at: as coded, on pixels of the right scale, and ended after a few iterations.
SCANNED: dict[str, dict[str, Any]] = {
    "raw": {"scale": "raw"},
    "unit": {"scale": "unit"},
    "short": {"scale": "raw", "profile": "paper", "longest": LONGEST["reduced"]},
}


def noise_table(store: Store) -> Table:
    """Every attack on every victim: what it claims, what a vote confirms, how far it went, and what it spent."""
    rows = []
    for dataset in DATASETS:
        for network in NETWORKS:
            for attack in ATTACKS:
                for seen, kept in _seen(store, dataset, network, attack).items():
                    if not kept:
                        continue
                    counts = ("found", "success", "success_vote", "success_within")
                    numbers = [of(kept, name) for name in counts]
                    spent = [
                        f"{fmean(record.measurements[name] for record in kept):,.0f}" for name in ("answers", "passes")
                    ]
                    far = [value for r in kept if (value := r.measurements["median_distance"]) >= 0]
                    distance = f"{fmean(far):.2g}" if far else "–"
                    name = "plain" if seen[0] == "none" else SEEN[seen]
                    rows.append([named(dataset, network, kept), ATTACK_NAMES[attack], name, *numbers, distance, *spent])
    head = (
        "Victim,Attack,It answers by,Claimed,By one fresh answer,By vote,By vote within the limit,Median change,"
        "Answers an image,Passes an image"
    )
    return Table(head.split(","), rows or [[NOT_RUN] * 10])


def _seen(store: Store, dataset: str, network: str, attack: str) -> dict[tuple[str, bool], list[Record]]:
    """The records of one attack on a data set and network: the plain victim, and the Bayesian one as `SEEN`."""
    found = {("none", False): records(store, dataset, network, "plain", Evasion, attack=attack)}
    for answers, aware in SEEN:
        found[answers, aware] = records(
            store, dataset, network, "bayesian", Evasion, attack=attack, answers=answers, aware=aware
        )
    return found


def evasion_panels(store: Store, *, attack: str) -> Panels:
    """The records of one attack for the figures: title, then how the victim is seen; victims without any record are left out."""
    found: Panels = {}
    for dataset in DATASETS:
        for network in NETWORKS:
            seen = _seen(store, dataset, network, attack)
            if kept := [record for some in seen.values() for record in some]:
                found[named(dataset, network, kept)] = seen
    return found


def noise_panels(store: Store) -> Panels:
    """Both attacks on the victims that have records of them, one panel each."""
    return {
        f"{ATTACK_NAMES[attack]}: {title}": seen
        for attack in ATTACKS
        for title, seen in evasion_panels(store, attack=attack).items()
    }


def measurements_data(panels: Panels, names: Sequence[str]) -> Table:
    """The measurements behind a figure, one line a record and name."""
    rows = [
        [title, LABELS[key], str(record.config["seed"]), name, f"{record.measurements[name]:.6g}"]
        for title, lines in panels.items()
        for key, kept in lines.items()
        for record in kept
        for name in names
    ]
    return Table(["panel", "victim", "seed", "measurement", "value"], rows or [[NOT_RUN] * 5])


def rates_table(store: Store) -> Table:
    """Bayesian victims by dropout rate and stopping: epochs, accuracy of the mean, success without a limit, and membership."""
    rows = []
    for dataset, network in product(DATASETS, NETWORKS):
        usual = DROPOUT[network]
        trainings = {f"{usual:g}": (usual, 2), f"{RARE:g}": (RARE, 2), f"{usual:g}, never stopped": (usual, 0)}
        for name, (rate, patience) in trainings.items():
            if patience == 0 and network == "lenet5":
                continue  # it has been trained for longer still: see the hypotheses
            one: dict[str, Any] = {"dropout": rate, "patience": patience}
            victim = (store, dataset, network, "bayesian")
            attacked = [records(*victim, Evasion, answers="mean", aware=False, attack=a, **one) for a in ATTACKS]
            judged = records(*victim, Membership, part="target", **written("bayesian", **one))
            kept = attacked[0] or judged
            epochs = f"{fmean(r.measurements['training_epochs'] for r in kept):.0f}" if kept else NOT_RUN
            success = [_of(found, "success") for found in attacked]
            members = [of(judged, "membership"), of(judged, "auc")]
            rows.append([named(dataset, network), name, epochs, _of(kept, "accuracy"), *success, *members])
    head = "Victim,Dropout rate,Epochs,Accuracy of the mean,HopSkipJump,Boundary,Membership,AUC"
    return Table(head.split(","), rows)


def _of(kept: Sequence[Record], name: str) -> str:
    """A measurement, with the profile where it is not the paper's."""
    return of(kept, name) + (", `reduced`" if are_reduced(kept) else "")


def scan_table(store: Store) -> Table:
    """The attacks as coded, by whether an attempt had a class to reach, on which scale of pixels and network; and cut short."""
    rows = []
    for dataset, network, victim, attack in product(DATASETS, ("lenet5", "lenet5_coded", "resnet18"), VICTIMS, ATTACKS):
        for changes in SCANNED.values():
            kept = records(store, dataset, network, victim, Scan, attack=f"{attack}_scan", **changes)
            planned = network == "lenet5_coded" and dataset == "mnist" and changes == SCANNED["raw"]
            if kept or planned:
                counts = ("success", "success_untargeted", "success_targeted", "first_label_right")
                dropout = {"plain": "no", "bayesian": "yes"}[victim]
                name = named(dataset, network, kept)
                pixels = {"raw": "0 to 255", "unit": "0 to 1"}[changes["scale"]]
                longest = kept[0].config["longest"] if kept else 0
                iterations = f"at most {longest}" if longest else "as drawn"
                row = [name, dropout, ATTACK_NAMES[attack], pixels, iterations]
                rows.append([*row, *(of(kept, one) for one in counts)])
    head = "Network,Dropout in training,Attack,Pixels,Iterations,Success,Untargeted,Targeted,First label right"
    return Table(head.split(","), rows or [[NOT_RUN] * 9])
