"""From run records to the cells of a published table: what was measured for each published number, under which reading.

A reading is one column of ours beside the paper's: a profile, and which network stands for each data set. The verdict on a
claim is the one under `VERDICT`, the network that the paper's text describes at the `paper` profile; the others stand
beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lib import papers, published
from lib.runs import Record, Store
from lib.verdicts import Measured


@dataclass(frozen=True)
class Reading:
    """One way to read what the paper did, and where its records are."""

    name: str
    title: str
    profile: str
    networks: Mapping[str, str]  # data set: network
    one_draw: bool = False  # whether the attack on a random victim differentiates one draw instead of the mean of T

    def measurement(self, record: Record, quantity: str) -> float | None:
        """What `record` measured for the published `quantity` under this reading, if it did."""
        attacked = quantity != "accuracy" and record.config["estimator"] == "epistemic"
        return record.measurements.get(f"{quantity}_one_draw" if self.one_draw and attacked else quantity)


TEXT = {"mnist": "basic_cnn", "cifar10": "fully_convolutional"}
TUTORIAL = {"mnist": "basic_cnn_tutorial", "cifar10": "fully_convolutional_tutorial"}
READINGS: dict[str, tuple[Reading, ...]] = {
    "harakeh": (
        Reading("text", "text's network", "paper", TEXT),
        Reading("one_draw", "text's network, gradient of one draw", "paper", TEXT, one_draw=True),
        Reading("tutorial", "tutorial's network", "paper", TUTORIAL),
        Reading("reduced", "`reduced`", "reduced", {"mnist": "basic_cnn", "cifar10": "fully_convolutional_tutorial"}),
    ),
}
VERDICT = "text"


def reading(paper: str, name: str = VERDICT) -> Reading:
    """The reading `name` of `paper`."""
    return next(one for one in READINGS[paper] if one.name == name)


def records_of(store: Store, paper: str, reading: Reading, published_id: str) -> list[Record]:
    """The records, one a seed, that measure the published number `published_id` (data set/attack/estimator/quantity)."""
    dataset, attack, estimator, _ = published_id.split("/")
    wanted = {"dataset": dataset, "attack": attack, "estimator": estimator, "network": reading.networks.get(dataset)}
    cells = [
        cell
        for cell in papers.get(paper).grid(reading.profile)
        if all(getattr(cell, name) == value for name, value in wanted.items())
    ]
    return [record for cell in cells if (record := store.get(cell)) is not None]


def measured(store: Store, paper: str, reading: Reading) -> dict[str, Measured]:
    """What was measured for each published number of `paper`; numbers without a record are absent."""
    found = {}
    for name in published.load(paper):
        quantity = name.rsplit("/", 1)[1]
        records = [(r, reading.measurement(r, quantity)) for r in records_of(store, paper, reading, name)]
        usable = [(record, value) for record, value in records if value is not None]
        if usable:
            found[name] = Measured(
                values=tuple(value for _, value in usable),
                seeds=tuple(record.config["seed"] for record, _ in usable),
                points=int(usable[0][0].measurements["test_points"]),
            )
    return found
