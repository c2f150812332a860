"""Is it the fit that decides? The victims of `reduced` on a fifth and a tenth of their members, beside the usual and the paper's.

At `reduced` the natural victim leaks more through benign images, in the paper the robust one. Ours have not learnt their
adversarial training images, the paper's have. The hypothesis, written down before any cell of it was run: a robust victim with
members so few that it learns them under attack too leaks more through benign images than a natural one on the same members. It
is *borne out* on a data set if the difference, paired by seed, lies above 0 with its whole 95 % interval, *refuted* if below,
*undecided* if neither; and *not tested* if robust victims are right on less than `FITS` percent of their members under attack. On
CIFAR-10 a fifth was not few enough; the tenth, with a limit nearer to the paper's 100 %, was declared before any record of it.
"""

from __future__ import annotations

from functools import partial
from statistics import fmean

from experiments.papers import song
from experiments.records import Store
from lib.metrics import mean_interval
from report.names import DATASET_NAMES
from report.numbers import NOT_RUN
from report.papers.song import PAPER
from report.papers.song_tables import COMPARED, EFFECTS
from report.prose import quote
from report.tables import Column, Row, Table, across, records_at, row, table, values_at

DATASETS = ("fashion_mnist", "cifar10")
PARTS = {"paper": "the paper", "reduced": "`reduced`", "few": "on a fifth", "fitting": "on a tenth"}  # readings
FITS = {"few": 90.0, "fitting": song.FIT}


def fit_table(store: Store) -> Table:
    """How well robust victims fit, and the paper's three claims: as printed, on the usual and on few members."""
    rows = [
        row(f"{DATASET_NAMES[dataset]}, {words}", at=f"{reading}:{dataset}", dataset=dataset, reading=reading)
        for dataset in DATASETS
        for reading, words in PARTS.items()
        if reading != "fitting" or (dataset == "cifar10" and records_at(store, PAPER, "fitting:cifar10/robust"))
    ]
    columns: dict[str, Column] = {
        "Robust, under attack: members": partial(_told, address="{at}/robust/adv_train_accuracy"),
        "others": partial(_told, address="{at}/robust/adv_test_accuracy"),
        **{EFFECTS[claim]: partial(_told, address=address) for claim, address in COMPARED.items()},
        "Hypothesis": _outcome,
    }
    return table(store, PAPER, "Victims", rows, columns)


def _outcome(store: Store, line: Row) -> str:
    names = line.names
    return outcome(store, names["dataset"], names["reading"]) if names["reading"] in FITS else "–"


def _told(store: Store, line: Row, address: str) -> str:
    at = address.format_map(line.names)
    return quote(store, at, PAPER).removesuffix(" %") if at.startswith("paper") else across(store, PAPER, at)


def outcome(store: Store, dataset: str, reading: str = "few") -> str:
    """What became of the hypothesis, by the rule at the head of this file."""
    at = f"{reading}:{dataset}"
    values = values_at(store, PAPER, COMPARED["robust-leaks"].format(at=at))
    if not values:
        return NOT_RUN
    if fmean(values_at(store, PAPER, f"{at}/robust/adv_train_accuracy")) < FITS[reading]:
        return "not tested"
    interval = mean_interval(values)
    if interval.low > 0:
        return "borne out"
    return "refuted" if interval.high < 0 else "undecided"
