"""What a slider below a figure moves along: the points of its curves, as rows that the page's own script shows.

The figure itself stays; where no scripts run it stands alone. `book/static/slider.js` draws what is declared here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.records import Record
from lib.metrics import Interval
from report.figures.curves import Curves, Slider, over_seeds
from report.figures.looks import Look
from report.figures.theme import DARK
from report.tables import Panels


def rows(panels: Panels, shown: Curves, slider: Slider) -> dict[str, Any]:
    """What each line of each panel has at each point: mean, both ends of the 95 % interval in percent, how many seeds."""
    found = [panel for title, lines in panels.items() if (panel := _panel(title, lines, shown, slider.start))]
    return {"label": slider.label, "told": slider.told, "panels": found}


def _panel(title: str, lines: Mapping[Any, Sequence[Record]], shown: Curves, start: float) -> dict[str, Any] | None:
    """The points of the line that has the most, and what each line has there; a panel without any is left out."""
    found = {
        key: over_seeds(records, *shown.names(key), scale=shown.scale, highest=shown.highest)
        for key, records in lines.items()
    }
    at = max((points for points, _ in found.values()), key=len, default=[])
    if not at:
        return None
    return {
        "title": title,
        "at": [float(f"{point:.4g}") for point in at],
        "start": min(range(len(at)), key=lambda i: abs(at[i] - start)),
        "lines": [
            _line(shown.looks[key], dict(zip(points, values, strict=True)), at, percent=100 / shown.highest)
            for key, (points, values) in found.items()
            if points
        ],
    }


def _line(look: Look, values: Mapping[float, Interval], at: Sequence[float], percent: float) -> dict[str, Any]:
    """Of one seed the number alone; where the line has no point, nothing."""
    numbers = {
        point: [round(percent * number, 2) for number in (one.mean, one.low, one.high)[: 3 if one.n > 1 else 1]]
        for point, one in values.items()
    }
    return {
        "name": look["label"],
        "colours": [look["color"], DARK[look["color"]]],
        "seeds": next(iter(values.values())).n,
        "values": [numbers.get(point, []) for point in at],
    }


def element(rows: Mapping[str, Any]) -> str:
    """The rows inside a page; whatever they hold, they cannot end the element that holds them."""
    text = json.dumps(rows, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return f'<div class="slider"><script type="application/json">{text}</script></div>'
