"""What the chapter on all three questions draws."""

from itertools import product

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.papers.at_once.readings import DATASETS
from experiments.papers.at_once.victims import KINDS
from experiments.records import Store
from lib.metrics import Interval
from report.figures import forest
from report.figures.forest import Rows
from report.figures.heat import Square, heat
from report.figures.looks import GREEN, REFERENCE
from report.figures.scatter import Point, scatter
from report.figures.specification import Question, Way
from report.names import DATASET_NAMES
from report.numbers import NOT_RUN
from report.papers import at_once
from report.papers.at_once import CALLED, CROSSED, PAPER, ROBUST_PAIRS, UNCERTAIN, VICTIMS
from report.papers.at_once_answer import PRIVATE, ROBUST
from report.tables import Table, records_at, values_at

# --- figures, each with the numbers behind it -----------------------------------------------------------------------------


def corner(store: Store) -> tuple[Figure, Table]:
    """The worst case against the members found, sized by clean accuracy, with the corner that one would want."""
    marks, behind = _marks(store, at_once.CORNER)

    def wanted(axis: Axes) -> None:
        kept = next(ROBUST[name] for name in DATASETS if DATASET_NAMES[name] == axis.get_title())
        axis.add_patch(Rectangle((0.1, kept), PRIVATE - 0.1, 105 - kept, facecolor=GREEN, alpha=0.15, zorder=0))
        axis.axvline(1, **REFERENCE)
        axis.xaxis.set_major_formatter("{x:g}")

    made = scatter(
        marks,
        VICTIMS,
        then=wanted,
        legend=[{"label": "wanted", "color": GREEN, "marker": "s", "alpha": 0.3, "linestyle": "none"}],
        wide=9.2 / len(marks),
        high=5.0,
        xlabel="members found where 1 other in 100\nis called one (%); dotted: by chance",
        ylabel="accuracy under the worst attack (%)",
        xscale="log",
        xlim=(0.5, 100),
        ylim=(-3, 103),
    )
    return made, behind


def leak_against_gap(store: Store) -> tuple[Figure, Table]:
    """How well members are told from others against the gap of accuracies, on all members and on fewer."""
    marks, behind = _marks(store, at_once.GAPS)
    far = max((one.x.mean for points in marks.values() for one in points), default=0) + 5
    made = scatter(
        marks,
        VICTIMS,
        # One half plus half of the gap.
        compared={title: ([0, far], [50, 50 + far / 2]) for title in marks},
        legend=[{"label": "gap attack", **REFERENCE}],
        xlabel="accuracy on members − on others (points)",
        ylabel="members told from others, AUC (%)",
        wide=9.2 / len(marks),
        high=5.0,
    )
    return made, behind


def _marks(store: Store, rows: Rows) -> tuple[dict[str, list[Point]], Table]:
    """A mark for each line that has a number on each axis, on the data sets that are run, and the numbers behind them."""
    shown = recorded(store, rows)
    found = forest.lines(store, PAPER, shown)
    marks = {
        title: [
            Point(line.label, line.ours["x"], line.ours["y"], _size(line))
            for line in lines
            if {"x", "y"} <= line.ours.keys()
        ]
        for title, lines in found.items()
    }
    return marks, forest.data(shown, found)


def _size(line: forest.Line) -> float | None:
    return line.ours["size"].mean / 100 if "size" in line.ours else None


def recorded(store: Store, rows: Rows) -> Rows:
    """The groups of which something is on record; all of them where nothing is."""
    known = {
        title: group
        for title, group in rows.items()
        if any(values_at(store, PAPER, address) for one in group for address in one.ours.values())
    }
    return known or rows


def crossed(store: Store, dataset: str) -> tuple[Figure, Table]:
    """Every attack on every victim of a data set: the darker, the more an attacker gets, or the worse an answer is."""
    rows = at_once.crossed(dataset)
    found = forest.lines(store, PAPER, rows)
    panels = {
        title: {
            (line.label, VICTIMS[kind]["label"]): _square(store, row.ours[kind], one.ours.get(kind), line)
            for line, row, one in zip(CROSSED[title], rows[title], lines, strict=True)
            for kind in KINDS
        }
        for title, lines in found.items()
    }
    return heat(panels, wide=1.0, high=0.27), forest.data(rows, found)


def _square(store: Store, address: str, found: Interval | None, line: at_once.Line) -> Square:
    """A mean, or why there is none: what a victim cannot have measured, such as a spread without draws, is a dash."""
    if found is None:
        return Square("–" if records_at(store, PAPER, address) else NOT_RUN, 0.0)
    share = (found.mean - line.nothing) / (line.all - line.nothing)
    return Square(f"{found.mean:.0f}", 0.9 * min(1.0, max(0.0, share)))


# --- every way to ask -----------------------------------------------------------------------------------------------------


def _question(pairs: dict[str, str], asked: dict[str, str], ylabel: str) -> Question:
    """By how much the first victim of each pair has more than the second, by each way to ask."""
    ways = [
        Way(
            {"data": DATASET_NAMES[dataset], "victim": VICTIMS[kind]["label"], "asked by": words},
            f"{dataset}/{kind}/{quantity} - {dataset}/{base}/{quantity}",
        )
        for dataset, (kind, base), (words, quantity) in product(DATASETS, pairs.items(), asked.items())
    ]
    return Question(ways, ylabel=ylabel)


_OF_MEMBERS = {CALLED[name]: name for name in (f"{one}_auc" for one in "odds adv_odds lira rmia label_only".split())}
_ATTACKS = "accuracy_pgd_one_draw accuracy_pgd_averaged_10 accuracy_hop_skip_jump_naive accuracy_hop_skip_jump_aware"
_OF_ATTACKS = {CALLED[name]: name for name in (*_ATTACKS.split(), "worst_case")}
_OF_ATTACKS["the worst of all, l2"] = "l2/worst_case"
QUESTIONS = {
    "protects": _question(UNCERTAIN, _OF_ATTACKS, "uncertain − certain: accuracy (points)"),
    "leaks": _question(UNCERTAIN, _OF_MEMBERS, "uncertain − certain: AUC (points)"),
    "robust-leaks": _question(ROBUST_PAIRS, _OF_MEMBERS, "PGD-trained − natural: AUC (points)"),
}
