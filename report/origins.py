"""Where numbers come from: each leads to its records, to the command that makes them, and to the code that measures it.

A number in a sentence or a table is a link to its entry on a page of origins, one for each chapter; a caption leads to the
entries of its figure. The pages are made of what is quoted while the book is built, and lines of code are looked up in the code.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from docutils.nodes import make_id

from experiments import claims, papers, published
from experiments.address import PRINTED, Address, is_claim, parse, resolve, sources
from experiments.find import row
from experiments.records import ROOT, Record, Store
from experiments.rules import REST, Sentence
from report.declared import declared
from report.names import PAPER_NAMES
from report.numbers import NOT_RUN, one_number
from report.papers import chapter
from report.prose import PAIR, derivation, quote
from report.tables import full, linked, place

SENTENCES = "Quoted in sentences"
PUBLISHED, CLAIMS = "Beside published numbers", "Compared by claims, or with what victims have to have"
FOLDER = "origins"  # beside the downloads: which addresses a figure or a table shows, one a line
SHOWN = re.compile(r"\{download\}`[^`<]*<downloads/(\w+?)-([\w-]+)\.csv>`")
LONGEST = 40  # letters that are still a number, and no sentence


class Origins:
    """What sentences quote, and the pages that say where it comes from; `repository` is where the code is shown."""

    def __init__(self, store: Store, repository: str) -> None:
        self.store, self.repository, self.get = store, repository, cache(store.get)
        self.quoted: dict[str, set[str]] = {paper: set() for paper in papers.NAMES}

    def link(self, text: str, address: str, paper: str | None) -> str:
        """What a sentence quotes, as a link: of ours to its entry, of a paper's to its line, of a verdict to its claim."""
        if (made := derivation(address, paper)) is not None:
            if re.search("derived:(verdicts|parts)$", address):
                return linked(text, address, "../book/claims.html")
            return text if len(text) > LONGEST else linked(text, address, self.line(made))
        found = [parse(one, paper) for one in PAIR.split(address)]
        first = found[0]
        if first.reading == PRINTED:
            return linked(text, address, self._line_of_print(first))
        if is_claim(first):
            return linked(text, address, f"../book/claims.html#{make_id(f'claim-{first.paper}-{_sentence(first)}')}")
        self.quoted[first.paper].add(full(address, first.paper))
        return linked(text, full(address, first.paper))

    def captioned(self, text: str, downloads: Path) -> str:
        """The Markdown of a chapter, where the data of a figure or table lead to the entries of its numbers as well."""

        def told(shown: re.Match[str]) -> str:
            known = (downloads / FOLDER / f"{shown[1]}-{shown[2]}").exists()
            where = f"../book/origins_{shown[1]}.html#shown-{shown[2]}"
            return f'{shown[0]}, <a href="{where}">records</a>' if known else shown[0]

        return SHOWN.sub(told, text)

    def write(self, folder: Path, downloads: Path | None = None) -> None:
        """A page for each paper, into `folder`; `downloads` is where the chapters have left what they show."""
        for paper in papers.NAMES:
            shown = {SENTENCES: sorted(self.quoted[paper])}
            shown[PUBLISHED] = [self._first(paper, id_) for id_ in published.load(paper)]
            names = [*(name for one in claims.load(paper) for name in compared(one)), *published.load(paper)]
            shown[CLAIMS] = [f"{paper}:text:{name}" for name in names]
            for path in sorted((downloads / FOLDER).glob(f"{paper}-*")) if downloads else ():
                shown[path.name.removeprefix(f"{paper}-")] = path.read_text().splitlines()
            page = declared("texts")["origins"].format(name=PAPER_NAMES[paper], paper=paper)
            (folder / f"origins_{paper}.md").write_text(page + "".join(self._sections(paper, shown)))

    def line(self, function: Any) -> str:
        """Where the repository shows a function or class."""
        return f"{self.repository}/{_line(getattr(function, 'func', function))}"

    def _line_of_print(self, address: Address) -> str:
        numbers = list(published.load(address.paper))
        return f"{self.repository}/experiments/papers/{address.paper}/published.csv#L{2 + numbers.index(address.id)}"

    def _first(self, paper: str, id_: str) -> str:
        """The address of our counterpart of a published number, by the first reading of it that has records."""
        found = [f"{paper}:{name}:{id_}" for name in chapter(paper).READINGS]
        return next((one for one in found if resolve(self.store, parse(one)).values), found[0])

    def _sections(self, paper: str, shown: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Every address once, where it is shown first; later it is a link."""
        known: set[str] = set()
        for name, quoted in shown.items():
            addresses = dict.fromkeys([*quoted, *(part for one in quoted for part in PAIR.split(one))])
            if not addresses:
                continue
            yield f"\n## {name.replace('-', ' ').capitalize()}\n\n```{{raw}} html\n"
            yield f'<a id="shown-{make_id(name)}"></a>\n'
            for address in addresses:
                yield f"<p>{_inside(address)}</p>\n" if address in known else self._entry(address, paper)
                known.add(address)
            yield "```\n"

    def _entry(self, address: str, paper: str) -> str:
        value = escape(quote(self.store, address, paper))
        first, *second = PAIR.split(address)
        if second:
            word = " less " if " - " in address else ", of the seeds of "
            told = f"<p>Seed by seed: {word.join(map(_inside, (first, *second)))}.</p>"
        else:
            told = "".join(self._told(parse(address)))
        name = place(address).partition("#")[2]
        return f'<div class="origin" id="{escape(name)}"><p><code>{escape(address)}</code> <b>{value}</b></p>{told}</div>\n'

    def _told(self, address: Address) -> Iterator[str]:
        """For each kind of cell behind a number: its records with what they hold, the code, and the command."""
        for measured, cells in _kinds(self.get, address).items():
            name = measured[0]
            records = [(cell, record) for cell in cells if (record := self.get(cell)) is not None]
            found = "; ".join(self._record(cell.seed, record, name) for cell, record in records)
            said = f"<code>{name}</code> of {found}" if found else f"{NOT_RUN.capitalize()}: <code>{name}</code>"
            measure = type(cells[0]).measure
            code = f'<a href="{self.line(measure)}"><code>{measure.__qualname__}</code></a>'
            kind = f'<a href="{self.line(type(cells[0]))}"><code>{type(cells[0]).__name__}</code></a>'
            yield f"<p>{said}. Measured by {code} of {kind}.</p>"
            yield f"<p><code>{escape(command([cell for cell, _ in records] or cells))}</code></p>"

    def _record(self, seed: int, record: Record, name: str) -> str:
        value = record.measurements.get(name)
        told = "" if value is None else f": {one_number(value, name)}"
        return f'<a href="{self.repository}/results/{record.name}">seed {seed}</a>{told}'


def _inside(address: str) -> str:
    """A link to another entry of the same page."""
    return f'<a href="#{escape(place(address).partition("#")[2])}"><code>{escape(address)}</code></a>'


@cache
def _line(function: Any) -> str:
    path = Path(inspect.getsourcefile(function) or "").resolve().relative_to(ROOT.resolve())
    return f"{path.as_posix()}#L{inspect.getsourcelines(function)[1]}"


def compared(sentence: Sentence) -> list[str]:
    """The ids of the numbers that a sentence is about."""
    cells = (name for part in sentence.parts for cell in part.cells for name in cell)
    return list(dict.fromkeys(name.removeprefix(REST) for name in cells))


def _sentence(address: Address) -> str:
    """The sentence of which an address names a part, or all."""
    every = claims.load(address.paper)
    return next(one.id for one in every if address.id in (one.id, *(part.id for part in one.parts)))


def _kinds(get: Callable[[Any], Record | None], address: Address) -> dict[tuple[str, str], list[Any]]:
    """The cells behind a number, a list for each measurement and kind: of those recorded, or else planned."""
    found: dict[tuple[str, str], list[Any]] = {}
    for alternatives in sources(address):
        planned = [
            (source.measurement, cells)
            for source in alternatives
            for profile in source.profiles
            if (cells := row(address.paper, profile, **source.settings))
        ]
        done = (pair for pair in planned if any(get(cell) is not None for cell in pair[1]))
        for measurement, cells in (one for one in [next(done, next(iter(planned), None))] if one):
            for cell in cells:
                found.setdefault((measurement, repr(_settings(cell))), []).append(cell)
    return found


def command(cells: Sequence[Any]) -> str:
    """What computes cells that differ in their seed alone, by the fewest settings that no other cell of their grid has."""
    cell = cells[0]
    mine = _settings(cell)
    others = [one for one in _grid(cell.paper, cell.profile) if one != mine]
    chosen = ""
    for name, value in mine.items():
        left = [one for one in others if one.get(name) == value and name in one]
        if len(left) < len(others):
            chosen, others = f"{chosen} --only {name}={_written(value)}", left
    seed = f" --seed {cell.seed}" if len(cells) == 1 else ""
    run = ".venv/bin/python -m experiments run --results again"
    return f"{run} --paper {cell.paper} --profile {cell.profile}{chosen}{seed}"


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _settings(cell: Any) -> dict[str, Any]:
    """What tells a cell from those that are not the same in another seed."""
    apart = ("paper", "profile", "seed", *cell.of_seed)
    return {one.name: getattr(cell, one.name) for one in fields(cell) if one.name not in apart}


@cache
def _grid(paper: str, profile: str) -> list[dict[str, Any]]:
    return list({repr(one): one for one in map(_settings, papers.get(paper).grid(profile))}.values())
