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
    """The points of the line that has the most, and what each line has there; a panel without any is left out."""
    found = {key: over_seeds(records, slider.x, slider.y) for key, records in lines.items()}
    at = max((points for points, _ in found.values()), key=len, default=[])
    if not at:
        return None
    return {
        "title": title,
        "at": [float(f"{point:.4g}") for point in at],
        "start": min(range(len(at)), key=lambda i: abs(at[i] - slider.start)),
        "lines": [
            _line(slider.looks[key], dict(zip(points, values, strict=True)), at)
            for key, (points, values) in found.items()
            if points
        ],
    }


def _line(look: Look, values: Mapping[float, Interval], at: Sequence[float]) -> dict[str, Any]:
    """Of one seed the number alone; where the line has no point, nothing."""
    return {
        "name": look["label"],
        "colours": [look["color"], DARK[look["color"]]],
        "seeds": next(iter(values.values())).n,
        "values": [_numbers(values[point]) if point in values else [] for point in at],
    }


def _numbers(found: Interval) -> list[float]:
    return [round(number, 2) for number in (found.mean, found.low, found.high)[: 3 if found.n > 1 else 1]]


def element(rows: Mapping[str, Any]) -> str:
    """The rows inside a page; whatever they hold, they cannot end the element that holds them."""
    text = json.dumps(rows, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return f'<div class="slider"><script type="application/json">{text}</script></div>'
