"""Is it the fit that decides? The victims of `reduced` on a fifth of their members, beside the usual ones.

At `reduced` the natural victim leaks more through benign images, in the paper the robust one. Ours have not learnt their
adversarial training images, the paper's have. The hypothesis, written down before any cell of it was run: a robust victim with
members so few that it learns them under attack too leaks more through benign images than a natural one on the same members. It
is *borne out* on a data set if the difference, paired by seed, lies above 0 with its whole 95 % interval, *refuted* if below,
*undecided* if neither; and *not tested* if the robust victims are right on less than `FIT` percent of their members under attack.
"""

from __future__ import annotations

from statistics import fmean

from lib.metrics import mean_interval
from lib.papers import song
from lib.papers.song import Threshold
from lib.papers.song_rows import TRAININGS, records
from lib.prose import dashed, mean
from lib.runs import Record, Store
from lib.tables import DATASET_NAMES, NOT_RUN, Table, of, over_seeds

FIT = 90.0
DATASETS = ("fashion_mnist", "cifar10")
QUANTITIES = ("train_accuracy", "test_accuracy", "adv_train_accuracy", "adv_test_accuracy")
INFERENCES = ("inference_benign", "inference_adversarial", "gap_benign", "gap_adversarial")


def few(store: Store, dataset: str, training: str) -> list[Record]:
    """The records, one a seed, of a victim on a fifth of its members."""
    cells = [cell for cell in song.fewer_members("reduced") if (cell.dataset, cell.estimator) == (dataset, training)]
    return [record for cell in cells if (record := store.get(cell)) is not None]


def fit_table(store: Store) -> Table:
    """Natural and robust victims, on the usual and on few members: how well they fit, and what they leak."""
    rows = []
    for dataset in DATASETS:
        usual = {training: records(store, "reduced", dataset, training, Threshold) for training in TRAININGS}
        fewer = {training: few(store, dataset, training) for training in TRAININGS}
        for part, found in (("usual", usual), ("a fifth", fewer)):
            fits = [of(found["robust"], name) for name in ("adv_train_accuracy", "adv_test_accuracy")]
            leaks = [of(found[training], "inference_benign") for training in TRAININGS]
            more = over_seeds(differences(found["natural"], found["robust"]))
            verdict = outcome(found["natural"], found["robust"]) if found is fewer else "–"
            rows.append([f"{DATASET_NAMES[dataset]}, {part}", *fits, *leaks, more, verdict])
    head = "Members,Robust under attack: members,others,Benign inference: natural,robust,Robust − natural,Hypothesis"
    return Table(head.split(","), rows)


def differences(natural: list[Record], robust: list[Record]) -> list[float]:
    """By how many points the robust victim leaks more through benign images, for each seed that has both."""
    leaks = [{r.config["seed"]: r.measurements["inference_benign"] for r in found} for found in (natural, robust)]
    return [leaks[1][seed] - leaks[0][seed] for seed in sorted(leaks[0].keys() & leaks[1].keys())]


def outcome(natural: list[Record], robust: list[Record]) -> str:
    """What became of the hypothesis, by the rule at the head of this file."""
    found = differences(natural, robust)
    if not found:
        return NOT_RUN
    if fmean(record.measurements["adv_train_accuracy"] for record in robust) < FIT:
        return "not tested"
    interval = mean_interval(found)
    if interval.low > 0:
        return "borne out"
    return "refuted" if interval.high < 0 else "undecided"


def fit_prose(store: Store) -> dict[str, str]:
    """`few-cifar10-robust-inference-benign`, `few-cifar10-robust-less-natural`, `few-cifar10-outcome`, `few-cifar10-seeds`."""
    text: dict[str, str] = {}
    for dataset in DATASETS:
        one = dashed(f"few-{dataset}")
        found = {training: few(store, dataset, training) for training in TRAININGS}
        for training, kept in found.items():
            text |= {dashed(f"{one}-{training}-{name}"): mean(kept, name) for name in (*QUANTITIES, *INFERENCES)}
        both = found["natural"], found["robust"]
        text[f"{one}-robust-less-natural"] = over_seeds(differences(*both))
        text[f"{one}-outcome"] = outcome(*both)
        text[f"{one}-seeds"] = str(len(differences(*both))) if differences(*both) else NOT_RUN
    return text
