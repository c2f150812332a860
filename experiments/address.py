"""One address for a number: `[paper:][reading:]id[?part&part...]`, in sentences, tables, claims and on the command line.

    harakeh:paper:mnist/cw/epistemic/fooling_rate       what the paper printed
    harakeh:text:mnist/cw/epistemic/fooling_rate        ours, under the reading "text" (which is meant where none is named)
    ...:mnist/cw/epistemic?l2                           another measurement of the same records
    ...:mnist/cw/epistemic/fooling_rate?form=one_draw   of the records with one setting changed
    harakeh:text:mnist-fgsm-drop                        the verdict on a sentence or a part of one, by its id

A part that is neither a measurement nor a setting is a *view*, one of `VIEWS`: how the number is looked at. Where the paper is
known, as in its own chapter, it need not be named.
"""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean
from typing import Any, cast

from experiments import claims, papers, published
from experiments.contrasts import Measured, of_seeds
from experiments.find import find, row, setting, types_of
from experiments.reading import Declared, Reading, Source
from experiments.records import Record, Store
from lib.errors import BadValue, check_choice
from lib.metrics import Interval

VERDICT = "text"  # the reading whose verdicts count: what the paper's text describes, at the paper's scale
PRINTED = "paper"  # in place of a reading: what the paper printed
VIEWS = ("mean", "interval", "seeds", "lowest", "highest", "range", "estimate")
_SHAPE = re.compile(r"(?:(?P<paper>\w+):)??(?:(?P<reading>\w+):)?(?P<id>[\w/-]+)(?:\?(?P<parts>[\w/=.,&-]+))?")


@dataclass(frozen=True)
class Address:
    """An address taken apart."""

    text: str
    paper: str
    reading: str
    id: str
    measurement: str = ""  # "" for that of the id
    view: str = "mean"
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Found:
    """What an address names: a value a seed, and the records behind it."""

    values: Mapping[int, float]  # in the order of seeds
    points: int  # that each percentage is of
    records: tuple[Record, ...]  # one a seed and source, also those that lack the measurement

    @property
    def interval(self) -> Interval | None:
        """Mean and 95 % interval over seeds; of a percentage in which no two seeds differ, over the distinct images.

        Of one seed the number alone; None without any.
        """
        values = tuple(self.values.values())
        found = of_seeds(values)
        if found is None or not 0 <= min(values) <= max(values) <= 100:
            return found
        whole = self.points and found.n > 1
        return Measured(values, tuple(self.values), self.points).interval if whole else found.within(0, 100)


def declared(paper: str) -> Declared:
    """What `paper` says of its readings."""
    papers.get(paper)
    return cast(Declared, importlib.import_module(f"experiments.papers.{paper}.readings"))


def readings(paper: str) -> tuple[Reading, ...]:
    """The readings of `paper` that claims are judged under."""
    return tuple(one for one in declared(paper).READINGS if one.judged)


def reading(paper: str, name: str = VERDICT) -> Reading:
    """The reading `name` of `paper`."""
    known = {one.name: one for one in declared(paper).READINGS}
    return known[check_choice("reading", name, tuple(known))]


@cache
def parse(text: str, paper: str | None = None) -> Address:
    """`text` as an address, whose paper is `paper` unless it names one.

    Raises:
        BadValue: not of the shape of an address; or an unknown paper, reading, id, measurement, setting or value of one.
    """
    try:
        return _parsed(text, paper)
    except BadValue as error:
        raise BadValue(f"address {text!r}: {error}") from error


def _parsed(text: str, paper: str | None) -> Address:
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise BadValue("expected [paper:][reading:]id[?part&part...]")
    first, name, id_ = match["paper"], match["reading"], match["id"]
    if first is None and name in papers.NAMES:
        first, name = name, None
    if first is None and paper is None:
        raise BadValue(f"expected a paper in front, one of {', '.join(papers.NAMES)}")
    address = Address(text, check_choice("paper", first or paper, papers.NAMES), name or VERDICT, id_)
    known, types = declared(address.paper).MEASURED, types_of(address.paper)
    for part in (match["parts"] or "").split("&") if match["parts"] else ():
        if "=" in part:
            address = replace(address, settings=(*address.settings, setting(part, types, what="setting")))
        elif part in VIEWS:
            address = replace(address, view=part)
        else:
            address = replace(address, measurement=check_choice("measurement", part, sorted(known)))
    if (address.reading == PRINTED or is_claim(address)) and (address.measurement or address.settings):
        raise BadValue("a printed number and a verdict have no other measurement and no settings")
    if address.reading == PRINTED:
        check_choice("published id", id_, published.load(address.paper))
    elif is_claim(address):
        check_choice("claim", id_, sorted(_claims(address.paper)))
    else:
        for source in (source for alternatives in sources(address) for source in alternatives):
            check_choice("measurement", source.measurement, sorted(known))
            row(address.paper, source.profiles[0], **source.settings)
    return address


def is_claim(address: Address) -> bool:
    """Whether an address names a sentence or a part; an id with a dash can be nothing else."""
    return "-" in address.id or address.id in _claims(address.paper)


@cache
def _claims(paper: str) -> frozenset[str]:
    return frozenset(id_ for one in claims.load(paper) for id_ in (one.id, *(part.id for part in one.parts)))


def check_planned(address: Address) -> None:
    """See that the grid has cells for a number of ours; a published one need not be planned under every reading.

    Raises:
        BadValue: no row of the grid has the settings of a source, in any of its profiles.
    """
    if address.reading == PRINTED or is_claim(address):
        return
    if address.id in published.load(address.paper) and not address.settings:
        return
    for alternatives in sources(address):
        rows = [row(address.paper, p, **source.settings) for source in alternatives for p in source.profiles]
        if rows and not any(rows):
            raise BadValue(f"address {address.text!r}: no cell has the settings {dict(alternatives[0].settings)}")


@cache
def sources(address: Address) -> list[list[Source]]:
    """Where a number of ours lies; see `Declared.sources`."""
    return _sources(reading(address.paper, address.reading), address)


def _sources(one: Reading, address: Address) -> list[list[Source]]:
    found = declared(address.paper).sources(one, address.id.split("/"))
    if address.measurement or address.settings:
        return [[_changed(source, address) for source in alternatives] for alternatives in found]
    return found


def _changed(source: Source, address: Address) -> Source:
    settings = {**source.settings, **dict(address.settings)}
    return replace(source, settings=settings, measurement=address.measurement or source.measurement)


def resolve(store: Store, address: Address, one: Reading | None = None) -> Found:
    """What was measured of the number at `address`, under `one` or its own reading: the mean of its sources for each seed."""
    paper, parts = address.paper, sources(address) if one is None else _sources(one, address)
    kept = [_first_recorded(store, paper, alternatives) for alternatives in parts]
    values = [
        {record.config["seed"]: value for record in some if (value := _value(record, source.measurement)) is not None}
        for some, source in kept
    ]
    seeds = sorted(set.intersection(*map(set, values)))
    points = [
        source.points or int(some[0].measurements.get("test_points", 0)) // source.attempts
        for some, source in kept
        if seeds
    ]
    everything = tuple(record for some, _ in kept for record in some)
    return Found({seed: fmean(by_seed[seed] for by_seed in values) for seed in seeds}, sum(points), everything)


def _first_recorded(store: Store, paper: str, alternatives: list[Source]) -> tuple[list[Record], Source]:
    """The records of the first of the alternatives that has any; and which one that is."""
    source = Source({}, "", ())
    for source in alternatives:
        for profile in source.profiles:
            if found := find(store, paper, profile, **source.settings):
                return found, source
    return [], source


def _value(record: Record, name: str) -> float | None:
    """A measurement of a record, or the highest point of one of its curves, if it has it."""
    return record.measurements.get(name, max(record.curves.get(name, ()), default=None))
