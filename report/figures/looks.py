"""One look for all figures: opaque white, colours that the colour-blind can tell apart, every line also marked by its shape.

What a thing is called and how it is drawn are declared together, in `report/looks.toml`: nothing has the one without the other.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import matplotlib.pyplot as plt

from lib.errors import BadValue
from lib.uncertainty import ESTIMATORS as ALONE
from report.declared import declared

# Okabe and Ito's palette (2008): distinct under the common forms of colour blindness; the orange is darker, 3:1 on white.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#c68400"
# The ground, letters, what stands behind (4.5:1 on white), and lines of a grid.
WHITE, INK, GREY, PALE = "#ffffff", "#222222", "#767676", "#b0b0b0"
NAMED = "blue vermillion green purple orange ink grey".split()
COLOURS = dict(zip(NAMED, (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, INK, GREY), strict=True))
# Letters on a fill of their own, which is the same on a light and on a dark page.
ON_DARK, ON_PALE = "#fefefe", "#010101"
OPEN: dict[str, Any] = {"markerfacecolor": WHITE}
# What a curve is to be compared with: chance, or the best that can be done.
REFERENCE: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": ":"}

Look = dict[str, Any]  # what matplotlib takes for a line, its label included


def look(label: str, color: str, marker: str, linestyle: Any = "none", **more: Any) -> Look:
    """What a thing is called in legends, its colour, its mark and its line."""
    return {"label": label, "color": color, "marker": marker, "linestyle": linestyle, **more}


class Looks(dict[Any, Look]):
    """The looks of all things of one kind, in the order of the legend.

    Args:
        kind: what an error calls them.
        every: the keys that there are, where these are declared elsewhere.

    Raises:
        BadValue: `looks` are not of exactly these keys; when read, a key that has none.
    """

    def __init__(self, kind: str, looks: Mapping[Any, Look], *, every: Iterable[Any] | None = None) -> None:
        super().__init__(looks)
        self.kind = kind
        if every is not None and (wrong := set(every) ^ set(looks)):
            raise BadValue(f"{kind}: expected a look for every one and for no other, got it wrong for {wrong}")

    @classmethod
    def declared(cls, whose: str, kind: str, *, every: Iterable[Any] | None = None) -> Self:
        """Those of `looks.toml`, of one chapter or of every one."""
        found: dict[Any, Look] = {}
        for key, one in declared("looks")[whose][kind].items():
            pairs = {(key, second): look for second, look in one.items()} if isinstance(one, dict) else {key: one}
            found |= {name: _drawn(*look) for name, look in pairs.items()}
        return cls(kind, found, every=every)

    def __missing__(self, key: Any) -> Look:
        raise BadValue(f"{self.kind}: unknown {key!r}; expected one of {', '.join(map(str, self))}")


def _drawn(label: str, color: str, marker: str, line: Any = "none", more: Mapping[str, Any] | None = None) -> Look:
    """A line of the file as a look; its lists are matplotlib's tuples."""
    settings = {name: tuples(value) for name, value in (more or {}).items()}
    drawn = OPEN if settings.pop("open", False) else {}
    return look(label, COLOURS[color], marker, tuples(line), **drawn, **settings)


def tuples(value: Any) -> Any:
    """A list of a file, and the lists inside it, as matplotlib wants them."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


ESTIMATORS = Looks.declared("every", "estimator", every=[*ALONE, "ensemble", "new"])


def style() -> AbstractContextManager[None]:
    """The settings that every figure of the book shares, as a context."""
    return plt.style.context(Path(__file__).with_name("book.mplstyle"))
