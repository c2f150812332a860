"""The slider of the Harakeh chapter: FGSM against its budget, by what the attack follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from experiments.records import Record, Store
from report.figures.looks import ESTIMATORS, ORANGE, PURPLE, VERMILLION, Looks, look
from report.figures.sliders import Slider
from report.papers.harakeh import CURVE, PAPER
from report.tables import Panels, panels_at

# An estimator's own answer, one draw of ten, or an answer of another number of draws.
FOLLOWED = Looks(
    "victim",
    {
        **ESTIMATORS,
        "one_draw": look("epistemic, by one draw", ORANGE, "v"),
        "T=2": look("epistemic, mean of 2 draws", ORANGE, "v"),
        "T=10": look("epistemic, mean of 10 draws", VERMILLION, "s"),
        "T=50": look("epistemic, mean of 50 draws", PURPLE, "D"),
    },
)
BUDGET = Slider(
    label="Budget ε of FGSM (ℓ∞, images in [0, 1])",
    told="Test images still answered right. FGSM follows the network's own answer, or one draw of it.",
    x=CURVE.x,
    y=CURVE.y,
    looks=FOLLOWED,
    start=0.3,
)


def budget_panels(store: Store) -> Panels:
    """The curves with FGSM through one draw, which was measured at one budget, and a smaller network by its number of draws."""
    found: dict[str, dict[str, Sequence[Record]]] = {
        title: {**lines, "one_draw": [_through_one_draw(record) for record in lines["epistemic"]]}
        for title, lines in panels_at(store, PAPER, CURVE.lines).items()
    }
    draws = {f"T={draws}": f"reduced:mnist/fgsm/epistemic?draws={draws}" for draws in (2, 10, 50)}
    lines = {"none": "reduced:mnist/fgsm/none", **draws}
    return found | panels_at(store, PAPER, {"MNIST, text's network at reduced, by draws": lines})


def _through_one_draw(record: Record) -> Record:
    accuracy = record.measurements["adversarial_accuracy_one_draw"]
    return replace(record, curves={CURVE.x: [record.config["epsilon"]], CURVE.y: [accuracy]})
