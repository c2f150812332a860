"""The curves of the Galinkin chapter, and what readers download: how attacks fail on random answers, and the scans by aim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from statistics import fmean
from typing import Any

from experiments.address import reading
from experiments.papers.galinkin.readings import ATTACKS, NETWORKS, VICTIMS
from experiments.records import Record, Store
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES
from report.papers import galinkin_figures as figures
from report.papers.galinkin import DATASETS, PAPER
from report.papers.galinkin_membership import posterior_table
from report.tables import (
    Column,
    Panels,
    Row,
    Table,
    data_behind,
    mean_as,
    panels_at,
    points_of,
    records_at,
    row,
    table,
    values_at,
)

# How the attacks see a victim with dropout, by its answers and whether the attacker knows that they are random: readings.
SEEN = {
    ("off", False): "off",
    ("mean", False): "mean",
    ("mean", True): "mean_aware",
    ("one_draw", False): "one_draw",
    ("one_draw", True): "one_draw_aware",
}
DROPPED = {"plain": "no", "bayesian": "yes"}  # whether a victim has dropout
# Which scans are looked at: as coded, on pixels of the right scale, and ended after a few iterations.
SCANNED = {
    "scanned:{victim}": "0 to 255",
    "scanned:{victim}?scale=unit": "0 to 1",
    "coded:{victim}?longest=10": "0 to 255",
}

# As in the figures.
LABELS = {
    key: look["label"] for looks in (figures.VICTIMS, figures.NETWORKS, figures.COUNTED) for key, look in looks.items()
}


def named(dataset: str, network: str, kept: Sequence[Record] = ()) -> str:
    """A victim's data set and network, with the profile where it is not the paper's."""
    return f"{DATASET_NAMES[dataset]}, {NETWORK_NAMES[network]}" + (", reduced" if are_reduced(kept) else "")


def are_reduced(kept: Sequence[Record]) -> bool:
    """Whether there are records, and of `reduced`."""
    return bool(kept) and kept[0].config["profile"] == "reduced"


def seen_at(dataset: str, network: str, attack: str) -> dict[tuple[str, bool], str]:
    """Where one attack on a data set and network is: on the plain victim, and on the Bayesian one as `SEEN`."""
    bayesian = {key: f"{name}:{dataset}/{network}/bayesian/{attack}" for key, name in SEEN.items()}
    return {("none", False): f"mean:{dataset}/{network}/plain/{attack}", **bayesian}


def noise_table(store: Store) -> Table:
    """Every attack on every victim: what it claims, what a vote confirms, how far it went, and what it spent."""
    rows = []
    for dataset, network, attack in product(DATASETS, NETWORKS, ATTACKS):
        for seen, address in seen_at(dataset, network, attack).items():
            if kept := records_at(store, PAPER, address):
                words = "plain" if seen[0] == "none" else reading(PAPER, SEEN[seen]).title
                rows.append(row(named(dataset, network, kept), ATTACK_NAMES[attack], words, at=address))
    columns: dict[str, Column] = {
        "Claimed": "{at}?found",
        "By one fresh answer": "{at}?success",
        "By vote": "{at}?success_vote",
        "By vote within the limit": "{at}?success_within",
        "Median change": _distance,
        "Answers an image": mean_as(PAPER, "{at}?answers", ",.0f"),
        "Passes an image": mean_as(PAPER, "{at}?passes", ",.0f"),
    }
    return table(store, PAPER, "Victim,Attack,It answers by", rows, columns)


def _distance(store: Store, line: Row) -> str:
    far = [value for value in values_at(store, PAPER, f"{line.names['at']}?median_distance") if value >= 0]
    return f"{fmean(far):.2g}" if far else "–"


def scan_table(store: Store) -> Table:
    """The attacks as coded, by whether an attempt had a class to reach, on which scale of pixels and network; and cut short."""
    columns = {
        "Success": "{at}success",
        "Untargeted": "{at}success_untargeted",
        "Targeted": "{at}success_targeted",
        "First label right": "{at}first_label_right",
    }
    head = "Network,Dropout in training,Attack,Pixels,Iterations"
    return table(store, PAPER, head, _scans(store), columns)


def _scans(store: Store) -> Iterator[Row]:
    for dataset, network, victim, attack in product(DATASETS, ("lenet5", "lenet5_coded", "resnet18"), VICTIMS, ATTACKS):
        for address, pixels in SCANNED.items():
            at = address.format(victim=f"{dataset}/{network}/{victim}/{attack}")
            kept = records_at(store, PAPER, at)
            planned = (dataset, network) == ("mnist", "lenet5_coded") and "?" not in at
            if kept or planned:
                longest = kept[0].config["longest"] if kept else 0
                iterations = f"at most {longest}" if longest else "as drawn"
                words = named(dataset, network, kept), DROPPED[victim], ATTACK_NAMES[attack], pixels, iterations
                yield row(*words, at=at + ("&" if "?" in at else "?"))


def evasion_panels(store: Store, *, attack: str) -> Panels:
    """The records of one attack for the figures: title, then how the victim is seen; victims without any record are left out."""
    addresses = {}
    for dataset, network in product(DATASETS, NETWORKS):
        seen = seen_at(dataset, network, attack)
        kept = next((some for address in seen.values() if (some := records_at(store, PAPER, address))), [])
        addresses[named(dataset, network, kept)] = seen
    return panels_at(store, PAPER, addresses)


def noise_panels(store: Store) -> Panels:
    """Both attacks on the victims that have records of them, one panel each."""
    return {
        f"{ATTACK_NAMES[attack]}: {title}": seen
        for attack in ATTACKS
        for title, seen in evasion_panels(store, attack=attack).items()
    }


def measurements_data(panels: Panels, names: Sequence[str]) -> Table:
    """The measurements behind a figure, one line a record and name."""
    head = "panel,victim,seed,measurement,value"
    return data_behind(panels, head, lambda r, _: [[n, f"{r.measurements[n]:.6g}"] for n in names], words=_label)


def curves_data(panels: Panels, x: str, names: Sequence[str]) -> Table:
    """The numbers behind a figure of curves, one line a point, seed and curve."""
    return data_behind(panels, f"panel,victim,seed,curve,{x},value", lambda r, _: points_of(r, x, names), words=_label)


def _label(key: Any) -> list[str]:
    return [LABELS[key]]


def downloads(store: Store) -> dict[str, Table]:
    """Tables too wide for a page, by the name of their file."""
    return {"noise-table": noise_table(store), "scan": scan_table(store), "posterior": posterior_table(store)}
