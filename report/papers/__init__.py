"""The chapters, paper by paper: what each shows of its records."""

import importlib
from typing import Any


def chapter(paper: str) -> Any:
    """The module that says what the chapter of a paper shows."""
    return importlib.import_module(f"report.papers.{paper}")
