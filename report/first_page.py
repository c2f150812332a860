"""The first page: every published number beside ours, and how far the evidence reaches, from the records."""

from collections.abc import Iterator, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import coverage, published
from experiments.address import reading
from experiments.judging import by_number
from experiments.records import Store
from lib.metrics import Interval
from report import names
from report.figures import forest
from report.figures.heat import Square, heat
from report.figures.looks import GREY, OPEN, REFERENCE, Looks, look
from report.figures.panels import TO_100
from report.figures.scatter import Point, scatter
from report.names import PAPER_NAMES
from report.numbers import in_columns
from report.papers import chapter
from report.tables import Table

BAND = 5.0  # points on either side of the line: the tolerance of most numbers
SMALL = ", at a smaller scale"  # ends the key of a mark that is open
FILLED = Looks.declared("every", "word")
MARKS = Looks("word", FILLED | {word + SMALL: one | OPEN | {"label": "_"} for word, one in FILLED.items()})


def pairs(store: Store) -> dict[str, dict[str, Point]]:
    """Each published number across and ours up, by the name of its author and its id; what has no record is left out."""
    return {PAPER_NAMES[paper]: dict(_pairs(store, paper)) for paper in names.REPLICATED}


def _pairs(store: Store, paper: str) -> Iterator[tuple[str, Point]]:
    """The record of a number is of the first of the chapter's `READINGS` that has any."""
    found = [(name, by_number(store, paper, reading(paper, name))) for name in chapter(paper).READINGS]
    for id_, one in published.load(paper).items():
        name, verdict = next(((name, some[id_]) for name, some in found if id_ in some), ("", None))
        if verdict is not None:
            mean = verdict.estimate or 0.0
            low, high = (mean if end is None else end for end in (verdict.low, verdict.high))
            printed = Interval((one.low + one.high) / 2, one.low, one.high, 1 + (one.low < one.high))
            key = verdict.word + SMALL * ("reduced" in name)
            yield id_, Point(key, printed, Interval(mean, low, high, verdict.seeds))


def agreement(found: Mapping[str, Mapping[str, Point]]) -> Figure:
    """A square panel a paper: on the dotted line the two are equal; open marks are smaller than the paper's scale."""
    panels = {f"{title} ({len(points)} numbers)": list(points.values()) for title, points in found.items()}
    entries = [look("open: smaller than the paper's scale", GREY, "o", **OPEN), {"label": "equal", **REFERENCE}]
    entries.append({"label": f"within {BAND:g} points", "color": GREY, "alpha": 0.3, "linewidth": 6})
    return scatter(
        panels,
        MARKS,
        wide=3.6,
        then=_draw_band,
        legend=entries,
        xlabel="printed in the paper (%)",
        ylabel="measured here (%)",
        xlim=TO_100,
        ylim=TO_100,
        aspect="equal",
    )


def _draw_band(axis: Axes) -> None:
    low, high = ([end + aside for end in TO_100] for aside in (-BAND, BAND))
    axis.plot(TO_100, TO_100, **REFERENCE)
    axis.fill_between(TO_100, low, high, color=GREY, alpha=0.15, lw=0)


def data(found: Mapping[str, Mapping[str, Point]]) -> Table:
    """The numbers behind the picture, one line a published number."""
    rows = [
        [title, id_, f"{one.x.low:g}", f"{one.x.high:g}", *in_columns(one.y), one.key]
        for title, points in found.items()
        for id_, one in points.items()
    ]
    return Table("paper,id,printed_low,printed_high,ours,low,high,seeds,mark".split(","), rows)


def covered(store: Store) -> Figure:
    """How many numbers of each published table have which counterpart."""
    squares = {
        (part, column): Square(str(counts[column] or ""), 0.9 * counts[column] / counts.total())
        for part, counts in names.covered(store).items()
        for column in coverage.COLUMNS
    }
    return heat({"Published numbers": squares})


def example(store: Store) -> tuple[Figure, Table]:
    """Some lines of a chapter's forest plot, for the page on how to read one, and the numbers behind them."""
    one = next(found for found in map(chapter, names.REPLICATED) if hasattr(found, "EXAMPLE"))
    rows, looks = one.EXAMPLE
    found = forest.lines(store, one.PAPER, rows)
    return forest.forest(found, looks, xlabel="percent"), forest.data(rows, found)
