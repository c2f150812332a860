"""Our attacks beside other people's: what `benchmarks/` measured and kept, as tables for readers.

A benchmark run with `--keep` leaves a file for each attack in `results/benchmarks/`: the rows that it printed, as printed, and
what it measured with. A later run replaces the file whole.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from experiments import provenance
from experiments.cell import checked
from experiments.records import REPAIR, Store, sealed, unsealed
from experiments.schema import Commit, Line, Name, Threads, Time, Versions
from lib.errors import BadValue
from lib.training.checkpoints import write_atomically
from report.numbers import NOT_RUN
from report.tables import Table
from report.text import literal

# What the rows of an implementation begin with, and the package that it comes in.
PEERS = {
    "Foolbox": "foolbox",
    "torchattacks": "torchattacks",
    "CleverHans": "cleverhans",
    "ART": "adversarial-robustness-toolbox",
}
BY_GRADIENT = "Attack,Implementation,Processor ms an image,Times ours,Success,Change,Forward passes,Backward passes"
BY_LABEL = (
    "Attack,Implementation,Processor s,Inside the victim,Calls,Answers an image,Found,Success,Distance,"
    "Ours at equal answers"
)
WORST_CASE = "Victim,Attack,Accuracy left,Processor s,Forward passes,Backward passes"
BY_BUDGET = "Victim,Implementation,Budget,Answers an image,Processor s an image,Distance,Wins,Returned"
# The pages, and of which files, head and caption they are made.
PAGES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "benchmark-gradients": (("carlini_wagner", "jsma"), BY_GRADIENT, "Attacks with gradients"),
    "benchmark-labels": (("hop_skip_jump", "boundary"), BY_LABEL, "Attacks that see labels only"),
    "benchmark-noisy": (
        ("hop_skip_jump-noisy", "boundary-noisy"),
        BY_LABEL,
        "Attacks that see labels only, of a victim that answers by one draw of dropout",
    ),
    "benchmark-precedent": (
        ("popskipjump-theirs", "popskipjump-lenet5-10", "popskipjump-lenet5-30", "popskipjump-lenet5-50"),
        BY_BUDGET,
        "HopSkipJump beside PopSkipJump in l2, of victims that answer by one draw of dropout",
    ),
    "benchmark-worst-case": (("worst_case",), WORST_CASE, "What attacks leave of a victim's accuracy"),
}


@checked
class Kept:
    """What the file of a benchmark says.

    Raises:
        BadValue: a part that is missing, unknown, or of another type.
    """

    name: Name
    command: str
    rows: Annotated[list[list[str]], Field(description="rows of texts")]
    commit: Commit
    versions: Versions
    device: Line
    threads: Threads
    finished: Time
    peers: Versions


def keep(store: Store, name: str, rows: Sequence[Sequence[str]], *, command: str) -> Path:
    """Write the rows that the benchmark `name` printed, with the versions, machine and command that they come from."""
    facts = provenance.describe(device="cpu", seconds=0.0, processor_seconds=0.0)
    kept = ("commit", "versions", "device", "threads", "finished")
    content: dict[str, Any] = {"name": name, "command": command, "rows": [list(row) for row in rows]}
    content |= {fact: facts[fact] for fact in kept}
    present = [name for name in PEERS if any(row[1].startswith(name) for row in rows)]
    content["peers"] = {name: importlib.metadata.version(PEERS[name]) for name in present}
    path = store.root / "benchmarks" / f"{name}.json"
    write_atomically(path, sealed(content))
    return path


def pages(store: Store) -> dict[str, tuple[Table, str]]:
    """Each page's table and caption; what was not measured says "not run".

    Raises:
        BadValue: a file is damaged.
    """
    found = {}
    for page, (names, head, caption) in PAGES.items():
        contents = [content for name in names if (content := _read(store, name)) is not None]
        rows = [[literal(cell) for cell in row] for content in contents for row in content["rows"]]
        if contents:
            caption += "; " + "; ".join(dict.fromkeys(literal(_source(content)) for content in contents))
        found[page] = Table(head.split(","), rows or [[NOT_RUN, *["–"] * head.count(",")]]), caption
    return found


def _read(store: Store, name: str) -> dict[str, Any] | None:
    path = store.root / "benchmarks" / f"{name}.json"
    if not path.exists():
        return None
    content = unsealed(path.read_bytes(), lambda found: vars(Kept(**found)), name=f"benchmark {path}", kind="one")
    if content["name"] != name:
        raise BadValue(f"benchmark {path}: is {content['name']}; {REPAIR}")
    return content


def _source(content: dict[str, Any]) -> str:
    """By what a file was measured, such as "commit abc, Foolbox 3.3.4, 1 thread of Some Processor, 2026-11-20"."""
    peers = "".join(f", {name} {version}" for name, version in content["peers"].items())
    threads = f"{content['threads']} thread" + ("s" if content["threads"] > 1 else "")
    return f"commit {content['commit']}{peers}, {threads} of {content['device']}, {content['finished'][:10]}"
