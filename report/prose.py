"""The numbers in the text: an address, written as {n}`text:mnist/cw/epistemic/fooling_rate`, becomes what was measured.

A sentence may also quote two addresses that are compared seed by seed:

    {n}`A - B`        how much larger A is, with the interval over the seeds that both have
    {n}`A beside B`   A over the seeds that B has as well

or, as {n}`derived:NAME`, what a paper's own module of the report makes of several numbers, one of its `DERIVED`, or what
is told of all papers together, one of `WHOLE`.
"""

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean
from typing import Any

import report.papers
from experiments import claims, coverage, papers, published
from experiments.address import PRINTED, VERDICT, Address, check_planned, is_claim, parse, resolve, sources
from experiments.judging import judge_parts, verdict
from experiments.records import Store
from lib.errors import BadValue, check_choice
from report.numbers import NOT_RUN, evidence, in_words, of_interval, one_number, over_seeds, percent
from report.tables import interval_at, values_at

TOKEN = re.compile(r"\{n\}`([^`]+)`")
DERIVED = "derived"
PAIR = re.compile(r" (?:-|beside) ")
Link = Callable[
    [str, str, str | None], str
]  # of what is quoted, its address, and the paper of addresses that name none


def fill(text: str, store: Store, *, paper: str | None = None, where: str, link: Link | None = None) -> str:
    """`text` with every quoted address replaced by what stands there; `paper` is that of addresses that name none.

    Args:
        link: makes of what is quoted a link; not in the options of a directive, which take no mark-up.

    Raises:
        BadValue: an address of nothing; the message begins with `where` it is written.
    """

    def told(match: re.Match[str]) -> str:
        address = " ".join(match[1].split())
        try:
            said = quote(store, address, paper)
        except BadValue as error:
            raise BadValue(f"{where}: {error}") from error
        plain = link is None or text[: match.start()].rpartition("\n")[2].startswith(":")
        return said if plain or link is None else link(said, address, paper)

    return TOKEN.sub(told, text)


def quote(store: Store, text: str, paper: str | None = None) -> str:
    """What a sentence says of an address, a comparison of two, or a derived number.

    Raises:
        BadValue: an address of nothing.
    """
    if (made := derivation(text, paper)) is not None:
        return str(made(store))
    one, *second = (parse(address, paper) for address in PAIR.split(text))
    for address in (one, *second):
        check_planned(address)
    if not second:
        return _told(store, one)
    (other,) = second
    if PRINTED in (one.reading, other.reading):
        printed = published.load(one.paper)
        return f"{printed[one.id].value - printed[other.id].value:.2f}"
    if " - " in text:
        return over_seeds(values_at(store, one.paper, text))
    shared = resolve(store, other).values
    return _of_values({seed: value for seed, value in resolve(store, one).values.items() if seed in shared}, one)


def derivation(text: str, paper: str | None = None) -> Callable[[Store], Any] | None:
    """What makes a derived number; None for an address.

    Raises:
        BadValue: unknown.
    """
    match = re.fullmatch(rf"(?:(\w+):)?{DERIVED}:([\w/-]+)", text)
    if match is None or match[2] in WHOLE:
        return match and WHOLE[match[2]]
    chosen = check_choice("paper", match[1] or paper, papers.NAMES)
    known: dict[str, Callable[[Store], Any]] = {one.__name__: partial(one, paper=chosen) for one in (verdicts, parts)}
    for module in pkgutil.iter_modules(report.papers.__path__):
        if module.name.startswith(chosen):
            known |= getattr(importlib.import_module(f"report.papers.{module.name}"), "DERIVED", {})
    return known[check_choice(DERIVED, match[2], list(known))]


def verdicts(store: Store, paper: str) -> str:
    """How many sentences of a paper have which verdict."""
    words = Counter(verdict(store, parse(f"{VERDICT}:{one.id}", paper)).word for one in claims.load(paper))
    return f"{words.total()} claims, {in_words(words)}"


def parts(store: Store, paper: str) -> str:
    """How many parts of these sentences have which verdict, for a sentence of many parts has the worst of their words."""
    words = Counter(found.word for one in claims.load(paper) for found in judge_parts(store, paper, one))
    return f"{len(claims.load(paper))} claims in {words.total()} parts: {in_words(words)}"


def judged(store: Store) -> int:
    """How many parts have an interval as the papers' texts describe them: of 95 % intervals, one in twenty misses by chance."""
    sentences = ((paper, one) for paper in papers.NAMES for one in claims.load(paper))
    return sum(found.low is not None for paper, one in sentences for found in judge_parts(store, paper, one))


def _covered(store: Store, column: str) -> int:
    return coverage.totals(store)[column]


COLUMNS = dict(zip(("five", "three", "fewer", "otherwise", "reduced", "none"), coverage.COLUMNS, strict=True))
# What is told of all papers together: how many parts are judged, and how many published numbers have which counterpart.
WHOLE: Mapping[str, Callable[[Store], int]] = {
    "judged": judged,
    "numbers/all": lambda store: coverage.totals(store).total(),
    **{f"numbers/{name}": partial(_covered, column=column) for name, column in COLUMNS.items()},
}


def _told(store: Store, address: Address) -> str:
    if address.reading == PRINTED:
        return published.load(address.paper)[address.id].text.replace("-", " to ") + " %"
    if is_claim(address):
        found = verdict(store, address)
        if address.view == "estimate":
            return evidence(found)
        return found.word
    if address.view == "interval":
        return of_interval(interval_at(store, address.paper, address.text))
    return _of_values(resolve(store, address).values, address)


def _of_values(values: Mapping[int, float], address: Address) -> str:
    """Values, one a seed, by the view of their address."""
    numbers = list(values.values())
    if not numbers:
        return NOT_RUN
    if address.view == "seeds":
        return str(len(numbers))
    if address.view == "interval":
        return over_seeds(numbers, lowest=0.0, highest=100.0)
    if address.view == "range":
        return f"{min(numbers):.1f} to {percent(max(numbers))}"
    ends: dict[str, Callable[[list[float]], float]] = {"mean": fmean, "lowest": min, "highest": max}
    return one_number(ends[address.view](numbers), sources(address)[0][0].measurement)
