"""What the Song chapter's figures draw, the data behind them, and what its sentences derive from several numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np

from experiments.address import readings
from experiments.papers import song
from experiments.papers.song.readings import DATASETS, TRAININGS
from experiments.records import Record, Store
from report.names import QUANTITY_NAMES
from report.numbers import NOT_RUN, percent
from report.papers import song_fit, song_gap
from report.papers.song import INPUTS, PAPER, SCALES
from report.papers.song_tables import printed_gap_attack, title
from report.tables import Panels, Table, data_behind, panels_at, points_of, records_at, values_at


def victims(store: Store) -> Panels:
    """The records of each data set with any, natural and robust, by title."""
    addresses = {
        title(dataset, reading): {training: f"{reading}:{dataset}/{training}" for training in TRAININGS}
        for dataset, reading in SCALES.items()
    }
    return panels_at(store, PAPER, addresses)


def loss_data(panels: Panels) -> Table:
    """The histograms behind Figure 1, one line a bin."""
    return data_behind(panels, "victim,training,seed,inputs,loss_from,loss_to,share_of_members,share_of_others", _bins)


def _bins(record: Record, _: Any) -> Iterator[list[str]]:
    curves = record.curves
    edges = [f"{edge:.4g}" for edge in curves["loss_log_edges"]]
    for inputs in INPUTS:
        shares = (curves[f"loss_log_{side}_{inputs}"] for side in ("train", "test"))
        for low, high, inside, outside in zip(edges, edges[1:], *shares, strict=False):
            yield [inputs, low, high, f"{inside:g}", f"{outside:g}"]


def curve_data(panels: Panels, x: str, names: Sequence[str]) -> Table:
    """The numbers behind a figure of curves, one line a point, seed and curve."""
    return data_behind(panels, f"victim,training,seed,curve,{x},value", lambda record, _: points_of(record, x, names))


def rates(panels: Panels) -> dict[str, dict[tuple[str, str], list[Record]]]:
    """The same records by training and images, for a figure of members found against others that are taken for members."""
    return {
        title: {(training, inputs): list(records) for training, records in lines.items() for inputs in INPUTS}
        for title, lines in panels.items()
    }


def rates_by_threshold(panels: Panels) -> dict[str, dict[tuple[str, str], list[Record]]]:
    """What a threshold gives, in percent: of each data set the members that it finds, and its accuracy.

    The curves `mistaken`, others that are taken for members, and `found` replace those of the record.
    """
    return {
        f"{title}: {words}": {key: [_found(one, key[1], words) for one in records] for key, records in lines.items()}
        for title, lines in rates(panels).items()
        for words in ("members found", "accuracy")
    }


def _found(record: Record, inputs: str, words: str) -> Record:
    """Every fourth point is enough to stand on, the last one among them."""
    fpr, tpr = (np.array(record.curves[f"{side}_{inputs}"])[::-4][::-1] for side in ("fpr", "tpr"))
    # Balanced accuracy: members and others count alike.
    found = tpr if words == "members found" else (tpr + 1 - fpr) / 2
    return replace(record, curves={"mistaken": list(100 * fpr), "found": list(100 * found)})


# --- what sentences derive ------------------------------------------------------------------------------------------------


def _best_method(store: Store) -> str:
    """The method of Table 2 with the highest mean over the classes, of the first reading that has records."""
    for one in readings(PAPER):
        means = {m: fmean(v) for m in song.METHODS if (v := values_at(store, PAPER, f"{one.name}:{m}"))}
        if means:
            return QUANTITY_NAMES[max(means, key=lambda method: means[method])]
    return NOT_RUN


def _brightness(store: Store, measurement: str) -> str:
    """Of the natural Yale Face victims, on benign images: so of either attack's record; the oldest have none."""
    kept = [record for loss in ("log_odds", "cross_entropy") for record in _natural_faces(store, loss)]
    values = {r.config["seed"]: r.measurements[measurement] for r in kept if measurement in r.measurements}
    return percent(fmean(values.values()) if values else None)


def _natural_faces(store: Store, loss: str) -> list[Record]:
    return records_at(store, PAPER, f"text:yale/natural?attack_loss={loss}")


def _printed_gap(_: Store, one: tuple[str, str, str]) -> str:
    return percent(printed_gap_attack(*one))


DERIVED: Mapping[str, Callable[[Store], str]] = {
    "best_method": _best_method,
    **{
        f"{side}_test_accuracy": partial(_brightness, measurement=f"{side}_test_accuracy") for side in ("dark", "light")
    },
    **{f"outcome/{dataset}": partial(song_fit.outcome, dataset=dataset) for dataset in song_fit.DATASETS},
    **{f"at_equal_gap/{at.partition(':')[2]}": partial(song_gap.difference, at=at) for at in song_gap.ENDS},
    "outcome/fitting": partial(song_fit.outcome, dataset="cifar10", reading="fitting"),
    **{f"printed_gap/{'/'.join(one)}": partial(_printed_gap, one=one) for one in product(DATASETS, TRAININGS, INPUTS)},
}
