"""Many images go through an attack in pieces: the same results, whatever the pieces, and no more memory for more of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import small_digits
import torch
from torch import Tensor, nn

from lib.evasion import ATTACKS, Look, pieces
from lib.models import Network
from lib.uncertainty import Deterministic, Heteroscedastic, MonteCarloDropout, Victim

ROOT = Path(__file__).parents[2]
BUDGET = {"fgsm": 0.1, "carlini_wagner": 2.0, "jsma": 40}
SHORT: dict[str, dict[str, Any]] = {"pgd": {"steps": 3, "restarts": 3}, "pgd_aware": {"steps": 3}}
SHORT |= {"apgd": {"steps": 5}, "square": {"queries": 20}}
SHORT |= {"carlini_wagner": {"iterations": 4, "search_steps": 2}, "jsma": {"gamma": 0.1}}
EACH = pytest.mark.parametrize("name", ATTACKS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network() -> Network:
    return small_digits.network()


def attack_of(name: str) -> Callable[..., Tensor]:
    return partial(ATTACKS[name], epsilon=BUDGET.get(name, 0.1), **SHORT.get(name, {}))


class Counted(nn.Module):
    """A victim that keeps how many images each of its calls had."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.sizes = inner, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        scores: Tensor = self.inner(x)
        return scores


@pytest.mark.parametrize("name", sorted({*ATTACKS} - {"square"}))  # of which all is random, and drawn for a piece
@pytest.mark.parametrize("targeted", [False, True])
def test_pieces_change_nothing(name: str, targeted: bool, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random starts of PGD are drawn for all images at once."""
    x, y = small_digits.images(23)
    aim, epsilon = (y + 1) % 10 if targeted else y, torch.linspace(0.2, 1, 23) * BUDGET.get(name, 0.1)
    attack = partial(attack_of(name), targeted=targeted, epsilon=epsilon)

    def starts() -> torch.Generator | None:
        return None if name == "apgd" else generator()

    whole = attack(network, x, aim, generator=starts())
    monkeypatch.setitem(pieces.ATTACK_BATCH, "cpu", 7)
    victim = Counted(network).eval()
    found = attack(victim, x, aim, generator=starts())
    assert torch.equal(found, whole) or name == "carlini_wagner"
    torch.testing.assert_close(
        found, whole, atol=1e-4, rtol=0
    )  # Adam enlarges how a product of another size is rounded
    assert max(victim.sizes) == 7


@EACH
def test_more_images_than_go_at_once_never_do(name: str, network: Network) -> None:
    x, y = (part.repeat(6, *[1] * (part.dim() - 1)) for part in small_digits.images(100))
    victim = Counted(network).eval()
    attack_of(name)(victim, x, y, generator=generator())
    assert max(victim.sizes) == pieces.ATTACK_BATCH["cpu"] < len(x)


@pytest.mark.parametrize(("draws", "n"), [(5, 50), (10, 25), (300, 1)])
def test_as_many_images_times_draws_as_an_experiment_has_at_once_are_one_piece(
    draws: int, n: int, network: Network
) -> None:
    """What a random victim draws follows the pieces: of a batch of this size the draws are those of one call."""
    victim = MonteCarloDropout(network, generator=generator(), draws=draws)
    for one in (victim, Look(victim, "mean", draws=draws), Look(victim, "expectation", draws=draws)):
        assert pieces.images_at_once("cpu", pieces.passes(one)) == n
    assert pieces.passes(Look(victim, "one_draw", draws=draws)) == 1
    assert pieces.passes(victim, 3) == 3
    others: list[nn.Module] = [
        network,
        Deterministic(network),
        Heteroscedastic(network, generator=generator(), draws=draws),
    ]
    for other in others:
        assert pieces.passes(other) == 1
        assert not isinstance(other, Victim) or pieces.passes(Look(other, "expectation", draws=draws)) == 1


@pytest.mark.parametrize(
    ("features", "n"), [(784, 250), (3 * 32 * 32, 250), (3 * 64 * 64, 62), (3 * 224 * 224, 5), (10**9, 1)]
)
def test_of_larger_images_there_are_as_many_fewer(features: int, n: int) -> None:
    assert pieces.images_at_once("cpu", 1, features) == n


MEASURED = """
import resource
import torch
from lib import models
from lib.evasion import ATTACKS

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

torch.set_num_threads(1)
network = models.build("basic_cnn", shape=(3, 32, 32), classes=10, seed=0, width=16).eval()
x, y = torch.rand(1024, 3, 32, 32), torch.zeros(1024, dtype=torch.long)
settings = {"pgd": {"epsilon": 0.03, "steps": 1}, "carlini_wagner": {"iterations": 1}}
for name, own in settings.items():
    ATTACKS[name](network, x[:2], y[:2], **own)
before = peak()
for name, own in settings.items():
    ATTACKS[name](network, x, y, **own)
print(peak() - before)
"""


def test_the_memory_of_a_thousand_images_is_that_of_a_piece() -> None:
    """In MiB: about 140; it was about 480 when all of them went at once."""
    run = subprocess.run([sys.executable, "-c", MEASURED], cwd=ROOT, text=True, capture_output=True, check=True)
    assert float(run.stdout) < 300
