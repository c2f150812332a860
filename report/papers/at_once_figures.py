"""What the chapter on all three questions draws, and which kinds of network are in the corner that one would want.

The corner was fixed before any record of the chapter was computed. A kind of network is *robust* on a data set if it keeps at
least `ROBUST` percent of its answers right under the worst of all attacks within l_inf; *private* if LiRA finds at most `PRIVATE`
percent of its members where it calls one other in a hundred a member, twice of what chance finds; *uncertain* if its expected
calibration error is at most `CALIBRATED` points and its entropy tells wrong answers from right ones with an AUROC of at least
`NOTICES` percent. Means over seeds decide, of kinds that have all four numbers on two seeds or more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments import papers
from experiments.papers.at_once.readings import DATASETS
from experiments.papers.at_once.victims import KINDS
from experiments.records import Store
from lib.metrics import Interval
from report import forests
from report.figures.forest import Line
from report.figures.heat import Square, heat
from report.figures.looks import GREEN, REFERENCE
from report.figures.scatter import Point, scatter
from report.names import DATASET_NAMES
from report.numbers import NOT_RUN
from report.papers import at_once
from report.papers.at_once import CROSSED, LINES, PAPER, ROBUST_PAIRS, UNCERTAIN, VICTIMS, membership
from report.prose import fill
from report.specifications import Question, Way
from report.tables import Table, records_at, values_at

ROBUST = {"mnist": 50.0, "cifar10": 25.0}
PRIVATE, CALIBRATED, NOTICES = 2.0, 5.0, 80.0


# --- the corner -----------------------------------------------------------------------------------------------------------


def _mean(store: Store, at: str, quantity: str) -> float | None:
    values = values_at(store, PAPER, f"{at}/{quantity}")
    return fmean(values) if len(values) > 1 else None


def virtues(store: Store, dataset: str, kind: str) -> tuple[bool, bool, bool] | None:
    """Whether a kind of network is robust, private and uncertain; None where a number is missing."""
    names = ("worst_case", "lira_tpr_at_1pct", "ece", "auroc_wrong_entropy")
    kept, found, error, notices = (_mean(store, f"{dataset}/{kind}", name) for name in names)
    if kept is None or found is None or error is None or notices is None:
        return None
    return kept >= ROBUST[dataset], found <= PRIVATE, error <= CALIBRATED and notices >= NOTICES


def _having(store: Store, dataset: str, which: tuple[int, ...]) -> str:
    """The kinds with all of some virtues, by their places, or that there are none."""
    found = {kind: virtues(store, dataset, kind) for kind in KINDS}
    known = {kind: one for kind, one in found.items() if one is not None}
    if len(known) < len(KINDS):
        return NOT_RUN
    return ", ".join(VICTIMS[kind]["label"] for kind, one in known.items() if all(one[i] for i in which)) or "none"


def virtues_table(store: Store) -> Table:
    """Of each kind of network on each data set whether it is robust, private and uncertain, and all at once."""
    rows = []
    for dataset, kind in product(DATASETS, KINDS):
        one = virtues(store, dataset, kind)
        told = [NOT_RUN] * 4 if one is None else ["yes" if each else "no" for each in (*one, all(one))]
        rows.append([DATASET_NAMES[dataset], VICTIMS[kind]["label"], *told])
    return Table("Data,Network,Robust,Private,Uncertain,All at once".split(","), rows)


# --- figures, each with the numbers behind it -----------------------------------------------------------------------------


def corner(store: Store) -> tuple[Figure, Table]:
    """The worst case against the members found, sized by clean accuracy, with the corner that one would want."""
    found = forests.lines(store, PAPER, at_once.CORNER)
    marks = {title: [one for line in lines if (one := _point(line))] for title, lines in found.items()}

    def wanted(axis: Axes) -> None:
        kept = next(ROBUST[name] for name in DATASETS if DATASET_NAMES[name] == axis.get_title())
        axis.add_patch(Rectangle((0.1, kept), PRIVATE - 0.1, 105 - kept, facecolor=GREEN, alpha=0.15, zorder=0))
        axis.axvline(1, **REFERENCE)

    made = scatter(
        marks,
        VICTIMS,
        then=wanted,
        legend=[{"label": "wanted", "color": GREEN, "marker": "s", "alpha": 0.3, "linestyle": "none"}],
        xlabel="members found at 1 false in 100 (%), dotted: by chance",
        ylabel="accuracy under the worst of all attacks (%)",
        xscale="log",
        xlim=(0.3, 110),
        ylim=(-3, 103),
    )
    return made, forests.data(at_once.CORNER, found)


def _point(line: Line) -> Point | None:
    """The mark of a line that has a number on each axis."""
    if not {"x", "y"} <= line.ours.keys():
        return None
    size = line.ours["size"].mean / 100 if "size" in line.ours else None
    return Point(line.label, line.ours["x"], line.ours["y"], size)


def leak_against_gap(store: Store) -> tuple[Figure, Table]:
    """How well members are told from others against the gap of accuracies, on all members and on fewer."""
    found = forests.lines(store, PAPER, at_once.GAPS)
    marks = {title: [one for line in lines if (one := _point(line))] for title, lines in found.items()}

    made = scatter(
        marks,
        VICTIMS,
        # One half plus half of the gap, from 0 to 100 points.
        compared={title: ([0, 100], [50, 100]) for title in marks},
        legend=[{"label": "gap attack", **REFERENCE}],
        xlabel="accuracy on members − on others (points)",
        ylabel="members told from others, AUC (%)",
        xlim=(-3, 103),
        ylim=(45, 103),
    )
    return made, forests.data(at_once.GAPS, found)


def crossed(store: Store, dataset: str) -> tuple[Figure, Table]:
    """Every attack on every victim of a data set: the darker, the more an attacker gets, or the worse an answer is."""
    rows = at_once.crossed(dataset)
    found = forests.lines(store, PAPER, rows)
    panels = {
        title: {
            (line.label, VICTIMS[kind]["label"]): _square(store, row.ours[kind], one.ours.get(kind), line)
            for line, row, one in zip(CROSSED[title], rows[title], lines, strict=True)
            for kind in KINDS
        }
        for title, lines in found.items()
    }
    return heat(panels, wide=1.0, high=0.27), forests.data(rows, found)


def _square(store: Store, address: str, found: Interval | None, line: at_once.Line) -> Square:
    """A mean, or why there is none: what a victim cannot have measured, such as a spread without draws, is a dash."""
    if found is None:
        return Square("–" if records_at(store, PAPER, address) else NOT_RUN, 0.0)
    share = (found.mean - line.nothing) / (line.all - line.nothing)
    return Square(f"{found.mean:.0f}", 0.9 * min(1.0, max(0.0, share)))


# --- every way to ask -----------------------------------------------------------------------------------------------------


def _question(pairs: dict[str, str], asked: dict[str, str], ylabel: str, *, than: str) -> Question:
    """By how much the first victim of each pair has more than the second, by each way to ask."""
    return Question(
        [
            Way(
                {
                    "data": DATASET_NAMES[dataset],
                    "victim": VICTIMS[kind]["label"],
                    than: VICTIMS[base]["label"],
                    "asked by": words,
                },
                f"{dataset}/{kind}/{quantity} - {dataset}/{base}/{quantity}",
            )
            for dataset, (kind, base), (words, quantity) in product(DATASETS, pairs.items(), asked.items())
        ],
        ylabel=ylabel,
    )


_OF_MEMBERS = {
    line.label: line.quantity
    for line in membership("odds", "adv_odds", "lira", "rmia", "label_only", rate="auc", nothing=50)
}
QUESTIONS = {
    "protects": _question(
        UNCERTAIN,
        {
            **{
                LINES[name]: f"accuracy_{name}"
                for name in ("pgd_one_draw", "pgd_averaged_10", "hop_skip_jump_naive", "hop_skip_jump_aware")
            },
            "the worst of all": "worst_case",
            "the worst of all, l2": "l2/worst_case",
        },
        "uncertain − certain: accuracy (points)",
        than="beside",
    ),
    "leaks": _question(UNCERTAIN, _OF_MEMBERS, "uncertain − certain: AUC (points)", than="beside"),
    "robust-leaks": _question(ROBUST_PAIRS, _OF_MEMBERS, "PGD-trained − natural: AUC (points)", than="beside"),
}


# --- what sentences derive ------------------------------------------------------------------------------------------------

NO_ANSWER = """**Not run yet.** Of {planned} cells at `reduced` {recorded} are recorded; a number whose
cells are missing says *not run*."""
ANSWER = """**By a [rule](#the-corner) that was there before the numbers, these kinds of network, of nine, are robust, private
and uncertain at once:** {n}`derived:corner/mnist` on MNIST, {n}`derived:corner/cifar10` on CIFAR-10. On MNIST robust:
{n}`derived:robust/mnist`; private: {n}`derived:private/mnist`; uncertain where it should be: {n}`derived:uncertain/mnist`. On
CIFAR-10 robust: {n}`derived:robust/cifar10`; private: {n}`derived:private/cifar10`; uncertain: {n}`derived:uncertain/cifar10`.

**The price.** Trained against PGD, a network keeps {n}`mnist/robust/worst_case` of its answers right under the worst of all
attacks on MNIST, where a plain one keeps {n}`mnist/plain/worst_case`. Its clean accuracy differs by {n}`mnist/robust/accuracy -
mnist/plain/accuracy` points. Where one other in a hundred is called a member, LiRA finds {n}`mnist/robust/lira_tpr_at_1pct` of
its members, and {n}`mnist/plain/lira_tpr_at_1pct` of the plain network's."""
CARD = """**At once, by a rule that was there before the numbers:** {n}`derived:corner/mnist` on MNIST,
{n}`derived:corner/cifar10` on CIFAR-10. Trained against PGD, a network keeps {n}`mnist/robust/worst_case` of its answers under
the worst of all attacks on MNIST, a plain one {n}`mnist/plain/worst_case`; LiRA finds {n}`mnist/robust/lira_tpr_at_1pct` and
{n}`mnist/plain/lira_tpr_at_1pct` of their members."""


def _told(store: Store, text: str) -> str:
    """`text` with its numbers, once every kind has those that decide; before that, how far the records reach."""
    if any(virtues(store, dataset, kind) is None for dataset, kind in product(DATASETS, KINDS)):
        cells = papers.get(PAPER).grid("reduced")
        return NO_ANSWER.format(planned=len(cells), recorded=sum(store.get(cell) is not None for cell in cells))
    return fill(text, store, paper=PAPER, where=__name__)


DERIVED: Mapping[str, Callable[[Store], str]] = {
    "answer": partial(_told, text=ANSWER),
    "card": partial(_told, text=CARD),
    **{
        f"{name}/{dataset}": partial(_having, dataset=dataset, which=which)
        for dataset in DATASETS
        for name, which in {"corner": (0, 1, 2), "robust": (0,), "private": (1,), "uncertain": (2,)}.items()
    },
}
