"""What can be wrong with a built site: each function looks for one kind of fault and names every one it finds."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from palette import ratio

from report.figures.looks import ON_DARK, ON_PALE, WHITE

CODE = ("pre", "code", "script", "style")
EXTERNAL = ("http", "https", "mailto", "data", "javascript")
TEXT_FILES = (".html", ".js", ".txt", ".md", ".ipynb", ".csv", ".json", ".svg", ".css")
NOISE = {
    "traceback": r"Traceback \(most recent call last\)|Traceback",
    "progress bar": r"\bit/s\]|\bs/it\]|\d%\||[█▏▎▍▌▋▊▉]",
    "warning": r"\w*Warning:|\[\w+\] WARNING",
}
UNRESOLVED = {
    "glue": r"pasted key not found|Key `[^`]*` not found|No key",
    "role": r"\{[a-z][a-z:]*\}`",
    "directive": r"(?:```|:::)\{",
    "raw mark-up": r"\*\*\w|\|\s*---",
    "placeholder": r"\b(?:TODO|FIXME|TBD|XXX|PROSE|REPOSITORY|lorem ipsum)\b",
}


@dataclass(frozen=True)
class Page:
    """One HTML file."""

    path: Path
    name: str
    soup: BeautifulSoup

    @property
    def article(self) -> Tag:
        """What the page says, without the theme's frame around it."""
        return self.soup.find("article") or self.soup

    def text(self, *, code: bool = True) -> str:
        """The visible words, with or without what stands in code."""
        soup = BeautifulSoup(str(self.article), "html.parser")
        for tag in soup.find_all(["script", "style"] if code else CODE):
            tag.decompose()
        return soup.get_text(" ")


def pages(site: Path) -> list[Page]:
    """Every page of the site but the theme's own files."""
    paths = sorted(path for path in site.rglob("*.html") if "_static" not in path.relative_to(site).parts)
    return [Page(p, p.relative_to(site).as_posix(), BeautifulSoup(p.read_text("utf-8"), "html.parser")) for p in paths]


def chapters(toc: Path) -> list[str]:
    """The pages that a `_toc.yml` lists, in its order."""
    content = yaml.safe_load(toc.read_text(encoding="utf-8"))
    files = [content["root"], *(entry["file"] for part in content["parts"] for entry in part["chapters"])]
    return [f"{file}.html" for file in files]


def missing_pages(found: Sequence[Page], expected: Iterable[str]) -> list[str]:
    """Pages that are not there, or have no title, no heading, no words."""
    by_name, faults = {page.name: page for page in found}, []
    for name in expected:
        page = by_name.get(name)
        if page is None:
            faults.append(f"{name}: missing")
        elif page.soup.title is None or not page.soup.title.get_text().strip():
            faults.append(f"{name}: no title")
        elif page.article.find("h1") is None or len(page.text()) < 40:
            faults.append(f"{name}: no heading or no words")
    return faults


def unnumbered(page: Page) -> list[str]:
    """Figures, and tables with a caption, that have no number or no words; a cell's output that shows an uncaptioned image."""
    faults = []
    for kind, caption, word in (("table", "caption", "Table"), ("figure", "figcaption", "Fig.")):
        for item in page.article.find_all(kind):
            found = item.find(caption)
            if found is None:
                if kind == "figure":
                    faults.append(f"{page.name}: {kind} {item.get('id')} without a caption")
                continue
            number = found.find(class_="caption-number")
            if number is None or re.fullmatch(rf"{re.escape(word)} \d+", number.get_text().strip()) is None:
                faults.append(f"{page.name}: {kind} {item.get('id')} without a number")
            words = found.find(class_="caption-text")
            if words is None or len(words.get_text().strip()) < 10:
                faults.append(f"{page.name}: {kind} {item.get('id')} without words in its caption")
    faults += [
        f"{page.name}: image {image.get('src')} stands outside a figure"
        for image in page.soup.select("article img")
        if image.find_parent("figure") is None
    ]
    return faults


def numbers(found: Iterable[Page]) -> list[str]:
    """Every number of a figure or table in the order of the given pages, such as "Fig. 1"."""
    captions = [
        tag for page in found for tag in page.article.select("caption .caption-number, figcaption .caption-number")
    ]
    return [caption.get_text().strip() for caption in captions]


def bad_alternatives(page: Page) -> list[str]:
    """Images of the article without a description, or with a file name or a hash as one; others without any text."""
    faults = []
    for image in page.soup.find_all("img"):
        text = str(image.get("alt") or "").strip()
        inside = image.find_parent("article") is not None
        path_or_hash = re.search(r"[0-9a-f]{20,}|\.(?:png|svg|jpe?g)\b|^\S+$", text)
        if not text or (inside and (len(text) <= 20 or path_or_hash)):
            faults.append(f"{page.name}: image {image.get('src')} is described as {text!r}")
    return faults


def noise(page: Page) -> list[str]:
    """What a run leaves behind that no reader wants: tracebacks, progress bars, warnings, anything on stderr."""
    text = page.text()
    faults = [
        f"{page.name}: {kind} {found[0]!r}" for kind, pattern in NOISE.items() if (found := re.search(pattern, text))
    ]
    faults += [f"{page.name}: stderr {tag.get_text()[:60]!r}" for tag in page.soup.select(".output.stderr")]
    return faults


def unresolved(page: Page) -> list[str]:
    """Mark-up that was not rendered, glue without a value, words that stand for words to come."""
    found = []
    for kind, pattern in UNRESOLVED.items():
        text = page.text(code=kind == "placeholder")
        found += [f"{page.name}: {kind} {match!r}" for match in re.findall(pattern, text)]
    return found


def local_paths(site: Path, folders: Iterable[Path]) -> list[str]:
    """Files of the site that name one of `folders`, which are nobody's but the builder's."""
    wanted = [str(folder).rstrip("/") + "/" for folder in folders]
    faults = []
    for path in sorted(site.rglob("*")):
        if path.is_file() and path.suffix in TEXT_FILES and "_static" not in path.relative_to(site).parts:
            text = path.read_text(encoding="utf-8")
            faults += [f"{path.relative_to(site).as_posix()}: names {folder}" for folder in wanted if folder in text]
    return faults


def addresses(page: Page) -> Iterator[tuple[Tag, str]]:
    """Everything that the page links to or loads."""
    for tag in page.soup.find_all(True):
        for name in ("href", "src", "data", "poster"):
            if tag.get(name) is not None and not (name == "data" and tag.name != "object"):
                yield tag, str(tag[name])
        for candidate in str(tag.get("srcset") or "").split(","):
            if candidate.strip():
                yield tag, candidate.split()[0]
        if tag.name == "meta" and str(tag.get("http-equiv", "")).lower() == "refresh":
            yield tag, str(tag["content"]).partition("url=")[2]


def broken_links(site: Path, found: Sequence[Page]) -> list[str]:
    """Links, anchors, images, scripts and downloads of the site that lead to nothing in it."""
    anchors = {
        page.path.resolve(): {
            str(tag[name]) for name in ("id", "name") for tag in page.soup.find_all(attrs={name: True})
        }
        for page in found
    }
    faults = []
    for page in found:
        for tag, address in addresses(page):
            parts = urlsplit(address)
            if parts.scheme in EXTERNAL or parts.netloc:
                continue
            path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path.resolve()
            if path.is_dir():
                path /= "index.html"
            fragment = unquote(parts.fragment)
            if not path.is_relative_to(site.resolve()) or not path.is_file() or parts.path.startswith("/"):
                faults.append(f"{page.name}: <{tag.name}> leads to {address}, which is not there")
            elif fragment and path in anchors and fragment not in anchors[path]:
                faults.append(f"{page.name}: <{tag.name}> leads to {address}, which has no such anchor")
    return faults


def loaded_from_elsewhere(page: Page) -> list[str]:
    """Scripts, styles, images and frames that the page would fetch from the network."""
    return [
        f"{page.name}: loads {address}"
        for tag, address in addresses(page)
        if (urlsplit(address).netloc and urlsplit(address).scheme in ("http", "https", ""))
        and (tag.name in ("script", "img", "iframe", "object", "source") or "stylesheet" in (tag.get("rel") or []))
    ]


def mathless(page: Page) -> list[str]:
    """Pages with equations and without MathJax."""
    if page.soup.find(class_="math") is None:
        return []
    scripts = [str(tag["src"]) for tag in page.soup.find_all("script", src=True)]
    return [] if any("mathjax" in script.lower() for script in scripts) else [f"{page.name}: equations without MathJax"]


def misplaced_headings(page: Page) -> list[str]:
    """Levels of headings that skip one, which a screen reader's outline shows as a hole; a second h1."""
    faults, before = [], 0
    for heading in page.article.find_all(re.compile(r"^h[1-6]$")):
        level = int(heading.name[1])
        if level > before + 1 or (level == 1 and before):
            faults.append(f"{page.name}: <{heading.name}> {heading.get_text()[:40]!r} after <h{before}>")
        before = level
    return faults


def pale_letters(name: str, text: str) -> list[str]:
    """Letters of an SVG figure with less than 4.5:1 on its ground, light or dark; those on a fill of their own are left out."""
    dark = dict(re.findall(r"\[style\*='fill: (#\w{6})'\]\{fill:(#\w{6})", text))
    colors = {
        str(found[1])
        for letters in BeautifulSoup(text, "html.parser").find_all("g", id=re.compile(r"^text_\d+$"))
        for part in letters.find_all("g", style=True)
        if (found := re.search(r"fill: (#\w{6})", str(part["style"])))
    }
    return [
        f"{name}: letters of {color} on {ground}"
        for color in sorted(colors - {ON_DARK, ON_PALE})
        for ground, ink in ((WHITE, color), (dark.get(WHITE, WHITE), dark.get(color, color)))
        if ratio(ink, ground) < 4.5
    ]


def downloads(page: Page) -> list[tuple[str, Path]]:
    """The files that the page offers: their address in it, and where they are."""
    links = [str(tag["href"]) for tag in page.article.select("a.download[href]")]
    return [(link, (page.path.parent / unquote(link)).resolve()) for link in links]


def bad_csv(path: Path) -> list[str]:
    """What keeps `path` from being a table: no rows, rows of another length than the head, empty or repeated names."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    if len(rows) < 2:
        return [f"{path.name}: no rows"]
    head = rows[0]
    faults = [f"{path.name}: line {i} has {len(row)} fields" for i, row in enumerate(rows, 1) if len(row) != len(head)]
    if len(set(head)) != len(head) or not all(name.strip() for name in head):
        faults.append(f"{path.name}: columns {head}")
    return faults


def table_cells(table: Tag) -> list[list[str]]:
    """The words in each cell of a rendered table, its head first."""
    rows: list[Any] = table.find_all("tr")
    return [[" ".join(cell.get_text().split()) for cell in row.find_all(["th", "td"])] for row in rows]


def all_faults(site: Path, *, expected: Iterable[str] = (), folders: Iterable[Path] = ()) -> list[str]:
    """Every fault of the site that the functions above know."""
    found = pages(site)
    each = (unnumbered, bad_alternatives, noise, unresolved, loaded_from_elsewhere, mathless, misplaced_headings)
    faults = [fault for page in found for look in each for fault in look(page)]
    faults += missing_pages(found, expected) + broken_links(site, found) + local_paths(site, folders)
    faults += [
        fault
        for page in found
        for _, path in downloads(page)
        if path.suffix == ".csv" and path.is_file()
        for fault in bad_csv(path)
    ]
    return faults
