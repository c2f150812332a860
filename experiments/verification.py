"""Recomputed records: a record retrained and remeasured by today's code, and what became of each of its numbers.

The gate compares small cells; a check compares a record at its own size. `verify` keeps one as
`results/verified/<paper>/<key>.json`, with the checksum of the record that it is of; it is void once that record is replaced.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from experiments import schema
from experiments.probe import TIMES
from experiments.records import REPAIR, Record, Result, Store, digest, sealed, unsealed
from lib.errors import BadValue
from lib.training.checkpoints import write_atomically

FOLDER = "verified"


@dataclass(frozen=True)
class Comparison:
    """A number as it was recorded and as it came out again, in its own unit, and what they may differ by; None: by anything."""

    name: str
    recorded: float
    now: float
    tolerance: float | None

    @property
    def agrees(self) -> bool:
        """Whether they differ by the tolerance at most; a nan, which stands for what did not come out, never agrees."""
        return abs(self.now - self.recorded) <= (math.inf if self.tolerance is None else self.tolerance)

    @property
    def words(self) -> str:
        """How far they are apart."""
        if self.now == self.recorded:
            return "the same"
        if self.tolerance is None:
            return "another machine, not judged" if self.agrees else "DID NOT come out"
        return f"within {self.tolerance:g}" if self.agrees else f"DIFFERS by more than {self.tolerance:g}"


@dataclass(frozen=True)
class Check:
    """What became of a record when it was computed again, and by what."""

    comparisons: tuple[Comparison, ...]
    provenance: Mapping[str, Any]


def compare(
    record: Record, result: Result, source: Mapping[str, Any], tolerances: Mapping[str, float]
) -> tuple[Comparison, ...]:
    """Each measurement and each curve of `record`, but for what is time, beside that of `result`, which comes from `source`.

    What has no tolerance of its own must be the same to the bit where the kind of processor, the threads and the versions of
    libraries are those of the record, and is not judged elsewhere. Of a curve, the point that is farthest off stands for all.
    """
    alike = all(record.provenance.get(fact) == source.get(fact) for fact in ("device", "threads", "versions"))
    usual = 0.0 if alike else None
    found = [
        Comparison(name, value, result.measurements.get(name, math.nan), tolerances.get(name, usual))
        for name, value in record.measurements.items()
        if not name.endswith(TIMES)
    ]
    for name, curve in record.curves.items():
        now = result.curves.get(name, [])
        points = [*zip(curve, now, strict=False), *((value, math.nan) for value in curve[len(now) :])]
        if points:
            then, again = max(points, key=_gap)
            found.append(Comparison(f"curve {name}", then, again, usual))
    return tuple(found)


def _gap(point: tuple[float, float]) -> float:
    then, now = point
    return math.inf if math.isnan(now) else abs(now - then)


def keep(store: Store, record: Record, check: Check) -> None:
    """Write `check` of `record` beside the records of `store`; an earlier one goes."""
    comparisons = [vars(one) | {"now": one.now if math.isfinite(one.now) else None} for one in check.comparisons]
    content: dict[str, Any] = {"key": record.key, "record": digest(vars(record)), "comparisons": comparisons}
    content["provenance"] = dict(check.provenance)
    path = store.root / FOLDER / record.config["paper"] / f"{record.key}.json"
    write_atomically(path, sealed(content))


def checks(store: Store, paper: str) -> Iterator[tuple[Record, Check]]:
    """The records of `paper` that were computed again as they stand, in order of profile and key, each with its latest check.

    Raises:
        BadValue: the file of a check is damaged.
    """
    for record in store.all(paper):
        path = store.root / FOLDER / paper / f"{record.key}.json"
        if not path.exists():
            continue
        content, found = unsealed(path.read_bytes(), _check, name=f"check {path}", kind="one")
        if content["key"] != record.key:
            raise BadValue(f"check {path}: of record {content['key']}; {REPAIR}")
        if content["record"] == digest(vars(record)):
            yield record, found


def _check(content: dict[str, Any]) -> tuple[dict[str, Any], Check]:
    """What a file says, and the check that it says it of; no number stands for one that was none."""
    schema.Provenance(**content["provenance"])
    for one in content["comparisons"]:
        schema.Again(**one)
    each = [one | {"now": math.nan if one["now"] is None else one["now"]} for one in content["comparisons"]]
    return content, Check(tuple(Comparison(**one) for one in each), content["provenance"])
