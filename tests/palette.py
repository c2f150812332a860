"""How light a colour is and how well two can be told apart, by WCAG 2.2."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.colors import to_rgb


def luminance(color: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour, red, green and blue from 0 to 1."""
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    """The contrast of two luminances, from 1 to 21."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def ratio(one: str, other: str) -> float:
    """The contrast of two colours by their names."""
    return contrast(luminance(to_rgb(one)), luminance(to_rgb(other)))
