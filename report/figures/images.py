"""Images side by side."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from report.figures.looks import style


def image_rows(rows: Mapping[str, Tensor]) -> Figure:
    """A row of images (n, c, h, w) in [0, 1] for each name, all on one scale."""
    count = max(map(len, rows.values()))
    with style():
        figure, axes = plt.subplots(len(rows), count, figsize=(1.1 * count + 1.6, 1.15 * len(rows)), squeeze=False)
        for line, (name, images) in zip(axes, rows.items(), strict=True):
            for axis, image in zip(line, images, strict=True):
                axis.imshow(image.permute(1, 2, 0).numpy(), cmap="gray", vmin=0, vmax=1)
                axis.set(xticks=[], yticks=[])
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        figure.set_layout_engine("constrained")
    return figure
