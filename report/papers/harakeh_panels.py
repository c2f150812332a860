"""What the Harakeh chapter's figures draw: records by panel and line, his numbers beside them, and the data behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from torch import Tensor

from experiments import published
from experiments.address import reading
from experiments.find import row
from experiments.papers import harakeh
from experiments.papers.harakeh.readings import TEXT
from experiments.records import Record, Store
from lib import data
from lib.uncertainty import ESTIMATORS
from report.figures.networks import Column, column
from report.names import DATASET_NAMES
from report.numbers import NOT_RUN
from report.papers.harakeh import DETECTED, PAPER, RANDOM, VICTIMS, estimators_of, scores_of
from report.tables import Panels, Table, data_behind, panels_at, points_of, records_at

FOOLING = {"cw": "CW", "jsma": "JSMA"}
WHITE_BOX = ("FGSM", "PGD", "PGD that knows the score", "CW", "JSMA")
RATES = ("fooling_rate", "fooling_rate_min", "fooling_rate_max", "fooling_rate_vote")


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


def fooling_panels(store: Store) -> Panels:
    """The records of CW and JSMA by panel, then by estimator and form, for the figure of fooling rates."""
    lines = [("none", "mean"), *product(RANDOM, harakeh.FORMS)]
    addresses = {
        _fooling_title(victim, attack): {
            (estimator, form): f"{VICTIMS[victim]}/{attack}/{estimator}?form={form}" for estimator, form in lines
        }
        for victim, attack in product(VICTIMS, FOOLING)
    }
    return panels_at(store, PAPER, addresses)


def _fooling_title(victim: str, attack: str) -> str:
    return f"{FOOLING[attack]}: {victim.replace('`', '')}"


def published_ranges() -> dict[str, dict[str, tuple[float, float]]]:
    """The paper's lowest and highest fooling rate for each panel of the network that its text describes, by estimator."""
    printed = published.load(PAPER)
    return {
        _fooling_title(victim, attack): {
            estimator: (row.low, row.high)
            for estimator in ESTIMATORS
            for row in [printed[f"mnist/{attack}/{estimator}/fooling_rate"]]
        }
        for victim, attack in product(VICTIMS, FOOLING)
        if VICTIMS[victim] in ("text:mnist", "reduced:mnist")
    }


def rates_data(found: Panels) -> Table:
    """The numbers behind the figure of fooling rates, one line a record."""
    head = ["panel,uncertainty,form,seed", *(f"{name}_percent" for name in RATES)]
    return data_behind(
        found, ",".join(head), lambda record, _: [[f"{record.measurements[name]:.4f}" for name in RATES]], words=tuple
    )


def detection_panels(store: Store, victim: str) -> Panels:
    """The records by attack, then by estimator and score, for the figures of detection and rejection."""
    addresses = {
        title: {
            (estimator, score): DETECTED[title].format(victim=VICTIMS[victim], estimator=estimator, score=score)
            for estimator, score in scores_of(victim)
        }
        for title in WHITE_BOX
    }
    return panels_at(store, PAPER, addresses, empty=True)


def first_judged(store: Store) -> str:
    """The first of `VICTIMS` whose detection has been measured; the first of all where none has."""
    return next((victim for victim in VICTIMS if _judged(store, victim)), next(iter(VICTIMS)))


def _judged(store: Store, victim: str) -> list[Record]:
    return records_at(store, PAPER, f"{VICTIMS[victim]}/pgd/epistemic/auroc_entropy")


def _judged_victim(store: Store) -> str:
    """Whose detection the figures show, and over how many seeds."""
    victim = first_judged(store)
    seeds = len(_judged(store, victim))
    return f"{victim}, ×{seeds}" if seeds else NOT_RUN


DERIVED: Mapping[str, Callable[[Store], str]] = {"judged_victim": _judged_victim}


def loss_panels(store: Store) -> Panels:
    """The records of PGD that carry the loss against its steps, by victim that has any, then by estimator."""
    addresses = {
        victim.replace("`", ""): {estimator: f"{address}/pgd/{estimator}" for estimator in estimators_of(victim)}
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


def pixels_table(images: Mapping[str, Tensor]) -> Table:
    """The pixels behind a figure of images, one line an image."""
    rows = [
        [name, str(i), " ".join(f"{pixel:.3f}" for pixel in image.flatten().tolist())]
        for name, batch in images.items()
        for i, image in enumerate(batch)
    ]
    return Table(["victim", "image", "pixels_row_by_row"], rows)


def figure1_columns() -> dict[str, Column]:
    """The networks of his Figure 1, as the cells of the text's reading build them."""
    found = {}
    for dataset, settings in TEXT.items():
        cell = row(PAPER, "paper", dataset=dataset, **settings)[0]
        classes, shape = len(data.CLASSES[dataset]), data.SHAPES[dataset]
        title = f"{DATASET_NAMES[dataset]}, {cell.network.replace('_', ' ')}"
        found[title] = column(
            cell.network, shape=shape, classes=classes, width=cell.width, dropout=cell.dropout, draws=cell.draws
        )
    return found
