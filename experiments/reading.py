"""A reading: one way to read what a paper did, that is, which of our records stand beside which of its numbers.

Each paper declares its readings as data (`READINGS` in its module `readings`), and with one function, `sources`, where the
number of an id lies under a reading. Nothing else knows how ids of a paper are made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """What tells the cells of one reading from the others.

    Attributes:
        name: what addresses call it.
        title: what stands over its column.
        profiles: where its records are: in the first of these that has any.
        settings: of all of its cells that have a field for them.
        by_dataset: further settings, of the cells of one data set.
        quantities: the measurement that stands for a published quantity; "" for one that has no meaning here.
        judged: whether claims have a verdict under it.
    """

    name: str
    title: str
    profiles: tuple[str, ...] = ("paper",)
    settings: Settings = field(default_factory=dict)
    by_dataset: Mapping[str, Settings] = field(default_factory=dict)
    quantities: Mapping[str, str] = field(default_factory=dict)
    judged: bool = True


@dataclass(frozen=True)
class Source:
    """A row of cells, by its settings, and which of its measurements."""

    settings: Settings
    measurement: str
    profiles: tuple[str, ...]
    points: int | None = None  # that a percentage is of, where the record does not say so
    attempts: int = 1  # on each image, each of which the record counts as a point


class Declared(Protocol):
    """What the module `readings` of a paper offers."""

    READINGS: tuple[Reading, ...]
    MEASURED: frozenset[str]  # what its records measure, and their curves

    def sources(self, one: Reading, path: Sequence[str]) -> list[list[Source]]:
        """Where the number lies that an id, taken apart at its slashes, names under a reading.

        The number is the mean of the sources, seed by seed; each is given as those that could stand for it, of which the
        first with records does.

        Raises:
            BadValue: an id that cannot be one of the paper's.
        """

    def victims(self, path: Sequence[str]) -> list[tuple[str, str]]:
        """The clean accuracies that have to be the paper's for the number to say something of it.

        Each is a published id and the address, without its reading, of what was measured of the same networks.
        """
