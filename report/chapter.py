"""What a chapter's notebook needs beyond `lib` itself: its parameters checked, its missing cells computed, its tables glued.

    chapter = Chapter("harakeh", globals())      # the first cell after the parameters

A notebook reads, plots and explains; with `compute = "missing"` it first computes the cells that have no record.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments import costs, execution, papers
from experiments.cell import PROFILES
from experiments.records import Store
from experiments.selection import select
from lib.errors import BadValue, check_choice, check_count
from lib.training import checkpoints
from report.tables import Table

PLAIN = (str, int, float, list, tuple, dict, type(None))  # what papermill can pass
COMPUTE = ("missing", "never", "all")
DOWNLOADS = "BOOK_DOWNLOADS"  # where the book's build wants the data behind tables and figures


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """A chapter's parameters: flat typed scalars, as papermill passes them.

    Raises:
        BadValue: a value of another type or outside its range.
    """

    profile: str = "paper"
    compute: str = "missing"
    device: str = "auto"
    seed_count: int = 5

    def __post_init__(self) -> None:
        check_choice("profile", self.profile, PROFILES)
        check_choice("compute", self.compute, COMPUTE)
        if not isinstance(self.device, str):
            raise BadValue(f"device: expected auto, cpu or cuda, got {self.device!r}")
        execution.check_device(self.device)
        check_count("seed_count", self.seed_count)


def parameters(given: Mapping[str, Any]) -> Parameters:
    """`given` as `Parameters`.

    Raises:
        BadValue: a name that is no parameter, or a bad value.
    """
    known = tuple(Parameters.__dataclass_fields__)
    for name in given:
        if name not in known:
            raise BadValue(f"parameter {name}: unknown; expected one of {', '.join(known)}")
    return Parameters(**given)


class Chapter:
    """One paper's notebook: its parameters, its records, and what it hands to the page."""

    def __init__(self, paper: str, namespace: Mapping[str, Any]) -> None:
        """Check the notebook's variables, which so far are its parameters, and compute what they ask for."""
        self.paper = paper
        known = tuple(Parameters.__dataclass_fields__)
        first = not any(isinstance(value, Chapter) for value in namespace.values())
        given = {
            name: value
            for name, value in namespace.items()
            if name in known
            or (first and not name.startswith("_") and name not in ("In", "Out") and isinstance(value, PLAIN))
        }
        self.parameters = parameters(given)
        self.store = Store()
        if self.parameters.compute != "never":
            self._compute()

    def _compute(self) -> None:
        chosen = self.parameters
        seeds = min(chosen.seed_count, len({cell.seed for cell in papers.get(self.paper).grid(chosen.profile)}))
        cells = select(self.paper, chosen.profile, seeds=seeds)
        everything = chosen.compute == "all"
        waiting = [cell for cell in cells if everything or self.store.get(cell) is None]
        device = execution.check_device(chosen.device)
        execution.check_data(waiting)
        self._announce(waiting, device)
        with tempfile.TemporaryDirectory() as empty:  # anew: every network is trained once more, but not once a cell
            cache = Path(empty) if everything else checkpoints.default_cache()
            job = execution.Job(device=device, cache=cache, progress=True)
            report = execution.run(waiting, store=self.store, executor=execution.local_processes(1), job=job)
        if report.failed:
            cell, error = report.failed[0]
            raise RuntimeError(f"{len(report.failed)} cells failed, first {cell}") from error

    def _announce(self, waiting: Sequence[Any], device: str) -> None:
        """Say what computing will take, before hours of it."""
        from IPython.display import Markdown, display

        if waiting:
            price = costs.Prices(self.paper, self.store.all(self.paper), gpu=device.startswith("cuda"))
            forecast = costs.forecast([price(cell) for cell in waiting])
            display(Markdown(f'{forecast}. With `compute = "never"` nothing is computed.'))  # type: ignore[no-untyped-call]

    def glue(self, name: str, text: str) -> None:
        """Make `text` available to the page as {glue:md}`name`."""
        from IPython.display import Markdown
        from myst_nb import glue

        glue(f"{self.paper}-{name}", Markdown(text), display=False)  # type: ignore[no-untyped-call]

    def table(self, name: str, table: Table, caption: str) -> Any:
        """Glue a numbered table called `name`, save its CSV for download, and show it."""
        from IPython.display import Markdown

        self.glue(name, table.markdown(name=f"table-{self.paper}-{name}", caption=caption))
        self.save(f"{self.paper}-{name}.csv", table.csv())
        return Markdown(table.plain())  # type: ignore[no-untyped-call]

    def figure(self, name: str, figure: Figure, data: Table) -> None:
        """Glue `figure`, for the page to number and caption, and save the numbers behind it for download."""
        import matplotlib.pyplot as plt
        from myst_nb import glue

        glue(f"{self.paper}-{name}", figure, display=False)
        plt.close(figure)
        self.save(f"{self.paper}-{name}.csv", data.csv())

    def save(self, name: str, content: str) -> None:
        """Save the file `name` for readers to download, where the book is being built."""
        folder = os.environ.get(DOWNLOADS)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_text(content, encoding="utf-8")
