"""A training run half-way: weights, the optimiser's state, generators and where it stands, in one file written atomically."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import BadValue
from .checkpoints import NotKept, read_tensors, write_tensors


class OutOfTime(BaseException):  # no Exception: what runs, such as torch.compile, must not make another one of it
    """The time is up; a training goes on from its last snapshot the next time."""


@dataclass
class History:
    """What a run leaves besides its weights: mean losses, between observations or of epochs, what was observed, seconds spent."""

    losses: list[float] = field(default_factory=list)
    observed: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class State(History):
    """Where a run stands."""

    step: int = 0  # the next one, or the next epoch
    total: float = 0.0  # of the losses since the last observation


def save(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: State,
    generators: Mapping[str, torch.Generator] | None = None,
) -> None:
    """Write all of a run to `path`; what stood there before is replaced whole.

    Warns:
        NotKept: it cannot be written; the run goes on, and would be lost with its process.
    """
    tensors = {f"network/{name}": tensor for name, tensor in network.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in values.items()}
    tensors |= {f"generator/{name}": source.get_state() for name, source in (generators or {}).items()}
    numbers = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
    try:
        write_tensors(path, numbers, asdict(state))
    except OSError as error:
        warnings.warn(f"snapshot {path}: cannot be written ({error})", NotKept, stacklevel=2)


def resume(
    path: Path | None,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    generators: Mapping[str, torch.Generator] | None = None,
) -> State:
    """Put the run at `path` into `network`, where that is, `optimizer` and `generators`; without one, it begins.

    A file that is damaged, or of another network, is a `BadValue`.
    """
    if path is None or not path.exists():
        return State()
    try:
        tensors, told = read_tensors(path)
        state = State(**told)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition("/")
            parts.setdefault(kind, {})[rest] = tensor
        network.load_state_dict(parts["network"])
        for name, source in (generators or {}).items():
            source.set_state(parts["generator"][name])
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        values: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            number, _, what = name.partition("/")
            weight = weights[int(number)]
            # A fused optimiser walks over weights and moments by their place in memory, so both need one layout.
            same = torch.empty_like(weight, dtype=tensor.dtype) if tensor.shape == weight.shape else tensor
            values.setdefault(int(number), {})[what] = same.copy_(tensor)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": values})
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise BadValue(f"snapshot {path}: cannot be gone on from ({error}); delete it to train anew") from error
    return state
