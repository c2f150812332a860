"""Which cells of a grid: by paper, profile, seed and field, with single settings changed; and what a cell is called."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from experiments import papers
from experiments.find import NoCell, setting, types_of
from lib.errors import BadValue, check_count

# Settings that are named where they are not what they are in most cells.
UNUSUAL = "answers aware answer_precision adversary features shadow inputs nonmembers scale dropout patience".split()


def select(
    paper: str, profile: str, *, only: Sequence[str] = (), seeds: int | None = None, changes: Sequence[str] = ()
) -> list[Any]:
    """The cells of a grid, in the grid's order.

    Args:
        paper: name of the paper.
        profile: one of its profiles.
        only: `field=value` conditions, all of which a cell must meet.
        seeds: keep seeds 0 to `seeds` - 1; all for None.
        changes: `field=value` settings that replace those of every cell. A changed cell has a key of its own, so it
            never enters a results table.

    Raises:
        BadValue: unknown paper, profile or field; a value of the wrong type or out of range; conditions no cell meets.
    """
    chosen, types = papers.get(paper).grid(profile), types_of(paper)
    for name, value in (setting(condition, types, what="--only") for condition in only):
        # Cells of different experiments have different fields; one that lacks a field meets no condition on it.
        chosen = [cell for cell in chosen if hasattr(cell, name) and getattr(cell, name) == value]
    if seeds is not None:
        check_count("seeds", seeds)
        chosen = [cell for cell in chosen if cell.seed < seeds]
    if not chosen:
        raise NoCell(f"--only {' '.join(only)}: no cell of {paper}/{profile} meets that")
    replacements = dict(setting(change, types, what="--set") for change in changes)
    for name in replacements:
        if name in ("paper", "profile", "seed", "version"):
            raise BadValue(f"--set {name}: cannot be changed here")
        if lacking := sorted({cell.attack for cell in chosen if not hasattr(cell, name)}):
            raise BadValue(
                f"--set {name}: cells of {', '.join(lacking)} have no such setting; choose others by --only attack="
            )
    return list(dict.fromkeys(replace(cell, **replacements) for cell in chosen))


def select_all(
    paper: str | None, profile: str | None, only: Sequence[str], seeds: int | None, changes: Sequence[str]
) -> list[Any]:
    """The same of every paper for None, and of the profiles that results are of: it is enough that one grid has such cells.

    Raises:
        BadValue: as `select`; conditions that no cell of any grid meets.
    """
    cells, refused = [], None
    for one in papers.NAMES if paper is None else [paper]:
        for scale in ("reduced", "paper") if profile is None else [profile]:
            try:
                cells += select(one, scale, only=only, seeds=seeds, changes=changes)
            except NoCell as error:
                refused = error
    if refused is not None and not cells:
        raise refused
    return cells


def label(cell: Any) -> str:
    """What tells a cell from the others of its grid, in the order of its fields."""
    words = [str(getattr(cell, name)) for name in ("paper", "profile", "dataset", "network", "estimator", "attack")]
    if cell.estimator not in ("none", "ensemble"):
        words += [form for form in (getattr(cell, "form", ""),) if form]
    words += [f"{name}={getattr(cell, name)}" for name in ("steps", "score") if getattr(cell, name, "")]
    usual = {field.name: field.default for field in fields(cell)}
    words += [
        f"{name}={getattr(cell, name)}" for name in UNUSUAL if name in usual and getattr(cell, name) != usual[name]
    ]
    return " ".join([*words, f"seed {cell.seed}"])
