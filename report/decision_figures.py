"""Figures of attacks that see decisions alone: what they claim of a victim that answers at random, and what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.records import Record
from lib.errors import check_choice
from lib.metrics import mean_interval
from report.figures import NOTHING, add_legend, draw_curve, panels_for, say_if_empty, style

# How the victim answers, and whether the attack knows that answers are random: the records of its seeds.
Victims = Mapping[tuple[str, bool], Sequence[Record]]

# Filled marks are what fresh answers confirm, open ones what the attack claims.
VICTIMS: dict[tuple[str, bool], dict[str, Any]] = {
    ("none", False): {"label": "plain network", "color": "#0072B2", "marker": "o", "linestyle": "-"},
    ("off", False): {"label": "dropout off", "color": "#000000", "marker": "D", "linestyle": "-."},
    ("mean", False): {"label": "mean of T, naive", "color": "#D55E00", "marker": "s", "linestyle": "--"},
    ("mean", True): {"label": "mean of T, aware", "color": "#E69F00", "marker": "^", "linestyle": "-"},
    ("one_draw", False): {"label": "one draw, naive", "color": "#CC79A7", "marker": "v", "linestyle": "--"},
    ("one_draw", True): {"label": "one draw, aware", "color": "#009E73", "marker": "P", "linestyle": "-"},
}
DECEIVED = (("mean", False), ("one_draw", False))  # victims whose noise the attack takes for success
CLAIM: dict[str, Any] = {"markerfacecolor": "white"}
LUCKY: dict[str, Any] = {**CLAIM, "linestyle": ":", "linewidth": 1.2, "alpha": 0.5}
# Measurement: what it is called, and to which side of its victim its mark stands.
CLAIMED = ("found", "claimed by the attack", -0.15)
CONFIRMED = ("success_vote", "confirmed: vote of fresh answers", 0.15)


def success_within(panels: Mapping[str, Victims], *, xlabel: str) -> Figure:
    """Success against the limit on the change, by the vote of fresh answers, a band over seeds.

    Where noise deceives the attack, a pale dotted line with open marks is what would count if one answer were believed: the
    mean over seeds, without a band. The horizontal axis is linear up to its first limit above 0, and logarithmic from there.

    Args:
        panels: title of a panel, then how the victim answers and whether the attack is aware, then the records of its seeds.
        xlabel: the limit, with its norm.

    Raises:
        BadValue: a victim that has no look.
    """
    with style():
        panels = panels or NOTHING
        figure, axes = panels_for(panels, "success within the limit (%)")
        for axis, lines in zip(axes, panels.values(), strict=True):
            drawn = [_draw_success(axis, key, records) for key, records in lines.items()]
            axis.set(xlabel=xlabel, ylim=(-3, 103))
            limits = [x for line in axis.lines for x in np.asarray(line.get_xdata(), float) if x > 0]
            if limits:
                axis.set_xscale("symlog", linthresh=min(limits), linscale=0.3)
                axis.set_xlim(-0.1 * min(limits), 1.15 * max(limits))
                axis.xaxis.set_major_formatter("{x:g}")
                axis.minorticks_off()
            say_if_empty(axis, run=any(lines.values()), drawn=any(drawn))
        lucky = Line2D([], [], label="if one answer counted", color="grey", marker="o", **LUCKY)
        held = {key for lines in panels.values() for key, records in lines.items() if records}
        add_legend(figure, [*_handles(panels), *([lucky] if held.intersection(DECEIVED) else [])], across=4)
    return figure


def success_by_answers(panels: Mapping[str, Victims]) -> Figure:
    """Images for which the attack has found something within the limit, by its own account, against the answers asked for.

    No fresh answer has confirmed any of it: marks are open.

    Args:
        panels: title of a panel, then how the victim answers and whether the attack is aware, then the records of its seeds.

    Raises:
        BadValue: a victim that has no look.
    """
    with style():
        panels = panels or NOTHING
        figure, axes = panels_for(panels, "claimed within the limit (%)")
        for axis, lines in zip(axes, panels.values(), strict=True):
            drawn = [
                draw_curve(axis, records, "answers", "success_by_answers", {**_look(key), **CLAIM})
                for key, records in lines.items()
            ]
            axis.set(xlabel="answers of the victim, for an image (logarithmic)", xscale="log", ylim=(-3, 103))
            say_if_empty(axis, run=any(lines.values()), drawn=any(drawn))
        add_legend(figure, _handles(panels, **CLAIM), across=4)
    return figure


def noise_failure(panels: Mapping[str, Victims]) -> Figure:
    """What attacks claim beside what fresh answers confirm: the mean over seeds and its 95 % interval.

    The two are joined by a dotted line: where it falls, the attack took noise for success.

    Args:
        panels: title of a panel, an attack on a data set, then how the victim answers and whether the attack is aware, then
            the records of its seeds.

    Raises:
        BadValue: a victim that has no look.
    """
    with style():
        panels = panels or NOTHING
        figure, axes = panels_for(panels, "images fooled (%)")
        looks = {key: _look(key) for victims in panels.values() for key in victims}
        shown = [key for key in VICTIMS if any(victims.get(key) for victims in panels.values())]
        for axis, victims in zip(axes, panels.values(), strict=True):
            drawn = [_draw_claim(axis, at, victims.get(key, ()), looks[key]) for at, key in enumerate(shown)]
            axis.set(xlabel="victim, and the attack on it", ylim=(-3, 103), xlim=(-0.6, max(1, len(shown)) - 0.4))
            axis.set_xticks(range(len(shown)), [_in_two_lines(looks[key]["label"]) for key in shown], fontsize=8)
            axis.grid(visible=False, axis="x")
            say_if_empty(axis, run=any(victims.values()), drawn=any(drawn))
        said = {CLAIMED[1]: "white", CONFIRMED[1]: "grey"}
        handles = [Line2D([], [], label=it, color="grey", marker="o", ls="none", mfc=fill) for it, fill in said.items()]
        add_legend(figure, handles, across=2)
    return figure


# --- parts --------------------------------------------------------------------------------------------------------------


def _look(key: tuple[str, bool]) -> dict[str, Any]:
    return VICTIMS[check_choice("victim", key, VICTIMS)]


def _handles(panels: Mapping[str, Victims], **changes: Any) -> list[Line2D]:
    """An entry of a legend for every victim with records in any panel."""
    held = {key for lines in panels.values() for key, records in lines.items() if records}
    return [Line2D([], [], **look, **changes) for key, look in VICTIMS.items() if key in held]


def _draw_success(axis: Axes, key: tuple[str, bool], records: Sequence[Record]) -> bool:
    """The curve of the vote and, where noise deceives the attack, that of one answer behind it; whether there is the first."""
    look = _look(key)
    drawn = draw_curve(axis, records, "limit", "success_within", look)
    lucky = [record.curves for record in records if record.curves.get("success_one_answer_within")]
    if drawn and lucky and key in DECEIVED:
        values = np.mean([curves["success_one_answer_within"] for curves in lucky], 0)
        axis.plot(lucky[0]["limit"], values, zorder=1.5, **{**look, **LUCKY, "label": "_lucky"})
    return drawn


def _draw_claim(axis: Axes, at: int, records: Sequence[Record], look: Mapping[str, Any]) -> bool:
    """Both marks of a victim, their intervals where there are at least two seeds, and what joins them; whether any is."""
    colour, means = look["color"], []
    for name, _, aside in (CLAIMED, CONFIRMED):
        values = [record.measurements[name] for record in records if name in record.measurements]
        if not values:
            continue
        interval = mean_interval(values).within(0, 100)
        if interval.n > 1:
            axis.plot([at + aside] * 2, [interval.low, interval.high], color=colour, marker="_", ms=7, lw=1.2)
        fill = "white" if name == CLAIMED[0] else colour
        axis.plot([at + aside], [interval.mean], color=colour, marker=look["marker"], mfc=fill, ms=6, ls="none")
        means.append((at + aside, interval.mean))
    if len(means) == 2:
        axis.plot(*zip(*means, strict=True), color=colour, ls=":", lw=1, zorder=1.5)
    return bool(means)


def _in_two_lines(label: str) -> str:
    return label.replace(", ", ",\n") if "," in label else label.replace(" ", "\n")
