"""From notebooks to the site: papermill executes the chapters, Jupyter Book renders them, strictly.

The build assembles its own source tree, `_build/source`: the prose as committed, the chapters as executed, and pages of
tables made from the records. Nothing that is built lands beside what is committed, and a chapter keeps its path, so that
the launch buttons of its page open the committed notebook.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from experiments import papers
from experiments.records import ROOT, Store
from lib.progress import SWITCH
from report import benchmark_page, claims_page, first_page, printed, prose, status_page
from report.chapter import DOWNLOADS, parameters
from report.declared import declared
from report.execution import environment, run
from report.figures.heat import heat
from report.figures.theme import svg
from report.origins import Origins
from report.place import BuildFailed, held, replace
from report.tables import Table

PDF_LINK = f'<a class="reference download" href="../{printed.PDF}">The whole book as one PDF</a>.'
TEXTS = declared("texts")


def build(output: Path, *, profile: str = "paper", compute: str = "never", pdf: bool = False) -> Path:
    """Execute every chapter and build the site; returns the path of its first page.

    Args:
        output: folder to build in; the site is in its `html`.
        profile: of the chapters. `smoke` also computes that profile's cells, for a test of everything.
        compute: "never" for the book, which only reads records.
        pdf: print the pages to one file as well, which the first page then offers, where there is a browser.

    Raises:
        BadValue: a bad parameter, or a folder that cannot be built in, also as it holds what no build made.
        BuildFailed: a chapter or the build failed.
    """
    folder = output.resolve()
    given = {"profile": profile, "compute": compute, "device": "cpu", "seed_count": 1 if profile == "smoke" else 5}
    parameters(given)
    executable = printed.browser() if pdf else None
    if pdf and executable is None:
        print(f"no PDF: none of {', '.join(printed.BROWSERS)} is on the PATH", file=sys.stderr, flush=True)
    with held(folder) as lock:
        _build(folder, given, lock=lock, executable=executable)
    return folder / "html" / "index.html"


def _build(folder: Path, given: Mapping[str, Any], *, lock: int, executable: str | None) -> None:
    source, new = folder / "source", folder / "html.new"
    origins = _assemble(source, pdf=executable is not None)
    # Jupyter Book insists on the name _build for its output: build inside the folder, then take the site out.
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", str(source), "--path-output", str(folder)]
    command += ["-W", "-n", "--keep-going", "-q"]
    downloads = source / "notebooks" / "downloads"
    with environment({SWITCH: "0", DOWNLOADS: str(downloads), "OMP_NUM_THREADS": "1"}):
        # Side by side, each on one thread: chapters that share the cores would wait for each other's threads.
        with ThreadPoolExecutor(max_workers=len(papers.NAMES)) as pool:
            chapters = {name: source / "notebooks" / f"{name}.ipynb" for name in papers.NAMES}
            running = [pool.submit(run, name, path, given, origins) for name, path in chapters.items()]
            write_pages(Store(), source / "book" / "generated")
            for chapter in running:
                chapter.result()
        origins.write(source / "book", downloads)
        # Whoever kills this process does not kill that one: it holds the folder until it ends.
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, pass_fds=[lock])
    if done.returncode != 0:
        raise BuildFailed(f"jupyter-book: {(done.stdout + done.stderr)[-4000:]}")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(folder / "_build" / "html", new)
    if executable:
        printed.print_book(new, _pages(), executable=executable)
    replace(folder / "html", new)


def _pages() -> list[str]:
    """The pages of the book, in its order."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [contents["root"], *(entry["file"] for part in contents["parts"] for entry in part["chapters"])]
    return [f"{file}.html" for file in files]


def _assemble(source: Path, *, pdf: bool = False) -> Origins:
    """Copy the committed prose and settings into `source`; what an earlier build left of them goes; returns what was quoted."""
    for name in ("book", "notebooks"):
        shutil.rmtree(source / name, ignore_errors=True)
    shutil.copytree(ROOT / "book", source / "book")
    shutil.copy(ROOT / "_toc.yml", source / "_toc.yml")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    if repository := os.environ.get("GITHUB_REPOSITORY"):  # a fork's pages launch the fork
        config["repository"]["url"] = f"https://github.com/{repository}"
    (source / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    shown = config["repository"]
    origins = Origins(Store(), f"{shown['url']}/blob/{shown['branch']}")
    for page in (source / "book").glob("*.md"):
        page.write_text(prose.fill(page.read_text(), origins.store, where=page.name, link=origins.link))
    first = source / "book" / "index.md"
    said = {"repository": config["repository"]["url"], "pdf": PDF_LINK if pdf else ""}
    text = first.read_text()
    for word, words in said.items():  # in a block of code MyST substitutes nothing
        text = text.replace(f"{{{{{word}}}}}", words)
    first.write_text(text)
    (downloads := source / "notebooks" / "downloads").mkdir(parents=True)
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):  # as committed, beside what will be executed
        shutil.copy(notebook, downloads)
    return origins


# What stands on a page, or is only downloaded.
TABLES: Mapping[str, Callable[[Store], Table]] = {
    "words": claims_page.words_table,
    "corrections": claims_page.corrections_table,
    "states": status_page.states_table,
    "costs": status_page.costs_table,
    "missing": status_page.missing_table,
    "coverage": claims_page.coverage_table,
    "changed": status_page.changed_table,
    "checks": status_page.checks_table,
    "grid": status_page.grid_table,
    **{f"{paper}-claims": partial(claims_page.claims_table, paper=paper) for paper in papers.NAMES},
}


def write_pages(store: Store, folder: Path) -> None:
    """The tables of the pages that are no chapters, and the first page's figures, from the records."""
    folder.mkdir(parents=True, exist_ok=True)
    found, (example, behind) = first_page.pairs(store), first_page.example(store)
    tables = {name: (made(store), TEXTS["captions"].get(name, "")) for name, made in TABLES.items()}
    tables |= {**benchmark_page.pages(store), "first": (first_page.data(found), ""), "example": (behind, "")}
    for name, (table, caption) in tables.items():
        (folder / f"{name}.csv").write_text(table.csv())
        if caption:
            (folder / f"{name}.md").write_text(table.markdown(name=f"table-{name}", caption=caption))
    for paper in papers.NAMES:
        (folder / f"{paper}-claims.md").write_text(claims_page.claims_list(store, paper))
    recorded = status_page.recorded(store)
    said = f"{status_page.sums(recorded)} {TEXTS['recorded']}"
    _write_figure(folder, "recorded", heat(status_page.squares(recorded)), status_page.finding(recorded), said)
    for cost in benchmark_page.COSTS:
        dots = benchmark_page.dots(store, cost)
        said = benchmark_page.finding(dots, cost)
        figure = benchmark_page.dot_plot(dots, cost)
        _write_figure(folder, f"benchmark-{cost}", figure, said, f"{said} {TEXTS['behind']}")
    (folder / "first.svg").write_text(svg(first_page.agreement(found)))
    (folder / "coverage.svg").write_text(svg(first_page.covered(store)))
    (folder / "example.svg").write_text(svg(example))


def _write_figure(folder: Path, name: str, figure: Figure, alt: str, caption: str) -> None:
    (folder / f"{name}.svg").write_text(svg(figure))
    (folder / f"{name}.md").write_text(TEXTS["figure"].format(name=name, alt=alt, caption=caption))
