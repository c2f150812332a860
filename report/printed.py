"""The book as one PDF: its pages in order, whatever is folded open, printed by a browser where there is one."""

import posixpath
import shutil
import subprocess
import tempfile
from collections.abc import Container, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag

from report.place import BuildFailed

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PDF = "robust-private-uncertain.pdf"
PATIENCE = 300  # seconds, of which a page of equations takes some on a busy machine


def browser() -> str | None:
    """The browser that prints, if this machine has one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def print_book(site: Path, pages: Sequence[str], *, executable: str) -> None:
    """Print `pages` of the built `site`, in this order, to its file `PDF`.

    Raises:
        BuildFailed: the browser did not print.
    """
    together = site / "together.html"
    together.write_text(one_page(site, pages), encoding="utf-8")
    # Time inside the page runs ahead while it waits, and stands still while it sets equations.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--no-pdf-header-footer"]
    options += ["--generate-pdf-document-outline", f"--print-to-pdf={site / PDF}"]
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [executable, *options, f"--user-data-dir={profile}", together.as_uri()]
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"{executable}: has not printed the book in {PATIENCE} seconds") from error
    finally:
        together.unlink()
    if done.returncode or not (site / PDF).is_file():
        raise BuildFailed(f"{executable}: did not print the book: {done.stderr[-1000:]}")


def one_page(site: Path, pages: Sequence[str]) -> str:
    """The articles of `pages` as a page at the top of `site`: no navigation, links among them inside it, nothing folded."""
    head: dict[str, None] = {}  # what any page needs for its look and its equations, once
    articles = []
    for name in pages:
        page = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        for tag in page.find_all(("link", "script", "a", "img")):
            _move(tag, name, pages)
        styles = page.find_all("link", rel="stylesheet")
        scripts = [one for one in page.find_all("script") if "mathjax" in f"{one.get('src', '')}{one.string}".lower()]
        head |= dict.fromkeys(map(str, [*styles, *scripts]))
        article = page.find("article")
        if not isinstance(article, Tag):
            raise BuildFailed(f"{name}: a page without an article cannot be printed")
        for tag in article.find_all(id=True):
            tag["id"] = _anchor(name, str(tag["id"]))
        for tag in article.find_all("details"):
            tag["open"] = ""
        article["id"] = _anchor(name, "")
        articles.append(str(article))
    ready = '<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>Robust, Private, Uncertain</title>'
    body = f'<body class="printed"><div class="bd-content">{"".join(articles)}</div></body>'
    return f"<!DOCTYPE html>{ready}{''.join(head)}</head>{body}</html>"


def _move(tag: Tag, page: str, pages: Container[str]) -> None:
    """Rewrite where a tag of `page` leads; a link to a file that only the site has is none in print."""
    attribute = "href" if tag.has_attr("href") else "src"
    parts = urlsplit(str(tag.get(attribute, "")))
    if not tag.has_attr(attribute) or parts.scheme or parts.netloc:
        return
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), parts.path)) if parts.path else page
    if path in pages:
        tag[attribute] = f"#{_anchor(path, parts.fragment)}"
    elif tag.name == "a":
        del tag[attribute]
    else:
        tag[attribute] = path


def _anchor(page: str, name: str) -> str:
    return f"{page.removesuffix('.html').replace('/', '-')}--{name}"
