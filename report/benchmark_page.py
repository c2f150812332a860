"""Our attacks beside other people's: what `benchmarks/` measured and kept, as tables for readers.

A benchmark run with `--keep` leaves a file for each attack in `results/benchmarks/`: the rows that it printed, as printed, and
what it measured with. A later run replaces the file whole.
"""

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from matplotlib.figure import Figure
from pydantic import Field

from experiments import provenance
from experiments.cell import checked
from experiments.records import REPAIR, Store, sealed, unsealed
from experiments.schema import Commit, Line, Name, Threads, Time, Versions
from lib.errors import BadValue
from lib.metrics import Interval
from lib.training.checkpoints import write_atomically
from report.declared import declared
from report.figures.forest import Line as Dots
from report.figures.forest import forest
from report.figures.looks import Looks
from report.tables import Table
from report.text import literal

# What the rows of an implementation begin with, and the package that it comes in.
PEERS = {
    "Foolbox": "foolbox",
    "torchattacks": "torchattacks",
    "CleverHans": "cleverhans",
    "ART": "adversarial-robustness-toolbox",
}
PAGES = declared("benchmarks")


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
    for page, said in PAGES.items():
        caption = said["caption"]
        contents = [content for name in said["files"] if (content := _read(store, name)) is not None]
        rows = [[literal(cell) for cell in row] for content in contents for row in content["rows"]]
        if contents:
            caption += "; " + "; ".join(dict.fromkeys(literal(_source(content)) for content in contents))
        found[page] = Table.of(said["head"], rows), caption
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


# --- dot plots ----------------------------------------------------------------------------------------------------------

IMPLEMENTATIONS = Looks.declared("every", "implementation")


class Cost(NamedTuple):
    """What an attack costs for an image: a column of both kinds of table."""

    axis: str
    ends: tuple[float, float]  # of the axis, which is logarithmic
    verb: str  # of the finding


COSTS = {
    "seconds": Cost("processor seconds for an image (logarithmic)", (0.03, 6), "takes less processor time than ours"),
    "asked": Cost("passes or answers of the victim for an image (logarithmic)", (30, 20_000), "asks the victim less"),
}


def dots(store: Store, cost: str) -> dict[str, list[Dots]]:
    """A line an attack, a dot an implementation, under the caption of the table that holds the rows."""
    found: dict[str, list[Dots]] = {}
    for page in ("benchmark-gradients", "benchmark-labels"):
        rows = [row for name in PAGES[page]["files"] for row in (_read(store, name) or {"rows": ()})["rows"]]
        attacks: dict[str, dict[str, Interval]] = {}
        for row in rows:
            value = _costs(page, row)[cost]
            attacks.setdefault(row[0], {})[row[1]] = Interval(value, value, value, 2)
        lines = [Dots(re.sub(r", \d+ images", "", name), None, None, ours) for name, ours in attacks.items()]
        found[PAGES[page]["caption"]] = lines
    return found


def _costs(page: str, row: Sequence[str]) -> dict[str, float]:
    """Of tables by gradient milliseconds and passes an image; of those by label seconds of the whole batch, and answers."""
    if page == "benchmark-gradients":
        return {"seconds": float(row[2]) / 1000, "asked": float(row[6]) + float(row[7])}
    (images,) = re.findall(r"(\d+) images", row[0])
    return {"seconds": float(row[2]) / int(images), "asked": float(row[5])}


def dot_plot(found: Mapping[str, Sequence[Dots]], cost: str) -> Figure:
    """The dots on a logarithmic axis."""
    return forest(found, IMPLEMENTATIONS, xlabel=COSTS[cost].axis, ends=COSTS[cost].ends, xscale="log")


def finding(found: Mapping[str, Sequence[Dots]], cost: str) -> str:
    """What the dots show, in a sentence."""
    pairs = [
        (line.ours["ours"].mean, min(one.mean for name, one in line.ours.items() if name != "ours"))
        for lines in found.values()
        for line in lines
        if "ours" in line.ours and len(line.ours) > 1
    ]
    best = sum(ours <= theirs for ours, theirs in pairs)
    return f"In {best} of {len(pairs)} comparisons of attacks no other implementation {COSTS[cost].verb}."
