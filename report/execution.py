"""Notebooks executed by papermill, their numbers put into their sentences."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill

from experiments import papers
from experiments.records import ROOT, Store
from lib.errors import BadValue, check_choice
from lib.training.checkpoints import write_atomically
from report import prose
from report.chapter import DOWNLOADS, parameters
from report.origins import Origins
from report.place import BuildFailed, check_writable


def execute(chapter: str, output: Path, given: Mapping[str, Any]) -> None:
    """Execute the notebook of `chapter` with parameters and, only if all of it ran, write it to `output`.

    Raises:
        BadValue: unknown chapter, unknown or ill-typed parameter, an `output` that is no notebook's name, is a chapter's source
            or cannot be written; nothing has run then.
        BuildFailed: a cell raised.
    """
    check_choice("chapter", chapter, papers.NAMES)
    parameters(given)
    if output.is_dir() or output.suffix != ".ipynb":
        raise BadValue(f"{output}: expected the name of a notebook to write, such as out.ipynb")
    if output.exists() and any(output.samefile(source) for source in (ROOT / "notebooks").glob("*.ipynb")):
        raise BadValue(f"{output}: expected another name, this is the source of a chapter")
    check_writable(output)
    with environment({}):
        run(chapter, output, given)


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """The environment of this process, in which kernels and Sphinx find our packages, with some variables changed for a while."""
    saved = dict(os.environ)
    os.environ.update(PYTHONPATH=str(ROOT), **changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def run(chapter: str, output: Path, given: Mapping[str, Any], origins: Origins | None = None) -> None:
    """Execute a notebook; with `origins`, its numbers are links there.

    Raises:
        BuildFailed: a cell raised.
    """
    source = ROOT / "notebooks" / f"{chapter}.ipynb"
    try:
        notebook = papermill.execute_notebook(
            str(source),
            None,
            parameters=dict(given),
            cwd=str(ROOT),
            kernel_name="python3",
            progress_bar=False,
            extra_arguments=["--log-level=CRITICAL"],  # a kernel complains of its transport, and of being ended
        )
    except papermill.PapermillExecutionError as error:
        raise BuildFailed(f"chapter {chapter}: {error.ename}: {error.evalue}") from error
    content: str = nbformat.writes(_presentable(notebook, chapter, origins))  # type: ignore[no-untyped-call]
    write_atomically(output, content.encode())


def _presentable(notebook: Any, chapter: str, origins: Origins | None) -> Any:
    """The executed notebook, its numbers in its sentences, without papermill's notes: they name folders of this machine."""
    store = Store()
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            link = origins.link if origins else None
            cell.source = prose.fill(cell.source, store, paper=chapter, where=f"{chapter}.ipynb, {cell.id}", link=link)
            if origins:
                cell.source = origins.captioned(cell.source, Path(os.environ[DOWNLOADS]))
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"].append("remove-cell")  # the page shows the defaults, with their explanations
    return notebook


def check_given(pairs: list[str]) -> dict[str, Any]:
    """`name=value` words of a command line as parameters; a value that has not its parameter's type stays a text.

    Raises:
        BadValue: no "=".
    """
    given: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise BadValue(f"parameter {pair!r}: expected name=value")
        given[name] = int(value) if name == "seed_count" and value.isascii() and value.isdigit() else value
    return given
