"""What the figures of the Galinkin chapter show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.papers.galinkin.readings import NETWORKS as ARCHITECTURES
from experiments.papers.galinkin.victims import ANSWERS
from experiments.records import Record
from report.figures.curves import begin_at_zero, curves, draw_curve, membership_rates
from report.figures.looks import BLUE, GREEN, GREY, INK, OPEN, ORANGE, PURPLE, REFERENCE, VERMILLION, Look, Looks, look
from report.figures.panels import TO_100, Lines, draw_mean, held, in_panels, name_places
from report.figures.sliders import Slider
from report.tables import Panels

# How a victim answers, and whether the attack knows that answers are random. Filled marks are what fresh answers confirm, open
# ones what the attack claims.
VICTIMS = Looks(
    "victim",
    {
        ("none", False): look("plain network", BLUE, "o", "-"),
        ("off", False): look("dropout off", INK, "D", "-."),
        ("mean", False): look("mean of T, naive", VERMILLION, "s", "--"),
        ("mean", True): look("mean of T, aware", ORANGE, "^", "-"),
        ("one_draw", False): look("one draw, naive", PURPLE, "v", "--"),
        ("one_draw", True): look("one draw, aware", GREEN, "P", "-"),
    },
    every=[("none", False), ("off", False), *product(set(ANSWERS) - {"off"}, (False, True))],
)
CLAIMS = Looks("victim", {key: {**one, **OPEN} for key, one in VICTIMS.items()})
DECEIVED = (("mean", False), ("one_draw", False))  # victims whose noise the attack takes for success
LUCKY = {**OPEN, "linestyle": ":", "linewidth": 1.2, "alpha": 0.5}
# Measurement: what it is called, to which side of its victim its mark stands, and how.
MARKS: Mapping[str, tuple[str, float, Look]] = {
    "found": ("claimed by the attack", -0.15, OPEN),
    "success_vote": ("confirmed: vote of fresh answers", 0.15, {}),
}

# What stands beside a printed number; open marks are of `reduced`.
_READ = {
    "text": look("ours: as written", BLUE, "o"),
    "coded": look("ours: as coded", VERMILLION, "s"),
    "limit": look("ours: within a limit", GREEN, "^"),
}
READINGS = Looks(
    "reading",
    {
        **_READ,
        **{f"{name}_reduced": {**one, **OPEN, "label": f"{one['label']}, reduced"} for name, one in _READ.items()},
    },
)
TRAINED = Looks(
    "training", {**{name: _READ[name] for name in ("text", "coded")}, "rare": look("ours: dropout 0.05", GREEN, "^")}
)
KINDS = Looks("victim", {"plain": look("plain", BLUE, "o"), "bayesian": look("Bayesian", VERMILLION, "s")})

# Architecture, and whether with dropout: the one tells line and mark; the other the colour and, for a reader without colours,
# opens the mark. Marks of different networks do not hide each other.
NETWORKS = Looks(
    "network",
    {
        ("lenet5", False): look("LeNet-5", BLUE, "o", "-", markerfacecolor=BLUE, markevery=(0.0, 0.12)),
        ("lenet5", True): look("LeNet-5 with dropout", VERMILLION, "o", "-", **OPEN, markevery=(0.03, 0.12)),
        ("resnet18", False): look("ResNet-18", BLUE, "s", "--", markerfacecolor=BLUE, markevery=(0.06, 0.12)),
        ("resnet18", True): look("ResNet-18 with dropout", VERMILLION, "s", "--", **OPEN, markevery=(0.09, 0.12)),
    },
    every=product(ARCHITECTURES, (False, True)),
)
# Which procedure judges tells the mark; the victim the colour and, for a reader without colours, whether the mark is filled.
COUNTED = Looks(
    "victim",
    {
        ("written", False): look("as written, plain", BLUE, "o"),
        ("written", True): look("as written, Bayesian", VERMILLION, "o", **OPEN),
        ("coded", False): look("as coded, plain", BLUE, "s"),
        ("coded", True): look("as coded, Bayesian", VERMILLION, "s", **OPEN),
    },
)
PRINTED = look("the paper, if nothing is told", INK, "x", markeredgewidth=1.6)

# Images for which the attack has found something within the limit, by its own account, against the answers asked for.
success_by_answers = partial(
    curves,
    x="answers",
    y="success_by_answers",
    looks=CLAIMS,
    xlabel="answers of the victim, for an image (logarithmic)",
    ylabel="claimed within the limit (%)",
    xscale="log",
    ylim=TO_100,
)
WITHIN = {
    norm: Slider(
        label=f"Limit on the change ({words}, images in [0, 1])",
        told="Images on which the attack succeeds within the limit, by the vote of fresh answers.",
        x="limit",
        y="success_within",
        looks=VICTIMS,
        start=start,
    )
    for norm, words, start in (("linf", "ℓ∞", 0.3), ("l2", "ℓ2", 2.0))
}
ANSWERS_SPENT = Slider(
    label="Answers that the attack spends on an image",
    told="Images for which it claims success within the limit; fresh answers may say otherwise.",
    x="answers",
    y="success_by_answers",
    looks=VICTIMS,
    start=10_000,
)
# One panel a data set (Galinkin, Figures 2 and 3).
roc = partial(membership_rates, x="fpr", y="tpr", looks=NETWORKS, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def success_within(panels: Panels, *, xlabel: str) -> Figure:
    """Success against the limit on the change, by the vote of fresh answers.

    Where noise deceives the attack, a pale dotted line with open marks is what would count if one answer were believed: the
    mean over seeds, without a band.
    """

    def draw_lucky(axis: Axes, title: str, lines: Lines) -> None:
        for key in DECEIVED:
            one = {**VICTIMS[key], **LUCKY, "label": "_lucky", "zorder": 1.5}
            draw_curve(axis, lines.get(key, ()), "limit", "success_one_answer_within", one, band=False)
        begin_at_zero(axis)

    deceived = any(lines.get(key) for lines in panels.values() for key in DECEIVED)
    return curves(
        panels,
        x="limit",
        y="success_within",
        looks=VICTIMS,
        xlabel=xlabel,
        ylabel="success within the limit (%)",
        ylim=TO_100,
        then=draw_lucky,
        legend=[{"label": "if one answer counted", "color": GREY, "marker": "o", **LUCKY}] if deceived else [],
    )


def noise_failure(panels: Panels) -> Figure:
    """What attacks claim beside what fresh answers confirm: the mean over seeds and its interval.

    The two are joined by a dotted line: where it falls, the attack took noise for success.
    """
    shown = held(panels, VICTIMS)

    def draw(axis: Axes, title: str, lines: Lines) -> bool:
        names = [VICTIMS[key]["label"] for key in shown]
        name_places(axis, [name.replace(", ", ",\n") if "," in name else name.replace(" ", "\n") for name in names])
        return any([_draw_claim(axis, at, lines.get(key, ()), VICTIMS[key]) for at, key in enumerate(shown)])

    legend = [look(said, GREY, "o", **more) for said, _, more in MARKS.values()]
    xlabel, ylabel = "victim, and the attack on it", "images fooled (%)"
    return in_panels(panels, draw, legend=legend, across=2, xlabel=xlabel, ylabel=ylabel, ylim=TO_100)


def _draw_claim(axis: Axes, at: int, records: Sequence[Record], victim: Look) -> bool:
    """Both marks of a victim and what joins them; whether there is any."""
    means = []
    for name, (_, aside, more) in MARKS.items():
        values = [record.measurements[name] for record in records if name in record.measurements]
        if values:
            means.append((at + aside, draw_mean(axis, at + aside, values, victim | more)))
    if len(means) == 2:
        axis.plot(*zip(*means, strict=True), color=victim["color"], ls=":", lw=1, zorder=1.5)
    return bool(means)


def counted_by_rate(
    panels: Panels, *, members: Mapping[str, float], printed: Mapping[str, Sequence[tuple[float, float]]]
) -> Figure:
    """The code's accuracy against how often "member" is said, one mark a record, all in percent.

    The dotted line is an attack that cannot tell members from others. A record stands above it by 2 w (1 - w) (TPR - FPR).

    Args:
        panels: title of a panel, then a key of `COUNTED`, then the records.
        members: title of a panel, then w, the share of members among all judged images.
        printed: title of a panel, then the paper's accuracies, each after the rate at which it lies on the line.
    """

    def draw(axis: Axes, title: str, lines: Lines) -> bool:
        w, drawn = members.get(title, 0.5), False
        # a = w r + (1 - w) (1 - r)
        axis.plot([0, 100], [100 * (1 - w), 100 * w], **REFERENCE)
        for key, records in lines.items():
            found = (record.measurements for record in records)
            rates = [(one["tpr"], one["fpr"]) for one in found if {"tpr", "fpr"} <= one.keys()]
            said = [w * tpr + (1 - w) * fpr for tpr, fpr in rates]
            axis.plot(said, [w * tpr + (1 - w) * (100 - fpr) for tpr, fpr in rates], **COUNTED[key])
            drawn |= bool(rates)
        crosses = printed.get(title, [])
        axis.plot([rate for rate, _ in crosses], [accuracy for _, accuracy in crosses], **PRINTED)
        return drawn

    legend = [*(COUNTED[key] for key in held(panels, COUNTED)), PRINTED, {"label": "nothing told", **REFERENCE}]
    xlabel, ylabel = 'says "member", of all judged images (%)', "accuracy as the code counts (%)"
    return in_panels(panels, draw, legend=legend, xlabel=xlabel, ylabel=ylabel, xlim=TO_100, ylim=TO_100)
