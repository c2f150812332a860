"""The first page: every published number beside ours, and how far the evidence reaches, from the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from experiments import coverage, papers, published
from experiments.address import reading
from experiments.judging import by_number
from experiments.records import Store
from experiments.verdicts import Verdict
from lib.metrics import Interval
from report.figures.agreement import Pair
from report.figures.bars import stacked
from report.figures.forest import forest
from report.forests import lines
from report.names import PAPER_NAMES, part_of_paper
from report.numbers import in_columns
from report.papers import chapter
from report.tables import Table


def panels(store: Store) -> dict[str, list[Pair]]:
    """Each paper's numbers beside ours, by the name of its author; what has no record is left out."""
    return {PAPER_NAMES[paper]: _pairs(store, paper) for paper in papers.REPLICATED}


def _pairs(store: Store, paper: str) -> list[Pair]:
    found: dict[str, tuple[str, Verdict]] = {}
    for name in chapter(paper).READINGS:
        for id_, one in by_number(store, paper, reading(paper, name)).items():
            found.setdefault(id_, (name, one))
    return [_pair(printed, *found[printed.id]) for printed in published.load(paper).values() if printed.id in found]


def _pair(printed: published.Published, name: str, found: Verdict) -> Pair:
    mean = found.estimate or 0.0
    low, high = (mean if end is None else end for end in (found.low, found.high))
    interval = Interval(mean, low, high, found.seeds)
    return Pair(printed.id, printed.low, printed.high, interval, found.word, full="reduced" not in name)


def covered(store: Store) -> Figure:
    """How many numbers of each published table have which counterpart."""
    rows = {part_of_paper(row): [row.counts[column] for column in coverage.COLUMNS] for row in coverage.rows(store)}
    return stacked(rows, coverage.COLUMNS, xlabel="published numbers")


def example(store: Store) -> Figure:
    """Some lines of a chapter's forest plot, for the page on how to read one."""
    one = next(found for found in map(chapter, papers.REPLICATED) if hasattr(found, "EXAMPLE"))
    rows, looks = one.EXAMPLE
    return forest(lines(store, one.PAPER, rows), looks, xlabel="percent")


def data(found: Mapping[str, Sequence[Pair]]) -> Table:
    """The numbers behind the picture, one line a published number."""
    rows = [
        [
            paper,
            one.id,
            f"{one.low:g}",
            f"{one.high:g}",
            *in_columns(one.ours),
            "yes" if one.full else "no",
            one.mark,
        ]
        for paper, pairs in found.items()
        for one in pairs
    ]
    return Table("paper,id,printed_low,printed_high,ours,low,high,seeds,at_the_papers_scale,mark".split(","), rows)
