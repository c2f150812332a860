"""Progress bars: on a terminal and in an interactive notebook, never in what is rendered or a log file."""

import os
import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
SWITCH = "PROGRESS_BARS"  # "0" in the environment turns every bar off; the book's build sets it


def wanted() -> bool:
    """Whether somebody is watching: a terminal, or a notebook that runs for somebody."""
    if os.environ.get(SWITCH) == "0":
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def track(items: Iterable[Item], description: str, *, enabled: bool = True, total: int | None = None) -> Iterable[Item]:
    """`items`, with a bar if it is `enabled` and somebody is watching."""
    return tqdm(items, desc=description, total=total, disable=not (enabled and wanted()), leave=False)
