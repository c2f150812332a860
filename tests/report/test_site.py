"""The whole book, built once at the smoke profile in a copy of the project, and what a reader finds in it."""

from __future__ import annotations

import copy
import functools
import html
import http.server
import importlib.util
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import site_scan as scan
import yaml
from browser import Browser, browsing
from conftest import BROWSERS, ROOT
from PIL import Image

from experiments import claims, papers, published, verification
from experiments.address import parse
from experiments.judging import by_dataset, judge_parts, verdict
from experiments.records import Store, read
from report import benchmark_page, claims_page, printed, status_page, tables
from report.papers import harakeh_tables
from report.prose import TOKEN, fill

# What the build adds to the sentences of a chapter: where a number comes from, and where those of a figure do.
LINKED = re.compile(r'<a class="number"[^>]*>(.*?)</a>|, <a href="[^"]*#shown-[^"]*">records</a>')
LIMIT = 120.0 * len(papers.NAMES)  # seconds of processor time, of which a busy machine takes more than an idle one
FORK = "somebody/fork"
COPIED = ("lib", "experiments", "report", "book", "notebooks", "results", "_config.yml", "_toc.yml", "CITATION.cff")
CHAPTER = "notebooks/harakeh.html"
EXPECTED = scan.chapters(ROOT / "_toc.yml")


@dataclass(frozen=True, eq=False)
class Site:
    """A built book and how its build went."""

    project: Path  # the copy that it was built from
    folder: Path  # what `--output` named
    seconds: float  # of the clock, or of the processors if that is less: a busy machine is not a defect
    stdout: str
    stderr: str
    records_before: dict[str, bytes]

    @property
    def html(self) -> Path:
        return self.folder / "html"

    def page(self, name: str) -> scan.Page:
        return next(page for page in self.pages() if page.name == name)

    def pages(self) -> list[scan.Page]:
        return _pages(self.html)


_pages = functools.cache(scan.pages)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The book at the smoke profile, from a copy without smoke records, trained networks, data sets or network."""
    top = tmp_path_factory.mktemp("site")
    project, folder = top / "project", top / "built"
    project.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "smoke", "*.part", "generated")
            shutil.copytree(ROOT / name, project / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, project / name)
    before = {path.as_posix(): path.read_bytes() for path in sorted((project / "results").rglob("*.json"))}
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PROGRESS_BARS")},
        **nowhere,
        "NO_PROXY": "127.0.0.1,localhost",
        "CHECKPOINT_DIR": str(top / "checkpoints"),
        "DATA_DIR": str(top / "no-data"),
        "GITHUB_REPOSITORY": FORK,
    }
    command = [sys.executable, "-m", "report", "book", "--pdf", "--profile", "smoke", "--output", str(folder)]
    spent, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=900)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime - spent.ru_utime + after.ru_stime - spent.ru_stime
    assert done.returncode == 0, done.stderr[-4000:]
    return Site(project, folder, min(wall, busy), done.stdout, done.stderr, before)


# --- the build ----------------------------------------------------------------------------------------------------------


def test_the_build_is_quick_and_says_where_the_book_is(site: Site) -> None:
    assert site.seconds < LIMIT
    assert site.stdout == f"the book: {site.html / 'index.html'}\n"
    assert not re.search(r"it/s\]|Traceback", site.stderr)


def test_the_build_computes_the_smoke_cells_and_leaves_the_other_records(site: Site) -> None:
    records = {path.as_posix(): path for path in sorted((site.project / "results").rglob("*.json"))}
    made = [read(records[name]) for name in records if name not in site.records_before]
    assert sorted(record.key for record in made) == sorted(
        Store(site.project / "results").path(cell).stem
        for name in papers.NAMES
        for cell in papers.get(name).grid("smoke")
    )
    for name, content in site.records_before.items():
        assert records[name].read_bytes() == content


def test_the_build_leaves_the_sources_alone(site: Site) -> None:
    for folder in ("book", "notebooks"):
        names = {
            path.relative_to(site.project).as_posix() for path in (site.project / folder).rglob("*") if path.is_file()
        }
        for name in names:
            assert "generated" not in name and "downloads" not in name
    for path in (site.project / "notebooks").glob("*.ipynb"):
        assert all(not cell.get("outputs") for cell in json.loads(path.read_text())["cells"])
    assert {path.name for path in site.project.iterdir()} == {*COPIED}


def test_the_executed_chapter_is_fit_to_be_read(site: Site) -> None:
    path = site.folder / "source" / "notebooks" / "harakeh.ipynb"
    text, notebook = path.read_text(encoding="utf-8"), nbformat.read(path, 4)
    for folder in (site.project, site.folder, ROOT, Path.home(), Path(sys.prefix)):
        assert f"{folder}/" not in text
    assert "papermill" not in notebook.metadata
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    for cell in code:
        assert not {"papermill", "execution"} & cell.metadata.keys()
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr", output


# --- the pages ----------------------------------------------------------------------------------------------------------


def test_every_page_is_there(site: Site) -> None:
    assert scan.missing_pages(site.pages(), [*EXPECTED, "search.html"]) == []
    titles = [site.page(name).soup.title for name in EXPECTED]
    assert len(set(titles)) == len(EXPECTED)
    assert next(scan.addresses(site.page("index.html")))[1] == EXPECTED[0]


@pytest.mark.parametrize(
    "look",
    [
        scan.unnumbered,
        scan.bad_alternatives,
        scan.noise,
        scan.unresolved,
        scan.loaded_from_elsewhere,
        scan.mathless,
        scan.misplaced_headings,
    ],
    ids=lambda look: look.__name__,
)
def test_no_page_has_a_fault(site: Site, look: Callable[[scan.Page], list[str]]) -> None:
    assert [fault for page in site.pages() for fault in look(page)] == []


def test_figures_are_drawings_whose_letters_stand_out_on_both_grounds(site: Site) -> None:
    figures = {image for page in site.pages() for image in page.article.select("figure img")}
    paths = [path for path in (site.html / "_images").iterdir() if path.suffix == ".svg"]
    assert {Path(str(image["src"])).name for image in figures} == {path.name for path in paths}
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    assert [fault for name, text in texts.items() for fault in scan.pale_letters(name, text)] == []


def test_no_link_is_broken(site: Site) -> None:
    assert scan.broken_links(site.html, site.pages()) == []


def test_no_file_names_a_folder_of_the_builder(site: Site) -> None:
    folders = {ROOT, Path.home(), Path(sys.prefix), site.project, site.folder, Path("/tmp")}
    assert scan.local_paths(site.html, folders) == []


def test_numbers_of_tables_and_figures_follow_the_order_of_the_pages(site: Site) -> None:
    found = scan.numbers(site.page(name) for name in EXPECTED)
    for word in ("Table", "Fig."):
        numbered = [number for number in found if number.startswith(word)]
        assert numbered == [f"{word} {i}" for i in range(1, len(numbered) + 1)]
    assert len(found) >= 6  # the first page's figure, the chapter's table and two figures, the claims, the grid


def test_a_caption_with_data_leads_to_the_records_of_its_figure(site: Site) -> None:
    """But for the crossed tables, whose data name the address of each of their five hundred squares."""
    chapters = [site.page(name) for name in EXPECTED if name.startswith("notebooks/")]
    told = [one for page in chapters for one in page.article.select("figcaption") if one.select("a.download")]
    lost = [one.get_text() for one in told if not one.select('a[href*="#shown-"]')]
    assert len(told) > 40
    assert [one for one in lost if "with intervals and addresses" not in one] == []


def test_equations_are_set_by_the_sites_own_mathjax(site: Site) -> None:
    page = site.page(CHAPTER)
    assert len(page.article.select("div.math")) >= 3
    (script,) = [address for tag, address in scan.addresses(page) if tag.name == "script" and "mathjax" in address]
    path = (page.path.parent / script.partition("?")[0]).resolve()
    assert path.is_relative_to(site.html) and path.stat().st_size > 100_000


def test_the_chapter_launches_the_committed_notebook(site: Site) -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    for name in (name for name in EXPECTED if name.startswith("notebooks/")):
        notebook = name.replace(".html", ".ipynb")
        links = [str(link["href"]) for link in site.page(name).soup.select(".article-header-buttons a[href]")]
        branch = config["repository"]["branch"]
        assert f"https://mybinder.org/v2/gh/{FORK}/{branch}?urlpath=lab/tree/{notebook}" in links
        assert f"https://github.com/{FORK}" in links
        assert f"../_sources/{notebook}" in links
        assert (ROOT / notebook).is_file()
        shown = nbformat.read(site.html / "_sources" / notebook, 4)
        store, paper = Store(site.project / "results"), Path(notebook).stem
        ours = [
            fill(c.source, store, paper=paper, where=notebook) if c.cell_type == "markdown" else c.source
            for c in nbformat.read(site.project / notebook, 4).cells
        ]
        added = [c for c in shown.cells if "injected-parameters" in c.metadata.get("tags", [])]
        plain = [LINKED.sub(r"\1", c.source) for c in shown.cells if c not in added]
        assert plain == ours
        assert not any(TOKEN.search(source) for source in ours)


def test_the_parameters_of_the_build_are_not_on_the_page(site: Site) -> None:
    text = site.page(CHAPTER).article.get_text()
    assert "# Parameters" not in text and 'profile = "paper"' in text


def test_the_search_page_knows_every_page(site: Site) -> None:
    page = site.page("search.html")
    assert page.soup.find("input", attrs={"name": "q"}) is not None
    index = (site.html / "searchindex.js").read_text(encoding="utf-8")
    found = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    assert {f"{name}.html" for name in found["docnames"]} >= set(EXPECTED)
    assert {"dropout", "fgsm"} <= found["terms"].keys()


def test_downloads_are_whole_tables(site: Site) -> None:
    found = {path.name: path for page in site.pages() for _, path in scan.downloads(page)}
    assert {"harakeh-answer.csv", "harakeh-curve.csv", "harakeh-claims.csv", "grid.csv"} <= found.keys()
    tables = {name: path for name, path in found.items() if path.suffix not in (".ipynb", ".pdf")}
    assert {
        name: scan.bad_csv(path) for name, path in tables.items() if path.suffix != ".csv" or scan.bad_csv(path)
    } == {}


DRAWN = ":has(img[src$='figure1.svg'], img[src$='verdict.svg'])"


def test_every_figure_and_table_offers_its_data(site: Site) -> None:
    """But for drawings of how things go together and pictures of digits, which show no numbers."""
    for page in (site.page(name) for name in EXPECTED):
        offered = {path.stem for _, path in scan.downloads(page)}
        for item in page.article.select(f"figure:not([id$='-live'], {DRAWN}), table:has(caption)"):
            assert (
                item.select("figcaption a.download")
                or str(item["id"]).partition("-")[2].replace("at-once", "at_once") in offered
            ), item["id"]


@pytest.mark.parametrize("chapter", papers.NAMES)
def test_a_chapter_offers_its_notebook_as_committed_and_as_executed(site: Site, chapter: str) -> None:
    page = site.page(f"notebooks/{chapter}.html")
    found = {link: path.read_bytes() for link, path in scan.downloads(page) if path.name == f"{chapter}.ipynb"}
    executed = (site.folder / "source" / "notebooks" / f"{chapter}.ipynb").read_bytes()
    assert set(found.values()) == {(site.project / "notebooks" / f"{chapter}.ipynb").read_bytes(), executed}


def test_the_first_page_says_how_to_cite(site: Site) -> None:
    told, cited = site.page("book/index.html").article.get_text(), yaml.safe_load((ROOT / "CITATION.cff").read_text())
    year = yaml.safe_load((ROOT / "_config.yml").read_text())["copyright"]
    for word in (cited["title"], cited["version"], year, cited["authors"][0]["name"], f"https://github.com/{FORK}"):
        assert f"{{{word}}}" in told


def outline(pdf: bytes) -> list[str]:
    """The titles of a PDF's outline, in the order of its file."""
    found = re.findall(rb"/Title (?:\(((?:\\.|[^()\\])*)\)|<([0-9A-Fa-f]+)>)", pdf)
    return [
        bytes.fromhex(coded.decode()).decode("utf-16") if coded else re.sub(rb"\\(.)", rb"\1", plain).decode("latin-1")
        for plain, coded in found
    ]


@pytest.mark.browser
def test_the_pdf_has_all_pages_and_leads_to_no_file(site: Site) -> None:
    (path,) = [path for _, path in scan.downloads(site.page("book/index.html")) if path.suffix == ".pdf"]
    assert path == site.html / printed.PDF
    content, heads = path.read_bytes(), [site.page(name).article.find("h1") for name in EXPECTED]
    titles = [head.get_text().removesuffix("#") for head in heads if head is not None]
    found = [letters(title) for title in outline(content)]
    assert [title for title in map(letters, titles) if title not in found] == []
    assert sorted(map(found.index, map(letters, titles))) == [*map(found.index, map(letters, titles))]
    assert b"file://" not in content and len(re.findall(rb"/Type /Page\b", content)) > 2 * len(EXPECTED)


@pytest.mark.skipif(printed.browser() is not None, reason="there is a browser")
def test_without_a_browser_no_pdf_is_offered(site: Site) -> None:
    assert "no PDF: none of" in site.stderr and printed.PDF not in (site.html / "book" / "index.html").read_text()


@pytest.mark.parametrize(
    ("chapter", "deceived", "knowing"), [("harakeh", "one draw", "expectation"), ("galinkin", "naive:", "aware:")]
)
def test_a_live_experiment_shows_what_its_chapter_finds(site: Site, chapter: str, deceived: str, knowing: str) -> None:
    """All claim success; of the attacker who believes his luck less than half is confirmed, of the one who knows most is."""
    told = site.page(f"notebooks/{chapter}.html").article.get_text()
    found = {
        name: re.search(rf"{name}\s+claims\s+(\d+) of (\d+), fresh draws confirm\s+(\d+)", told)
        for name in (deceived, knowing)
    }
    shares = {name: [int(part) for part in match.groups()] for name, match in found.items() if match}
    assert shares[deceived][0] > 0.9 * shares[deceived][1] and shares[deceived][2] < 0.5 * shares[deceived][1]
    assert shares[knowing][2] > 0.6 * shares[knowing][1]


def test_the_live_experiment_of_all_three_questions_shows_what_training_against_pgd_is_for(site: Site) -> None:
    told = site.page("notebooks/at_once.html").article.get_text()
    left = {name: int(count) for name, count in re.findall(r"(plain|dropout|against PGD)\s+(\d+) of 100 left", told)}
    assert left["against PGD"] > 50 > max(left["plain"], left["dropout"])


# --- the numbers --------------------------------------------------------------------------------------------------------


def plain(cell: str) -> str:
    """A cell of Markdown as it reads when rendered."""
    return " ".join(re.sub(r"[`*]|\\", "", cell).split())


def straight(text: str) -> str:
    """Without what smart quotation marks change."""
    return re.sub("[’‘]", "'", re.sub("[“”]", '"', text))


@pytest.mark.parametrize(
    ("page", "name", "make"),
    [
        (CHAPTER, "detection", harakeh_tables.detection_table),
        ("book/claims.html", "words", claims_page.words_table),
        ("book/status.html", "states", status_page.states_table),
    ],
    ids=["detection", "words", "states"],
)
def test_the_tables_on_the_pages_are_those_of_the_committed_records(
    site: Site,
    page: str,
    name: str,
    make: Callable[[Store], tables.Table],
    tmp_path: Path,
) -> None:
    shutil.copytree(site.project / "results", tmp_path / "results", ignore=shutil.ignore_patterns("smoke"))
    made = make(Store(tmp_path / "results"))
    stem = f"harakeh-{name}" if page == CHAPTER else name
    table = site.page(page).soup.find("table", id=f"table-{stem}")
    assert table is not None
    expected = [[straight(plain(cell)) for cell in row] for row in [made.head, *made.rows]]
    assert [[straight(cell) for cell in row] for row in scan.table_cells(table)] == expected
    (path,) = [path for _, path in scan.downloads(site.page(page)) if path.name == f"{stem}.csv"]
    assert path.read_text(encoding="utf-8") == made.csv()


NOT_READ = "script, style, .cell, .math, a.headerlink, .caption-number"


@pytest.mark.parametrize("name", papers.NAMES)
def test_a_chapter_is_no_longer_than_a_reader_bears(site: Site, name: str) -> None:
    """With everything unfolded: 2,500 words beside code, tables and formulas; six tables of seven columns, hardly any hole."""
    article = copy.copy(site.page(f"notebooks/{name}.html").soup.find("article"))
    for part in article.select(NOT_READ):
        part.decompose()
    tables = [scan.table_cells(table) for table in article.find_all("table")]
    for table in article.find_all("table"):
        table.decompose()
    assert len(article.get_text(" ").split()) <= 2500
    assert len(tables) <= 6 and max((len(row) for table in tables for row in table), default=0) <= 7
    for table in tables:
        cells = [cell for row in table[1:] for cell in row]
        assert sum("not run" in cell for cell in cells) <= len(cells) / 10, table[0]


SHOWN = {"accuracy", "adversarial_accuracy", "fooling_rate"}
"""The measurements that the tables show with two decimals."""


def test_smoke_numbers_stand_in_no_table_of_results(site: Site) -> None:
    smoke = [read(path) for path in sorted((site.project / "results" / "harakeh" / "smoke").glob("*.json"))]
    committed = Store(site.project / "results")
    assert smoke
    numbers = {f"{r.measurements[name]:.2f}" for r in smoke for name in SHOWN & r.measurements.keys()}
    for paper in papers.NAMES:
        kept = [record for record in committed.all(paper) if record.config["profile"] != "smoke"]
        numbers -= {f"{value:.2f}" for record in kept for value in record.measurements.values()}
        for _, check in verification.checks(committed, paper):
            numbers -= {f"{one.now:.2f}" for one in check.comparisons}
    for table, _ in benchmark_page.pages(committed).values():
        numbers -= {cell for row in table.rows for cell in row}
    for paper in papers.NAMES:  # means and differences of what is committed
        cells = [cell for row in claims_page.claims_table(committed, paper).rows for cell in row]
        numbers -= {word for cell in cells for word in re.findall(r"\d+\.\d\d", cell)}
    numbers -= {number.text for number in published.load("harakeh").values()}
    shown = {
        word
        for page in site.pages()
        for table in page.soup.find_all("table")
        for row in scan.table_cells(table)
        for cell in row[4:]
        for word in re.findall(r"\d+\.\d\d", cell.partition("[")[0])
    }
    assert not numbers & shown
    curve = next(path for _, path in scan.downloads(site.page(CHAPTER)) if path.name == "harakeh-curve.csv")
    assert "igits" not in curve.read_text(encoding="utf-8")


# --- the scan itself ----------------------------------------------------------------------------------------------------

GOOD = """<!DOCTYPE html><html lang="en"><head><title>A page</title><link rel="stylesheet" href="style.css"></head><body>
<img src="logo.svg" alt="Logo"><article><h1 id="top">A heading</h1>
<p>Words enough to make a page of it, with <span class="math">x</span> and <code>{ref}`code`</code>.</p><h2>Below</h2>
<table id="t"><caption><span class="caption-number">Table 1 </span><span class="caption-text">What it shows</span></caption>
<tr><th>a</th></tr><tr><td>1</td></tr></table>
<figure id="f"><img src="a%20b.png" alt="Two lines that fall from left to right.">
<figcaption><span class="caption-number">Fig. 1 </span><span class="caption-text">Two lines, falling</span></figcaption></figure>
<a href="#top">up</a> <a href="other.html#there">other</a> <a href="https://example.org/">elsewhere</a>
<a class="download" href="data.csv">data</a></article><script src="mathjax/tex.js?v=1"></script></body></html>"""
OTHER = """<html><head><title>Another page</title></head><body><article><h1 id="there">Another</h1>
<p>Words enough to make a page of it here as well.</p></article></body></html>"""
FIGURE = '<img src="a%20b.png" alt="Two lines that fall from left to right.">'


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A site of two pages without a fault."""
    folder = tmp_path / "small"
    (folder / "mathjax").mkdir(parents=True)
    contents = {"page.html": GOOD, "other.html": OTHER, "data.csv": "a,b\n1,2\n"}
    for name in ("style.css", "logo.svg", "a b.png", "mathjax/tex.js"):
        contents[name] = ""
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def faults_of(folder: Path) -> list[str]:
    return scan.all_faults(folder, expected=["page.html", "other.html"], folders=[Path("/home/somebody")])


def test_the_scan_finds_nothing_in_a_good_site(small: Path) -> None:
    assert faults_of(small) == []
    assert scan.numbers(scan.pages(small)) == ["Table 1", "Fig. 1"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("<title>A page</title>", "<title> </title>", "page.html: no title"),
        ('<h1 id="top">A heading</h1>', '<p id="top"></p>', "page.html: no heading"),
        ('<span class="caption-number">Table 1 </span>', "", "page.html: table t without a number"),
        ("Table 1 ", "Table ", "page.html: table t without a number"),
        ("What it shows", "", "page.html: table t without words"),
        ('<span class="caption-number">Fig. 1 </span>', "", "page.html: figure f without a number"),
        ("Two lines, falling", "", "page.html: figure f without words"),
        (FIGURE, f"</figure>{FIGURE}<figure>", "page.html: image a%20b.png stands outside"),
        ("Two lines that fall from left to right.", "", "is described as ''"),
        ("Two lines that fall from left to right.", "Two lines", "is described as 'Two lines'"),
        (
            "Two lines that fall from left to right.",
            "../_images/001387b9fa89b0ee21fef7c1.png",
            "is described as '../_im",
        ),
        ("Two lines that fall from left to right.", "001387b9fa89b0ee21fef7c1", "is described as '0013"),
        ("Two lines that fall from left to right.", "The figure as it is in curves.png", "is described as 'The"),
        ('alt="Logo"', 'alt=""', "image logo.svg is described as ''"),
        ("Words enough", "<pre>Traceback (most recent call last)</pre>", "page.html: traceback"),
        ("Words enough", "<pre>100%|██| 5/5 [00:01, 3.2 it/s]</pre>", "page.html: progress bar"),
        ("Words enough", "<pre>x.py:3: UserWarning: careful</pre>", "page.html: warning"),
        ("Words enough", '<div class="output stderr">hm</div>', "page.html: stderr 'hm'"),
        ("Words enough", "harakeh-live: pasted key not found", "page.html: glue"),
        ("Words enough", "{glue:md}`harakeh-x`", "page.html: role"),
        ("Words enough", "```{figure} x.png", "page.html: directive"),
        ("Words enough", "| --- | --- |", "page.html: raw mark-up"),
        ("Words enough", "**replicated", "page.html: raw mark-up"),
        ("Words enough", "TODO", "page.html: placeholder 'TODO'"),
        ("Words enough", "PROSE", "page.html: placeholder 'PROSE'"),
        ("Words enough", "see /home/somebody/book", "page.html: names /home/somebody/"),
        ('"#top"', '"#bottom"', "<a> leads to #bottom, which has no such anchor"),
        ("other.html#there", "other.html#here", "<a> leads to other.html#here, which has no such anchor"),
        ("other.html#there", "gone.html", "<a> leads to gone.html, which is not there"),
        ("other.html#there", "/other.html", "<a> leads to /other.html"),
        ("other.html#there", "../../../etc/passwd", "<a> leads to ../../../etc/passwd"),
        ("a%20b.png", "gone.png", "<img> leads to gone.png"),
        ("data.csv", "gone.csv", "<a> leads to gone.csv"),
        ("style.css", "gone.css", "<link> leads to gone.css"),
        ("mathjax/tex.js?v=1", "mathjax/gone.js", "<script> leads to mathjax/gone.js"),
        ("mathjax/tex.js?v=1", "https://cdn.example.org/mathjax.js", "page.html: loads https://cdn"),
        ("style.css", "//fonts.example.org/x.css", "page.html: loads //fonts"),
        ("a%20b.png", "http://example.org/b.png", "page.html: loads http://example.org/b.png"),
        ('<script src="mathjax/tex.js?v=1"></script>', "", "page.html: equations without MathJax"),
        ("<h2>Below</h2>", "<h3>Below</h3>", "page.html: <h3> 'Below' after <h1>"),
        ("<h2>Below</h2>", "<h1>Below</h1>", "page.html: <h1> 'Below' after <h1>"),
    ],
    ids=str,
)
def test_the_scan_finds_a_planted_fault(small: Path, old: str, new: str, fault: str) -> None:
    assert GOOD.count(old) == 1
    (small / "page.html").write_text(GOOD.replace(old, new), encoding="utf-8")
    assert any(fault in found for found in faults_of(small)), faults_of(small)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a,b\n", "data.csv: no rows"),
        ("", "data.csv: no rows"),
        ("a,b\n1,2\n1,2,3\n", "data.csv: line 3 has 3 fields"),
        ("a,a\n1,2\n", "data.csv: columns"),
        ("a,\n1,2\n", "data.csv: columns"),
    ],
)
def test_the_scan_finds_a_bad_download(small: Path, content: str, fault: str) -> None:
    (small / "data.csv").write_text(content, encoding="utf-8")
    assert any(fault in found for found in faults_of(small))


def test_the_scan_finds_a_missing_page_and_paths_in_other_files(small: Path) -> None:
    (small / "other.html").unlink()
    (small / "_sources").mkdir()
    (small / "_sources" / "page.md").write_text("/home/somebody/book", encoding="utf-8")
    found = faults_of(small)
    assert "other.html: missing" in found
    assert "_sources/page.md: names /home/somebody/" in found


def test_the_scan_reads_redirections(small: Path) -> None:
    (small / "index.html").write_text('<meta http-equiv="Refresh" content="0; url=gone.html" />', encoding="utf-8")
    assert any("<meta> leads to gone.html" in fault for fault in faults_of(small))


# --- in a browser -------------------------------------------------------------------------------------------------------

WINDOW = (1400, 1000)
NARROW = 500  # the least that a headless window takes


@dataclass(frozen=True)
class View:
    """A page as Chromium shows it."""

    dom: str
    console: list[str]
    screenshot: Path


@pytest.fixture(scope="session")
def view(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., View]:
    """Opens an address in headless Chromium that reaches no other machine, once for all tests."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), "")
    top = tmp_path_factory.mktemp("browser")

    @functools.cache
    def look(address: str, *, size: tuple[int, int] = WINDOW, patience: int = 8000) -> View:
        screenshot = top / f"{len(list(top.iterdir()))}.png"
        profile = top / f"{screenshot.stem}-profile"
        options = (
            "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
            "disable-component-update disable-sync disable-dev-shm-usage hide-scrollbars dump-dom enable-logging=stderr v=0"
        ).split()
        settings = [
            "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"virtual-time-budget={patience}",
            f"window-size={size[0]},{size[1]}",
            f"screenshot={screenshot}",
            f"user-data-dir={profile}",
        ]
        command = [browser, *(f"--{option}" for option in [*options, *settings]), address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        shutil.rmtree(profile, ignore_errors=True)
        assert done.returncode == 0 and screenshot.is_file(), done.stderr[-2000:]
        return View(done.stdout, re.findall(r"CONSOLE:\d+\] (.*)", done.stderr), screenshot)

    return look


@pytest.fixture(scope="session")
def server(site: Site) -> Iterator[tuple[str, list[str]]]:
    """The site on 127.0.0.1: its address, and the requests that it had to answer with an error."""
    failed: list[str] = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None: ...

        def log_error(self, format: str, *arguments: object) -> None:
            failed.append(f"{self.path}: {format % arguments}")

    handler = functools.partial(Quiet, directory=str(site.html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", failed
        listening.shutdown()
        thread.join()


# sphinx-thebe, which Jupyter Book always loads, declares its settings twice on a page.
KNOWN = re.compile(r"THEBE_JS_URL")


@pytest.mark.browser
@pytest.mark.parametrize("name", EXPECTED)
def test_a_page_opens_from_its_file(site: Site, view: Callable[..., View], name: str) -> None:
    seen = view((site.html / name).as_uri())
    page = scan.BeautifulSoup(seen.dom, "html.parser")
    assert page.title is not None and page.title.get_text().strip().endswith("Robust, Private, Uncertain")
    problems = [line for line in seen.console if re.search(r"ERR_|Failed to load|Uncaught|not found|MathJax", line)]
    assert [line for line in problems if not KNOWN.search(line)] == []
    if site.page(name).soup.find(class_="math") is not None:
        equations = site.page(name).article.select("span.math, div.math")
        assert len(page.select("article mjx-container")) == len(equations)
        assert page.select("mjx-merror") == []
    with Image.open(seen.screenshot) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape == WINDOW[::-1]
    assert 0.002 < (pixels < 128).mean() < 0.5  # dark letters on a light ground


def test_every_claim_is_on_its_page_under_its_word(site: Site) -> None:
    page, store = site.page("book/claims.html"), Store(ROOT / "results")
    for paper in papers.NAMES:
        for sentence in claims.load(paper):
            entry = page.soup.find("details", id=re.compile(f"^claim-{paper.replace('_', '[-_]')}-{sentence.id}$"))
            assert entry is not None, sentence.id
            title, words = entry.find("summary"), {one.get_text() for one in entry.select("summary .verdict")}
            assert title is not None and letters(sentence.quote) in letters(title.get_text())
            if paper in papers.REPLICATED:
                assert words == {verdict(store, parse(f"text:{sentence.id}", paper)).word}
            else:
                apart = by_dataset(sentence, judge_parts(store, paper, sentence))
                assert words == {one.word for one in apart.values()}


def letters(text: str) -> str:
    """Without spaces and signs, which the page sets more finely."""
    return re.sub(r"\W", "", text)


@pytest.mark.browser
def test_the_first_address_leads_to_the_first_page(site: Site, view: Callable[..., View]) -> None:
    assert "<h1>" in view((site.html / "index.html").as_uri()).dom


@pytest.mark.browser
def test_search_finds_a_chapter(server: tuple[str, list[str]], view: Callable[..., View]) -> None:
    address, failed = server
    page = scan.BeautifulSoup(view(f"{address}/search.html?q=dropout").dom, "html.parser")
    results = [str(link["href"]) for link in page.select("#search-results li a[href]")]
    assert any(link.partition("?")[0].partition("#")[0] == CHAPTER for link in results)
    assert failed == []


@pytest.mark.browser
@pytest.mark.parametrize("name", EXPECTED)
def test_a_page_asks_the_server_for_nothing_that_is_missing(
    server: tuple[str, list[str]], view: Callable[..., View], name: str
) -> None:
    address, failed = server
    seen = view(f"{address}/{name}", size=(NARROW, 900))
    assert failed == []
    with Image.open(seen.screenshot) as image:
        pixels = np.asarray(image.convert("L"))
    assert 0.002 < (pixels < 128).mean() < 0.5


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that does as a reader does: presses keys, and looks again."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), "")
    with browsing(executable, tmp_path_factory.mktemp("driven") / "profile") as one:
        yield one


def in_words(line: dict[str, Any], at: int) -> str:
    """A point of a slider's line, as its page says it."""
    if not line["values"][at]:
        return "not measured here"
    mean, *ends = line["values"][at]
    if not ends:
        return f"{mean:.1f} %, one seed"
    return f"{mean:.1f} % [{ends[0]:.1f}, {ends[1]:.1f}], {line['seeds']} seeds"


def numbers(told: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+\.?\d*", told)]


@pytest.mark.browser
@pytest.mark.parametrize("chapter", papers.NAMES)
def test_a_slider_says_what_its_rows_hold(site: Site, browser: Browser, chapter: str) -> None:
    """From a file, by the keyboard alone, and for those who listen; each of the chapter's sliders."""
    page = site.page(f"notebooks/{chapter}.html")
    browser.open(page.path.as_uri())
    browser.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    sliders = page.article.select("div.slider")
    assert sliders
    for number, slider in enumerate(sliders):
        told = json.loads(slider.select_one("script").string)
        here = f"document.querySelectorAll('.slider')[{number}]"
        assert browser.ask(f"{here}.querySelector('input').labels[0].textContent").startswith(told["label"])
        panel = told["panels"][0]
        last = len(panel["at"]) - 1
        browser.ask(f"{here}.querySelector('input').focus()")
        for keys, at in (
            ((), panel["start"]),
            (("End",), last),
            (("ArrowLeft",), last - 1),
            (("Home", "ArrowRight"), 1),
        ):
            for key in keys:
                browser.press(key)
            assert browser.ask(f"{here}.querySelector('input').value") == str(at)
            said = browser.ask(f"[...{here}.querySelectorAll('li .words')].map(one => one.textContent)")
            for line, words in zip(panel["lines"], said, strict=True):
                expected = in_words(line, at)
                assert re.sub(r"[\d.]+", "", words) == re.sub(r"[\d.]+", "", expected)
                assert numbers(words) == pytest.approx(numbers(expected), abs=0.11)  # JavaScript rounds 0.05 up
            spoken = browser.ask(f"{here}.querySelector('input').getAttribute('aria-valuetext')")
            assert float(spoken.replace(",", "")) == pytest.approx(panel["at"][at], rel=0.01)
        if len(told["panels"]) > 1:
            choose = f"const one = {here}.querySelector('select'); one.selectedIndex = 1; one.dispatchEvent(new Event('change'))"
            browser.ask(f"(() => {{ {choose} }})()")
            names = browser.ask(f"[...{here}.querySelectorAll('li .name')].map(one => one.textContent)")
            assert names == [line["name"] for line in told["panels"][1]["lines"]]
        heard = f"{here}.querySelector('[aria-live=polite]').textContent"
        browser.ask("new Promise(resolve => setTimeout(resolve, 600))")
        assert told["label"] in browser.ask(heard) and " seed" in browser.ask(heard)
    assert [error for error in browser.errors() if not KNOWN.search(str(error))] == []


@pytest.mark.browser
@pytest.mark.parametrize("chapter", papers.NAMES)
def test_without_scripts_the_figure_above_a_slider_stands_alone(site: Site, browser: Browser, chapter: str) -> None:
    browser.open((site.html / f"notebooks/{chapter}.html").as_uri(), scripts=False)
    assert browser.ask("document.querySelectorAll('.slider ul, .slider input').length") == 0
    assert browser.ask("[...document.querySelectorAll('.slider')].map(one => one.offsetHeight)[0]") == 0
    figure = "const figures = [...document.querySelectorAll('figure img')].filter(one => one.offsetParent)"
    assert browser.ask(f"(() => {{ {figure}; return figures.length && figures.every(one => one.naturalWidth); }})()")


@pytest.mark.browser
def test_a_slider_has_other_colours_on_a_dark_page(site: Site, browser: Browser) -> None:
    colours = []
    for dark in (False, True):
        browser.open((site.html / CHAPTER).as_uri(), dark=dark, size=(390, 844))
        shown = "getComputedStyle(document.querySelector('.slider .mean')).backgroundColor"
        words = "getComputedStyle(document.querySelector('.slider .words')).color"
        colours.append([browser.ask(shown), browser.ask(words)])
        ends = "[...document.querySelectorAll('.slider, .slider *')].map(one => one.getBoundingClientRect().right)"
        outer, *inner = browser.ask(ends)
        assert outer <= 390 and max(inner) <= outer
    assert all(light != dark for light, dark in zip(*colours, strict=True))


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scrolls"), [(1366, False), (390, True)])
def test_a_figure_that_scrolls_says_so(width: int, scrolls: bool, site: Site, browser: Browser) -> None:
    browser.open((site.html / CHAPTER).as_uri(), size=(width, 900))
    wide = "one.offsetParent && one.scrollWidth > one.clientWidth"
    said = "one => getComputedStyle(one, '::before').content"
    found = browser.ask(f"[...document.querySelectorAll('figure')].filter(one => {wide}).map({said})")
    assert bool(found) == scrolls and all("sideways" in one for one in found)


# Found and not imported: the package carries axe-core, and would ask for Playwright.
AXE = importlib.util.find_spec("axe_playwright_python")
NEEDS_AXE = "needs axe-core: pip install --no-deps -r requirements-peers.txt"
# A dark page changes colours alone, and a narrow one what scrolls.
LOOKED_AT: dict[str, tuple[bool, int, tuple[str, ...]]] = {
    "light": (False, 1366, ()),
    "dark": (True, 1366, ("color-contrast", "link-in-text-block")),
    "narrow": (False, 390, ("scrollable-region-focusable", "color-contrast")),
}


@pytest.mark.browser
@pytest.mark.skipif(AXE is None, reason=NEEDS_AXE)
@pytest.mark.parametrize("look", LOOKED_AT)
@pytest.mark.parametrize("name", [*EXPECTED, "search.html"])
def test_axe_finds_nothing_serious(site: Site, browser: Browser, name: str, look: str) -> None:
    """With everything unfolded."""
    assert AXE is not None and AXE.origin is not None
    dark, width, rules = LOOKED_AT[look]
    browser.socket.settimeout(300)
    browser.open((site.html / name).as_uri(), dark=dark, size=(width, 900))
    browser.ask(Path(AXE.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    browser.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    browser.ask("new Promise(then => { dispatchEvent(new Event('resize')); setTimeout(then, 500); })")
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    grave = "violations.filter(one => ['serious', 'critical'].includes(one.impact))"
    said = "one => [one.id, ...one.nodes.slice(0, 5).map(node => node.html.slice(0, 160))]"
    assert browser.ask(f"axe.run({json.dumps(options)}).then(({{ violations }}) => {grave}.map({said}))") == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1366, 390])
def test_a_word_of_the_glossary_says_what_it_means(site: Site, browser: Browser, width: int) -> None:
    """Under the keyboard's focus as under the pointer, inside the window; Escape takes it away."""
    words = site.page(CHAPTER).article.select("a[data-said]:not(.number)")
    meanings = {
        str(one.get_text()): str(one["data-said"])
        for one in site.page("book/index.html").article.select("a[data-said]:not(.number)")
    }
    assert len(words) >= 4 and meanings["victim"] == "The network under attack."
    browser.open((site.html / CHAPTER).as_uri(), size=(width, 900))
    shown = "(({ hidden, textContent }) => hidden ? '' : textContent)(document.getElementById('said'))"
    for number, word in enumerate(words):
        here = f"document.querySelectorAll('a[data-said]:not(.number)')[{number}]"
        for begin, end in (("focusin", "focusout"), ("pointerover", "pointerout")):
            browser.ask(f"{here}.scrollIntoView({{ block: 'center', behavior: 'instant' }})")
            browser.ask("new Promise(then => setTimeout(then, 100))")  # scrolling takes away what is shown
            browser.ask(f"{here}.dispatchEvent(new Event('{begin}', {{ bubbles: true }}))")
            assert browser.ask(shown) == word["data-said"]
            left, right = browser.ask("(({ left, right }) => [left, right])(said.getBoundingClientRect())")
            assert 0 <= left < right <= width
            browser.ask(f"{here}.dispatchEvent(new Event('{end}', {{ bubbles: true }}))")
            assert browser.ask(shown) == ""
    browser.ask(f"{here}.dispatchEvent(new Event('focusin', {{ bubbles: true }}))")
    browser.press("Escape")
    assert browser.ask(shown) == ""
    assert browser.ask(f"{here}.getAttribute('aria-describedby')") == "said"


WIDTHS = (1366, 768, 390)
WHOLE = ("notebooks/", "book/claims", "book/status", "book/benchmarks")


@pytest.mark.browser
def test_nothing_is_cut_at_any_width(site: Site, server: tuple[str, list[str]], view: Callable[..., View]) -> None:
    """On a laptop chapters and evidence fit, folded tables too; on a narrow screen what is wider scrolls in its box."""
    address, _ = server
    pages = [name for name in EXPECTED if name.startswith(("book/", "notebooks/"))]
    text = (Path(__file__).parent / "layout.html").read_text(encoding="utf-8")
    probe = site.html / "layout.html"
    probe.write_text(text.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps(WIDTHS)), encoding="utf-8")
    try:
        seen = view(f"{address}/layout.html", patience=200_000)
    finally:
        probe.unlink()
    (report,) = re.findall(r'<pre id="report">(.*?)</pre>', seen.dom, re.DOTALL)
    found = {(page, width): faults for page, width, faults in json.loads(html.unescape(report))}
    assert "<title>done" in seen.dom
    cut = {at: [one for one in faults if not one.endswith(" scrolls")] for at, faults in found.items()}
    assert not any(cut.values()), cut
    assert not {at: faults for at, faults in found.items() if at[0].startswith(WHOLE) and at[1] == 1366}
