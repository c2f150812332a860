"""Is it the fit that decides? The victims of `reduced` on a fifth of their members, beside the usual ones and the paper's.

At `reduced` the natural victim leaks more through benign images, in the paper the robust one. Ours have not learnt their
adversarial training images, the paper's have. The hypothesis, written down before any cell of it was run: a robust victim with
members so few that it learns them under attack too leaks more through benign images than a natural one on the same members. It
is *borne out* on a data set if the difference, paired by seed, lies above 0 with its whole 95 % interval, *refuted* if below,
*undecided* if neither; and *not tested* if the robust victims are right on less than `FIT` percent of their members under attack.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from experiments import published
from experiments.papers import song
from experiments.papers.song import Threshold
from experiments.papers.song.rows import TRAININGS, records
from experiments.records import Record, Store
from lib.metrics import mean_interval
from report.numbers import NOT_RUN, over_seeds
from report.papers.song_inference import EFFECTS
from report.papers.song_pages import PAPER
from report.tables import DATASET_NAMES, Table, of, paired

FIT = 90.0
DATASETS = ("fashion_mnist", "cifar10")
QUANTITIES = ("train_accuracy", "test_accuracy", "adv_train_accuracy", "adv_test_accuracy")
INFERENCES = ("inference_benign", "inference_adversarial", "gap_benign", "gap_adversarial")
# What each claim of the paper compares: the second with the first.
COMPARED = {
    "robust-leaks": (("natural", "inference_benign"), ("robust", "inference_benign")),
    "adversarial-helps": (("robust", "inference_benign"), ("robust", "inference_adversarial")),
    "robust-leaks-most": (("natural", "inference_benign"), ("robust", "inference_adversarial")),
}
Pair = Mapping[str, list[Record]]  # natural and robust, one record a seed


def few(store: Store, dataset: str) -> Pair:
    """The records of both victims on a fifth of their members."""
    found: dict[str, list[Record]] = {training: [] for training in TRAININGS}
    for cell in song.fewer_members("reduced"):
        if cell.dataset == dataset and (record := store.get(cell)) is not None:
            found[cell.estimator].append(record)
    return found


def fit_table(store: Store) -> Table:
    """How well robust victims fit, and the paper's three claims: as printed, on the usual and on few members."""
    printed, rows = published.load(PAPER), []
    fits = ("adv_train_accuracy", "adv_test_accuracy")
    for dataset in DATASETS:
        name = DATASET_NAMES[dataset]
        paper = [printed[f"{dataset}/robust/{fit}"].text for fit in fits]
        for less, more in COMPARED.values():
            values = [printed["/".join((dataset, *one))].value for one in (less, more)]
            paper.append(f"{values[1] - values[0]:.2f}")
        rows.append([f"{name}, the paper", *paper, "–"])
        usual = {training: records(store, "reduced", dataset, training, Threshold) for training in TRAININGS}
        for part, found in (("`reduced`", usual), ("on a fifth", few(store, dataset))):
            ours = [of(found["robust"], fit) for fit in fits]
            ours += [over_seeds(differences(found, claim)) for claim in COMPARED]
            rows.append([f"{name}, {part}", *ours, outcome(found) if found is not usual else "–"])
    head = ["Victims", "Robust, under attack: members", "others", *(EFFECTS[claim] for claim in COMPARED), "Hypothesis"]
    return Table(head, rows)


def differences(found: Pair, claim: str) -> list[float]:
    """What a claim compares, in points, for each seed that has both victims."""
    less, more = ((found[training], name) for training, name in COMPARED[claim])
    return paired(less, more)


def outcome(found: Pair) -> str:
    """What became of the hypothesis, by the rule at the head of this file."""
    values = differences(found, "robust-leaks")
    if not values:
        return NOT_RUN
    if fmean(record.measurements["adv_train_accuracy"] for record in found["robust"]) < FIT:
        return "not tested"
    interval = mean_interval(values)
    if interval.low > 0:
        return "borne out"
    return "refuted" if interval.high < 0 else "undecided"
