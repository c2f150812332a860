"""Three layers that PyTorch has, rebuilt where its own would cost us: seeded dropout, a channels-last flatten, and convolutions
of few pixels; and what switches dropout, and gradients of weights, of a whole network on and off.

On a CPU both train three times as fast as PyTorch's own: `python -m benchmarks.layers` measures it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from .errors import BadValue, check_number
from .inspection import calls_dropout, heeds_mode, is_foreign


class Dropout(nn.Module):
    """Dropout whose masks come from its own generator, and that can stay on at inference (`sampling`).

    Each random 64-bit word serves eight units when `p` is a multiple of 1/256 and four otherwise, so `p` is exact to 2^-17.
    With `channels` a unit is a whole channel of (n, c, ...), as in `torch.nn.Dropout2d`.
    """

    def __init__(self, p: float, *, channels: bool = False) -> None:
        super().__init__()
        self.p = check_number("dropout", p, low=0.0, high=0.999)
        self.channels = channels
        self.sampling = False
        self.generator: torch.Generator | None = None
        fine = self.p * 256 != round(self.p * 256)
        self._bits, self._word = (16, torch.int16) if fine else (8, torch.int8)

    def forward(self, x: Tensor) -> Tensor:
        """`x` of any shape, masked and scaled by 1 / (1 - p) while training or sampling, unchanged otherwise."""
        if not (self.training or self.sampling) or self.p == 0:
            return x
        return x * self._mask(x.new_empty((*x.shape[:2], *[1] * (x.dim() - 2))) if self.channels else x)

    def _mask(self, x: Tensor) -> Tensor:
        per_word = 64 // self._bits
        words = torch.empty(-(-x.numel() // per_word), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self.generator)
        uniform = words.view(self._word)[: x.numel()]
        threshold = round(self.p * 2**self._bits) - 2 ** (self._bits - 1)
        # Compared straight into the type of x: through bool it takes five times as long on a CPU.
        mask = torch.ge(uniform, threshold, out=torch.empty_like(uniform, dtype=x.dtype)).mul_(1 / (1 - self.p))
        if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            n, c, h, w = x.shape
            return mask.view(n, h, w, c).permute(0, 3, 1, 2)
        return mask.view(x.shape)

    def extra_repr(self) -> str:
        """Shown in the printed network."""
        return f"p={self.p:g}"


class Flatten(nn.Module):
    """(n, c, h, w) to (n, h*w*c) in TensorFlow's order: a view, not a copy, of a channels-last tensor."""

    def forward(self, x: Tensor) -> Tensor:
        """One row an image."""
        return x.permute(0, 2, 3, 1).flatten(1)


class Conv2d(nn.Conv2d):
    """A convolution that is computed as the dense layer it is where every pixel of its output sees every pixel of its image.

    Of such images PyTorch's spends most of its time on a CPU rearranging weights. Square kernels, without groups or dilation.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, d, u, v)."""
        n, _, h, w = x.shape
        rows, columns = self._first_taps(h), self._first_taps(w)
        if not rows or not columns:
            return super().forward(x)
        # out_duv = sum_chw weight_dc,h-su+p,w-sv+p x_chw
        weight = self.weight.permute(0, 2, 3, 1)  # (d, k, k, c)
        dense = torch.cat([weight[:, r : r + h, q : q + w].flatten(1) for r in rows for q in columns])  # (u v d, h w c)
        bias = None if self.bias is None else self.bias.repeat(len(rows) * len(columns))
        out = F.linear(x.permute(0, 2, 3, 1).flatten(1), dense, bias)
        return out.view(n, len(rows), len(columns), self.out_channels).permute(0, 3, 1, 2)

    def _first_taps(self, size: int) -> list[int]:
        """By which tap each pixel of a row of the output sees the first of `size` pixels; empty if some see not all of them."""
        k, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        first = [padding - stride * u for u in range((size + 2 * padding - k) // stride + 1)]
        return first if first and first[-1] >= 0 and first[0] + size <= k else []


def set_sampling(network: nn.Module, *, sampling: bool, generator: torch.Generator | None = None) -> None:
    """Switch every `Dropout` of `network` on or off at inference, and hand it the generator its masks come from."""
    for layer in network.modules():
        if isinstance(layer, Dropout):
            layer.sampling = sampling
            if generator is not None:
                layer.generator = generator


# While training these answer at random from the global generator, or by the other images of the batch.
OTHER_IN_TRAINING = (Dropout, _DropoutNd, _NormBase, nn.MultiheadAttention, nn.RNNBase, nn.RReLU)


def check_evaluating(network: nn.Module) -> None:
    """See that no layer of `network` is in training mode, unless that changes nothing as far as its kind or its code tells."""
    for name, layer in network.named_modules():
        known = isinstance(layer, OTHER_IN_TRAINING) and getattr(layer, "p", 1.0) > 0
        if getattr(layer, "training", False) and (known or (is_foreign(layer) and heeds_mode(layer))):
            which = f"{name or 'network'} ({type(layer).__name__})"
            told = "call eval() first; for dropout that stays on there is uncertainty.estimate('epistemic', ...)"
            raise BadValue(f"victim: expected a network in evaluation mode, got {which} in training mode: {told}")


class SeededFunctions(TorchFunctionMode):
    """Inside, dropout that code calls as a function is on, whatever mode it was told, and its masks come from `generator`."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator, self.drew = generator, False  # whether any was called, at a rate above 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by PyTorch in place of each of its functions; one that drops by masks of its own is a `BadValue`."""
        kwargs = kwargs or {}
        if func in DROPOUTS:
            return self._drop(DROPOUTS[func], *args, **kwargs)
        if (at := OTHER_DROPOUTS.get(func)) is not None:
            rate = kwargs.get("p", kwargs.get("dropout_p", args[at] if at < len(args) else 0.0))
            if rate > 0:
                raise BadValue(f"network: the masks of {func.__name__} cannot come from a generator")
        return func(*args, **kwargs)

    def _drop(
        self, channels: bool, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, **mode: bool
    ) -> Tensor:
        layer = Dropout(p, channels=channels)
        layer.generator = self.generator
        self.drew |= p > 0
        return input.copy_(layer(input)) if inplace else layer(input)


# Functions that drop, and whether whole channels.
DROPOUTS: dict[Callable[..., Tensor], bool] = dict.fromkeys((F.dropout, torch.dropout), False)
DROPOUTS |= dict.fromkeys((F.dropout1d, F.dropout2d, F.dropout3d, torch.feature_dropout), True)
# Those that do so otherwise, and the place of the rate among what they are given.
ALPHA = (F.alpha_dropout, torch.alpha_dropout, F.feature_alpha_dropout, torch.feature_alpha_dropout)
OTHER_DROPOUTS: dict[Callable[..., Any], int] = dict.fromkeys(ALPHA, 1)
OTHER_DROPOUTS |= {F.scaled_dot_product_attention: 4, F.multi_head_attention_forward: 10}


@contextmanager
def sampling(network: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Inside, every dropout of `network` is on; whoever calls the network afterwards finds it as it was, whatever happened.

    Dropout whose masks cannot come from a generator is a `BadValue`, as is, in the end, a module from elsewhere that called none.
    """
    layers = list(network.modules())
    functions = SeededFunctions(generator)
    set_sampling(network, sampling=True, generator=generator)
    try:
        with functions if any(map(is_foreign, layers)) else nullcontext():
            yield
    finally:
        set_sampling(network, sampling=False)
    seeded = functions.drew or any(isinstance(layer, Dropout) and layer.p > 0 for layer in layers)
    if not seeded and any(map(calls_dropout, layers)):
        raise BadValue("estimator: epistemic needs a network with dropout, and this one called none: is its rate 0?")


@contextmanager
def only_input_gradients(network: nn.Module) -> Iterator[None]:
    """Inside, images take gradients, even where the caller has turned them off, and weights none, which would all be kept."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
