"""The tables of the Galinkin chapter: his Tables 1 to 3 beside ours, how attacks fail on random answers, and what leaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from statistics import fmean

from experiments import claims, published
from experiments.address import measured, readings
from experiments.papers.galinkin import DROPOUT, RARE
from experiments.papers.galinkin.readings import ATTACKS, NETWORKS, VICTIMS
from experiments.reading import Reading
from experiments.records import Record, Store
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES, VICTIM_NAMES
from report.numbers import NOT_RUN, marked, number
from report.tables import Column, Row, Table, across, costs_table, differences, records_at, row, table, values_at

PAPER = "galinkin"
DATASETS = ("mnist", "cifar10")
QUANTITIES = {"accuracy": "test accuracy", **{name: ATTACK_NAMES[name] for name in ATTACKS}, "membership": "membership"}
SAME = "="
LIMITED = ("naive", "aware")  # readings of what succeeds within a limit on the change, which is ours: nothing is ticked
REDUCED = ", `reduced`"
# How the attacks see a victim with dropout (its answers, and whether the attacker knows that they are random): in words, and
# the reading of it.
SEEN = {
    ("off", False): ("dropout off", "off"),
    ("mean", False): ("mean of T, naive", "mean"),
    ("mean", True): ("mean of T, aware", "mean_aware"),
    ("one_draw", False): ("one draw, naive", "one_draw"),
    ("one_draw", True): ("one draw, aware", "one_draw_aware"),
}
# One change each from membership inference as written.
HYPOTHESES = {
    "as written": "text",
    "shadow trained on the target's own images": "same",
    "target asked about pixels of 0 to 255": "raw",
    "non-members from another distribution": "inverted",
    "trained for 100 epochs, never stopped": "overfitted",
}
# Of a Bayesian victim alone: with dropout as rare as in the membership code it can be overfitted too.
RARELY = {
    "so, with dropout 0.05": "overfitted_rare",
    "so, and the spread over the draws is seen": "overfitted_rare_spread",
}
# By which of his two repositories the target that is attacked as coded is trained.
TRAINED = {"evasion": "coded", "membership": "membership_code"}
# What of a Bayesian victim's answers the attack network sees.
POSTERIORS = {
    "dropout off": "off",
    "one draw": "one_draw",
    "mean of T draws": "text",
    "mean, and spread over the draws": "spread",
}
# Which scans are looked at: as coded, on pixels of the right scale, and ended after a few iterations.
SCANNED = {
    "scanned:{victim}": "0 to 255",
    "scanned:{victim}?scale=unit": "0 to 1",
    "coded:{victim}?longest=10": "0 to 255",
}


def named(dataset: str, network: str, kept: Sequence[Record] = ()) -> str:
    """A victim's data set and network, with the profile where it is not the paper's."""
    return f"{DATASET_NAMES[dataset]}, {NETWORK_NAMES[network]}" + (", reduced" if are_reduced(kept) else "")


def are_reduced(kept: Sequence[Record]) -> bool:
    """Whether there are records, and of `reduced`."""
    return bool(kept) and kept[0].config["profile"] == "reduced"


# --- his Tables 1 to 3 ----------------------------------------------------------------------------------------------------


def table1(store: Store, *, quantities: Sequence[str]) -> Table:
    """Rows of Table 1 for some quantities: his number, and ours under each reading that has a meaning for one of them."""
    names = [name for name in published.load(PAPER) if name.count("/") == 3 and name.rsplit("/", 1)[1] in quantities]
    return _beside(store, names, attacks=any(name in ATTACKS for name in quantities))


def averages(store: Store) -> Table:
    """Tables 2 and 3: the means of Table 1 over networks, and over victims."""
    return _beside(store, [name for name in published.load(PAPER) if name.count("/") < 3], attacks=True)


def _beside(store: Store, names: Sequence[str], *, attacks: bool) -> Table:
    """Published numbers and ours by reading; membership has no limit."""
    rows = [row(*victim_of(name), published.load(PAPER)[name].text, id=name) for name in names]
    columns: dict[str, Column] = {
        f"Ours: {one.title}": partial(_ours, one=one)
        for one in readings(PAPER)
        if one.profiles == ("paper",) and (attacks or one.name not in LIMITED)
    }
    return table(store, PAPER, "Victim,%,Paper", rows, columns)


def _ours(store: Store, line: Row, one: Reading) -> str:
    """Our number under a reading, at `reduced` where the paper's scale has no record."""
    name = line.names["id"]
    if one.name in LIMITED and name.rsplit("/", 1)[1] not in ATTACKS:
        return "–"  # no limit applies
    if one.name == "aware" and "plain" in name:
        return SAME  # nothing is random
    for profile, note in {"paper": "", "reduced": REDUCED}.items():
        found = measured(store, PAPER, replace(one, profiles=(profile,)), [name]).get(name)
        if found is not None:
            printed, close = published.load(PAPER)[name], claims.tolerances(PAPER)[name]
            return (number(found) if one.name in LIMITED else marked(printed, found, close)) + note
    return NOT_RUN


def victim_of(name: str) -> tuple[str, str]:
    """The victim and the quantity of a published id, in words."""
    dataset, *middle, quantity = name.split("/")
    words = {**NETWORK_NAMES, **VICTIM_NAMES}
    return ", ".join([DATASET_NAMES[dataset], *(words[word] for word in middle)]), QUANTITIES[quantity]


# --- evasion --------------------------------------------------------------------------------------------------------------


def seen_at(dataset: str, network: str, attack: str) -> dict[tuple[str, bool], str]:
    """Where one attack on a data set and network is: on the plain victim, and on the Bayesian one as `SEEN`."""
    bayesian = {key: f"{reading}:{dataset}/{network}/bayesian/{attack}" for key, (_, reading) in SEEN.items()}
    return {("none", False): f"mean:{dataset}/{network}/plain/{attack}", **bayesian}


def noise_table(store: Store) -> Table:
    """Every attack on every victim: what it claims, what a vote confirms, how far it went, and what it spent."""
    rows = []
    for dataset, network, attack in product(DATASETS, NETWORKS, ATTACKS):
        for seen, address in seen_at(dataset, network, attack).items():
            if kept := records_at(store, PAPER, address):
                words = "plain" if seen[0] == "none" else SEEN[seen][0]
                rows.append(row(named(dataset, network, kept), ATTACK_NAMES[attack], words, at=address))
    columns: dict[str, Column] = {
        "Claimed": "{at}?found",
        "By one fresh answer": "{at}?success",
        "By vote": "{at}?success_vote",
        "By vote within the limit": "{at}?success_within",
        "Median change": _distance,
        "Answers an image": partial(_mean, part="answers"),
        "Passes an image": partial(_mean, part="passes"),
    }
    return table(store, PAPER, "Victim,Attack,It answers by", rows, columns)


def _distance(store: Store, line: Row) -> str:
    far = [value for value in values_at(store, PAPER, f"{line.names['at']}?median_distance") if value >= 0]
    return f"{fmean(far):.2g}" if far else "–"


def _mean(store: Store, line: Row, part: str) -> str:
    values = values_at(store, PAPER, f"{line.names['at']}?{part}")
    return f"{fmean(values):,.0f}" if values else NOT_RUN


def rates_table(store: Store) -> Table:
    """Bayesian victims by dropout rate and stopping: epochs, accuracy of the mean, success without a limit, and membership."""
    rows = []
    for dataset, network in product(DATASETS, NETWORKS):
        usual = f"{DROPOUT[network]:g}"
        trainings = {usual: "mean", f"{RARE:g}": "rare"}
        if network != "lenet5":  # it has been trained for longer still: see the hypotheses
            trainings[f"{usual}, never stopped"] = "unstopped"
        for words, reading in trainings.items():
            victim = f"{reading}:{dataset}/{network}/bayesian"
            trained = next((one for one in ATTACKS[:1] if records_at(store, PAPER, f"{victim}/{one}")), "membership")
            rows.append(row(named(dataset, network), words, victim=victim, at=f"{victim}/{trained}"))
    columns: dict[str, Column] = {
        "Epochs": partial(_mean, part="training_epochs"),
        "Accuracy of the mean": partial(_noted, address="{at}?accuracy"),
        "HopSkipJump": partial(_noted, address="{victim}/hop_skip_jump"),
        "Boundary": partial(_noted, address="{victim}/boundary"),
        "Membership": "{victim}/membership",
        "AUC": "{victim}/membership?auc",
    }
    return table(store, PAPER, "Victim,Dropout rate", rows, columns)


def _noted(store: Store, line: Row, address: str) -> str:
    """A measurement, with the profile where it is not the paper's."""
    where = address.format_map(line.names)
    return across(store, PAPER, where) + (REDUCED if are_reduced(records_at(store, PAPER, where)) else "")


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
                words = (
                    named(dataset, network, kept),
                    {"plain": "no", "bayesian": "yes"}[victim],
                    ATTACK_NAMES[attack],
                )
                yield row(*words, pixels, iterations, at=at + ("&" if "?" in at else "?"))


# --- membership -----------------------------------------------------------------------------------------------------------


def hypotheses_table(store: Store) -> Table:
    """What could lift the accuracy of membership inference, each alone, on LeNet-5."""
    rows = [
        row(
            f"{DATASET_NAMES[dataset]}, {VICTIM_NAMES[victim]}",
            words,
            at=f"{reading}:{dataset}/lenet5/{victim}/membership",
        )
        for dataset, victim in product(DATASETS, VICTIMS)
        for words, reading in {**HYPOTHESES, **(RARELY if victim == "bayesian" else {})}.items()
    ]
    columns: dict[str, Column] = {
        "Accuracy": "{at}",
        "AUC": "{at}?auc",
        "TPR at 1 % FPR": "{at}?tpr_at_1pct",
        "TPR at 0.1 % FPR": "{at}?tpr_at_01pct",
        "AUC of log-odds": "{at}?odds_auc",
        "Control": "{at}?control",
        "Scored as coded": "{at}?membership_as_coded",
        "Train − test": _gap,
    }
    return table(store, PAPER, "LeNet-5,Setting", rows, columns)


def _gap(store: Store, line: Row) -> str:
    gaps = differences(store, PAPER, *(f"{line.names['at']}?{side}" for side in ("train_accuracy", "accuracy")))
    return f"{fmean(gaps):.1f}" if gaps else NOT_RUN


def coded_table(store: Store) -> Table:
    """The accuracy of the code taken apart: how often it says member of members and of others, and what one makes of that."""
    rows = [
        row(f"{named(dataset, network)}, {VICTIM_NAMES[victim]}", code, id=id_, at=f"{TRAINED[code]}:{id_}")
        for dataset, network, victim in product(DATASETS, NETWORKS, VICTIMS)
        for id_ in [f"{dataset}/{network}/{victim}/membership"]
        for code in (TRAINED if network == "lenet5" else ["evasion"])
    ]
    columns: dict[str, Column] = {
        "Says member: of members": "{at}?tpr",
        "of others": "{at}?fpr",
        "Accuracy as coded": "{at}?membership_as_coded",
        "Balanced accuracy": "{at}?membership",
        "AUC": "{at}?auc",
        "AUC as coded": "{at}?auc_as_coded",
        "Paper's accuracy": lambda _, line: published.load(PAPER)[line.names["id"]].text,
    }
    return table(store, PAPER, "Victim,Trained by the code of", rows, columns)


def posterior_table(store: Store) -> Table:
    """Membership of Bayesian victims by what the attack network sees of their answers."""
    rows = [
        row(named(dataset, network), words, at=f"{reading}:{dataset}/{network}/bayesian/membership")
        for dataset, network, (words, reading) in product(DATASETS, NETWORKS, POSTERIORS.items())
    ]
    columns = {
        "Accuracy": "{at}",
        "AUC": "{at}?auc",
        "Advantage": "{at}?advantage",
        "TPR at 1 % FPR": "{at}?tpr_at_1pct",
        "TPR at 0.1 % FPR": "{at}?tpr_at_01pct",
    }
    return table(store, PAPER, "Victim,The attack sees", rows, columns)


def cost_table(store: Store) -> Table:
    """What a seed of each kind of cell takes: the median of the records, training included."""
    return costs_table(store, PAPER, "Network", lambda cell: named(cell.dataset, cell.network))
