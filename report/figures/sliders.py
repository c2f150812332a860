"""What a slider below a figure moves along: the points of its curves, as rows that the page's own script shows.

The figure itself stays; where no scripts run it stands alone. `book/static/slider.js` draws what is declared here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.records import Record
from lib.metrics import Interval
from report.figures.curves import over_seeds
from report.figures.looks import Look, Looks
from report.figures.theme import DARK
from report.tables import Panels


@dataclass(frozen=True)
class Slider:
    """What moves, and along which curves.

    Attributes:
        label: what moves, with its unit, such as "Budget (images in [0, 1])".
        told: what the percentages say, such as "Images answered right."
        x, y: the curves of a record, `y` in percent.
        looks: what the lines are called, and their colours, which have others on a dark page.
        start: the point nearest to which the slider stands at first.
    """

    label: str
    told: str
    x: str
    y: str
    looks: Looks
    start: float


def rows(panels: Panels, slider: Slider) -> dict[str, Any]:
    """What each line of each panel has at each point: mean, both ends of the 95 % interval, and the number of seeds."""
    found = [panel for title, lines in panels.items() if (panel := _panel(title, lines, slider))]
    return {"label": slider.label, "told": slider.told, "panels": found}


def _panel(title: str, lines: Mapping[Any, Sequence[Record]], slider: Slider) -> dict[str, Any] | None:
    """The points of a panel, and each line that has them; a panel without any is left out."""
    found = {key: over_seeds(records, slider.x, slider.y) for key, records in lines.items()}
    at = next((points for points, _ in found.values() if points), None)
    if at is None:
        return None
    return {
        "title": title,
        "at": [float(f"{point:.4g}") for point in at],
        "start": min(range(len(at)), key=lambda i: abs(at[i] - slider.start)),
        "lines": [_line(slider.looks[key], values) for key, (points, values) in found.items() if points == at],
    }


def _line(look: Look, values: Sequence[Interval]) -> dict[str, Any]:
    """Of one seed the number alone."""
    numbers = [(one.mean, one.low, one.high) if one.n > 1 else (one.mean,) for one in values]
    rounded = [[round(number, 2) for number in point] for point in numbers]
    return {
        "name": look["label"],
        "colours": [look["color"], DARK[look["color"]]],
        "seeds": values[0].n,
        "values": rounded,
    }


def element(rows: Mapping[str, Any]) -> str:
    """The rows inside a page; whatever they hold, they cannot end the element that holds them."""
    text = json.dumps(rows, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return f'<div class="slider"><script type="application/json">{text}</script></div>'
