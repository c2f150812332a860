"""What the Song chapter shows beside the paper's numbers: Tables 1 and 2, Figure 1, and what an honest adversary could do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, median

from experiments import claims, published
from experiments.costs import cost
from experiments.papers import song
from experiments.papers.song import METHODS, Cell, Targeted, Threshold
from experiments.papers.song.rows import DATASETS, READINGS, TRAININGS, records
from experiments.records import Record, Store
from experiments.results import measured
from report.numbers import NOT_RUN, marked
from report.tables import ATTACK_NAMES, DATASET_NAMES, Table, of

PAPER = "song"
QUANTITIES = {
    "train_accuracy": "train accuracy",
    "test_accuracy": "test accuracy",
    "adv_train_accuracy": "adversarial train accuracy",
    "adv_test_accuracy": "adversarial test accuracy",
    "inference_benign": "inference, benign",
    "inference_adversarial": "inference, adversarial",
}
METHOD_NAMES = {
    "confidence_benign": "confidence (benign)",
    "model_benign": "model (benign)",
    "confidence_untargeted": "confidence (untargeted)",
    "model_untargeted": "model (untargeted)",
    "model_targeted": "model (targeted)",
}
INPUTS = ("benign", "adversarial")
Victims = dict[str, dict[str, list[Record]]]  # title of a panel, then natural or robust, then seeds


def scale(store: Store, dataset: str) -> str:
    """The profile that a data set is shown at: the larger that has records of both victims, else of either, else the paper's."""
    found = {
        p: [records(store, p, dataset, training, Threshold) for training in TRAININGS] for p in ("paper", "reduced")
    }
    return next((p for enough in (all, any) for p, both in found.items() if enough(both)), "paper")


def kept(store: Store, dataset: str, training: str) -> list[Record]:
    """The records of a victim's thresholds, one a seed, at the scale of its data set."""
    return records(store, scale(store, dataset), dataset, training, Threshold)


def title(store: Store, dataset: str) -> str:
    """A data set's name, with the profile where it is not the paper's."""
    return DATASET_NAMES[dataset] + (", reduced" if scale(store, dataset) == "reduced" else "")


def table1(store: Store) -> Table:
    """The paper's Table 1, and ours at both scales."""
    printed, close = published.load(PAPER), claims.tolerances(PAPER)
    columns = [measured(store, PAPER, one) for one in READINGS]
    rows = []
    for name in (name for name in printed if name.count("/") == 2):
        dataset, training, quantity = name.split("/")
        ours = [
            "–"
            if dataset == "yale" and one.profile == "reduced"
            else marked(printed[name], found.get(name), close[name])
            for one, found in zip(READINGS, columns, strict=True)
        ]
        rows.append([f"{DATASET_NAMES[dataset]}, {training}", QUANTITIES[quantity], printed[name].text, *ours])
    return Table(["Victim", "%", "Paper", *(f"Ours: {one.title}" for one in READINGS)], rows)


def table2(store: Store) -> Table:
    """The paper's Table 2, a row a class and method, and ours at both scales."""
    printed, close = published.load(PAPER), claims.tolerances(PAPER)
    columns = [measured(store, PAPER, one) for one in READINGS]
    rows = []
    for c in range(10):
        for method, words in METHOD_NAMES.items():
            name = f"{method}/class{c}"
            ours = [marked(printed[name], found.get(name), close[name]) for found in columns]
            rows.append([str(c), words, printed[name].text, *ours])
    return Table(["Class", "Inference by", "Paper", *(f"Ours: {one.title}" for one in READINGS)], rows)


def methods_table(store: Store) -> Table:
    """Table 2 averaged over the classes, and the same networks on log-probabilities."""
    printed, rows = published.load(PAPER), []
    for method, words in METHOD_NAMES.items():
        paper = fmean(printed[f"{method}/class{c}"].value for c in range(10))
        ours = [records(store, one.profile, "cifar10", "robust", Targeted) for one in READINGS]
        rows.append([words, f"{paper:.2f}", *(of(found, method) for found in ours)])
        if method.startswith("model"):
            rows.append([f"{words}, log-probabilities", "–", *(of(found, f"{method}_log") for found in ours)])
    return Table(["Inference by", "Paper", *(f"Ours: {one.title}" for one in READINGS)], rows)


def by_loss(store: Store, dataset: str, training: str) -> tuple[str, dict[str, list[Record]]]:
    """The scale that has records of the attack on the cross-entropy, or else of any attack, and the records by loss."""
    for profile in ("paper", "reduced"):
        cells = [
            c
            for c in song.grid(profile)
            if isinstance(c, Threshold) and (c.dataset, c.estimator) == (dataset, training)
        ]
        other = [r for c in cells if c.attack_loss == "cross_entropy" and (r := store.get(c)) is not None]
        if other:
            return profile, {"log_odds": records(store, profile, dataset, training, Threshold), "cross_entropy": other}
    return scale(store, dataset), {"log_odds": kept(store, dataset, training), "cross_entropy": []}


def losses_table(store: Store) -> Table:
    """What the attack's loss does to the accuracy under attack and to the inference: the paper's number, and ours by loss."""
    printed, rows = published.load(PAPER), []
    for dataset in DATASETS:
        for training in TRAININGS:
            profile, found = by_loss(store, dataset, training)
            name = DATASET_NAMES[dataset] + (", reduced" if profile == "reduced" else "")
            for quantity in ("adv_train_accuracy", "adv_test_accuracy", "inference_adversarial"):
                ours = [of(found[loss], quantity) for loss in ("log_odds", "cross_entropy")]
                text = printed[f"{dataset}/{training}/{quantity}"].text
                rows.append([f"{name}, {training}", QUANTITIES[quantity], text, *ours])
    return Table(["Victim", "%", "Paper", "Ours: log-odds", "Ours: cross-entropy"], rows)


def suspects_table(store: Store) -> Table:
    """The natural Yale Face victims as trained and with one thing changed: test accuracy on the way and what it comes to."""
    usual = [cell for cell in song.main("paper") if (cell.dataset, cell.estimator) == ("yale", "natural")]
    rows = []
    for name, cell in [*(("as trained", cell) for cell in usual), *suspects().items()]:
        record, name = store.get(cell), f"{name}, seed {cell.seed}"
        if record is None:
            rows.append([name, *[NOT_RUN] * 4])
            continue
        best = f"{max(record.curves['trace_test_accuracy']):.1f}"
        ends = (f"{record.measurements[one]:.1f}" for one in ("test_accuracy", "train_accuracy", "inference_benign"))
        rows.append([name, best, *ends])
    return Table("Victim,Best test accuracy,Test accuracy,Training accuracy,Benign inference".split(","), rows)


def suspects() -> dict[str, Cell]:
    """The natural Yale Face cell of seed 0 with one thing changed, by what that is."""
    usual = next(cell for cell in song.main("paper") if (cell.dataset, cell.estimator) == ("yale", "natural"))
    return {name: replace(usual, **change) for name, change in song.SUSPECTS.items()}


def victims(store: Store, datasets: Sequence[str] = DATASETS) -> Victims:
    """The records of each data set with any, natural and robust, by title."""
    found: Victims = {}
    for dataset in datasets:
        lines = {training: kept(store, dataset, training) for training in TRAININGS}
        if any(lines.values()):
            found[title(store, dataset)] = lines
    return found


def loss_data(panels: Victims) -> Table:
    """The histograms behind Figure 1, one line a bin."""
    rows = [
        [name, training, str(record.config["seed"]), inputs, f"{low:.4g}", f"{high:.4g}", f"{inside:g}", f"{outside:g}"]
        for name, lines in panels.items()
        for training, found in lines.items()
        for record in found
        for inputs in INPUTS
        for low, high, inside, outside in zip(
            record.curves["loss_log_edges"],
            record.curves["loss_log_edges"][1:],
            record.curves[f"loss_log_train_{inputs}"],
            record.curves[f"loss_log_test_{inputs}"],
            strict=False,
        )
    ]
    head = "victim,training,seed,inputs,loss_from,loss_to,share_of_members,share_of_others".split(",")
    return Table(head, rows or [[NOT_RUN] * len(head)])


def curve_data(panels: Victims, x: str, names: Sequence[str]) -> Table:
    """The numbers behind a figure of curves, one line a point, seed and curve."""
    rows = [
        [name, training, str(record.config["seed"]), one, f"{at:.6g}", f"{value:.6g}"]
        for name, lines in panels.items()
        for training, found in lines.items()
        for record in found
        for one in names
        for at, value in zip(record.curves.get(x, []), record.curves.get(one, []), strict=True)
    ]
    return Table(["victim", "training", "seed", "curve", x, "value"], rows or [[NOT_RUN] * 6])


def budgets(store: Store) -> dict[str, list[Record]]:
    """The records of victims by the budget they were trained with, natural ones at 0, at `reduced`: data set, then records."""
    found: dict[str, list[Record]] = {}
    for cell in [*song.main("reduced"), *song.other_budgets("reduced")]:
        if isinstance(cell, Threshold) and (record := store.get(cell)) is not None:
            found.setdefault(f"{DATASET_NAMES[cell.dataset]}, reduced", []).append(record)
    return found


def budgets_data(panels: dict[str, list[Record]]) -> Table:
    """The numbers behind the figure of budgets, one line a victim."""
    names = ("train_accuracy", "test_accuracy", "inference_benign", "inference_adversarial")
    rows = [
        [name, str(r.config["seed"]), f"{r.config['train_epsilon']:.5g}", *(f"{r.measurements[n]:.3f}" for n in names)]
        for name, found in panels.items()
        for r in found
    ]
    return Table(["victim", "seed", "train_epsilon", *names], rows or [[NOT_RUN] * 7])


def cost_table(store: Store) -> Table:
    """What a seed of each kind of cell takes: the median of the records, training included."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for profile in ("paper", "reduced"):
        for cell in song.grid(profile):
            if (record := store.get(cell)) is not None:
                kind = (f"{DATASET_NAMES[cell.dataset]}, {cell.estimator}", profile, ATTACK_NAMES[cell.attack])
                groups.setdefault((*kind, record.provenance["device"]), []).append(cost(record))
    rows = [[*key, str(len(seconds)), f"{median(seconds) / 60:.1f} min"] for key, seconds in groups.items()]
    return Table("Victim,Profile,Attack,Device,Records,Median time".split(","), rows or [[NOT_RUN] * 6])


def best_method(store: Store) -> str:
    """The method of Table 2 with the highest mean over the classes, of the first reading that has records."""
    for one in READINGS:
        if found := records(store, one.profile, "cifar10", "robust", Targeted):
            means = {method: fmean(record.measurements[method] for record in found) for method in METHODS}
            return METHOD_NAMES[max(means, key=lambda method: means[method])]
    return NOT_RUN
