"""Modules as other people write them: dropout as a function, views, traced code, modes set by hand, answers in an object."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import dropout as drop
from torchvision.models import DenseNet

from lib import data, evasion, models, seeds
from lib.errors import BadValue
from lib.evasion import fgsm, hop_skip_jump, pgd, pieces
from lib.judging import judge
from lib.uncertainty import RandomVictim, Victim, estimate

UNITS = 4000


def generator(seed: int = 0) -> torch.Generator:
    return seeds.generator(seed, "test")


def images(n: int = 3, shape: tuple[int, int, int] = (1, 28, 28)) -> Tensor:
    return torch.rand(n, *shape, generator=generator(n))


class Own(nn.Module):
    """Two logits, of which the first is the mean of what `layers` leave of an image."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        kept = self.layers(x).flatten(1).mean(1)
        return torch.stack([kept, 1 - kept], 1)


# --- dropout as a function --------------------------------------------------------------------------------------------


class Plain(Own):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.5, self.training))


class InPlace(Own):
    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        F.dropout(x, training=self.training, inplace=True)
        return super().forward(x)


class Channels(Own):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout2d(x, p=0.5, training=self.training))


class Core(Own):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.dropout(x, 0.5, self.training))


class Imported(Own):
    def forward(self, x: Tensor) -> Tensor:
        return self.helped(x)

    def helped(self, x: Tensor) -> Tensor:
        return super().forward(drop(x, 0.5, self.training))


@pytest.mark.parametrize("kind", [Plain, InPlace, Channels, Core, Imported])
@pytest.mark.parametrize(("layers", "rate"), [((), 0.5), ((nn.Dropout(0.5),), 0.75)])
def test_dropout_that_is_called_as_a_function_is_drawn_from_the_generator(
    kind: type[Own], layers: tuple[nn.Module, ...], rate: float
) -> None:
    module, x = kind(*layers).eval(), torch.ones(2, UNITS, 1, 1)
    before = torch.get_rng_state()
    with torch.no_grad():
        first, again, other = (
            estimate("epistemic", module, generator=generator(s), draws=1).sample(x, 20) for s in (0, 0, 1)
        )
        off = estimate("none", module, generator=generator(), draws=1)
        assert torch.equal(off.sample(x)[0], module(x)) and torch.equal(module(x)[:, 0], torch.ones(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again) and not torch.equal(first, other) and len(first[..., 0].unique()) > 10
    # the mean of UNITS ones, kept with probability 1 - p and scaled by its inverse
    spread = math.sqrt(rate / (1 - rate) / UNITS)
    assert abs(float(first[..., 0].mean()) - 1) < 5 * spread / math.sqrt(40)
    assert abs(float(first[..., 0].std()) / spread - 1) < 5 / math.sqrt(2 * 40)


def densenet(rate: float) -> nn.Module:
    torch.manual_seed(0)
    return DenseNet(4, (1, 1), 4, drop_rate=rate, num_classes=4).eval()


def test_torchvisions_densenet_becomes_a_random_victim_and_is_attacked() -> None:
    x, y = images(2, (3, 32, 32)), torch.tensor([1, 2])
    victim = estimate("epistemic", densenet(0.5), generator=generator(), draws=3)
    with torch.no_grad():
        assert not torch.equal(victim(x), victim(x))
    adversarial = fgsm(victim, x, y, epsilon=0.1)
    assert judge(victim, adversarial, draws=4).vote.shape == (2,)


def test_a_network_that_drops_nothing_is_told_so() -> None:
    """Its code calls dropout, behind a rate that is 0."""
    victim = estimate("epistemic", densenet(0.0), generator=generator(), draws=3)
    with pytest.raises(BadValue, match="needs a network with dropout, and this one called none"):
        victim(images(2, (3, 32, 32)))


class Attending(Own):
    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(x, training=self.training)
        return super().forward(F.scaled_dot_product_attention(x, x, x, dropout_p=0.2))


class Alpha(Own):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.alpha_dropout(x, 0.2, self.training))


@pytest.mark.parametrize(("kind", "name"), [(Attending, "scaled_dot_product_attention"), (Alpha, "alpha_dropout")])
def test_functions_that_drop_by_masks_of_their_own_are_refused_by_name(kind: type[Own], name: str) -> None:
    victim = estimate("epistemic", kind().eval(), generator=generator(), draws=3)
    with pytest.raises(BadValue, match=f"^network: the masks of {name} cannot come from a generator$"):
        victim(images())


# --- images as PyTorch's examples expect them -------------------------------------------------------------------------


class Classic(nn.Module):
    """The network of PyTorch's MNIST example of 2017, whose view needs images in plain storage."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 10, kernel_size=5), nn.Conv2d(10, 20, kernel_size=5)
        self.conv2_drop = nn.Dropout2d()
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 320)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


@pytest.fixture
def classic() -> nn.Module:
    torch.manual_seed(0)
    return Classic().eval()


@pytest.fixture
def digits() -> tuple[Tensor, Tensor]:
    return data.load("digits_as_mnist").test.take(torch.arange(4))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_taken_in_plain_storage_whatever_the_layout_of_a_split(
    channels: int, layout: torch.memory_format
) -> None:
    pixels = torch.randint(256, (5, channels, 7, 9), dtype=torch.uint8).to(memory_format=layout)
    x, _ = data.Split(pixels, torch.arange(5)).take(torch.tensor([3, 1]))
    assert x.stride() == (channels * 63, 63, 9, 1) and torch.equal(x, pixels[[3, 1]].float() / 255)


SHORT: dict[str, dict[str, Any]] = {"pgd": {"steps": 3}, "pgd_aware": {"steps": 2, "draws": 3}, "apgd": {"steps": 2}}
SHORT |= {"carlini_wagner": {"epsilon": 2.0, "iterations": 3}, "jsma": {"epsilon": 40}, "square": {"queries": 5}}


@pytest.mark.parametrize("estimator", ["none", "epistemic"])
@pytest.mark.parametrize("attack", evasion.ATTACKS)
def test_a_network_that_views_is_attacked_with_gradients(
    attack: str, estimator: str, classic: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = digits
    victim = estimate(estimator, classic, generator=generator(), draws=3)
    settings: dict[str, Any] = {"epsilon": 0.1, "generator": generator(), **SHORT.get(attack, {})}
    for one in (victim, classic):
        adversarial = evasion.ATTACKS[attack](one, x, y, **settings)
        assert classic(adversarial).shape == (4, 10)
    assert judge(victim, x, draws=4).answer.shape == (4,)


@pytest.mark.parametrize("attack", evasion.DECISION_ATTACKS)
def test_a_network_that_views_is_attacked_by_labels(
    attack: str, classic: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, _ = digits
    y = classic(x).argmax(1)
    found = evasion.DECISION_ATTACKS[attack](classic, x, y, generator=generator(), iterations=2)
    assert classic(found.adversarial).shape == (4, 10)


def test_images_that_come_in_other_strides_are_set_right_by_adopting(classic: nn.Module) -> None:
    x = torch.rand(4, 28, 28, 1).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = classic(x.reshape(4, 784).view(4, 1, 28, 28))
        torch.testing.assert_close(models.adopt(classic)(x), expected)


# --- traced and scripted code -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("compiled", ["traced", "scripted", "frozen"])
def test_a_compiled_victim_is_attacked_as_its_source_is(
    compiled: str, classic: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = digits
    other = torch.jit.trace(classic, x) if compiled == "traced" else torch.jit.script(classic)
    other = torch.jit.freeze(other) if compiled == "frozen" else other
    torch.testing.assert_close(fgsm(other, x, y, epsilon=0.1), fgsm(classic, x, y, epsilon=0.1))
    walked = [pgd(victim, x, y, epsilon=0.1, step_size=0.05, steps=3) for victim in (other, classic)]
    torch.testing.assert_close(*walked, atol=1e-3, rtol=0)
    label = classic(x).argmax(1)
    found = hop_skip_jump(other, x, label, generator=generator(), iterations=1)
    assert (classic(found.adversarial).argmax(1) != label)[found.found].all()
    with pytest.raises(BadValue, match="scripted"):
        estimate("none", other, generator=generator(), draws=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_victim_in_training_mode_is_refused(classic: nn.Module, digits: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(BadValue, match="training mode"):
        fgsm(torch.jit.script(classic).train(), *digits, epsilon=0.1)


# --- modes ------------------------------------------------------------------------------------------------------------


def outside(x: Tensor, layer: nn.Module) -> Tensor:
    return F.dropout(x, 0.5, layer.training)


def decorator(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def wrapped(*arguments: Any) -> Tensor:
        return forward(*arguments)

    return wrapped


class Direct(Own):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, training=self.training))


class Inherits(Direct):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Calls(Own):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(outside(x, self))


class Decorated(Own):
    @decorator
    def forward(self, x: Tensor) -> Tensor:
        return Own.forward(self, F.dropout(x, training=self.training))


class Wrapped(Own):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return Own.forward(self, F.dropout(x, training=self.training))


def replaced() -> nn.Module:
    module = Own()
    module.forward = lambda x: Own.forward(module, outside(x, module))  # type: ignore[method-assign]
    return module


@pytest.mark.parametrize("kind", [Direct, Inherits, Imported, Calls, Decorated, Wrapped])
@pytest.mark.filterwarnings("ignore::lib.errors.VictimWarning")  # its scores happen to lie in [0, 1] and to sum to 1
def test_a_module_that_heeds_its_mode_must_be_evaluating_however_it_is_written(kind: type[Own]) -> None:
    module, x, y = kind(), images(), torch.tensor([0, 1, 0])
    for attack in (functools.partial(fgsm, epsilon=0.1), functools.partial(hop_skip_jump, generator=generator())):
        with pytest.raises(BadValue, match=r"got network \(\w+\) in training mode: call eval\(\) first"):
            attack(module, x, y)  # type: ignore[operator]
    if kind is not Wrapped:
        fgsm(module.eval(), x, y, epsilon=0.1)


def test_a_forward_of_one_object_alone_counts_too() -> None:
    with pytest.raises(BadValue, match="training mode"):
        fgsm(replaced(), images(), torch.tensor([0, 1, 0]), epsilon=0.1)


@pytest.mark.filterwarnings("ignore::lib.errors.VictimWarning")  # its scores happen to lie in [0, 1] and to sum to 1
def test_one_that_heeds_no_mode_may_be_in_any() -> None:
    fgsm(Own().train(), images(), torch.tensor([0, 1, 0]), epsilon=0.1)


def test_whoever_keeps_dropout_on_by_hand_is_shown_estimate(classic: Classic, digits: tuple[Tensor, Tensor]) -> None:
    classic.conv2_drop.train()
    told = r"got conv2_drop \(Dropout2d\) in training mode: .* uncertainty\.estimate\('epistemic', \.\.\.\)$"
    with pytest.raises(BadValue, match=told):
        fgsm(classic, *digits, epsilon=0.1)


# --- answers ----------------------------------------------------------------------------------------------------------


class Answering(nn.Module):
    """One whose logits come as `form` makes them."""

    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.form, self.layers = form, nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 4))

    def forward(self, x: Tensor) -> Any:
        return self.form(self.layers(x))


def victims(form: Callable[[Tensor], Any]) -> list[Victim]:
    torch.manual_seed(0)
    module = Answering(form).eval()
    return [estimate(name, module, generator=generator(), draws=3) for name in ("none", "epistemic")]


def test_logits_in_an_object_are_taken_out_of_it() -> None:
    x, y = images(), torch.tensor([0, 1, 2])
    for victim, plain in zip(victims(lambda z: SimpleNamespace(logits=z)), victims(lambda z: z), strict=True):
        assert torch.equal(judge(victim, x, draws=4).scores["entropy"], judge(plain, x, draws=4).scores["entropy"])
        assert torch.equal(fgsm(victim, x, y, epsilon=0.1), fgsm(plain, x, y, epsilon=0.1))


@pytest.mark.parametrize(
    ("form", "got"),
    [
        (lambda z: z.repeat(5, 1), r"\(\d+, 4\)"),
        (lambda z: z[:-1], r"\(\d+, 4\)"),
        (lambda z: z[None], r"\(1, \d+, 4\)"),
        (lambda z: (z, z), "tuple"),
        (lambda z: {"logits": z}, "dict"),
    ],
)
def test_answers_that_are_no_logits_are_an_error(form: Callable[[Tensor], Any], got: str) -> None:
    for victim in victims(form):
        n = 3 * (3 if isinstance(victim, RandomVictim) else 1)
        with pytest.raises(
            BadValue, match=rf"^network: expected logits \({n}, k\) of {n} images, one row each, got {got}$"
        ):
            victim(images())


# --- devices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", "xpu", "hpu", "meta"])
def test_every_accelerator_takes_as_many_images_at_once(device: str) -> None:
    assert pieces.images_at_once(device, 10) == pieces.ATTACK_BATCH["cuda"] // 10
