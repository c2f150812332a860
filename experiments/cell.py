"""What a cell of any paper says: which paper, at which scale, on which data and network, by which attack, from which seed.

An experiment is one class of cells: its fields are its settings, and its methods say what one costs and measure it.

    @checked
    class Noise(Cell):                            # the paper's `Cell`, which knows how its victims are trained
        TITLES = ("uniform noise",)               # what the pages call its attacks
        attack: Literal["noise"] = "noise"
        epsilon: Share = 0.3

        def work(self) -> float: ...              # images through the network
        def measure(self, bench, victim) -> Result: ...

A field's type says which values it takes: bad ones are refused where a cell is made, in one line that names the field, the
value and what was expected. Nothing is converted but whole numbers to floats: 0 and 0.0 must not have two keys.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, dataclass_transform, get_args

from pydantic import ConfigDict, Field, Strict, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import core_schema

from lib import data, models
from lib.data import Dataset
from lib.errors import BadValue, shown
from lib.models import Network
from lib.training import AUGMENTATIONS
from lib.uncertainty import PRECISIONS

if TYPE_CHECKING:
    from experiments.run import Bench

PROFILES = ("smoke", "reduced", "paper")

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Result:
    """What an experiment gives back: numbers, and short curves."""

    measurements: Mapping[str, float]
    curves: Mapping[str, list[float]]


class OneOf:
    """What an annotation says of a field that takes one of the names that are listed elsewhere."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """What pydantic checks."""
        return core_schema.literal_schema(self.names)


def at_least(low: int) -> Any:
    """What an annotation says of a whole number."""
    return Field(ge=low, description=f"a whole number of at least {low}")


def within(low: float, high: float) -> Any:
    """What an annotation says of a float."""
    return Field(ge=low, le=high, description=f"a finite number in [{low:g}, {high:g}]")


Count = Annotated[int, at_least(1)]
Size = Annotated[int, at_least(0)]
Flag = Annotated[bool, Field(description="True or False")]
Share = Annotated[float, within(0, 1)]
Rate = Annotated[float, within(0, 10)]  # of learning
Shares = Annotated[tuple[Share, ...], Strict(False), Field(description="a finite number in [0, 1]")]
Dropout = Annotated[float, within(0, 0.999)]
DataName = Annotated[str, OneOf(data.NAMES)]
Precision = Annotated[str, OneOf(PRECISIONS)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def checked(kind: type[T]) -> type[T]:
    """`kind` as a frozen dataclass of keywords whose values pydantic checks; what it refuses becomes a `BadValue` of one line.

    Raises:
        BadValue: an experiment that does not say what the pages call each of its attacks.
    """
    config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")
    made: Any = dataclass(frozen=True, kw_only=True, config=config)(kind)
    build = made.__init__

    def build_checked(self: Any, **given: Any) -> None:
        try:
            build(self, **given)
        except ValidationError as error:
            raise _in_one_line(made, given, error) from None

    made.__init__ = build_checked
    attacks = choices(made, "attack") if "attack" in made.__pydantic_fields__ else ()
    if attacks and len(attacks) != len(made.TITLES):
        raise BadValue(
            f"{made.__name__}: expected in TITLES one for each of {', '.join(attacks)}, got {len(made.TITLES)}"
        )
    return made  # type: ignore[no-any-return]


def _in_one_line(kind: Any, given: Mapping[str, Any], error: ValidationError) -> BadValue:
    """The first mistake: of a field that has a value which it does not take, or one that a check of several fields found."""
    first: Any = error.errors(include_url=False)[0]
    context = first.get("ctx", {})
    if isinstance(context.get("error"), BadValue):
        return context["error"]  # type: ignore[no-any-return]
    name = str(first["loc"][0])
    if name not in kind.__pydantic_fields__:
        told = name if name.isidentifier() else shown(name)
        return BadValue(f"{told}: {kind.__name__} has no such setting; expected one of {', '.join(_names(kind))}")
    value = shown(first["input"]) if name in given else "nothing"  # of several values the first bad one
    if first["type"] == "literal_error":
        return BadValue(f"{name}: unknown {value}; expected one of {', '.join(choices(kind, name))}")
    parts: Any = given[name] if isinstance(given.get(name), Mapping) else ()
    inside = [shown(key) for key in first["loc"][1:2] if key in parts]
    expected = kind.__pydantic_fields__[name].description or "a text"
    return BadValue(f"{', '.join([name, *inside])}: expected {expected}, got {value}")


def choices(kind: Any, name: str) -> tuple[str, ...]:
    """The values that a field takes, if those are listed."""
    field = kind.__pydantic_fields__[name]
    listed = [one.names for one in field.metadata if isinstance(one, OneOf)]
    return tuple(listed[0]) if listed else get_args(field.annotation)


def _names(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


@checked
class Common:
    """The settings that cells of every paper have. A paper's own class gives them defaults and adds others.

    Raises:
        BadValue: a value outside its range.
    """

    VICTIM: ClassVar[tuple[str, ...]]  # the fields that trained weights depend on; who shares them, shares a checkpoint
    TITLES: ClassVar[tuple[str, ...]] = ()  # what the pages call its attacks
    RESUMES: ClassVar[bool] = False  # whether a cell is mostly training: interrupted, it goes on the next time
    NOTED: ClassVar[tuple[str, ...]] = ()  # what is recorded of its victim's training besides seconds: see `run.NOTES`

    paper: str
    profile: Annotated[str, OneOf(PROFILES)] = "paper"
    dataset: DataName
    network: str
    attack: str
    train_size: Size = 0  # images that the victim is trained on; 0: all that there are for it
    batch_size: Count = 128
    learning_rate: Rate = 1e-3
    augmentation: Annotated[str, OneOf(AUGMENTATIONS)] = "none"
    seed: Size = 0
    version: Count = 1  # of the experiment: raised when what it measures changes
    precision: Precision = "bfloat16"

    def __post_init__(self) -> None:
        train, test = self.available()
        for name, most in {"train_size": train, "test_size": test, "curve_size": test, "loss_size": test}.items():
            if getattr(self, name, 0) > most:
                raise BadValue(f"{name}: expected at most {most}, the images that there are, got {getattr(self, name)}")

    @property
    def of_seed(self) -> tuple[str, ...]:
        """The settings in which the cells of one row differ."""
        return ("seed",)

    def available(self) -> tuple[int, int]:
        """How many images there are to train on, and to test on."""
        return data.SIZES[self.dataset]

    @classmethod
    def attacks(cls) -> tuple[str, ...]:
        """The attacks that cells of this class measure; none for what is only the base of other classes."""
        return choices(cls, "attack")

    @classmethod
    def grid(cls, profile: str) -> list[Self]:
        """Cells that the paper's grid has besides its own."""
        return []

    def chosen(self, names: str) -> dict[str, Any]:
        """Some of the settings, for a function that calls them the same."""
        return {name: getattr(self, name) for name in names.split()}

    def training_work(self) -> float:
        """Images that training passes through the network, forward and backward counted three."""
        raise NotImplementedError

    def work(self) -> float:
        """The same of training and attack together: what a cell's cost is proportional to."""
        raise NotImplementedError

    def architecture(self) -> dict[str, Any]:
        """What `models.build` needs besides the network's name and the shape of the data."""
        raise NotImplementedError

    def untrained(self, dataset: Dataset) -> Network:
        """The network with the weights it starts from."""
        sizes: dict[str, Any] = {"shape": dataset.shape, "classes": len(dataset.classes)}
        return models.build(self.network, **sizes, **self.architecture())

    def train(self, network: Network, dataset: Dataset, **usual: Any) -> dict[str, Any]:
        """Train `network` in place, given `device`, `snapshot` and `progress`; returns losses, seconds and what else is noted."""
        raise NotImplementedError

    def trained_as(self) -> Self:
        """The cell under which trained weights are kept: this one, but for settings that mean nothing to it."""
        return self

    def check(self, dataset: Dataset) -> None:
        """See that the data hold what the cell needs, before hours of training.

        Raises:
            BadValue: they do not.
        """

    def victim(self, bench: Bench) -> tuple[Any, dict[str, Any]]:
        """What is attacked, here the trained network itself, and the notes of its training."""
        return bench.network(self)

    def measure(self, bench: Bench, victim: Any) -> Result:
        """Attack the victim and measure."""
        raise NotImplementedError


def part_of(cell: Any, kind: type[T], **changes: Any) -> T:
    """The part of a cell that a config of the library needs: the fields that both have, with some changed."""
    shared = {name: getattr(cell, name) for name in _names(kind) if hasattr(cell, name)}
    return kind(**{**shared, **changes})
