"""What a chapter's notebook needs beyond `lib` itself: its parameters checked, its missing cells computed, its tables glued.

    chapter = Chapter("harakeh", globals())      # the first cell after the parameters

A notebook reads, plots and explains; with `compute = "missing"` it first computes the cells that have no record.
"""

import ast
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from IPython import get_ipython
from IPython.display import HTML, SVG, Markdown, display
from matplotlib.figure import Figure
from pydantic import AfterValidator, Field

from experiments import costs, execution, executors, papers
from experiments.cell import PROFILES, Count, OneOf, checked
from experiments.records import Store
from experiments.selection import select
from lib.errors import BadValue
from lib.training import checkpoints
from report.figures import curves, sliders, specification
from report.figures.curves import Curves
from report.figures.forest import Rows, data, forest, lines
from report.figures.looks import Looks
from report.figures.specification import Question
from report.figures.theme import svg
from report.tables import Number, Table, full, panels_at

PLAIN = (str, int, float, list, tuple, dict, type(None))  # what papermill can pass
LISTED = 300  # addresses of a figure that the page of origins lists; of more its data tells the records
Lines = Mapping[str, Mapping[Any, str]]  # title of a panel, then the address of each line of it
DOWNLOADS = "BOOK_DOWNLOADS"  # where the book's build wants the data behind tables and figures


def _here(device: str) -> str:
    execution.check_device(device)
    return device


@checked
class Parameters:
    """A chapter's parameters: flat typed scalars, as papermill passes them.

    Raises:
        BadValue: a value of another type or outside its range.
    """

    profile: Annotated[str, OneOf(PROFILES)] = "paper"
    compute: Literal["missing", "never", "all"] = "missing"
    device: Annotated[str, AfterValidator(_here), Field(description="auto, cpu or cuda")] = "auto"
    seed_count: Count = 5


NAMES = tuple(field.name for field in fields(Parameters))


def parameters(given: Mapping[str, Any]) -> Parameters:
    """`given` as `Parameters`.

    Raises:
        BadValue: a name that is no parameter, or a bad value.
    """
    try:
        return Parameters(**given)
    except BadValue as error:
        raise BadValue(f"parameter {error}") from error


def _injected() -> set[str]:
    """The names that papermill's cell of parameters assigns, also where an import or IPython has taken them back since."""
    shell = get_ipython()
    cells = [] if shell is None else shell.history_manager.input_hist_raw
    assigned = [one for text in cells if text.startswith("# Parameters\n") for one in ast.parse(text).body]
    targets = [target for one in assigned if isinstance(one, ast.Assign) for target in one.targets]
    return {target.id for target in targets if isinstance(target, ast.Name)}


class Chapter:
    """One paper's notebook: its parameters, its records, and what it hands to the page."""

    def __init__(self, paper: str, namespace: Mapping[str, Any]) -> None:
        """Check the notebook's variables, which so far are its parameters, and compute what they ask for."""
        self.paper, self.store = paper, Store()
        first = not any(isinstance(value, Chapter) for value in namespace.values())
        hidden = {name for name in namespace if name.startswith("_")} | {"In", "Out"}
        plain = {name for name, value in namespace.items() if isinstance(value, PLAIN)} - hidden
        chosen = plain.union(NAMES, _injected()) if first else NAMES
        self.parameters = parameters({name: namespace[name] for name in namespace if name in chosen})
        if self.parameters.compute != "never":
            self._compute(self.parameters)

    def _compute(self, chosen: Parameters) -> None:
        """Compute the cells that are asked for; what that will take is said before hours of it."""
        seeds = min(chosen.seed_count, len({cell.seed for cell in papers.get(self.paper).grid(chosen.profile)}))
        cells = select(self.paper, chosen.profile, seeds=seeds)
        anew = chosen.compute == "all"
        waiting = [cell for cell in cells if anew or self.store.get(cell) is None]
        device = execution.check_device(chosen.device)
        execution.check_data(waiting)
        if waiting:
            price = costs.Prices(self.paper, self.store.all(self.paper), gpu=device.startswith("cuda"))
            forecast = costs.forecast([price(cell) for cell in waiting])
            display(Markdown(f'{forecast}. With `compute = "never"` nothing is computed.'))  # type: ignore[no-untyped-call]
        with tempfile.TemporaryDirectory() as empty:  # anew: every network is trained once more, but not once a cell
            cache = Path(empty) if anew else checkpoints.default_cache()
            job = execution.Job(device=device, cache=cache, progress=True)
            report = execution.run(waiting, store=self.store, executor=executors.local_processes(1), job=job, anew=anew)
        if report.halted:
            raise report.halted
        if report.failed:
            cell, error = report.failed[0]
            raise RuntimeError(f"{len(report.failed)} cells failed, first {cell}") from error

    def _glue(self, name: str, shown: Any) -> None:
        """Make something available to the page as {glue}`PAPER-name`."""
        from myst_nb import glue

        glue(f"{self.paper}-{name}", shown, display=False)

    def table(self, name: str, table: Table, caption: str) -> Any:
        """Glue a numbered table called `name`, save its CSV for download, and show it."""
        self._glue(name, Markdown(table.markdown(name=f"table-{self.paper}-{name}", caption=caption)))  # type: ignore[no-untyped-call]
        self.save(f"{self.paper}-{name}.csv", table.csv())
        self._noted(name, [one.address for line in table.rows for one in line if isinstance(one, Number)])
        return Markdown(table.plain())  # type: ignore[no-untyped-call]

    def figure(self, name: str, figure: Figure, data: Table | None = None, *, shows: Lines | None = None) -> None:
        """Glue `figure`, for the page to caption, or show it in a notebook; save the numbers behind it for download.

        What it `shows`, an address for each line of each panel, is said where its data do not say it in their last column.
        """
        picture = SVG(svg(figure))  # type: ignore[no-untyped-call]
        self._glue(name, picture)
        if DOWNLOADS not in os.environ:  # somebody looks at the notebook itself, not at the page, which has a caption
            display(picture)  # type: ignore[no-untyped-call]
        if data is not None:
            self.save(f"{self.paper}-{name}.csv", data.csv())
            listed = data.head[-1] == "address" and len(data.rows) <= LISTED
            shown = [address for lines in (shows or {}).values() for address in lines.values()]
            self._noted(name, [*shown, *(row[-1] for row in data.rows if listed)])

    def forest(self, name: str, rows: Rows, looks: Looks, *, ends: tuple[float, float] = (-3, 103)) -> None:
        """Glue a forest plot of addresses, and save the numbers behind it for download."""
        found = lines(self.store, self.paper, rows)
        self.figure(name, forest(found, looks, xlabel="percent", ends=ends), data(rows, found))

    def curves(self, name: str, shown: Curves, *, along: Curves | None = None) -> None:
        """Glue a figure of curves of addresses, and save the numbers behind it for download.

        What its slider moves along, of `along` where that has more curves than the figure, is glued as PAPER-NAME-slider.
        """
        panels, along = panels_at(self.store, self.paper, shown.lines), along or shown
        self.figure(name, curves.curves(panels, shown), curves.data(panels, shown), shows=shown.lines)
        if along.slider is not None:
            rows = sliders.rows(panels_at(self.store, self.paper, along.lines), along, along.slider)
            self._glue(f"{name}-slider", HTML(sliders.element(rows)))  # type: ignore[no-untyped-call]

    def specification(self, name: str, question: Question) -> None:
        """Glue the specification curve of a question, and save the numbers behind it for download."""
        found = specification.answers(self.store, self.paper, question)
        printed = specification.printed(self.paper, question)
        figure = specification.specification(found, printed=printed, ylabel=question.ylabel)
        self.figure(name, figure, specification.data(found))

    def _noted(self, name: str, addresses: Iterable[str]) -> None:
        """Leave which addresses a figure or table shows, for the page of their origins."""
        whole = dict.fromkeys(full(one, self.paper) for one in addresses)
        if whole:
            self.save(f"origins/{self.paper}-{name}", "\n".join(whole))

    def save(self, name: str, content: str) -> None:
        """Save the file `name` for readers to download, where the book is being built."""
        folder = os.environ.get(DOWNLOADS)
        if folder:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
