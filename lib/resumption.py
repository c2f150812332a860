"""An evaluation half-way: what has been found so far, in one file written atomically, and which evaluation it is of."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .counting import Passes
from .errors import BadValue
from .evasion.examination import Examination
from .training.checkpoints import read_tensors, write_tensors


@dataclass
class Standing:
    """Where an evaluation stands."""

    right: Tensor  # (n,) as in `Evaluation`
    success: Tensor  # (a, e, n)
    passes: dict[str, Passes]
    examination: Examination | None = None
    warnings: list[str] = field(default_factory=list)
    done: int = 0  # pieces of work, in their order


def save(path: Path, standing: Standing, settings: Mapping[str, Any]) -> None:
    """Write where the evaluation of these settings stands; what stood there before is replaced whole."""
    tensors = {"right": standing.right, "success": standing.success}
    told = {name: value for name, value in asdict(standing).items() if name not in tensors}
    write_tensors(path, tensors, told | {"settings": dict(settings)})


def resume(path: Path, begin: Standing, settings: Mapping[str, Any]) -> Standing:
    """Where the evaluation of these settings stands by the file at `path`; at its beginning if there is none.

    Raises:
        BadValue: the file is damaged, or of another evaluation.
    """
    if not path.exists():
        return begin
    try:
        tensors, state = read_tensors(path)
        before = state.pop("settings")
    except (OSError, KeyError, ValueError) as error:
        raise BadValue(f"state {path}: cannot be gone on from ({error}); delete it to begin anew") from error
    for name, value in settings.items():
        if before.get(name) != value:
            told = "name another file, or delete this one to begin anew"
            raise BadValue(
                f"state {path}: is of another evaluation, with {name} {before.get(name)}, not {value}; {told}"
            )
    state["passes"] = {name: Passes(**counts) for name, counts in state["passes"].items()}
    state["examination"] = state["examination"] and Examination(**state["examination"])
    return Standing(tensors["right"], tensors["success"], **state)


def fingerprint(value: object) -> str:
    """What tells a setting from another, in any process: tensors and weights by their bytes, functions by their names."""
    if isinstance(value, Tensor):
        rows = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        return f"{tuple(value.shape)} {hashlib.sha256(rows.numpy().tobytes()).hexdigest()[:16]}"
    if isinstance(value, nn.Module):
        weights = {name: fingerprint(tensor) for name, tensor in value.state_dict().items()}
        said = [vars(layer).get(name) for layer in value.modules() for name in ("draws", "form", "precision", "bounds")]
        return f"{type(value).__name__} {hashlib.sha256(f'{value!r} {weights} {said}'.encode()).hexdigest()[:16]}"
    if isinstance(value, partial):
        given = [*map(fingerprint, value.args), *(f"{k}={fingerprint(v)}" for k, v in sorted(value.keywords.items()))]
        return f"{fingerprint(value.func)}({', '.join(given)})"
    return str(getattr(value, "__qualname__", type(value).__name__)) if callable(value) else repr(value)
