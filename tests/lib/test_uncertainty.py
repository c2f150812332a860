"""The three victims against their equations: exactly, with the randomness recorded, and in the mean, by enumeration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lib import layers, seeds
from lib.errors import BadValue
from lib.layers import Dropout, Flatten
from lib.models import Network, Parts
from lib.training import natural as training
from lib.uncertainty import Deterministic, Ensemble, Heteroscedastic, MonteCarloDropout, Victim, estimate


def generator(seed: int = 0) -> torch.Generator:
    return seeds.generator(seed, "test")


def images(n: int = 5) -> Tensor:
    return torch.rand(n, 1, 28, 28, generator=generator(n))


def linear(weight: list[list[float]], bias: list[float]) -> Network:
    """A network of one dense layer and, as its second head, another that can be set by `noise_head`."""
    classes, inputs = len(weight), len(weight[0])
    network = Network(Parts(Flatten(), lambda: nn.Linear(inputs, classes)), heteroscedastic=True)
    set_head(network.head, weight, bias)
    return network.eval()


def set_head(head: nn.Module | None, weight: Any, bias: Any) -> None:
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(torch.tensor(weight))
        head.bias.copy_(torch.tensor(bias))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """By its definition, in float64."""
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


# --- none -------------------------------------------------------------------------------------------------------------


def test_the_deterministic_victim_is_the_log_softmax_of_the_network(trained: Network) -> None:
    x = images()
    with torch.no_grad():
        found = Deterministic(trained)(x)
        assert torch.equal(found, torch.log_softmax(trained(x), 1)) and torch.equal(Deterministic(trained)(x), found)
    assert not Deterministic.random


def test_it_switches_dropout_off_that_another_victim_switched_on(trained: Network) -> None:
    x = images()
    with torch.no_grad():
        before = Deterministic(trained)(x)
        assert not torch.equal(MonteCarloDropout(trained, generator=generator(), draws=1)(x), before)
        assert torch.equal(Deterministic(trained)(x), before)


# --- epistemic --------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[Dropout, list[Tensor]]:
    """The masks that every layer draws, piece by piece."""
    masks: dict[Dropout, list[Tensor]] = {}
    draw = layers.Dropout._mask

    def record(layer: Dropout, x: Tensor) -> Tensor:
        mask = draw(layer, x)
        masks.setdefault(layer, []).append(mask)
        return mask

    monkeypatch.setattr(layers.Dropout, "_mask", record)
    return masks


def loop_over_draws(network: Network, x: Tensor, draws: int, recorded: dict[Dropout, list[Tensor]]) -> Tensor:
    """1/T sum_t softmax f(x, theta_t), one draw after the other, with the recorded masks as theta_t: (n, k), float64."""
    masks = {layer: torch.cat(pieces) for layer, pieces in recorded.items()}
    total = torch.zeros(())
    for t in range(draws):
        h = x
        assert isinstance(network.body, nn.Sequential)
        for layer in network.body:
            h = h * masks[layer][t * len(x) : (t + 1) * len(x)] if isinstance(layer, Dropout) else layer(h.clone())
        total = total + network.head(h).double().softmax(1)
    return total / draws


@pytest.mark.parametrize("draws", [1, 7])
@pytest.mark.parametrize(
    "max_batch", [2048, 20, 5, 1]
)  # all draws at once; four; one; one, though even that is too large
@pytest.mark.parametrize("name", ["basic_cnn_tutorial", "fully_convolutional", "fully_convolutional_tutorial"])
def test_folded_draws_are_a_loop_over_draws_with_the_same_masks(
    name: str, draws: int, max_batch: int, untrained: Callable[..., Network], recorded: dict[Dropout, list[Tensor]]
) -> None:
    network, x = untrained(name, dropout=0.4), images()
    victim = MonteCarloDropout(network, generator=generator(), draws=draws)
    victim.max_batch = max_batch
    with torch.no_grad():
        found = victim(x)
        at_once = min(draws, max(1, max_batch // len(x)))
        assert {len(pieces) for pieces in recorded.values()} == {math.ceil(draws / at_once)}
        expected = loop_over_draws(network, x, draws, recorded)
    torch.testing.assert_close(found.double().exp(), expected, atol=2e-6, rtol=1e-5)
    assert (
        len({tuple(mask.flatten().tolist()) for mask in torch.cat(next(iter(recorded.values()))).split(len(x))})
        == draws
    )


def test_what_comes_before_the_first_mask_is_computed_once(untrained: Callable[..., Network]) -> None:
    network, seen = untrained("lenet5", dropout=0.5), []
    first, second = (layer for layer in network.body.modules() if isinstance(layer, nn.Conv2d))
    for layer in (first, second):
        layer.register_forward_hook(lambda layer, given, _: seen.append((layer is first, len(given[0]))))
    victim = MonteCarloDropout(network, generator=generator(), draws=7)
    victim.max_batch = 15
    victim(images(5))
    assert seen == [(True, 5), (False, 15), (False, 15), (False, 5)]


def test_the_gradient_goes_through_the_mean_of_all_draws(
    untrained: Callable[..., Network], recorded: dict[Dropout, list[Tensor]]
) -> None:
    network, x, y = untrained(dropout=0.4), images().requires_grad_(), torch.tensor([3, 1, 4, 1, 5])
    found = torch.autograd.grad(F.nll_loss(MonteCarloDropout(network, generator=generator(), draws=6)(x), y), x)[0]
    expected = torch.autograd.grad(F.nll_loss(loop_over_draws(network, x, 6, recorded).log(), y), x)[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-3)
    assert float(found.abs().max()) > 1e-4


@pytest.mark.parametrize("max_batch", [7, 2048])
def test_the_mean_of_many_draws_is_the_sum_over_all_masks(max_batch: int) -> None:
    """Three units have eight masks, of known probabilities: the expectation in closed form, however draws are folded."""
    p, x = 0.3, torch.tensor([0.2, 0.9, 0.5])
    network = Network(Parts(nn.Sequential(Dropout(p), Flatten()), lambda: nn.Linear(3, 4)))
    set_head(network.head, [[3.0, -1, 0], [0, 2, -4], [1, 1, 1], [-2, 0, 5]], [0.1, 0, -0.5, 0])
    expected = np.zeros(4)
    for kept in itertools.product([0, 1], repeat=3):
        masked = x.numpy().astype(float) * kept / (1 - p)
        logits = network.head.weight.detach().numpy() @ masked + network.head.bias.detach().numpy()
        expected += np.exp(log_softmax(logits)) * (1 - p) ** sum(kept) * p ** (3 - sum(kept))
    draws = 4000
    victim = MonteCarloDropout(network, generator=generator(), draws=draws)
    victim.max_batch = max_batch
    with torch.no_grad():
        found = victim(x.view(1, 3, 1, 1)).exp().squeeze().numpy()
    assert expected.sum() == pytest.approx(1)
    assert np.abs(found - expected).max() < 5 * 0.5 / math.sqrt(draws)  # no share has a deviation above one half


def test_each_draw_is_available_and_their_mean_is_the_answer(trained: Network) -> None:
    x = images()
    with torch.no_grad():
        each = MonteCarloDropout(trained, generator=generator(3), draws=6).sample(x, 6).log_softmax(-1)
        mean = MonteCarloDropout(trained, generator=generator(3), draws=6)(x)
    assert each.shape == (6, 5, 10)
    torch.testing.assert_close(each.double().exp().mean(0), mean.double().exp(), atol=1e-6, rtol=1e-5)


# --- aleatoric --------------------------------------------------------------------------------------------------------

X = [[1.0, 2.0], [0.5, -1.0]]
WEIGHT, BIAS = [[1.0, 0.0], [0.0, 1.0], [-1.0, 2.0]], [0.5, 0.0, -0.25]
LOGITS = np.array([[1.5, 2.0, 2.75], [1.0, -1.0, -2.75]])  # X WEIGHT^T + BIAS, by hand
NOISE_WEIGHT, NOISE_BIAS = [[0.0, 0.0], [1.0, 0.0], [0.0, -1.0]], [0.0, 0.0, 1.0]
SIGMA = np.log1p(np.exp([[0.0, 1.0, -1.0], [0.0, 0.5, 2.0]]))  # softplus of X NOISE_WEIGHT^T + NOISE_BIAS, by hand


@pytest.fixture
def noisy() -> tuple[Network, Tensor]:
    """A network with known logits and sigma, and its two images."""
    network = linear(WEIGHT, BIAS)
    set_head(network.noise, NOISE_WEIGHT, NOISE_BIAS)
    return network, torch.tensor(X).view(2, 2, 1, 1)


@pytest.mark.parametrize("draws", [1, 2, 10])
def test_noisy_logits_are_averaged_and_then_passed_through_the_softmax(
    noisy: tuple[Network, Tensor], draws: int
) -> None:
    network, x = noisy
    noise = torch.randn(draws, 2, 3, generator=generator(7)).double().numpy()
    sampled = [LOGITS + SIGMA * noise[t] for t in range(draws)]
    with torch.no_grad():
        found = Heteroscedastic(network, generator=generator(7), draws=draws)(x)
    np.testing.assert_allclose(found.numpy(), log_softmax(sum(sampled) / draws), atol=1e-5)
    if draws == 10:  # the other order, a mean of softmaxes, is something else
        other = np.log(np.mean([np.exp(log_softmax(logits)) for logits in sampled], axis=0))
        assert np.abs(found.numpy() - other).max() > 0.01


def test_the_noise_of_the_mean_shrinks_with_the_number_of_draws(noisy: tuple[Network, Tensor]) -> None:
    """The mean of T logits has deviation sigma / sqrt(T)."""
    network, x = noisy
    for draws in (1, 25):
        victim = Heteroscedastic(network, generator=generator(), draws=draws)
        with torch.no_grad():
            answers = torch.stack([victim(x) for _ in range(2000)]).double()
        differences = (answers[..., 0] - answers[..., 1]).std(0).numpy()  # of log-probabilities, hence of logits
        expected = np.sqrt((SIGMA[:, 0] ** 2 + SIGMA[:, 1] ** 2) / draws)
        np.testing.assert_allclose(differences, expected, rtol=5 / math.sqrt(2 * 2000))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_training_loss_is_the_cross_entropy_of_noisy_logits(
    noisy: tuple[Network, Tensor], smoothing: float
) -> None:
    network, x = noisy
    y = torch.tensor([2, 1])
    noise = torch.randn(2, 3, generator=generator(9)).double().numpy()
    log_p = log_softmax(LOGITS + SIGMA * noise)
    by_hand = [-(1 - smoothing) * log_p[i, label] - smoothing / 3 * log_p[i].sum() for i, label in enumerate([2, 1])]
    found = training.cross_entropy(network, x, y, label_smoothing=smoothing, noise=generator(9))
    assert found.item() == pytest.approx(sum(by_hand) / 2, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_noise_everything_is_the_plain_network(noisy: tuple[Network, Tensor], smoothing: float) -> None:
    """softplus(-200) is 0 in float32."""
    network, x = noisy
    set_head(network.noise, np.zeros((3, 2)), [-200.0] * 3)
    y = torch.tensor([2, 1])
    plain = linear(WEIGHT, BIAS)
    plain.noise = None
    with torch.no_grad():
        loss = training.cross_entropy(network, x, y, label_smoothing=smoothing, noise=generator())
        assert loss == training.cross_entropy(plain, x, y, label_smoothing=smoothing, noise=generator())
        assert loss == F.cross_entropy(plain(x), y, label_smoothing=smoothing)
        assert torch.equal(Heteroscedastic(network, generator=generator())(x), Deterministic(plain)(x))


def test_the_loss_reaches_both_heads(noisy: tuple[Network, Tensor]) -> None:
    network, x = noisy
    training.cross_entropy(network, x, torch.tensor([2, 1]), label_smoothing=0.1, noise=generator()).backward()
    assert isinstance(network.head, nn.Linear) and isinstance(network.noise, nn.Linear)
    for head in (network.head, network.noise):
        assert head.weight.grad is not None and float(head.weight.grad.abs().max()) > 1e-3


# --- ensembles --------------------------------------------------------------------------------------------------------


def test_an_ensemble_is_the_mean_softmax_of_its_members() -> None:
    """Two linear networks, whose logits are known by hand."""
    x = torch.tensor(X).view(2, 2, 1, 1)
    other = [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    victim = Ensemble([linear(WEIGHT, BIAS), linear(other, [0.0, 0.0, 1.0])])
    by_hand = [LOGITS, np.array([[2.0, 1.0, 1.0], [-1.0, 0.5, 1.0]])]
    with torch.no_grad():
        found, samples = victim(x), victim.sample(x, 2)
    np.testing.assert_allclose(samples.numpy(), np.stack(by_hand), atol=1e-6)
    expected = np.log(np.mean([np.exp(log_softmax(logits)) for logits in by_hand], axis=0))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_the_gradient_goes_through_every_member(untrained: Callable[..., Network]) -> None:
    x, y = images().requires_grad_(), torch.tensor([3, 1, 4, 1, 5])
    networks = [untrained(seed=seed) for seed in range(3)]
    found = torch.autograd.grad(F.nll_loss(Ensemble(networks)(x), y), x)[0]
    mean = torch.stack([network(x).softmax(1) for network in networks]).mean(0)
    torch.testing.assert_close(found, torch.autograd.grad(F.nll_loss(mean.log(), y), x)[0], atol=1e-7, rtol=1e-3)


def test_an_ensemble_is_not_random_and_leaves_its_members_as_they_were(untrained: Callable[..., Network]) -> None:
    networks = [untrained(dropout=0.5, seed=seed).train() for seed in range(3)]
    before = [{name: value.clone() for name, value in network.state_dict().items()} for network in networks]
    victim, x = Ensemble(networks), images()
    assert victim.draws == len(victim.members) == 3 and not victim.random
    assert not any(module.training for network in networks for module in network.modules())
    with torch.no_grad():
        first = victim(x)
        assert torch.equal(victim(x), first)
        for draws in (1, 2, 3, 99):
            members = [network(x) for network in networks[:draws]]
            assert torch.equal(victim.sample(x, draws), torch.stack(members))
    for network, state in zip(networks, before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_an_ensemble_is_not_random_after_its_member_has_been(untrained: Callable[..., Network]) -> None:
    network = untrained(dropout=0.5)
    x = torch.rand(3, 1, 28, 28)
    MonteCarloDropout(network, generator=torch.Generator().manual_seed(0), draws=2)(x)
    ensemble = Ensemble([network])
    assert torch.equal(ensemble(x), ensemble(x))


def test_an_ensemble_of_one_is_that_network(trained: Network) -> None:
    x = images()
    with torch.no_grad():
        torch.testing.assert_close(Ensemble([trained])(x), Deterministic(trained)(x))


# --- draws and the answer they make -----------------------------------------------------------------------------------

SAMPLES = st.tuples(
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(2, 6),
    st.sampled_from([0.0, 1.0, 30.0]),
    st.integers(0, 2**32 - 1),
)


def drawn(parts: tuple[int, int, int, float, int]) -> Tensor:
    draws, n, classes, scale, seed = parts
    return scale * torch.randn(draws, n, classes, generator=torch.Generator().manual_seed(seed))


def two_victims() -> tuple[MonteCarloDropout, Heteroscedastic]:
    """One of each way to combine."""
    network = linear(WEIGHT, BIAS)
    return (
        MonteCarloDropout(network, generator=generator(), draws=1),
        Heteroscedastic(network, generator=generator(), draws=1),
    )


@given(SAMPLES)
def test_one_draw_is_its_own_answer_on_the_scale_of_its_logits(parts: tuple[int, int, int, float, int]) -> None:
    samples = drawn(parts)[:1]
    for victim in two_victims():
        torch.testing.assert_close(victim.combine(samples), samples[0], atol=1e-4, rtol=1e-5)


@given(SAMPLES)
def test_the_answer_is_the_mean_softmax_or_the_softmax_of_the_mean(parts: tuple[int, int, int, float, int]) -> None:
    samples = drawn(parts)
    epistemic, aleatoric = two_victims()
    mean = samples.double().softmax(-1).mean(0)
    torch.testing.assert_close(epistemic.combine(samples).double().softmax(-1), mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(aleatoric.combine(samples), samples.mean(0))


@given(SAMPLES, st.floats(-50, 50))
def test_logits_that_all_rise_make_an_answer_that_rises_as_much(
    parts: tuple[int, int, int, float, int], rise: float
) -> None:
    """The scale of logits, on which margins are measured, is kept."""
    samples = drawn(parts)
    for victim in two_victims():
        torch.testing.assert_close(victim.combine(samples + rise), victim.combine(samples) + rise, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("kind", ["none", "epistemic", "aleatoric", "ensemble"])
def test_the_answer_of_a_victim_is_what_its_draws_combine_to(kind: str, untrained: Callable[..., Network]) -> None:
    def make() -> Victim:
        if kind == "ensemble":
            return Ensemble([untrained(seed=seed) for seed in range(3)])
        return victim(kind, untrained, generator=generator(3), draws=6)

    x, first, second = images(), make(), make()
    with torch.no_grad():
        samples = second.sample(x, second.draws)
        found = second.combine(samples).log_softmax(1)
        assert samples.shape == ({"none": 1, "ensemble": 3}.get(kind, 6), len(x), 10)
        torch.testing.assert_close(first(x), found, atol=1e-5, rtol=1e-5)


# --- all three --------------------------------------------------------------------------------------------------------


def victim(kind: str, untrained: Callable[..., Network], **changes: Any) -> Victim:
    network = untrained(dropout=0.5 if kind == "epistemic" else 0.0, heteroscedastic=kind == "aleatoric")
    return estimate(kind, network, **{"generator": generator(), "draws": 4, **changes})


KINDS = pytest.mark.parametrize(
    ("kind", "expected"), [("none", Deterministic), ("epistemic", MonteCarloDropout), ("aleatoric", Heteroscedastic)]
)


@KINDS
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("n", [1, 6])
def test_answers_are_normalised_float32_log_probabilities(
    kind: str, expected: type[Victim], precision: str, n: int, untrained: Callable[..., Network]
) -> None:
    with torch.no_grad():
        found = victim(kind, untrained, precision=precision)(images(n))
    assert found.shape == (n, 10) and found.dtype == torch.float32 and bool((found <= 0).all())
    torch.testing.assert_close(found.double().logsumexp(1), torch.zeros(n, dtype=torch.float64), atol=1e-5, rtol=0)


@KINDS
def test_bfloat16_changes_an_answer_little(
    kind: str, expected: type[Victim], untrained: Callable[..., Network]
) -> None:
    with torch.no_grad():
        full, half = (victim(kind, untrained, precision=p)(images()).exp() for p in ("float32", "bfloat16"))
    assert not torch.equal(full, half)
    torch.testing.assert_close(half, full, atol=0.02, rtol=0)


@KINDS
def test_random_victims_draw_afresh_and_the_seed_repeats_them(
    kind: str, expected: type[Victim], untrained: Callable[..., Network]
) -> None:
    x = images()
    first, second, other = (victim(kind, untrained, generator=generator(seed)) for seed in (1, 1, 2))
    assert type(first) is expected
    before = torch.get_rng_state()
    with torch.no_grad():
        calls = [first(x) for _ in range(3)]
        assert all(torch.equal(call, second(x)) for call in calls)
        different = [not torch.equal(calls[0], answer) for answer in (calls[1], calls[2], other(x))]
    assert different == [expected.random] * 3
    assert torch.equal(torch.get_rng_state(), before)


@KINDS
def test_a_victim_is_in_evaluation_mode(kind: str, expected: type[Victim], untrained: Callable[..., Network]) -> None:
    network = untrained(heteroscedastic=True, dropout=0.5).train()
    assert not estimate(kind, network, generator=generator(), draws=1).network.training


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "bayesian"}, "estimator: unknown 'bayesian'; expected one of none, epistemic, aleatoric"),
        ({"kind": "epistemic", "draws": 0}, "draws: expected a whole number of at least 1, got 0"),
        ({"kind": "aleatoric", "draws": 2.5}, "draws: "),
        (
            {"kind": "epistemic", "precision": "float16"},
            "precision: unknown 'float16'; expected one of float32, bfloat16",
        ),
        ({"kind": "none", "precision": "half"}, "precision: "),
        ({"kind": "none", "draws": -5}, "draws: "),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], told: str, untrained: Callable[..., Network]) -> None:
    with pytest.raises(BadValue) as caught:
        victim(**change, untrained=untrained)
    assert str(caught.value).startswith(told)


def test_an_ensemble_of_nobody_is_refused() -> None:
    with pytest.raises(BadValue, match=r"^networks: expected one or more, got none$"):
        Ensemble([])


def test_a_draw_that_fails_leaves_the_network_as_it_was(untrained: Callable[..., Network]) -> None:
    network = untrained(dropout=0.5)
    with pytest.raises(RuntimeError):
        MonteCarloDropout(network, generator=generator(), draws=2)(torch.rand(2, 5, 28, 28))  # five channels
    assert torch.equal(network(images()), network(images()))


def test_gaussian_logits_alone_when_another_victim_left_dropout_on(untrained: Callable[..., Network]) -> None:
    network, x = untrained(dropout=0.5, heteroscedastic=True), images()
    with torch.no_grad():
        before = Heteroscedastic(network, generator=generator(), draws=4)(x)
        MonteCarloDropout(network, generator=generator(), draws=1)(x)
        assert torch.equal(Heteroscedastic(network, generator=generator(), draws=4)(x), before)
