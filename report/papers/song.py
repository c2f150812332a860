"""The tables of the Song chapter: Tables 1 and 2 beside ours, the claims about robust victims, what other adversaries find."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from statistics import fmean

from experiments import published
from experiments.address import parse, readings
from experiments.find import row as cells_of
from experiments.judging import verdict
from experiments.papers import song
from experiments.papers.song.readings import DATASETS, TRAININGS
from experiments.reading import Reading
from experiments.records import Record, Store
from lib import data
from lib.membership import best_by_chance
from report.names import DATASET_NAMES, QUANTITY_NAMES
from report.numbers import NOT_RUN, evidence
from report.tables import Column, Row, Table, across, beside, costs_table, records_at, row, table

PAPER = "song"
QUANTITIES = {
    "train_accuracy": "train accuracy",
    "test_accuracy": "test accuracy",
    "adv_train_accuracy": "adversarial train accuracy",
    "adv_test_accuracy": "adversarial test accuracy",
    "inference_benign": "inference, benign",
    "inference_adversarial": "inference, adversarial",
}
INPUTS = ("benign", "adversarial")
# What an adversary could do, by the measurement that judges it.
ADVERSARIES = {
    "inference": "best threshold for these points",
    "honest": "threshold from half of them",
    "class_honest": "a threshold for each class, from half",
    "shadow": "threshold from a shadow",
    "entropy": "entropy, best threshold",
    "modified_entropy": "modified entropy, best",
    "gap": "gap attack",
    "control": "control",
}
# Claims of the paper, by the end of their names.
EFFECTS = {
    "robust-leaks": "robust − natural, benign images",
    "adversarial-helps": "robust victim: adversarial − benign images",
    "robust-leaks-most": "robust, adversarial − natural, benign",
}


def scale(store: Store, dataset: str) -> str:
    """The reading that a data set is shown under: the larger scale that has both victims, else either, else the paper's."""
    found = {
        name: [records_at(store, PAPER, f"{name}:{dataset}/{t}") for t in TRAININGS] for name in ("text", "reduced")
    }
    return next((name for enough in (all, any) for name, both in found.items() if enough(both)), "text")


def title(dataset: str, reading: str) -> str:
    """A data set's name, with the profile where it is not the paper's."""
    return DATASET_NAMES[dataset] + (", reduced" if reading == "reduced" else "")


def _victims(store: Store) -> Iterator[tuple[str, str]]:
    """Every victim: its name, and how its addresses begin, at the scale of its data set."""
    for dataset, training in product(DATASETS, TRAININGS):
        reading = scale(store, dataset)
        yield f"{title(dataset, reading)}, {training}", f"{reading}:{dataset}/{training}"


# --- beside the paper -----------------------------------------------------------------------------------------------------


def table1(store: Store) -> Table:
    """The paper's Table 1, and ours at both scales."""
    rows = []
    for name, number in published.load(PAPER).items():
        if name.count("/") == 2:
            dataset, training, quantity = name.split("/")
            rows.append(row(f"{DATASET_NAMES[dataset]}, {training}", QUANTITIES[quantity], number.text, id=name))
    columns = {f"Ours: {one.title}": partial(_ours, one=one) for one in readings(PAPER)}
    return table(store, PAPER, "Victim,%,Paper", rows, columns)


def table2(store: Store) -> Table:
    """The paper's Table 2, a row a class and method, and ours at both scales."""
    printed = published.load(PAPER)
    rows = [
        row(str(c), QUANTITY_NAMES[method], printed[name].text, id=name)
        for c, method in product(range(10), song.METHODS)
        for name in [f"{method}/class{c}"]
    ]
    columns: dict[str, Column] = {f"Ours: {one.title}": partial(_ours, one=one) for one in _scales()}
    return table(store, PAPER, "Class,Inference by,Paper", rows, columns)


def _scales() -> list[Reading]:
    """The readings of Table 2, whose thresholds are learnt on other points than they are judged on anyway."""
    return [one for one in readings(PAPER) if one.name != "held_out"]


def _ours(store: Store, line: Row, one: Reading) -> str:
    name = line.names["id"]
    nothing = "yale" in name if one.name == "reduced" else one.name == "held_out" and "/inference_" not in name
    return "–" if nothing else beside(store, PAPER, one, name)


def methods_table(store: Store) -> Table:
    """Table 2 averaged over the classes, and the same networks on log-probabilities."""
    printed, rows = published.load(PAPER), []
    for method in song.METHODS:
        words, paper = QUANTITY_NAMES[method], fmean(printed[f"{method}/class{c}"].value for c in range(10))
        rows.append(row(words, f"{paper:.2f}", method=method))
        if method.startswith("model"):
            rows.append(row(f"{words}, log-probabilities", "–", method=f"{method}_log"))
    columns = {f"Ours: {one.title}": f"{one.name}:{{method}}" for one in _scales()}
    return table(store, PAPER, "Inference by,Paper", rows, columns)


def losses_table(store: Store) -> Table:
    """What the attack's loss does to the accuracy under attack and to the inference: the paper's number, and ours by loss."""
    rows = []
    for dataset, training in product(DATASETS, TRAININGS):
        reading = _attacked_otherwise(store, dataset, training)
        for quantity in ("adv_train_accuracy", "adv_test_accuracy", "inference_adversarial"):
            id_ = f"{dataset}/{training}/{quantity}"
            words = (f"{title(dataset, reading)}, {training}", QUANTITIES[quantity], published.load(PAPER)[id_].text)
            rows.append(row(*words, at=f"{reading}:{id_}"))
    columns = {"Ours: log-odds": "{at}", "Ours: cross-entropy": "{at}?attack_loss=cross_entropy"}
    return table(store, PAPER, "Victim,%,Paper", rows, columns)


def _attacked_otherwise(store: Store, dataset: str, training: str) -> str:
    """The reading that has records of the attack on the cross-entropy, or else of any attack."""
    for name in ("text", "reduced"):
        if records_at(store, PAPER, f"{name}:{dataset}/{training}?attack_loss=cross_entropy"):
            return name
    return scale(store, dataset)


def suspects_table(store: Store) -> Table:
    """The natural Yale Face victims as trained and with one thing changed: test accuracy on the way and what it comes to."""
    usual = {"dataset": "yale", "estimator": "natural", "attack": "threshold"}
    victims = [("as trained", cell) for cell in cells_of(PAPER, "paper", **usual)]
    victims += [(name, cells_of(PAPER, "paper", **usual | change)[0]) for name, change in song.SUSPECTS.items()]
    rows = []
    for name, cell in victims:
        record, numbers = store.get(cell), [NOT_RUN] * 4
        if record is not None:
            ends = (record.measurements[one] for one in ("test_accuracy", "train_accuracy", "inference_benign"))
            numbers = [f"{number:.1f}" for number in (max(record.curves["trace_test_accuracy"]), *ends)]
        rows.append([f"{name}, seed {cell.seed}", *numbers])
    return Table("Victim,Best test accuracy,Test accuracy,Training accuracy,Benign inference".split(","), rows)


# --- inference ------------------------------------------------------------------------------------------------------------


def effects_table(store: Store) -> Table:
    """The paper's claims about robust victims, each the difference of two inferences, at the scale of each data set."""
    rows = []
    for dataset, (name, words) in product(DATASETS, EFFECTS.items()):
        reading = scale(store, dataset)
        claim = f"{dataset.replace('_', '-')}-{name}"
        found = verdict(store, parse(f"{reading}:{claim}", PAPER))
        held_out = "not recorded"
        if reading == "text":
            held_out = evidence(verdict(store, parse(f"held_out:{claim}", PAPER)))
        rows.append([title(dataset, reading), words, f"{found.published:.2f}", evidence(found), held_out, found.word])
    return Table(
        ["Data", "Difference of inferences, in points", "Paper", "Ours", "Threshold held out", "Verdict"], rows
    )


def gaps_table(store: Store) -> Table:
    """What the gap of accuracies alone gives, beside what the best threshold finds: in the paper's own numbers, and in ours."""
    rows = []
    kinds = (("natural", "benign"), ("robust", "benign"), ("robust", "adversarial"))
    for dataset, (training, inputs) in product(DATASETS, kinds):
        reading, victim = scale(store, dataset), f"{dataset}/{training}"
        paper = published.load(PAPER)[f"{victim}/inference_{inputs}"].text
        gap = f"{printed_gap_attack(dataset, training, inputs):.1f}"
        name = f"{title(dataset, reading)}, {training}"
        rows.append(row(name, inputs, gap, paper, at=f"{reading}:{victim}", inputs=inputs))
    columns = {"Ours: gap attack": "{at}/gap_{inputs}", "Ours: inference": "{at}/inference_{inputs}"}
    return table(store, PAPER, "Victim,Images,Paper: gap attack,Paper: inference", rows, columns)


def printed_gap_attack(dataset: str, training: str, inputs: str) -> float:
    """The accuracy in percent that the gap attack has by the paper's own Table 1."""
    prefix, printed = "" if inputs == "benign" else "adv_", published.load(PAPER)
    train, test = (printed[f"{dataset}/{training}/{prefix}{side}_accuracy"].value for side in ("train", "test"))
    # one half plus half the gap
    return 50 + (train - test) / 2


def adversaries_table(store: Store) -> Table:
    """The accuracy of inference by what the adversary knows, on images and on adversarial images."""
    columns: dict[str, Column] = {f"{one.capitalize()}, %": partial(_adversary, inputs=one) for one in INPUTS}
    return table(store, PAPER, "Victim,Adversary", _adversaries(store), columns)


def _adversaries(store: Store) -> Iterator[Row]:
    for victim, at in _victims(store):
        kept = records_at(store, PAPER, at)
        if not kept:
            yield row(victim, NOT_RUN, at=at, name="inference")
            continue
        for name, words in ADVERSARIES.items():
            yield row(victim, words, at=at, name=name)
            if name == "inference":
                yield row(victim, "the same by chance: mean; 95 % quantile", by_chance=_by_chance(kept[0]))


def _adversary(store: Store, line: Row, inputs: str) -> str:
    if "by_chance" in line.names:
        return line.names["by_chance"]
    at, name = line.names["at"], line.names["name"]
    found = {one: across(store, PAPER, f"{at}/{name}_{one}") for one in INPUTS}
    if name == "shadow" and set(found.values()) == {NOT_RUN}:
        return "–"  # trained on all there is: no images are left for a shadow
    return found[inputs]


def _by_chance(record: Record) -> str:
    """What the best threshold has where there is nothing to find: on average, and at most in 95 of 100 cases."""
    config = record.config
    train, test = data.SIZES[config["dataset"]]
    largest = config["judged"] or train
    members, others = min(config["train_size"] or train, largest), min(test, largest)
    return f"{100 * best_by_chance(members, others):.1f}; {100 * best_by_chance(members, others, quantile=0.95):.1f}"


def beyond_table(store: Store) -> Table:
    """Beyond accuracy: area, advantage, and the members found where hardly any other is called one."""
    rows = [
        row(victim, inputs, at=at, inputs=inputs) for (victim, at), inputs in product(list(_victims(store)), INPUTS)
    ]
    columns: dict[str, Column] = {
        "AUC": "{at}/auc_{inputs}",
        "Advantage": "{at}/advantage_{inputs}",
        "TPR at 1 % FPR": "{at}/tpr_at_1pct_{inputs}",
        "TPR at 0.1 % FPR": _rarest,
    }
    return table(store, PAPER, "Victim,Inputs", rows, columns)


def _rarest(store: Store, line: Row) -> str:
    at = "{at}/tpr_at_01pct_{inputs}".format_map(line.names)
    kept = records_at(store, PAPER, at)
    # one in a thousand is less than one image
    return "–" if kept and kept[0].measurements["test_points"] < 1000 else across(store, PAPER, at)


def cost_table(store: Store) -> Table:
    """What a seed of each kind of cell takes: the median of the records, training included."""
    return costs_table(
        store, PAPER, "Victim", lambda cell: f"{DATASET_NAMES[cell.dataset]}, {cell.estimator}", "device"
    )
