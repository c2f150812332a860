"""What the Galinkin chapter shows beside his numbers: Tables 1 to 3, and the records of each victim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from experiments import claims, published
from experiments.costs import cost
from experiments.papers import galinkin
from experiments.papers.galinkin import Cell
from experiments.papers.galinkin.rows import ATTACKS, LIMITED, READINGS, by_victim
from experiments.records import Record, Store, settings
from experiments.results import measured
from report.decision_figures import VICTIMS
from report.membership_figures import COUNTED, NETWORKS
from report.numbers import NOT_RUN, marked, number
from report.tables import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES, Table

PAPER = "galinkin"
DATASETS = ("mnist", "cifar10")
QUANTITIES = {"accuracy": "test accuracy", **{name: ATTACK_NAMES[name] for name in ATTACKS}, "membership": "membership"}
VICTIM_NAMES = {"plain": "plain", "bayesian": "Bayesian"}
SAME = "="
Panels = dict[str, dict[Any, list[Record]]]
# As in the figures.
LABELS = {key: look["label"] for looks in (VICTIMS, NETWORKS, COUNTED) for key, look in looks.items()}


def table1(store: Store, *, quantities: Sequence[str]) -> Table:
    """Rows of Table 1 for some quantities: his number, and ours under each reading that has a meaning for one of them."""
    names = [name for name in published.load(PAPER) if name.count("/") == 3 and name.rsplit("/", 1)[1] in quantities]
    return _beside(store, names, attacks=any(name in ATTACKS for name in quantities))


def averages(store: Store) -> Table:
    """Tables 2 and 3: the means of Table 1 over networks, and over victims."""
    return _beside(store, [name for name in published.load(PAPER) if name.count("/") < 3], attacks=True)


def _beside(store: Store, names: Sequence[str], *, attacks: bool) -> Table:
    """Published numbers and ours by reading, at `reduced` where the paper's scale has no record; membership has no limit."""
    printed, close = published.load(PAPER), claims.tolerances(PAPER)
    readings = [one for one in READINGS if one.profile == "paper" and (attacks or one.name not in LIMITED)]
    full = [measured(store, PAPER, one) for one in readings]
    less = [measured(store, PAPER, replace(one, profile="reduced")) for one in readings]
    rows = []
    for name in names:
        ours = []
        for one, at_paper, at_reduced in zip(readings, full, less, strict=True):
            found, note = at_paper.get(name), ""
            if found is None and name in at_reduced:
                found, note = at_reduced[name], ", `reduced`"
            if one.name in LIMITED and name.rsplit("/", 1)[1] not in ATTACKS:
                ours.append("–")  # no limit applies
            elif one.name == "aware" and "plain" in name:
                ours.append(SAME)  # nothing is random
            elif one.name in LIMITED:
                ours.append(number(found) + note)  # the limits are ours: no tolerance applies
            else:
                ours.append(marked(printed[name], found, close[name]) + note)
        rows.append([*victim_of(name), printed[name].text, *ours])
    return Table(["Victim", "%", "Paper", *(f"Ours: {one.title}" for one in readings)], rows)


def victim_of(name: str) -> tuple[str, str]:
    """The victim and the quantity of a published id, in words."""
    dataset, *middle, quantity = name.split("/")
    words = {**NETWORK_NAMES, **VICTIM_NAMES}
    return ", ".join([DATASET_NAMES[dataset], *(words[word] for word in middle)]), QUANTITIES[quantity]


def records(store: Store, dataset: str, network: str, victim: str, kind: type[Cell], **wanted: Any) -> list[Record]:
    """The records, one a seed, of the cells on one victim with these settings, at `paper` or, where it has none, at `reduced`.

    Unless a dropout rate, a precision of the answers or the longest attempt of a scan is named, it is the usual one.
    """
    usual = {"dropout": galinkin.DROPOUT.get(network, galinkin.DROPOUT["lenet5"]), "answer_precision": "float32"}
    for one in ("paper", "reduced"):
        settled = {**usual, "longest": galinkin.LONGEST[one]}
        settled = {name: value for name, value in settled.items() if hasattr(kind, name)} | wanted
        cells = by_victim(galinkin.grid, one).get((dataset, network, victim, kind), [])
        chosen = [cell for cell in cells if settled.items() <= settings(cell).items()]
        if found := [record for cell in chosen if (record := store.get(cell)) is not None]:
            return found
    return []


def named(dataset: str, network: str, kept: Sequence[Record] = ()) -> str:
    """A victim's data set and network, with the profile where it is not the paper's."""
    profile = ", reduced" if are_reduced(kept) else ""
    return f"{DATASET_NAMES[dataset]}, {NETWORK_NAMES.get(network, 'the code’s LeNet')}{profile}"


def are_reduced(kept: Sequence[Record]) -> bool:
    """Whether there are records, and of `reduced`."""
    return bool(kept) and kept[0].config["profile"] == "reduced"


def curves_data(panels: Panels, x: str, names: Sequence[str]) -> Table:
    """The numbers behind a figure of curves, one line a point, seed and curve."""
    rows = [
        [title, LABELS[key], str(record.config["seed"]), name, f"{at:.6g}", f"{value:.6g}"]
        for title, lines in panels.items()
        for key, kept in lines.items()
        for record in kept
        for name in names
        for at, value in zip(record.curves[x], record.curves[name], strict=True)
    ]
    return Table(["panel", "victim", "seed", "curve", x, "value"], rows or [[NOT_RUN] * 6])


def cost_table(store: Store) -> Table:
    """What a seed of each kind of cell takes: the median of the records, training included."""
    groups: dict[tuple[str, str, str], list[float]] = {}
    for profile in ("paper", "reduced"):
        for (dataset, network, _, _), cells in by_victim(galinkin.grid, profile).items():
            for cell in cells:
                if record := store.get(cell):
                    groups.setdefault((named(dataset, network), profile, ATTACK_NAMES[cell.attack]), []).append(
                        cost(record)
                    )
    rows = [[*key, str(len(seconds)), f"{median(seconds) / 60:.1f} min"] for key, seconds in groups.items()]
    return Table("Network,Profile,Attack,Records,Median time".split(","), rows or [[NOT_RUN] * 5])
