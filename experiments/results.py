"""From run records to the cells of a published table: what was measured for each published number, under which reading.

The verdict on a claim is the one under the reading `VERDICT`, what the paper's text describes at the `paper` profile; in
Harakeh's chapter that is the text's network, attacked through the victim's own answer. The other readings stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from experiments import papers, published
from experiments.papers.galinkin import rows as galinkin_rows
from experiments.papers.song import rows as song_rows
from experiments.records import Record, Store
from experiments.results_reading import Reading
from experiments.verdicts import Measured

TEXT = {"mnist": "basic_cnn", "cifar10": "fully_convolutional"}
TUTORIAL = {"mnist": "basic_cnn_tutorial", "cifar10": "fully_convolutional_tutorial"}
REDUCED = {"mnist": "basic_cnn", "cifar10": "fully_convolutional_tutorial"}
READINGS: dict[str, tuple[Reading, ...]] = {
    "harakeh": (
        Reading("text", "text's network", "paper", TEXT),
        Reading("one_draw", "text's network, one draw", "paper", TEXT, form="one_draw"),
        Reading("expectation", "text's network, expectation", "paper", TEXT, form="expectation"),
        Reading("tutorial", "tutorial's network", "paper", TUTORIAL),
        Reading("reduced", "`reduced`", "reduced", REDUCED),
    ),
    "galinkin": galinkin_rows.READINGS,
    "song": song_rows.READINGS,
}
VERDICT = "text"


def reading(paper: str, name: str = VERDICT) -> Reading:
    """The reading `name` of `paper`."""
    return next(one for one in READINGS[paper] if one.name == name)


@cache
def rows(paper: str, profile: str) -> Mapping[tuple[Any, ...], list[Any]]:
    """The cells behind the tables of a profile, one a seed, by `row_of`."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for cell in papers.get(paper).main(profile):
        found.setdefault(row_of(**{name: getattr(cell, name) for name in ROW if hasattr(cell, name)}), []).append(cell)
    return found


ROW = ("dataset", "network", "estimator", "attack", "form", "steps", "score")


def row_of(**settings: Any) -> tuple[Any, ...]:
    """What a row is found by; for victims that are not random the form is "mean"."""
    return tuple(
        settings.get(name, "mean" if name == "form" and settings["attack"] not in FORMLESS else "") for name in ROW
    )


FORMLESS = ("fgsm", "black_box")  # FGSM's rows measure one draw beside the mean; a black box sees labels only


def records(store: Store, paper: str, profile: str, **settings: Any) -> list[Record]:
    """The records of one row, one a seed; see `row_of` for what names a row."""
    cells = rows(paper, profile).get(row_of(**settings), [])
    return [record for cell in cells if (record := store.get(cell)) is not None]


def records_of(store: Store, paper: str, reading: Reading, published_id: str) -> list[Record]:
    """The records, one a seed, that measure the published number `published_id` (data set/attack/estimator/quantity).

    The clean accuracy of a victim does not depend on the attack: CW's and JSMA's is that of the same victim's FGSM row. FGSM
    in the form of an expectation is PGD with one step, on fewer images, and so is that of the plain victim beside it.
    """
    dataset, attack, estimator, quantity = published_id.split("/")
    one: dict[str, Any] = {"dataset": dataset, "network": reading.networks.get(dataset), "estimator": estimator}
    if quantity == "accuracy" and attack in ("cw", "jsma"):
        return records(store, paper, reading.profile, attack="fgsm", **one)
    if attack in FORMLESS:
        if attack != "fgsm" or reading.form != "expectation" or quantity == "accuracy":
            return records(store, paper, reading.profile, attack=attack, **one)
        attack, one["steps"] = "pgd", 1
    form = "mean" if estimator == "none" else reading.form
    return records(store, paper, reading.profile, attack=attack, form=form, **one)


def measurement(record: Record, reading: Reading, quantity: str) -> float | None:
    """What `record` measured for the published `quantity` under `reading`, if it did."""
    random = record.config["estimator"] != "none" and record.config["attack"] == "fgsm"
    one_draw = random and reading.form == "one_draw" and quantity != "accuracy"  # of dropout alone it has been measured
    return record.measurements.get(f"{quantity}_one_draw" if one_draw else quantity)


def measured(store: Store, paper: str, reading: Reading) -> dict[str, Measured]:
    """What was measured for each published number of `paper`; numbers without a record are absent."""
    values_of = {"galinkin": galinkin_rows.values_of, "harakeh": harakeh_values, "song": song_rows.values_of}[paper]
    found = {}
    for name in published.load(paper):
        if usable := values_of(store, reading, name):
            seeds, values, points = zip(*usable, strict=True)
            found[name] = Measured(values=values, seeds=seeds, points=points[0])
    return found


def harakeh_values(store: Store, reading: Reading, published_id: str) -> list[tuple[int, float, int]]:
    """Seed, value in percent and test points of every record behind one of Harakeh's published numbers."""
    quantity = published_id.rsplit("/", 1)[1]
    values = [(r, measurement(r, reading, quantity)) for r in records_of(store, "harakeh", reading, published_id)]
    return [
        (record.config["seed"], value, int(record.measurements["test_points"]))
        for record, value in values
        if value is not None
    ]
