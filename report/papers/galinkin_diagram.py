"""The attack with one shadow network, drawn: what the owner of the target does, and what the adversary."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from report.figures.boxes import draw_arrow, draw_box, page
from report.figures.looks import ESTIMATORS

PALE = "#F4F4F4"


class Place(NamedTuple):
    """A box of the diagram, in inches: its middle from the left and from above, its width and what it says."""

    x: float
    y: float
    width: float
    label: str

    @property
    def height(self) -> float:
        """Enough for its lines."""
        return 0.46 + 0.16 * self.label.count("\n")


_DRAWN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
LANES: dict[str, dict[str, Any]] = _DRAWN["lanes"]
BOXES = {name: Place(*place) for name, place in _DRAWN["boxes"].items()}
SAID = {(start, end): said for start, end, said in _DRAWN["steps"]}  # on the arrow, by its ends
DIAGRAM_STEPS = tuple(SAID)


def membership_diagram() -> Figure:
    """The attack as `DIAGRAM_STEPS` has it."""
    width, height = _DRAWN["size"]
    with page(width, height) as (figure, axis):
        for name, lane in LANES.items():
            top, bottom, look = lane["top"], lane["bottom"], ESTIMATORS[lane["look"]]
            axis.add_patch(Rectangle((0.1, top), width - 0.2, bottom - top, fc=PALE, ec="none"))
            axis.text(0.2, top + 0.17, f"the {name}", va="center", style="italic", color=look["color"])
        for one in BOXES.values():
            look = ESTIMATORS[_lane(one)["look"]]
            draw_box(axis, one.x - one.width / 2, one.y - one.height / 2, one.width, one.height, look)
            axis.text(one.x, one.y, one.label, ha="center", va="center", fontsize=9)
        for (start, end), said in SAID.items():
            _draw_step(axis, BOXES[start], BOXES[end], said)
    return figure


def _lane(place: Place) -> dict[str, Any]:
    return next(lane for lane in LANES.values() if lane["top"] < place.y < lane["bottom"])


def _draw_step(axis: Axes, start: Place, end: Place, said: str) -> None:
    """An arrow from the right edge of one box to the left edge of another, or down into it from the other lane."""
    begin, goal = (start.x + start.width / 2, start.y), (end.x - end.width / 2, end.y)
    middle = ((begin[0] + goal[0]) / 2, (begin[1] + goal[1]) / 2)
    down = _lane(start) != _lane(end)
    if down:
        goal = (end.x, end.y - end.height / 2)
        middle = (end.x, (_lane(end)["top"] + goal[1]) / 2)
    draw_arrow(axis, begin, goal, bent=down)
    if said:
        behind = {"fc": PALE, "ec": "none", "pad": 1}
        axis.text(*middle, said, ha="center", va="center", fontsize=8, style="italic", bbox=behind)
