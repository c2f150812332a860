"""Which evaluation a file of what has been found is of, and what it holds."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from .errors import BadValue
from .evaluation import Evaluation
from .training.checkpoints import digest, read_tensors


def resume(path: Path, settings: Mapping[str, str]) -> tuple[Evaluation, int]:
    """What the file at `path` has found, and how many pieces are done; damaged, or of another evaluation, it is a `BadValue`."""
    try:
        masks, told = read_tensors(path)
        before, found, done = told["settings"], Evaluation.from_dict(told["found"] | masks), int(told["done"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BadValue(f"state {path}: cannot be gone on from ({error}); delete it to begin anew") from error
    for name, value in settings.items():
        if before.get(name) != value:
            other = f"{name} {before.get(name)}, not {value}"
            raise BadValue(
                f"state {path}: is of another evaluation, with {other}; name another file, or delete this one"
            )
    return found, done


def fingerprint(value: object) -> str:
    """What tells a setting from another, in any process: tensors and weights by their bytes, functions by their names."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {digest({'': value.detach().cpu()}, '')[:16]}"
    if isinstance(value, nn.Module):
        weights = {name: tensor.detach().cpu() for name, tensor in value.state_dict().items()}
        said = [vars(layer).get(name) for layer in value.modules() for name in ("draws", "form", "precision", "bounds")]
        return f"{type(value).__name__} {digest(weights, f'{value!r} {said}')[:16]}"
    if isinstance(value, partial):
        given = [*map(fingerprint, value.args), *(f"{k}={fingerprint(v)}" for k, v in sorted(value.keywords.items()))]
        return f"{fingerprint(value.func)}({', '.join(given)})"
    return str(getattr(value, "__qualname__", type(value).__name__)) if callable(value) else repr(value)
