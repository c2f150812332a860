"""Which kinds of network are in the corner that one would want, at what price, and what is told of each data set alone.

The corner was fixed before any record of the chapter was computed. A kind of network is *robust* on a data set if it keeps at
least `ROBUST` percent of its answers right under the worst of all attacks within l_inf; *private* if LiRA finds at most `PRIVATE`
percent of its members where it calls one other in a hundred a member, twice of what chance finds; *uncertain* if its expected
calibration error is at most `CALIBRATED` points and its entropy tells wrong answers from right ones with an AUROC of at least
`NOTICES` percent. Means over seeds decide, of kinds that have all four numbers on two seeds or more.
"""

import csv
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean

from experiments import claims, papers
from experiments.cell import Common
from experiments.find import row
from experiments.judging import by_dataset, judge_parts
from experiments.papers.at_once.readings import DATASETS
from experiments.papers.at_once.victims import KINDS
from experiments.records import Record, Store
from experiments.rules import Sentence
from report.names import DATASET_NAMES
from report.numbers import NOT_RUN, in_words
from report.papers.at_once import PAPER, VICTIMS
from report.tables import Number, Table, across, values_at

ROBUST = {"mnist": 50.0, "cifar10": 25.0}
PRIVATE, CALIBRATED, NOTICES = 2.0, 5.0, 80.0
FIRST = 3  # seeds, of which the words were known when the others were declared
LITERATURE = Path(papers.__file__).parent / PAPER / "literature.csv"

# --- the corner -----------------------------------------------------------------------------------------------------------


def virtues(store: Store, dataset: str, kind: str) -> tuple[bool, bool, bool] | None:
    """Whether a kind of network is robust, private and uncertain; None where a number is missing."""
    names = ("worst_case", "lira_tpr_at_1pct", "ece", "auroc_wrong_entropy")
    found = [values_at(store, PAPER, f"{dataset}/{kind}/{name}") for name in names]
    if min(map(len, found)) < 2:
        return None
    kept, members, error, notices = map(fmean, found)
    return kept >= ROBUST[dataset], members <= PRIVATE, error <= CALIBRATED and notices >= NOTICES


def _having(store: Store, dataset: str, which: tuple[int, ...]) -> str:
    """The kinds with all of some virtues, by their places, or that there are none."""
    found = {kind: virtues(store, dataset, kind) for kind in KINDS}
    known = {kind: one for kind, one in found.items() if one is not None}
    if len(known) < len(KINDS):
        return NOT_RUN
    return ", ".join(VICTIMS[kind]["label"] for kind, one in known.items() if all(one[i] for i in which)) or "none"


def virtues_table(store: Store, dataset: str) -> Table:
    """What each kind of network has of each virtue, bold where it is inside the corner's bounds, and what it costs."""
    columns = {
        "Worst case": ("worst_case", 0),
        "Members found": ("lira_tpr_at_1pct", 1),
        "Calibration error": ("ece", 2),
    }
    rows = []
    for kind in KINDS:
        has = virtues(store, dataset, kind) or (False, False, False)
        judged = {name: across(store, PAPER, f"{dataset}/{kind}/{quantity}") for name, (quantity, _) in columns.items()}
        bold = [_bold(judged[name]) if has[i] else judged[name] for name, (_, i) in columns.items()]
        clean, told = (across(store, PAPER, f"{dataset}/{kind}/{name}") for name in ("accuracy", "auroc_aware_entropy"))
        rows.append([VICTIMS[kind]["label"], clean, *bold, told, _cost(dataset, kind)])
    return Table(["Network", "Clean accuracy", *columns, "Adversarial told", "Cost"], rows)


def caption(dataset: str) -> str:
    """Of the table of virtues."""
    return (
        f"{DATASET_NAMES[dataset]}, in percent; bold: inside the corner. Members found by LiRA at one false in a hundred; "
        "adversarial images told by entropy if their maker knows of it (AUROC); passes to train and to answer"
    )


def _bold(number: Number) -> Number:
    return Number(f"**{number}**", number.address)


def _cost(dataset: str, kind: str) -> str:
    """Of training, and of an answer, in passes through the network, beside those of the plain one."""
    one, plain = (
        row(PAPER, "reduced", dataset=dataset, kind=name, attack="calibration")[0] for name in (kind, "plain")
    )
    return f"×{one.training_work() / plain.training_work():.0f} / ×{one.passes / plain.passes:.0f}"


def literature(store: Store) -> Table:
    """What others print of the same attacks, beside ours on CIFAR-10, or, before that is run, on MNIST."""
    known = [name for name in reversed(DATASETS) if values_at(store, PAPER, f"{name}/plain/lira_auc")]
    at = known[0] if known else DATASETS[0]
    with LITERATURE.open(encoding="utf-8", newline="") as lines:
        printed = list(csv.DictReader(lines))
    rows = [
        [one["attack"], *_beside(store, at, one, "auc"), *_beside(store, at, one, "tpr_at_01pct")] for one in printed
    ]
    whose = ("printed (%)", f"ours, {DATASET_NAMES[at]}")
    return Table(["Attack", *(f"{rate}, {one}" for rate in ("AUC", "TPR at 0.1 %") for one in whose)], rows)


def _beside(store: Store, dataset: str, one: Mapping[str, str], rate: str) -> list[str]:
    return [f"{one[rate]}", across(store, PAPER, f"{dataset}/plain/{one['score']}_{rate}")]


# --- what is told of each data set alone ----------------------------------------------------------------------------------


def words(store: Store, sentence: Sentence) -> str:
    """The word on a sentence on each data set that is run, by its name, or the one that is the same on all."""
    judged = by_dataset(sentence, judge_parts(store, PAPER, sentence))
    found = {name: one.word for name, one in judged.items()}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{DATASET_NAMES[name]}: {word}" for name, word in found.items() if word != NOT_RUN)


def _words_on(store: Store, dataset: str) -> str:
    judged = (by_dataset(one, judge_parts(store, PAPER, one)) for one in claims.load(PAPER))
    return in_words(Counter(one[dataset].word for one in judged))


def counted(store: Store, dataset: str) -> str:
    """How many sentences have which word on one data set."""
    return f"{len(claims.load(PAPER))} claims, {_words_on(store, dataset)}"


class _First(Store):
    """The records of the first seeds alone."""

    def get(self, cell: Common) -> Record | None:
        return super().get(cell) if cell.seed < FIRST else None


def counted_first(store: Store, dataset: str) -> str:
    """How many sentences had which word before there were more seeds than the first."""
    return _words_on(_First(store.root), dataset)


DERIVED: Mapping[str, Callable[[Store], str]] = {
    **{f"claim/{one.id}": partial(words, sentence=one) for one in claims.load(PAPER)},
    **{f"counted/{dataset}": partial(counted, dataset=dataset) for dataset in DATASETS},
    **{f"counted_first/{dataset}": partial(counted_first, dataset=dataset) for dataset in DATASETS},
    **{
        f"{name}/{dataset}": partial(_having, dataset=dataset, which=which)
        for dataset in DATASETS
        for name, which in {"corner": (0, 1, 2), "robust": (0,), "private": (1,), "uncertain": (2,)}.items()
    },
}
