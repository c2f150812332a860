"""What the Harakeh chapter shows beside his numbers: Table 2, the curves over epsilon, and the pixels of its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from torch import Tensor

from experiments import claims, published
from experiments.costs import cost
from experiments.papers import harakeh
from experiments.records import Record, Store
from experiments.results import READINGS, TEXT, measured, reading, records_of
from experiments.results_reading import Reading
from lib import data
from lib.uncertainty import ESTIMATORS
from report.diagrams import Column, column
from report.numbers import marked
from report.tables import DATASET_NAMES, Table

PAPER = "harakeh"
QUANTITIES = {"accuracy": "clean", "adversarial_accuracy": "attacked", "fooling_rate": "fooling rate"}
# A reading that cannot differ from the first one: its form changes nothing for this row.
SAME = "="
Panels = dict[str, dict[str, list[Record]]]


def table2(store: Store, *, attack: str) -> Table:
    """The rows of Table 2 for one attack: his number, ours under each reading, and what a seed of ours costs."""
    printed, close = published.load(PAPER), claims.tolerances(PAPER)
    readings = [one for one in READINGS[PAPER] if one.form == "mean" or attack != "black_box"]
    columns = [measured(store, PAPER, one) for one in readings]
    rows = []
    for name in (name for name in printed if name.split("/")[1] == attack):
        dataset, _, estimator, quantity = name.split("/")
        ours = [
            SAME
            if _is_same(one, name)
            else marked(printed[name], found.get(name), close[name]) + _runs(store, one, name)
            for one, found in zip(readings, columns, strict=True)
        ]
        costs = [] if attack != "fgsm" else [_cost(store, name)]
        rows.append([DATASET_NAMES[dataset], estimator, QUANTITIES[quantity], printed[name].text, *ours, *costs])
    head = ["Data", "Uncertainty", "%", "Paper", *(f"Ours: {one.title}" for one in readings)]
    return Table([*head, *(["Time a seed: text’s / tutorial’s / `reduced`"] if attack == "fgsm" else [])], rows)


def _is_same(one: Reading, name: str) -> bool:
    """Whether a form makes no difference to a row: to a clean accuracy, and to what is not random."""
    _, attack, estimator, quantity = name.split("/")
    plain = estimator == "none" and (attack, one.form) != ("fgsm", "expectation")  # that column has images of its own
    return one.form != "mean" and (plain or quantity == "accuracy")


def _runs(store: Store, one: Reading, name: str) -> str:
    """The lowest and highest fooling rate of any run of any seed, as the paper reports it."""
    if not name.endswith("fooling_rate"):
        return ""
    found = [record.measurements for record in records_of(store, PAPER, one, name)]
    if not found:
        return ""
    return f"; runs {min(m['fooling_rate_min'] for m in found):.0f}–{max(m['fooling_rate_max'] for m in found):.0f}"


def _cost(store: Store, name: str) -> str:
    """Median minutes of a seed, training included, under each reading; "–" where there is no record."""
    minutes = []
    for one in (one for one in READINGS[PAPER] if one.form == "mean"):  # the others share its records
        records = records_of(store, PAPER, one, name)
        minutes.append(f"{median(cost(record) for record in records) / 60:.1f}" if records else "–")
    return "–" if set(minutes) == {"–"} else " / ".join(minutes) + " min"


def panels(store: Store, *, readings: Sequence[str] = ("text", "tutorial")) -> Panels:
    """The FGSM records of each network that has any, under each of `readings`: title, then estimator, then seeds."""
    found: Panels = {}
    for dataset in ("mnist", "cifar10"):
        for one in (reading(PAPER, name) for name in readings):
            lines = {e: records_of(store, PAPER, one, f"{dataset}/fgsm/{e}/accuracy") for e in ESTIMATORS}
            if any(lines.values()):
                found[f"{DATASET_NAMES[dataset]}, {one.title}"] = lines
    return found


def published_points(titles: Sequence[str]) -> dict[str, dict[str, float]]:
    """The paper's accuracies under FGSM at 0.3 for each panel's data set, by estimator."""
    printed = published.load(PAPER)
    ids = {name: dataset for dataset, name in DATASET_NAMES.items()}
    return {
        title: {e: printed[f"{ids[title.split(',')[0]]}/fgsm/{e}/adversarial_accuracy"].value for e in ESTIMATORS}
        for title in titles
    }


def published_ranges(titles: Sequence[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """The paper's lowest and highest fooling rate for each panel that it has a row for, by estimator.

    Titles are those of `harakeh_beyond.fooling_panels`, such as "CW: MNIST, text's network".
    """
    printed = published.load(PAPER)
    found = {}
    for title in titles:
        attack, victim = title.split(": ")
        rows = {e: printed.get(f"mnist/{attack.lower()}/{e}/fooling_rate") for e in ESTIMATORS}
        if victim.startswith("MNIST, text's"):
            found[title] = {estimator: (row.low, row.high) for estimator, row in rows.items() if row is not None}
    return found


def curves_table(found: Panels) -> Table:
    """The numbers behind the figure of the curves, one line an epsilon and seed."""
    rows = [
        [title, estimator, str(record.config["seed"]), f"{epsilon:.6g}", f"{value:.4f}"]
        for title, lines in found.items()
        for estimator, records in lines.items()
        for record in records
        for epsilon, value in zip(record.curves["epsilon"], record.curves["accuracy"], strict=True)
    ]
    return Table(["panel", "uncertainty", "seed", "epsilon", "accuracy_percent"], rows)


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
    for dataset, network in TEXT.items():
        cell = next(cell for cell in harakeh.main("paper") if cell.dataset == dataset and cell.network == network)
        classes, shape = len(data.CLASSES[dataset]), data.SHAPES[dataset]
        title = f"{DATASET_NAMES[dataset]}, {network.replace('_', ' ')}"
        found[title] = column(
            network, shape=shape, classes=classes, width=cell.width, dropout=cell.dropout, draws=cell.draws
        )
    return found
