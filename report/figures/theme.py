"""Figures as SVG that are light on a light page and dark on a dark one, each colour by a table of two columns.

The file's own style asks `prefers-color-scheme`, which in an image is the scheme of the page around it or, where a viewer knows
no such thing, that of the system. The ground changes with the letters, so that they can be read either way; a reader of SVG
without styles sees the light figure.
"""

import io
import re

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from report.figures import looks

# What a colour becomes on a dark page. Letters of `looks.ON_DARK` and `looks.ON_PALE` stand on a fill that stays as it is.
DARK = {
    looks.WHITE: "#121212",  # the ground of the book's dark pages
    looks.INK: "#e6e6e6",
    looks.GREY: "#a3a3a3",
    looks.PALE: "#4d545e",
    looks.BLUE: "#56b4e9",  # Okabe and Ito's sky blue
    looks.VERMILLION: "#ff7f32",
    looks.GREEN: "#1fbf92",
    looks.PURPLE: "#d98fb8",
    looks.ORANGE: "#f0b429",
}


def svg(figure: Figure) -> str:
    """`figure` as the text of an SVG file that knows both themes; closes it. Equal figures give equal texts."""
    file = io.StringIO()
    with looks.style():
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    plt.close(figure)
    # A hundredth of a point is enough for a place; factors, below 1, keep their digits.
    text = re.sub(r"\b([1-9]\d*\.\d\d)\d+", r"\1", file.getvalue())
    return text.replace(' <g id="figure_1">', f' <style type="text/css">{_dark(text)}</style>\n <g id="figure_1">', 1)


def _dark(text: str) -> str:
    """The rules that turn the colours of `text` into those of a dark page."""
    rules = [
        f"[style*='{part}: {light}']{{{part}:{dark} !important}}"
        for light, dark in DARK.items()
        for part in ("fill", "stroke")
        if f"{part}: {light}" in text
    ]
    return f"@media (prefers-color-scheme: dark){{{''.join(rules)}}}"
