"""Figures of attacks: how often they fool, whether they are strong enough, and whether they can be told by a score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.records import Record
from lib.errors import check_choice
from lib.evasion import FORMS
from lib.metrics import mean_interval
from lib.uncertainty.scores import NAMES as SCORE_NAMES
from report.figures import (
    LOOK,
    NAMES,
    NOTHING,
    Lines,
    add_legend,
    draw_curve,
    estimator_handles,
    look_of,
    panels_for,
    say_if_empty,
    style,
)

# Estimator and form of the attack, or estimator and score, then the records of its seeds.
Pairs = Mapping[tuple[str, str], Sequence[Record]]

# The forms of an attack, told apart by their marks; the colour is the victim's.
FORM_LOOK: dict[str, dict[str, Any]] = {
    "one_draw": {"label": "attack: one draw", "marker": "v"},
    "mean": {"label": "attack: mean of the draws", "marker": "o"},
    "expectation": {"label": "attack: gradients averaged over draws", "marker": "P"},
}
# What a curve is to be compared with: chance, or the best that can be done.
REFERENCE: dict[str, Any] = {"color": "grey", "linewidth": 0.9, "linestyle": ":"}


def loss_against_steps(panels: Mapping[str, Lines]) -> Figure:
    """The loss that PGD reaches against its number of steps: an attack that is strong enough rises, and levels off.

    Args:
        panels: title of a panel, then estimator, then the records of its seeds.
    """
    with style():
        panels = panels or NOTHING
        figure, axes = panels_for(panels, "loss of the true label (nats)")
        for axis, lines in zip(axes, panels.values(), strict=True):
            drawn = [
                draw_curve(
                    axis, records, "steps", "loss", {**look_of(estimator), "label": NAMES[estimator]}, highest=math.inf
                )
                for estimator, records in lines.items()
            ]
            axis.set(xlabel="steps of the attack (logarithmic)", xscale="log")
            steps = sorted({step for line in axis.lines for step in np.asarray(line.get_xdata(), float)})
            axis.set_xticks(steps, [f"{step:g}" for step in steps])
            axis.minorticks_off()
            say_if_empty(axis, run=any(lines.values()), drawn=any(drawn))
        add_legend(figure, estimator_handles(panels), across=4)
    return figure


def fooling_rates(
    panels: Mapping[str, Pairs],
    *,
    published: Mapping[str, Mapping[str, tuple[float, float]]],
) -> Figure:
    """How often targeted attacks fool each victim, by the form of the attack: the mean over seeds and its 95 % interval.

    Behind each mark a pale bar goes from the lowest run of any seed to the highest: what the paper gives, as open bars.

    Args:
        panels: title of a panel, then estimator and form, then the records of its seeds.
        published: title of a panel, then estimator, then the lowest and highest rate (%) of the paper's runs.
    """
    with style():
        panels = panels or NOTHING
        figure, axes = panels_for(panels, "fooling rate (%)")
        for axis, (title, groups) in zip(axes, panels.items(), strict=True):
            for estimator, form in groups:
                check_choice("estimator", estimator, LOOK)
                check_choice("form", form, FORMS)
            printed = published.get(title, {})
            estimators = [name for name in LOOK if name in printed or any(name == key[0] for key in groups)]
            for i, estimator in enumerate(estimators):
                colour = look_of(estimator)["color"]
                if estimator in printed:
                    low, high = printed[estimator]
                    axis.bar(i - 0.34, high - low, 0.12, bottom=low, fc="white", ec=colour, lw=1.2)
                forms = [form for form in FORMS if (estimator, form) in groups]
                for j, form in enumerate(forms):
                    at = i + 0.05 + 0.2 * (j - (len(forms) - 1) / 2)
                    _draw_rate(axis, at, groups[estimator, form], colour, FORM_LOOK[form]["marker"])
            names = [NAMES[name].replace(" (", "\n(") for name in estimators]
            axis.set(xlabel="uncertainty of the victim", ylim=(-3, 103), xlim=(-0.6, max(1, len(names)) - 0.4))
            axis.set_xticks(range(len(names)), names, fontsize=8.5)
            axis.grid(visible=False, axis="x")
            say_if_empty(axis, run=any(groups.values()), drawn=any(groups.values()))
        handles: list[Line2D | Patch] = [Line2D([], [], color="grey", ls="none", **look) for look in FORM_LOOK.values()]
        handles.append(Patch(fc="white", ec="grey", lw=1.2, label="paper, lowest to highest run"))
        handles.append(Patch(fc="grey", alpha=0.25, lw=0, label="ours, lowest to highest run"))
        add_legend(figure, handles, across=3)
    return figure


def _draw_rate(axis: Axes, at: float, records: Sequence[Record], colour: str, marker: str) -> None:
    """One mark of the figure above, its interval where there are at least two seeds, and the bar of its runs."""
    if not records:
        return
    interval = mean_interval([record.measurements["fooling_rate"] for record in records]).within(0, 100)
    low = min(record.measurements["fooling_rate_min"] for record in records)
    high = max(record.measurements["fooling_rate_max"] for record in records)
    axis.bar(at, high - low, 0.12, bottom=low, color=colour, alpha=0.25, lw=0)
    axis.plot([at], [interval.mean], color=colour, marker=marker, ms=6, ls="none")
    if interval.n > 1:
        axis.plot([at, at], [interval.low, interval.high], color=colour, marker="_", ms=9, lw=1.4)


def roc_curves(panels: Mapping[str, Pairs]) -> Figure:
    """Adversarial images detected against clean ones rejected, as the threshold on a score moves; chance is dotted.

    Args:
        panels: title of a panel, an attack, then estimator and score, then the records of its seeds.
    """
    with style():
        panels = panels or NOTHING
        figure, axes = panels_for(panels, "adversarial images detected (%)")
        for axis, lines in zip(axes, panels.values(), strict=True):
            axis.plot([0, 100], [0, 100], **REFERENCE)
            _draw_scores(axis, lines, "false_positive_rate", "detected")
            axis.set(xlabel="clean images rejected (%)", xlim=(-2, 102), ylim=(-2, 102))
        _score_legend(figure, panels, "chance")
    return figure


def rejection_curves(panels: Mapping[str, Pairs]) -> Figure:
    """Accuracy on what is left of clean and adversarial images, half and half, as the most uncertain ones are rejected.

    The dotted line in an estimator's colour is the best that any score could do: it rejects exactly the images that are wrong.

    Args:
        panels: title of a panel, an attack, then estimator and score, then the records of its seeds.
    """
    with style():
        panels = panels or NOTHING
        figure, axes = panels_for(panels, "accuracy on the rest (%)")
        for axis, lines in zip(axes, panels.values(), strict=True):
            _draw_scores(axis, lines, "rejected", "kept")
            _draw_ideals(axis, lines)
            axis.set(xlabel="images rejected (%)", xlim=(-2, 102), ylim=(-2, 102))
        _score_legend(figure, panels, "ideal: rejects what is wrong")
    return figure


def _draw_scores(axis: Axes, lines: Pairs, x: str, y: str) -> None:
    """The curve of every score, entropy with filled marks and any other with open ones; shares become percentages."""
    drawn = [
        draw_curve(axis, records, x, f"{y}_{score}", _look(estimator, score), scale=100)
        for (estimator, score), records in lines.items()
    ]
    say_if_empty(axis, run=any(lines.values()), drawn=any(drawn))


def _draw_ideals(axis: Axes, lines: Pairs) -> None:
    """The mean over seeds of the best accuracy at each share of rejected images, given that with none rejected.

    Scores of one estimator share it, for whichever of them rejects, the same images are wrong; unless the attack knew the
    score, for then each has its own images.
    """
    ideals: dict[tuple[str, tuple[float, ...]], list[float]] = {}
    for (estimator, score), records in lines.items():
        held = [record.curves for record in records if record.curves.get(f"kept_{score}")]
        if held:
            rejected = np.array(held[0]["rejected"])
            start = np.array([[curves[f"kept_{score}"][0]] for curves in held])
            # The wrong ones go first: a / (1 - r), until only right ones are left.
            best = np.minimum(100, start / (1 - rejected)).mean(0)
            ideals[estimator, tuple(best.round(6))] = list(100 * rejected)
    for (estimator, values), at in ideals.items():
        axis.plot(at, values, zorder=1.5, **{**REFERENCE, "color": look_of(estimator)["color"]})


def _look(estimator: str, score: str) -> dict[str, Any]:
    look, score = look_of(estimator), check_choice("score", score, SCORE_NAMES)
    name = f"{NAMES[estimator].split(' (')[0]}: {SCORE_NAMES[score]}"
    return {**look, "markerfacecolor": look["color"] if score == "entropy" else "white", "label": name}


def _score_legend(figure: Figure, panels: Mapping[str, Pairs], reference: str) -> None:
    """An entry for every estimator and score with records in any panel, and one for what they are compared with."""
    drawn = {pair for lines in panels.values() for pair, records in lines.items() if records}
    pairs = [(estimator, score) for estimator in LOOK for score in SCORE_NAMES if (estimator, score) in drawn]
    handles = [Line2D([], [], **_look(*pair)) for pair in pairs]
    add_legend(figure, [*handles, Line2D([], [], label=reference, **REFERENCE)], across=3)
