"""What an evaluation found: accuracy by attack and budget, and under the worst of the attacks, image by image; and its file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from .counting import Passes
from .errors import BadValue
from .evasion.examination import Examination
from .metrics import percent
from .training.checkpoints import digest, read_tensors


@dataclass(frozen=True)
class Evaluation:
    """Accuracies in percent, of n images under `a` attacks at `e` budgets. `print` shows a table."""

    attacks: tuple[str, ...]  #: their names
    epsilons: tuple[float, ...]  #: the budgets
    norm: str  #: of the budgets
    draws: int  #: fresh ones behind each judgement of a random victim
    right: Tensor  #: (n,) bool on the CPU, whether the image itself is named rightly
    success: Tensor  #: (a, e, n) bool on the CPU, whether it or an image of the attack within the budget is not
    passes: dict[str, Passes]  #: by attack, `forward` and `backward`, of all images together
    examination: Examination  #: of the victim, before the attacks
    warnings: tuple[str, ...]  #: of the victim, and from the attacks

    @property
    def clean_accuracy(self) -> float:
        """Without attack."""
        return percent(self.right)

    @property
    def accuracy(self) -> dict[str, list[float]]:
        """Under each attack, by budget."""
        left = 100 * (~self.success).double().mean(2)
        return dict(zip(self.attacks, left.tolist(), strict=True))

    @property
    def worst_case(self) -> list[float]:
        """Under whichever attack succeeds on each image, by budget."""
        return (100 * (~self.success.any(0)).double().mean(1)).tolist()

    def to_dict(self, *, masks: bool = True) -> dict[str, Any]:
        """Plain data, as JSON takes it: all of it or all but the `masks` of images, and the accuracies that follow from them."""
        own = asdict(self)
        which = {name: own.pop(name) for name in ("right", "success")}
        found = {"clean_accuracy": self.clean_accuracy, "accuracy": self.accuracy, "worst_case": self.worst_case} | own
        found |= {name: list(own[name]) for name in ("attacks", "epsilons", "warnings")}
        return found | ({name: one.int().tolist() for name, one in which.items()} if masks else {})

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The evaluation that `to_dict` made `found` of."""
        own = {name: found[name] for name in cls.__dataclass_fields__}
        own |= {name: tuple(own[name]) for name in ("attacks", "epsilons", "warnings")}
        own |= {name: torch.as_tensor(own[name], dtype=torch.bool) for name in ("right", "success")}
        own["passes"] = {name: Passes(**counts) for name, counts in own["passes"].items()}
        return cls(**own | {"examination": Examination(**own["examination"])})

    def __str__(self) -> str:
        n = max(1, len(self.right))
        head = [f"accuracy in %, {self.norm}", *(f"{epsilon:.4g}" for epsilon in self.epsilons), "forward", "backward"]
        rows = [["no attack", *[f"{self.clean_accuracy:.1f}"] * len(self.epsilons), "", ""]]
        for name, left in self.accuracy.items():
            spent = (f"{count / n:.4g}" for count in (self.passes[name].forward, self.passes[name].backward))
            rows.append([name, *(f"{one:.1f}" for one in left), *spent])
        rows.append(["the worst of them", *(f"{one:.1f}" for one in self.worst_case), "", ""])
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = ([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in (head, *rows))
        below = f"{len(self.right)} images; passes forward and backward are an image's, on average, for all budgets"
        told = (f"warning: {one}" for one in self.warnings)
        return "\n".join([*("  ".join(line).rstrip() for line in lines), below, *told])


def resume(path: Path, settings: Mapping[str, str]) -> tuple[Evaluation, int]:
    """What the file at `path` has found, and how many pieces are done; damaged, or of another evaluation, it is a `BadValue`."""
    try:
        masks, told = read_tensors(path)
        before, found, done = told["settings"], Evaluation.from_dict(told["found"] | masks), int(told["done"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BadValue(f"state {path}: cannot be gone on from ({error}); delete it to begin anew") from error
    for name, value in settings.items():
        if before.get(name) != value:
            other = f"with {name} {before.get(name)}, not {value}; name another file, or delete this one"
            raise BadValue(f"state {path}: is of another evaluation, {other}")
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
