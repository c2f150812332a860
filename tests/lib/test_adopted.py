"""Classifiers that are not ours: adopted as victims, dropout seeded, weights shared; and attacked as they are."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small

from lib import evasion, models, seeds, training
from lib.data import Split
from lib.errors import BadValue
from lib.judging import judge
from lib.layers import Dropout
from lib.training import robust
from lib.uncertainty import estimate

SHAPE = (3, 8, 8)


def generator(seed: int = 0) -> torch.Generator:
    return seeds.generator(seed, "test")


def own(*dropout: nn.Module) -> nn.Module:
    """A classifier as anyone would write it, in evaluation mode."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), *dropout, nn.Flatten(), nn.Linear(6 * 36, 4)]
    return nn.Sequential(*layers).eval()


class Written(nn.Module):
    """A classifier whose layers are attributes, one of them used under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU())
        self.first = self.second = nn.Dropout(0.5)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.second(self.body(x)))
        return found


class Viewed(nn.Module):
    """A classifier that flattens by a view, keeps its layers in a list too and has batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.drop = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.5)
        self.steps = [self.first, self.norm, self.drop]
        self.head = nn.Linear(6 * 36, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(len(x), 3, -1).view(x.shape)
        for step in self.steps:
            x = step(x)
        found: Tensor = self.head(x.flatten(1))
        return found


class Always(nn.Dropout):
    """Dropout that does not heed its mode."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, self.p)


def images(n: int = 5) -> Tensor:
    return torch.rand(n, *SHAPE, generator=generator(n))


def test_an_adopted_network_answers_as_its_module_does() -> None:
    module, x = own(nn.Dropout(0.5)), images()
    network = models.adopt(module)
    with torch.no_grad():
        assert torch.equal(network(x), module(x))
        assert torch.equal(nn.Sequential(*network.around_dropout())(x), module(x))
        assert torch.equal(estimate("none", module, generator=generator(), draws=1)(x), module(x).log_softmax(1))


def test_images_are_normalised_by_channel() -> None:
    mean, std = (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)
    module, x = own(), images()
    channels = [(x[:, i] - mean[i]) / std[i] for i in range(3)]
    with torch.no_grad():
        found = models.adopt(module, mean=mean, std=std)(x)
        assert torch.allclose(found, module(torch.stack(channels, 1)), atol=1e-6)
        one_for_all = models.adopt(module, mean=0.5, std=0.25)(x)
        assert torch.equal(one_for_all, models.adopt(module, mean=[0.5] * 3, std=[0.25] * 3)(x))


def test_weights_are_shared_and_the_module_stays_as_it_is() -> None:
    module = own(nn.Dropout(0.5)).train()
    network = models.adopt(module)
    victim = estimate("epistemic", network, generator=generator(), draws=3)
    assert module.training and not victim.network.training
    assert [type(layer) for layer in module.modules()].count(nn.Dropout) == 1
    assert {w.data_ptr() for w in network.parameters()} == {w.data_ptr() for w in module.parameters()}
    x = images()
    with torch.no_grad():
        before = network.eval()(x)
        next(module.parameters()).add_(1.0)
        assert not torch.equal(network(x), before)


@pytest.mark.parametrize("rate", [0.25, 0.3])
def test_draws_come_from_the_generator_alone_and_have_the_rate_of_the_layer(rate: float) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Dropout(rate), nn.Linear(192, 2, bias=False)).eval()
    with torch.no_grad():
        linear = module[2]
        assert isinstance(linear, nn.Linear)
        linear.weight.fill_(1.0)
    draws, before = 4000, torch.get_rng_state()
    x = torch.ones(1, *SHAPE)
    with torch.no_grad():
        first, again, other = (
            estimate("epistemic", module, generator=generator(s), draws=1).sample(x, draws) for s in (0, 0, 1)
        )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    # each logit is the sum of 192 units, kept with probability 1 - p and scaled by its inverse
    spread = math.sqrt(192 * rate / (1 - rate))
    assert abs(float(first[..., 0].mean()) - 192) < 5 * spread / math.sqrt(draws)
    assert abs(float(first[..., 0].std()) / spread - 1) < 5 / math.sqrt(2 * draws)


@pytest.mark.parametrize("kind", [nn.Dropout1d, nn.Dropout2d, nn.Dropout3d])
def test_dropout_of_channels_drops_whole_channels(kind: type[nn.Module]) -> None:
    sizes = {nn.Dropout1d: (7,), nn.Dropout2d: (3, 7), nn.Dropout3d: (2, 3, 7)}[kind]
    network = models.adopt(nn.Sequential(kind(0.5)))
    layer = next(layer for layer in network.modules() if isinstance(layer, Dropout))
    layer.sampling, layer.generator = True, generator()
    network.eval()
    y = layer(torch.ones(40, 50, *sizes)).flatten(2)
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(y.amin(2), y.amax(2))
    assert abs(float((y[..., 0] != 0).float().mean()) - 0.5) < 5 * 0.5 / math.sqrt(2000)


def test_a_module_that_flattens_by_a_view_is_attacked_trained_and_drawn_from() -> None:
    module, x, y = Viewed().eval(), images(3), torch.tensor([0, 1, 2])
    assert evasion.hop_skip_jump(module, x, y, generator=generator(), iterations=1).calls
    victim = estimate("epistemic", module, generator=generator(), draws=3)
    with torch.no_grad():
        assert not torch.equal(victim(x), victim(x))  # the list of its layers has ours too
        assert torch.equal(victim.network(x), module(x))  # a victim leaves its network as it was
    assert [type(step) for step in module.steps] == [nn.Conv2d, nn.BatchNorm2d, nn.Dropout]
    pictures = Split((images(8) * 255).to(torch.uint8), torch.arange(8) % 4)
    before = module.norm.running_mean.clone() if module.norm.running_mean is not None else x
    training.fit(models.adopt(module), pictures, training.TrainingConfig(epochs=1), seed=0)
    assert module.norm.running_mean is not None and not torch.equal(module.norm.running_mean, before)


def test_hooks_go_along() -> None:
    module = own()
    module.register_forward_pre_hook(lambda _, given: (2 * given[0] - 1,))
    with torch.no_grad():
        assert torch.equal(models.adopt(module)(images()), module(images()))


def test_every_layer_keeps_its_mode() -> None:
    module = Viewed().train()
    module.norm.eval()
    network = models.adopt(module)
    modes = {type(layer): layer.training for layer in network.modules()}
    assert modes.pop(nn.BatchNorm2d) is False and all(modes.values())
    assert not any(layer.training for layer in models.adopt(Viewed().eval()).modules())


@pytest.mark.parametrize("numbers", [2, 4])
def test_means_of_other_channels_than_the_images_have_are_an_error(numbers: int) -> None:
    network = models.adopt(own(), mean=[0.5] * numbers, std=[1.0] * numbers)
    with pytest.raises(BadValue, match=f"expected 1 or 3 numbers .* got {numbers}"):
        network(images())


def test_a_layer_of_two_names_is_replaced_under_both() -> None:
    written = Written().eval()
    victim = estimate("epistemic", written, generator=generator(), draws=1)
    assert not any(isinstance(layer, nn.Dropout) for layer in victim.network.modules())
    x = images()
    with torch.no_grad():
        assert not torch.equal(victim(x), victim(x))


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (nn.AlphaDropout(0.2), "1: the masks of AlphaDropout cannot come from a generator"),
        (nn.MultiheadAttention(8, 2, dropout=0.1), "1: the masks of MultiheadAttention"),
        (nn.LSTM(8, 8, num_layers=2, dropout=0.1), "1: the masks of LSTM"),
        (nn.TransformerEncoderLayer(8, 2, dropout=0.1), "1: the masks of TransformerEncoderLayer"),
        (Always(0.5), "1: the masks of Always"),
        (nn.Dropout(1.0), "1: dropout: expected a finite number in [0, 0.999], got 1.0"),
        (nn.utils.weight_norm(nn.Linear(192, 2)), "network: Sequential cannot be copied"),
        (models.build("fully_connected", shape=SHAPE, classes=4, seed=0, width=4, heteroscedastic=True), "module: "),
    ],
)
def test_what_cannot_be_adopted_is_an_error(layer: nn.Module, told: str) -> None:
    with pytest.raises(BadValue) as caught:
        models.adopt(layer if told == "module: " else nn.Sequential(nn.Flatten(), layer))
    assert str(caught.value).startswith(told)


def test_a_scripted_module_is_an_error() -> None:
    with pytest.raises(BadValue, match="scripted"):
        models.adopt(torch.jit.trace(own(), images()))


@pytest.mark.parametrize("layer", [nn.MultiheadAttention(8, 2), nn.LSTM(8, 8), nn.AlphaDropout(0.0)])
def test_the_same_layers_without_dropout_are_welcome(layer: nn.Module) -> None:
    assert any(type(part) is type(layer) for part in models.adopt(nn.Sequential(layer)).modules())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"mean": (0.5, 0.5), "std": (1.0,)}, "mean, std: expected as many of each"),
        ({"mean": (), "std": (1.0,)}, "mean, std: "),
        ({"mean": (0.5,), "std": (0.0,)}, "mean, std: "),
        ({"mean": (math.nan,), "std": (1.0,)}, "mean, std: "),
    ],
)
def test_bad_normalisation_is_named(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue, match=told):
        models.adopt(own(), **settings)


@pytest.mark.parametrize(("estimator", "told"), [("epistemic", "dropout"), ("aleatoric", "second head")])
def test_an_estimator_that_the_network_cannot_bear_is_an_error(estimator: str, told: str) -> None:
    with pytest.raises(BadValue, match=told):
        estimate(estimator, own(), generator=generator(), draws=2)


SHORT: dict[str, dict[str, Any]] = {"pgd": {"steps": 2}, "pgd_aware": {"steps": 2, "draws": 3}, "apgd": {"steps": 2}}
SHORT |= {"carlini_wagner": {"epsilon": 2.0, "iterations": 3}, "jsma": {"epsilon": 40}, "square": {"queries": 5}}


@pytest.mark.parametrize("attack", evasion.ATTACKS)
@pytest.mark.parametrize("estimator", ["none", "epistemic"])
def test_every_gradient_attack_attacks_an_adopted_network(attack: str, estimator: str) -> None:
    victim = estimate(estimator, own(nn.Dropout2d(0.2)), generator=generator(), draws=3)
    x = images(2)
    settings: dict[str, Any] = {"epsilon": 0.1, "generator": generator(), **SHORT.get(attack, {})}
    adversarial = evasion.ATTACKS[attack](victim, x, torch.tensor([1, 2]), **settings)
    assert adversarial.shape == x.shape and 0 <= float(adversarial.min()) <= float(adversarial.max()) <= 1
    assert len(judge(victim, adversarial, draws=4).answer) == 2


@pytest.mark.parametrize("attack", evasion.DECISION_ATTACKS)
def test_attacks_by_labels_take_a_module_as_it_is(attack: str) -> None:
    module, x = own(), images(3)
    with torch.no_grad():
        y = module(x).argmax(1)
        found = evasion.DECISION_ATTACKS[attack](module, x, y, generator=generator(), iterations=2)
        assert found.found.all() and (module(found.adversarial).argmax(1) != y).all()
    assert 0 <= float(found.adversarial.min()) <= float(found.adversarial.max()) <= 1


@pytest.mark.parametrize(
    "layer", [nn.Dropout(0.5), nn.BatchNorm2d(6), Dropout(0.5), nn.FeatureAlphaDropout(), nn.RReLU()]
)
def test_a_module_in_training_mode_is_an_error_where_that_changes_its_answers(layer: nn.Module) -> None:
    module, x, y = own(layer), images(2), torch.tensor([1, 2])
    evasion.fgsm(module, x, y, epsilon=0.1)
    with pytest.raises(BadValue, match="training mode"):
        evasion.fgsm(module.train(), x, y, epsilon=0.1)
    with pytest.raises(BadValue, match="training mode"):
        evasion.hop_skip_jump(module, x, y, generator=generator())


@pytest.mark.parametrize("layer", [nn.Dropout(0.0), Dropout(0.0)])
def test_dropout_that_never_drops_may_be_in_training_mode(layer: nn.Module) -> None:
    evasion.fgsm(own(layer).train(), images(2), torch.tensor([1, 2]), epsilon=0.1)


def test_an_adopted_network_of_torchvision_trains_and_is_attacked() -> None:
    """Its dropout stands deep inside, in place and behind a flattening of its own."""
    network = models.adopt(mobilenet_v3_small(num_classes=4), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    pictures = (images(12) * 255).to(torch.uint8)
    history = training.fit(network, Split(pictures, torch.arange(12) % 4), training.TrainingConfig(epochs=1), seed=0)
    assert len(history.losses) == 1 and not network.training
    victim = estimate("epistemic", network, generator=generator(), draws=4)
    x = images(2)
    with torch.no_grad():
        assert not torch.equal(victim(x), victim(x))
    assert evasion.fgsm(victim, x, torch.tensor([0, 1]), epsilon=0.1).shape == x.shape


def test_the_bounds_of_a_module_stay_its_own() -> None:
    module = own()
    module.bounds = (0.0, 255.0)  # type: ignore[assignment]
    assert models.adopt(module).bounds == estimate("none", module, generator=generator(), draws=1).bounds == (0, 255)
    assert estimate("none", own(), generator=generator(), draws=1).bounds == (0, 1)


@pytest.mark.parametrize("wrong", [lambda x: x, "network", None])
def test_what_is_no_module_cannot_be_adopted(wrong: Any) -> None:
    with pytest.raises(BadValue, match=r"^network: expected a torch\.nn\.Module, got "):
        models.adopt(wrong)


def test_a_module_with_a_lock_cannot_be_copied() -> None:
    module = own()
    module.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(BadValue, match=r"^network: Sequential cannot be copied"):
        models.adopt(module)


def test_numpys_numbers_are_numbers() -> None:
    x = torch.rand(2, *SHAPE)
    found = models.adopt(own(), mean=np.float32(0.5), std=np.float32(0.25))(x)
    torch.testing.assert_close(found, models.adopt(own(), mean=0.5, std=0.25)(x))


def test_a_victim_is_no_network() -> None:
    victim = estimate("none", own(), generator=generator(), draws=1)
    with pytest.raises(BadValue, match=r"^network: expected a network, got a victim, Deterministic"):
        estimate("none", victim, generator=generator(), draws=1)


def test_training_does_not_move_what_was_adopted() -> None:
    """Weights would move with the network, buffers of the module would stay behind."""
    network = models.adopt(own().to("meta"))
    split = Split(torch.zeros(4, *SHAPE, dtype=torch.uint8), torch.zeros(4, dtype=torch.long))
    told = "^network: was adopted on meta; to train on cpu, move your module and adopt it then$"
    with pytest.raises(BadValue, match=told):
        training.fit(network, split, training.TrainingConfig(epochs=1), seed=0)
    with pytest.raises(BadValue, match=told):
        robust.fit_robust(network, split, robust.RobustConfig(batch_size=4), seed=0)
