"""Victims that are odd in one known way each are found to be so, and the others are not."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lib.errors import BadValue, VictimWarning
from lib.evasion import Look
from lib.evasion.examination import Examination, examine
from lib.models import Network
from lib.uncertainty import estimate


class Odd(nn.Module):
    """Four classes by the brightest quarter of images (n, 1, 2, 2), then made odd by a function of the logits."""

    def __init__(self, change: Callable[[Tensor], Tensor], *, random: bool = False) -> None:
        super().__init__()
        self.change, self.random = change, random

    def forward(self, x: Tensor) -> Tensor:
        return self.change(x.flatten(1))


def images(n: int = 8) -> tuple[Tensor, Tensor]:
    x = 0.1 + 0.8 * torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    return x, x.flatten(1).argmax(1)


def told(victim: nn.Module, x: Tensor, y: Tensor) -> tuple[Examination, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = examine(victim, x, y)
    assert all(one.category is VictimWarning for one in caught)
    return found, [str(one.message) for one in caught]


def test_a_victim_without_oddities_is_passed_in_silence() -> None:
    x, y = images()
    found, said = told(Odd(lambda z: 3 * z), x, y)
    assert not said and not found.random and not found.probabilities
    assert set(found.zero_gradients.values()) == {0.0} and set(found.zero_gradients) == {
        "cross_entropy",
        "log_odds",
        "dlr",
    }
    assert (found.low, found.high) == (float(x.min()), float(x.max()))


@pytest.mark.parametrize("random", [False, True])
def test_random_answers_are_found_and_told_of_unless_the_victim_says_so(random: bool) -> None:
    found, said = told(Odd(lambda z: z + 0.01 * torch.randn(z.shape), random=random), *images())
    assert found.random and len(said) == (not random) and all("in two ways" in one for one in said)


def test_noise_below_rounding_is_none() -> None:
    assert not told(Odd(lambda z: z + 1e-6 * torch.randn(z.shape)), *images())[0].random


def test_probabilities_are_found() -> None:
    found, said = told(Odd(lambda z: z.softmax(1)), *images())
    assert found.probabilities and len(said) == 1 and "look like probabilities" in said[0]


def test_a_sure_victim_keeps_its_gradients_under_the_other_losses() -> None:
    """At log-odds far beyond 104 the smallest probability in float32 is 0, and so is the gradient of the cross-entropy."""
    found, said = told(Odd(lambda z: 1e5 * z), *images())
    assert found.zero_gradients == {"cross_entropy": 1.0, "log_odds": 0.0, "dlr": 0.0}
    assert len(said) == 1 and "100.0% under 'cross_entropy', 0.0% under 'log_odds'" in said[0]


def test_the_share_is_of_the_images_named_rightly() -> None:
    x, y = images()
    sure = torch.arange(8) < 4
    victim = Odd(lambda z: torch.where(sure[: len(z), None], 1e5 * z, z) if len(z) == 8 else z)
    assert told(victim, x, y)[0].zero_gradients["cross_entropy"] == 0.5
    assert told(Odd(lambda z: -z), x, y)[0].zero_gradients == {}  # none is


def test_a_victim_that_cannot_be_differentiated_has_no_gradients() -> None:
    found, _ = told(Odd(lambda z: nn.functional.one_hot(z.argmax(1), 4).float() * 5), *images())
    assert found.zero_gradients == {"cross_entropy": 1.0, "log_odds": 1.0, "dlr": 1.0}
    assert (
        examine(Odd(lambda z: 5.0 * nn.functional.one_hot(z.argmax(1), 4)), *images(), gradients=False).zero_gradients
        == {}
    )


def test_two_classes_have_no_difference_of_logits_ratio() -> None:
    found, _ = told(Odd(lambda z: z[:, :2]), images()[0], images()[0].flatten(1)[:, :2].argmax(1))
    assert set(found.zero_gradients) == {"cross_entropy", "log_odds"}


def test_images_that_were_scaled_twice_look_so() -> None:
    x, y = images()
    found, said = told(Odd(lambda z: 255 * z), x / 255, y)
    assert found.high < 1 / 255 and len(said) == 1 and "scaled twice" in said[0]
    with pytest.raises(BadValue, match=r"^x: expected finite values in \[0, 1\]"):
        examine(Odd(lambda z: z), 255 * x, y)


def test_our_random_victims_and_looks_at_them_are_known_to_be_random(untrained: Callable[..., Network]) -> None:
    network = untrained("basic_cnn", dropout=0.5)
    victim = estimate("epistemic", network, generator=torch.Generator().manual_seed(0), draws=3)
    x, y = torch.rand(4, 1, 28, 28), torch.arange(4)
    for one in (victim, Look(victim, "expectation", draws=4)):
        found, said = told(one, x, y)
        assert found.random and not found.probabilities and not any("in two ways" in text for text in said)


def test_nothing_to_show_and_labels_that_are_no_classes_are_refused() -> None:
    x, y = images()
    with pytest.raises(BadValue, match=r"^x: expected at least one image, got none$"):
        examine(Odd(lambda z: z), x[:0], y[:0])
    with pytest.raises(BadValue, match=r"^y: expected labels below 4"):
        examine(Odd(lambda z: z), x, y + 3)
