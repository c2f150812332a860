"""The book in print: its pages become one, with nothing folded and no link that leads nowhere, and a browser prints it."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from report import printed, site
from report.place import BuildFailed

FIRST = """<html><head><link rel="stylesheet" href="../_static/book.css"><script src="../_static/menu.js"></script></head><body>
<nav><a href="index.html">The book</a></nav><article><h1 id="top">A first page</h1>
<a href="#top">up</a> <a href="../notebooks/one.html#a">there</a> <a href="../notebooks/one.html">whole</a>
<a class="download" href="../_downloads/x.csv">data</a> <a href="https://example.org/">elsewhere</a>
<img src="../_images/x.svg" alt="x"><details><summary>More</summary>folded</details></article></body></html>"""
SECOND = """<html><head><link rel="stylesheet" href="../_static/book.css"><script>window.MathJax = {}</script>
<script defer src="../_static/mathjax/tex.js"></script></head><body><article><h1 id="top">A chapter</h1><p id="a">There.</p>
<a href="../book/index.html#top">back</a></article></body></html>"""
PAGES = ["book/index.html", "notebooks/one.html"]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for name, text in zip(PAGES, (FIRST, SECOND), strict=True):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


def test_pages_become_one(small: Path) -> None:
    page = BeautifulSoup(printed.one_page(small, PAGES), "html.parser")
    assert [title.get_text() for title in page.select("article h1")] == ["A first page", "A chapter"]
    assert page.find("nav") is None and page.select_one("details")["open"] == ""
    identifiers = [str(tag["id"]) for tag in page.find_all(id=True)]
    assert len(set(identifiers)) == len(identifiers)
    links = {link.get_text(): link.get("href") for link in page.find_all("a")}
    inside = ("up", "there", "whole", "back")
    assert all(links[name][0] == "#" and links[name][1:] in identifiers for name in inside)
    assert links["up"] == links["back"] and links["there"] != links["whole"]
    assert links["data"] is None and links["elsewhere"] == "https://example.org/"
    assert page.select_one("img")["src"] == "_images/x.svg"
    assert [style["href"] for style in page.select("link")] == ["_static/book.css"]
    assert [script.get("src") for script in page.select("script")] == [None, "_static/mathjax/tex.js"]


def test_a_page_without_words_is_not_printed(small: Path) -> None:
    (small / PAGES[1]).write_text("<html><body></body></html>")
    with pytest.raises(BuildFailed, match=r"notebooks/one\.html: a page without an article"):
        printed.one_page(small, PAGES)


def test_a_browser_that_fails_fails_the_build_and_leaves_nothing(small: Path) -> None:
    browser = small / "browser"
    browser.write_text("#!/bin/sh\necho 'no memory' >&2\nexit 3\n")
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(BuildFailed, match="did not print the book: no memory"):
        printed.print_book(small, PAGES, executable=str(browser))
    browser.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(BuildFailed, match="did not print the book"):
        printed.print_book(small, PAGES, executable=str(browser))
    assert {path.name for path in small.iterdir()} == {"book", "notebooks", "browser"}


@pytest.mark.parametrize("there", [True, False], ids=["a browser", "none"])
def test_where_no_browser_is_the_book_has_no_pdf_and_says_so(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(site, "_build", lambda *_, executable, **__: found.append(executable))
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if there else None)
    outcome = cli("book", "--pdf", "--output", tmp_path / "site")
    assert outcome.rc == 0 and found == ["/bin/chromium" if there else None]
    assert outcome.stderr == (
        "" if there else "no PDF: none of chromium, chromium-browser, google-chrome is on the PATH\n"
    )


@pytest.mark.parametrize("offered", [True, False], ids=["printed", "not"])
def test_the_first_page_offers_the_pdf_only_if_there_is_one(offered: bool, tmp_path: Path) -> None:
    site._assemble(tmp_path, pdf=offered)
    text = (tmp_path / "book" / "index.md").read_text()
    assert (printed.PDF in text) is offered and re.search(r"\{\{\w+\}\}", text) is None
    assert (
        "@software{replication," in text and "title   = {Robust, Private, Uncertain: three papers replicated}" in text
    )
