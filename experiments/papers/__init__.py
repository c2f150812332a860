"""The papers, one package each, and what is found in them: the grid of their cells per profile, and their experiments.

A package here is a paper; a class of cells in one of its modules is an experiment. Nothing else lists either. A package without
`published.csv` is a study of our own: nobody has printed a number that its own could stand beside.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol, cast

from experiments.cell import Common
from lib.errors import BadValue, check_choice

FOLDER: Final = Path(__file__).parent  # where a package's published numbers and its claims lie
NAMES: Final = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))
REPLICATED: Final = tuple(name for name in NAMES if (FOLDER / name / "published.csv").is_file())


class Paper(Protocol):
    """What a paper's package offers: all cells that are computed, with their worth; the same; and those that tables are of."""

    TITLE: str
    SEEDS: int
    TOLERANCES: dict[str, float]  # by how many percentage points a recomputed measurement may differ from its record

    def promised(self, profile: str) -> dict[Any, str]: ...
    def grid(self, profile: str) -> list[Any]: ...
    def main(self, profile: str) -> list[Any]: ...


def get(name: str) -> Paper:
    """The package of paper `name`.

    Raises:
        BadValue: unknown paper.
    """
    return cast(Paper, importlib.import_module(f"{__name__}.{check_choice('paper', name, NAMES)}"))


@cache
def kinds(name: str) -> tuple[type[Common], ...]:
    """The experiments of paper `name`, each a class of cells, in the order of their modules."""
    package: Any = get(name)
    found = [
        vars(importlib.import_module(f"{package.__name__}.{one.name}"))
        for one in pkgutil.iter_modules(package.__path__)
    ]
    own = [one for module in found for one in module.values() if getattr(one, "__module__", "") == module["__name__"]]
    return tuple(one for one in own if isinstance(one, type) and issubclass(one, Common) and one.attacks())


def added(name: str, profile: str) -> list[Any]:
    """The cells that the experiments of paper `name` bring along, for its grid."""
    return [cell for kind in kinds(name) for cell in kind.grid(profile)]


def revive(paper: str, settings: Mapping[str, Any]) -> Any | None:
    """The cell that has these settings, as a record keeps them; None if they are those of an older experiment.

    Raises:
        BadValue: a setting that its experiment does not take.
    """
    for kind in kinds(paper):
        if settings.get("attack") in kind.attacks() and settings.keys() == {field.name for field in fields(kind)}:
            try:
                return kind(**settings)
            except BadValue as error:
                raise BadValue(f"a record of {paper}, {error}") from error
    return None
