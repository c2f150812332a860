"""What the Harakeh chapter shows: his Table 2 beside ours, the curves over epsilon, and the numbers in its prose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from torch import Tensor

from lib import claims, published
from lib.costs import cost
from lib.results import READINGS, Reading, measured, reading, records_of
from lib.runs import Record, Store
from lib.tables import DATASET_NAMES, NOT_RUN, Table, interval_of, number
from lib.uncertainty import ESTIMATORS
from lib.verdicts import SLACK, Measured, judge

PAPER = "harakeh"
QUANTITIES = {"accuracy": "clean", "adversarial_accuracy": "attacked", "fooling_rate": "fooling rate"}
# The reading with the gradient of one draw has a measurement of its own for the epistemic victim only.
AS_LEFT = "as left"
Panels = dict[str, dict[str, list[Record]]]


def table2(store: Store, *, attack: str = "fgsm") -> Table:
    """The rows of Table 2 for one attack: his number, ours under each reading, and what a seed of ours costs."""
    printed, close = published.load(PAPER), claims.tolerances(PAPER)
    columns = [measured(store, PAPER, one) for one in READINGS[PAPER]]
    rows = []
    for name in (name for name in printed if name.split("/")[1] == attack):
        dataset, _, estimator, quantity = name.split("/")
        ours = [
            AS_LEFT
            if one.one_draw and (estimator != "epistemic" or quantity == "accuracy")
            else _marked(printed[name], found.get(name), close[name])
            for one, found in zip(READINGS[PAPER], columns, strict=True)
        ]
        rows.append(
            [DATASET_NAMES[dataset], estimator, QUANTITIES[quantity], printed[name].text, *ours, _cost(store, name)]
        )
    readings = [f"Ours: {one.title}" for one in READINGS[PAPER]]
    return Table(["Data", "Uncertainty", "Accuracy (%)", "Paper", *readings, "Time a seed"], rows)


def _marked(printed: published.Published, found: Measured | None, tolerance: float) -> str:
    """The measured number, with a tick where its mean lies within the declared tolerance of the printed one."""
    if found is None:
        return NOT_RUN
    mean = interval_of(found).mean
    close = printed.low - tolerance - SLACK <= mean <= printed.high + tolerance + SLACK
    return number(found) + (" ✓" if close else "")


def _cost(store: Store, name: str) -> str:
    """Median minutes of a seed, training included, under each reading; "–" where there is no record."""
    minutes = []
    for one in (one for one in READINGS[PAPER] if not one.one_draw):  # which shares its records with another
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


def prose(store: Store) -> dict[str, str]:
    """The measured numbers and verdicts that the chapter's sentences quote, by the name they are glued under."""
    text, declared, printed = {}, claims.load(PAPER), published.load(PAPER)
    for one in READINGS[PAPER]:
        found = measured(store, PAPER, one)
        for dataset in ("mnist", "cifar10"):
            for estimator in ESTIMATORS:
                for quantity, short in (("accuracy", "clean"), ("adversarial_accuracy", "fgsm")):
                    value = found.get(f"{dataset}/fgsm/{estimator}/{quantity}")
                    text[f"{one.name}-{dataset}-{estimator}-{short}"] = _percent(
                        None if value is None else interval_of(value).mean
                    )
                for extra in (
                    "unmoved",
                    "adversarial_accuracy_one_draw",
                    "sigma",
                    "adversarial_sigma",
                    "largest_perturbation",
                ):
                    text[f"{one.name}-{dataset}-{estimator}-{extra.replace('_', '-')}"] = _mean(
                        store, one, f"{dataset}/fgsm/{estimator}/accuracy", extra
                    )
        for claim in declared:
            text[f"{one.name}-verdict-{claim.id}"] = judge(claim, found, printed).word
    return text


def _percent(value: float | None) -> str:
    return NOT_RUN if value is None else f"{value:.1f} %"


def _mean(store: Store, one: Reading, name: str, measurement: str) -> str:
    """The mean over seeds of a measurement that is in no published table."""
    records = records_of(store, PAPER, one, name)
    values = [record.measurements[measurement] for record in records if measurement in record.measurements]
    if not values:
        return NOT_RUN
    percent = measurement == "unmoved" or "accuracy" in measurement
    return _percent(fmean(values)) if percent else f"{fmean(values):.3f}"
