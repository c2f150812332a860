"""The sliders of the chapter on all three questions: what each attack leaves of each kind of network, by its budget."""

from __future__ import annotations

from dataclasses import replace

from experiments.papers.at_once.evasion import ATTACKS
from experiments.papers.at_once.grid import SETTINGS
from experiments.records import Record, Store
from report.figures.sliders import Slider
from report.papers import at_once
from report.papers.at_once import LINES, PAPER, VICTIMS
from report.tables import Panels, panels_at

BUDGET = {
    norm: Slider(
        label=f"Budget ({words}, images in [0, 1])",
        told="Test images still answered right, judged by fresh draws. At a budget of 0 nobody attacks.",
        x="budget",
        y="left",
        looks=VICTIMS,
        start=SETTINGS["budgets"]["mnist"][norm]["epsilon"],
    )
    for norm, words in {"linf": "ℓ∞", "l2": "ℓ2"}.items()
}


def by_attack(store: Store, norm: str) -> Panels:
    """A panel an attack and data set, a line a kind of network; the worst of all attacks comes first."""
    attacks = {"worst_case": "the worst of all attacks", **{f"accuracy_{name}": LINES[name] for name in ATTACKS[norm]}}
    return {
        f"{title}: {words}": {kind: [_left(one, curve) for one in records] for kind, records in kinds.items()}
        for title, kinds in panels_at(store, PAPER, at_once.BUDGETS[norm].lines).items()
        for curve, words in attacks.items()
    }


def _left(record: Record, curve: str) -> Record:
    """The curve from where nothing is changed, or none where the attack has none."""
    if curve not in record.curves:
        return replace(record, curves={})
    budget, left = [0.0, *record.curves["epsilons"]], [record.measurements["accuracy"], *record.curves[curve]]
    return replace(record, curves={"budget": budget, "left": left})
