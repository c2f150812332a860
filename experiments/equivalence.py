"""Whether the number in a record still holds: by the gate, by a recomputation, or not.

`results/equivalence/<paper>.json` lists which commits, of those that records were computed by, give smoke cells of which *kind*
today's measurements, to the bit. Cells of a kind run the same code on other numbers: another seed, size, rate, budget or network.
`python -m experiments gate --records` measures the pairs that the list has not got. The list is about the code at one commit, its
`base`; from there on the gate holds every change, and a kind whose `version` is raised has new keys.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from experiments import papers, verification
from experiments.records import Record, Store, settings
from experiments.schema import Pair as Pair
from experiments.verification import Check
from lib.errors import BadValue
from lib.training.checkpoints import write_atomically

FOLDER: Final = "equivalence"
SHOWN_APART = ("paper", "profile", "dataset", "network", "attack")
Word = Literal["equal by the gate", "verified", "changed since", "not measured"]


@dataclass(frozen=True)
class State:
    """What is known of a record, and why: the commit that recomputed it, or what changed."""

    word: Word
    why: str = ""


def switches(cell: Any) -> dict[str, Any]:
    """What of a cell's settings switches code: words, flags and version, and whether its fractions and its patience are zero."""
    found: dict[str, Any] = {}
    for name, value in settings(cell).items():
        if name in SHOWN_APART:
            continue
        if isinstance(value, str | bool) or name == "version":
            found[name] = value
        elif isinstance(value, float) or name == "patience":
            found[name] = bool(value)
    return found


def kind_of(cell: Any) -> str:
    """The kind of a cell: its paper, its attack, and each of its `switches` that is not as usual for its experiment.

    Such as "harakeh pgd estimator=epistemic form=expectation". Data set and network are no part of it: smoke cells have others.
    """
    usual = switches(type(cell)())
    told = {True: "{}", False: "no {}"}
    words = [
        told[value].format(name) if isinstance(value, bool) else f"{name}={value}"
        for name, value in switches(cell).items()
        if value != usual[name]
    ]
    return " ".join([cell.paper, cell.attack, *sorted(words)])


def commit_of(record: Record) -> str:
    """The commit that computed `record`; a mark of uncommitted changes is taken off."""
    return str(record.provenance["commit"]).rstrip("+")


def load(store: Store, paper: str) -> dict[tuple[str, str], Pair]:
    """The pairs that have been measured for the records of `paper`, by commit and kind; none where there is no list.

    Raises:
        BadValue: a list that is none.
    """
    path = _path(store, paper)
    if not path.exists():
        return {}
    try:
        pairs = [Pair(**pair) for pair in json.loads(path.read_bytes())["pairs"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadValue(f"{path}: expected a list of commits and kinds, got {error}") from error
    return {(pair.commit, pair.kind): pair for pair in pairs}


def keep(store: Store, paper: str, pairs: Iterable[Pair], *, measured: Mapping[str, str]) -> None:
    """Add `pairs` to the list of `paper`, with what `measured` says of the machine and the code they were measured with."""
    path = _path(store, paper)
    content = json.loads(path.read_bytes()) if path.exists() else {}
    known = load(store, paper) | {(pair.commit, pair.kind): pair for pair in pairs}
    content = {**content, **measured, "pairs": [asdict(known[key]) for key in sorted(known)]}
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def state(record: Record, pairs: Mapping[tuple[str, str], Pair], check: Check | None) -> State:
    """What is known of `record`, from the list of its paper and from its latest recomputation, if there is one."""
    if check is not None and all(one.agrees for one in check.comparisons):
        return State("verified", f"recomputed by {check.provenance['commit']}")
    cell = papers.revive(record.config["paper"], record.config)
    if cell is None:
        return State("not measured", "no experiment has its settings any more")
    pair = pairs.get((commit_of(record), kind_of(cell)))
    if pair is None or pair.equal is None:
        return State("not measured", pair.why if pair else "its commit has not been through the gate")
    return State("equal by the gate" if pair.equal else "changed since", pair.why)


def states(store: Store, paper: str) -> dict[str, State]:
    """What is known of every record of `paper`, by its key."""
    pairs = load(store, paper)
    checked = {record.key: check for record, check in verification.checks(store, paper)}
    return {record.key: state(record, pairs, checked.get(record.key)) for record in store.all(paper)}


def unknown(store: Store, paper: str) -> dict[str, dict[str, Any]]:
    """What the list of `paper` has not got: a commit, then a kind, and a cell of smoke's size that stands in for its records."""
    pairs, found = load(store, paper), dict[str, dict[str, Any]]()
    for record in store.all(paper):
        cell = papers.revive(paper, record.config)
        if cell is not None and (commit_of(record), kind_of(cell)) not in pairs:
            found.setdefault(commit_of(record), {})[kind_of(cell)] = stand_in(cell)
    return found


def stand_in(cell: Any) -> Any:
    """A cell of smoke's size and of the same kind: the smoke cell of its experiment that is most like it, with its switches."""
    wanted = settings(cell)
    alike = [one for one in _smoke(cell.paper) if type(one) is type(cell)]
    nearest = max(alike, key=lambda one: sum(value == wanted[name] for name, value in settings(one).items()))
    now = switches(nearest)
    return replace(nearest, **{name: wanted[name] for name, value in switches(cell).items() if value != now[name]})


@cache
def _smoke(paper: str) -> Sequence[Any]:
    return tuple(papers.get(paper).grid("smoke"))


def _path(store: Store, paper: str) -> Path:
    return store.root / FOLDER / f"{paper}.json"
