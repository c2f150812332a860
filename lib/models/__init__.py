"""The papers' networks. `build(name, ...)` makes any of them, with its weights drawn from a seed; `adopt` takes yours.

Every network is a body of features, a head that gives logits, and, for a heteroscedastic one, a second head of the same
shape that gives the standard deviation of the logits. The architectures stand in one module a paper.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from .. import seeds
from ..errors import BadValue, check_choice, check_count, check_flag, shown
from ..inspection import calls_dropout
from ..layers import Dropout
from . import galinkin, harakeh, song
from .adopted import adopted
from .parts import Parts, Shape

__all__ = ["ARCHITECTURES", "WIDTHS", "Network", "Parts", "Shape", "adopt", "build", "draws"]

Architecture = Callable[[Shape, int, int, float], Parts]  # shape, classes, width and dropout rate to parts


class Network(nn.Module):
    """Images (n, c, h, w) to logits (n, k); a heteroscedastic one also gives sigma (n, k) > 0."""

    bounds: tuple[float, float] = (0.0, 1.0)  # of the images

    def __init__(self, parts: Parts, *, heteroscedastic: bool = False) -> None:
        super().__init__()
        self.body = parts.body
        self.head = parts.head()
        self.noise = parts.head() if heteroscedastic else None

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.head(self.body(x))
        return logits

    def around_dropout(self) -> tuple[nn.Module, nn.Module]:
        """What is the same in every draw, the layers before the first dropout, and the rest: one after the other is `forward`."""
        if not isinstance(self.body, nn.Sequential):
            return nn.Identity(), nn.Sequential(self.body, self.head)
        first = next((i for i, layer in enumerate(self.body) if draws(layer)), len(self.body))
        return self.body[:first], nn.Sequential(self.body[first:], self.head)

    def logits_and_sigma(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both heads on one pass through the body; sigma is the softplus of the second (Kendall and Gal 2017, eq. 12)."""
        if self.noise is None:
            raise TypeError("this network has no second head: build it with heteroscedastic=True")
        features = self.body(x)
        return self.head(features), nn.functional.softplus(self.noise(features))


def draws(network: nn.Module) -> bool:
    """Whether there is dropout in it, or code from elsewhere that calls it as a function."""
    return any((isinstance(layer, Dropout) and layer.p > 0) or calls_dropout(layer) for layer in network.modules())


ARCHITECTURES: dict[str, Architecture] = {
    "basic_cnn": harakeh.basic_cnn,
    "basic_cnn_tutorial": harakeh.basic_cnn_tutorial,
    "fully_convolutional": harakeh.fully_convolutional,
    "fully_convolutional_tutorial": harakeh.fully_convolutional_tutorial,
    "fully_connected": harakeh.fully_connected,
    "lenet5": galinkin.lenet5,
    "lenet5_coded": galinkin.lenet5_coded,
    "resnet18": galinkin.resnet_18,
    "shadow_coded": galinkin.shadow_coded,
    "yale_cnn": song.yale_cnn,
    "fashion_cnn": song.fashion_cnn,
    "wide_resnet": song.wide_resnet,
    "wide_resnet_short": partial(song.wide_resnet, units=1),
}
# The width that an architecture has in its paper, where it is not 64.
WIDTHS = {"fully_connected": 200, "lenet5": 6, "shadow_coded": 32, "yale_cnn": 8, "fashion_cnn": 256}
WIDTHS["wide_resnet"] = 160


def build(
    name: str | Architecture,
    *,
    shape: Shape,
    classes: int,
    seed: int,
    width: int | None = None,
    dropout: float = 0.0,
    heteroscedastic: bool = False,
) -> Network:
    """The network `name` for images of `shape`, in channels-last layout, its weights drawn from `seed`.

    Args:
        name: one of `ARCHITECTURES`, such as "lenet5", "fully_connected", "resnet18" or "wide_resnet"; or a function like theirs.
        shape: channels, height, width of an image.
        classes: how many logits.
        seed: of the weights.
        width: channels or units of the first layers, to which the others are in proportion; its paper's if None.
        dropout: rate of every dropout layer, 0 for none.
        heteroscedastic: whether there is a second head, for the standard deviation of the logits.

    Raises:
        BadValue: unknown name, a shape that is none or too small, a count below 1, a dropout rate outside [0, 1) or not 0 where
            the architecture has no place for dropout.
    """
    architecture = name if callable(name) else ARCHITECTURES[check_choice("network", name, ARCHITECTURES)]
    check_flag("heteroscedastic", heteroscedastic)
    if not isinstance(shape, Sequence) or len(shape) != 3:
        raise BadValue(f"shape: expected channels, height and width, got {shown(shape)}")
    c, h, w = (check_count("shape", size) for size in shape)
    width = check_count("width", WIDTHS.get(str(name), 64) if width is None else width)
    check_count("classes", classes)
    generator = seeds.generator(check_count("seed", seed, low=0), "weights")
    with torch.random.fork_rng([]):  # PyTorch draws first weights of its own, from its global generator
        try:  # without numbers, to see whether images of this shape go through
            with torch.device("meta"), warnings.catch_warnings(action="ignore"):
                Network(architecture((c, h, w), classes, width, dropout)).eval()(torch.empty(1, c, h, w))
        except RuntimeError as error:
            raise BadValue(f"shape: expected images that {name} can take, got {(c, h, w)} ({error})") from error
        parts = architecture((c, h, w), classes, width, dropout)
        network = Network(parts, heteroscedastic=heteroscedastic)
    for layer in network.modules():
        parts.initialise(layer, generator)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def adopt(module: nn.Module, *, mean: float | Sequence[float] = (), std: float | Sequence[float] = ()) -> Network:
    """Your own classifier as a network: it shares the weights of `module`, which stays as it is, but its dropout can be seeded.

    Args:
        module: images (n, c, h, w) to logits (n, k), or to an object that has them as `logits`. Dropout that it calls as a
            function can be seeded too, but for what stands behind an `if self.training` or is reached by a closure.
        mean: what is subtracted from each channel of an image, in [0, 1] or the module's own `bounds`, before `module` sees it,
            a number each or one for all; nothing if empty.
        std: what it is then divided by.

    Raises:
        BadValue: dropout inside attention, a transformer's or a recurrent layer, of another kind or with a rate of 1; a module
            that cannot be copied, or has a second head; a mean and a standard deviation that do not fit each other.
    """
    if isinstance(module, Network) and module.noise is not None:
        raise BadValue("module: has a second head, which adopting it would lose")
    network = Network(Parts(adopted(module, mean=mean, std=std), nn.Identity))
    network.bounds = getattr(module, "bounds", network.bounds)
    for layer in (network, network.body, *network.body.children(), network.head):
        layer.training = module.training  # and every layer of the module is in the mode that it was in
    return network
