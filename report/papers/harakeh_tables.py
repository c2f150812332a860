"""The curves and small tables of the Harakeh chapter: records by panel and line, and the data behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from torch import Tensor

from experiments import published
from experiments.address import reading
from experiments.papers import harakeh
from experiments.papers.harakeh.readings import TEXT
from experiments.papers.harakeh.victims import OF_ESTIMATOR
from experiments.records import Record, Store
from lib.uncertainty import ESTIMATORS
from report.names import DATASET_NAMES, SCORE_NAMES
from report.numbers import NOT_RUN, over_seeds
from report.papers.harakeh import PAPER, VICTIMS, WORDS, estimators_of
from report.tables import Panels, Table, data_behind, panels_at, points_of, records_at, row, table

# --- curves ---------------------------------------------------------------------------------------------------------------


def _networks() -> dict[str, tuple[str, str]]:
    """Data set and reading of each panel of accuracies, by its title."""
    return {
        f"{DATASET_NAMES[dataset]}, {reading(PAPER, name).title}": (dataset, name)
        for dataset, name in product(TEXT, ("text", "tutorial"))
    }


def panels(store: Store) -> Panels:
    """The FGSM records of each network that has any: by title, then estimator, then seeds."""
    addresses = {
        title: {estimator: f"{name}:{dataset}/fgsm/{estimator}" for estimator in ESTIMATORS}
        for title, (dataset, name) in _networks().items()
    }
    return panels_at(store, PAPER, addresses)


def published_points() -> dict[str, dict[str, float]]:
    """The paper's accuracies under FGSM at 0.3 for each panel's data set, by estimator."""
    printed = published.load(PAPER)
    return {
        title: {e: printed[f"{dataset}/fgsm/{e}/adversarial_accuracy"].value for e in ESTIMATORS}
        for title, (dataset, _) in _networks().items()
    }


def curves_table(found: Panels) -> Table:
    """The numbers behind the figure of the curves, one line an epsilon and seed."""
    return data_behind(found, "panel,uncertainty,seed,epsilon,accuracy_percent", _points("epsilon", "accuracy"))


def loss_panels(store: Store) -> Panels:
    """The records of PGD that carry the loss against its steps, by victim that has any, then by estimator."""
    addresses = {
        victim: {estimator: f"{address}/pgd/{estimator}" for estimator in estimators_of(victim)}
        for victim, address in VICTIMS.items()
    }
    return panels_at(store, PAPER, addresses)


def curves_data(found: Panels, x: str, y: str) -> Table:
    """The numbers behind a figure of curves, one line a point; `y` names a curve, "{score}" in it the score of its line."""
    head = f"panel,uncertainty,score,seed,{x},{y.format(score='').rstrip('_')}"
    return data_behind(found, head, _points(x, y), words=lambda key: (key, "") if isinstance(key, str) else key)


def _points(x: str, y: str) -> Callable[..., list[Sequence[str]]]:
    """What gives the points of the curve `y` over `x`, the name of the curve left out."""

    def points(record: Record, key: Any) -> list[Sequence[str]]:
        score = "" if isinstance(key, str) else key[1]
        return [line[1:] for line in points_of(record, x, [y.format(score=score)], places=".4f")]

    return points


# --- rejection ------------------------------------------------------------------------------------------------------------

DETECTED = {
    "PGD, one step": "{victim}/pgd/{estimator}/auroc_{score}?steps=1",
    "PGD": "{victim}/pgd/{estimator}/auroc_{score}",
    "CW": "{victim}/cw/{estimator}/auroc_{score}",
    "JSMA": "{victim}/jsma/{estimator}/auroc_{score}",
    "PGD that knows the score": "{victim}/aware/{estimator}/auroc_{score}",
}


def detection_table(store: Store) -> Table:
    """AUROC in percent of each score for each attack, of the first victim that was judged; 50 is chance."""
    victim = first_judged(store)
    rows = [
        row(
            WORDS.get(estimator, estimator),
            SCORE_NAMES[score],
            victim=VICTIMS[victim],
            estimator=estimator,
            score=score,
        )
        for estimator in ESTIMATORS
        for score in OF_ESTIMATOR[estimator]
    ]
    return table(store, PAPER, "Network,Score", rows, DETECTED)


def rejection_panels(store: Store) -> Panels:
    """The records by attack within a budget, then by estimator and score."""
    victim = first_judged(store)
    addresses = {
        title: {
            (estimator, score): pattern.format(victim=VICTIMS[victim], estimator=estimator, score=score)
            for estimator in estimators_of(victim)
            for score in OF_ESTIMATOR[estimator]
        }
        for title, pattern in DETECTED.items()
        if "PGD" in title
    }
    return panels_at(store, PAPER, addresses, empty=True)


def first_judged(store: Store) -> str:
    """The first of `VICTIMS` whose detection has been measured; the first of all where none has."""
    return next((victim for victim in VICTIMS if _judged(store, victim)), next(iter(VICTIMS)))


def _judged(store: Store, victim: str) -> list[Record]:
    return records_at(store, PAPER, f"{VICTIMS[victim]}/pgd/epistemic/auroc_entropy")


def _judged_victim(store: Store) -> str:
    """Whose detection is shown, and over how many seeds."""
    victim = first_judged(store)
    seeds = len(_judged(store, victim))
    return f"{victim}, ×{seeds}" if seeds else NOT_RUN


DERIVED: Mapping[str, Callable[[Store], str]] = {"judged_victim": _judged_victim}


# --- what else ------------------------------------------------------------------------------------------------------------


def deviations_table(store: Store) -> Table:
    """What each setting that the paper leaves open does, paired by seed, in percentage points."""
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in harakeh.deviations("reduced"):
        done = pairs.setdefault((one.title, one.measurement.replace("_", " ")), [])
        both = [
            record.measurements[one.measurement] for cell in (one.usual, one.changed) if (record := store.get(cell))
        ]
        done += [(both[0], both[1])] if len(both) == 2 else []
    rows = []
    for words, done in pairs.items():
        columns = [a for a, _ in done], [b for _, b in done], [b - a for a, b in done]
        rows.append([*words, *map(over_seeds, columns)])
    return Table(["Setting", "Measured (%)", "As in the rows", "Changed", "Effect"], rows)


def pixels_table(images: Mapping[str, Tensor]) -> Table:
    """The pixels behind a figure of images, one line an image."""
    rows = [
        [name, str(i), " ".join(f"{pixel:.3f}" for pixel in image.flatten().tolist())]
        for name, batch in images.items()
        for i, image in enumerate(batch)
    ]
    return Table(["victim", "image", "pixels_row_by_row"], rows)
