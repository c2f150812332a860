"""The oracle of decision-based attacks: what it counts, and how often it is wrong of a victim that contradicts itself."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from halfspaces import Largest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadValue, VictimWarning
from lib.evasion import Decided, boundary, hop_skip_jump
from lib.evasion.oracle import DecisionOracle


class Scripted(nn.Module):
    """Image i, whose one pixel is i, gets the answers of script i in turn; keeps who was shown, call by call."""

    random, bounds = True, (0.0, 1000.0)

    def __init__(self, scripts: list[list[int]], classes: int = 3) -> None:
        super().__init__()
        self.scripts, self.classes = scripts, classes
        self.shown: list[list[int]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.flatten().long().tolist())
        seen = Counter(i for part in self.shown[:-1] for i in part)
        labels = []
        for i in self.shown[-1]:
            labels.append(self.scripts[i][seen[i] % len(self.scripts[i])])
            seen[i] += 1
        return F.one_hot(torch.tensor(labels), self.classes).float()


class Coin(nn.Module):
    """Class 1 in a share p of the answers, else class 0."""

    random, bounds = True, (0.0, 1.0)

    def __init__(self, p: float, seed: int = 0) -> None:
        super().__init__()
        self.p, self.generator = p, torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        return F.one_hot((torch.rand(len(x), generator=self.generator) < self.p).long(), 2).float()


def images(n: int) -> Tensor:
    return torch.arange(n).float().view(n, 1, 1, 1)


def ruin(p: float, lead: int) -> float:
    """The chance to reach -lead before lead from 0, by solving for that from every place between."""
    size = 2 * lead - 1
    system, right = np.eye(size), np.zeros(size)
    for i in range(size):
        if i + 1 < size:
            system[i, i + 1] = -p
        if i > 0:
            system[i, i - 1] = -(1 - p)
        else:
            right[i] = 1 - p
    return float(np.linalg.solve(system, right)[lead - 1])


@pytest.mark.parametrize(("p", "lead"), [(0.6, 1), (0.6, 3), (0.7, 2), (0.7, 5)])
def test_the_oracle_errs_as_often_as_that_and_asks_as_often_as_wald_says(p: float, lead: int) -> None:
    n = 4000
    oracle = DecisionOracle(Coin(p), images(n), torch.zeros(n).long(), lead=lead, max_answers=10_000)
    wrong = 1 - oracle(torch.zeros(n, 1, 1, 1), torch.arange(n)).double().mean().item()
    error = ruin(p, lead)
    assert error == pytest.approx(1 / (1 + (p / (1 - p)) ** lead), rel=1e-9)
    assert wrong == pytest.approx(error, abs=4 * (error * (1 - error) / n) ** 0.5)
    expected = lead * (1 - 2 * error) / (2 * p - 1)  # E[steps] (2p - 1) = E[lead at the end]
    assert oracle.answers.double().mean().item() == pytest.approx(expected, rel=0.05)


@given(
    scripts=st.lists(st.lists(st.integers(0, 2), min_size=30, max_size=30), min_size=1, max_size=4),
    lead=st.integers(1, 5),
    most=st.integers(5, 30),
    targeted=st.booleans(),
)
@settings(max_examples=50)
def test_asking_several_times_at_once_is_asking_one_by_one(
    scripts: list[list[int]], lead: int, most: int, targeted: bool
) -> None:
    """The decision, and the number of answers it takes, are those of a plain loop over each script."""
    n = len(scripts)
    oracle = DecisionOracle(
        Scripted(scripts), images(n), torch.zeros(n).long(), lead=lead, max_answers=most, targeted=targeted
    )
    found = oracle(images(n), torch.arange(n)).tolist()
    for i, script in enumerate(scripts):
        votes = [0, 0, 0]
        for asked in range(1, most + 1):
            votes[script[asked - 1]] += 1
            ahead = votes[0] - max(votes[1:])
            if abs(ahead) >= lead:
                break
        expected = ahead > 0 if targeted else ahead < 0
        assert found[i] == expected
        assert int(oracle.answers[i]) == asked


@pytest.mark.parametrize(
    ("name", "script", "adversarial", "reaches"),
    [
        ("its own class", [0], False, True),
        ("another", [1], True, False),
        ("more often wrong than right, but its own class is named most", [0, 1, 0, 2, 0], False, True),
        ("another is named most", [1, 2, 1, 0, 1], True, False),
    ],
)
def test_the_vote_is_between_the_class_and_its_strongest_rival(
    name: str, script: list[int], adversarial: bool, reaches: bool
) -> None:
    for targeted, expected in ((False, adversarial), (True, reaches)):
        oracle = DecisionOracle(Scripted([script]), images(1), torch.tensor([0]), lead=4, targeted=targeted)
        assert oracle(images(1), torch.tensor([0])).tolist() == [expected], name


@pytest.mark.parametrize(
    ("script", "own", "rival"),
    [([1, 1, 0, 1, 1], 2, 8), ([0], 10, 0), ([0, 1], 5, 5), ([1, 2, 1, 0, 1], 2, 6), ([2, 2, 1, 1, 1], 0, 6)],
)
def test_the_margin_is_the_lead_in_standard_deviations_of_a_toss_up(script: list[int], own: int, rival: int) -> None:
    """As a share of what ten unanimous answers would be."""
    for targeted in (False, True):
        oracle = DecisionOracle(Scripted([script]), images(1), torch.zeros(1).long(), targeted=targeted)
        margin = oracle.margin(images(1), torch.arange(1), 10)
        lead = (own - rival if targeted else rival - own) / (own + rival) ** 0.5
        assert float(margin) == pytest.approx(lead / 10**0.5) and oracle.answers.tolist() == [10]


def test_a_tie_at_the_limit_is_not_adversarial() -> None:
    for targeted in (False, True):
        oracle = DecisionOracle(
            Scripted([[0, 1]]), images(1), torch.tensor([0]), lead=3, max_answers=10, targeted=targeted
        )
        assert oracle(images(1), torch.tensor([0])).tolist() == [False] and oracle.answers.tolist() == [10]


@pytest.mark.parametrize("max_batch", [1, 3, 100])
def test_answers_are_counted_for_their_owners_and_calls_as_they_are_made(max_batch: int) -> None:
    victim = Scripted([[0], [1], [2], [0]])
    oracle = DecisionOracle(victim, images(3), torch.zeros(3).long(), max_batch=max_batch)
    owner = torch.tensor([2, 0, 2, 2])
    assert oracle(images(4), owner).tolist() == [False, True, True, False]
    assert oracle.once(images(4)[:1], owner[:1]).tolist() == [False]
    assert oracle.answers.tolist() == [1, 0, 4]
    assert oracle.calls == len(victim.shown) and max(map(len, victim.shown)) <= max_batch
    assert sum(map(len, victim.shown)) == 5


def test_no_questions_cost_nothing() -> None:
    victim = Scripted([[0]])
    for lead in (1, 3):
        oracle = DecisionOracle(victim, images(1), torch.tensor([0]), lead=lead)
        none = torch.tensor([]).long()
        for answer in (oracle(images(0), none), oracle.once(images(0), none)):
            assert answer.shape == (0,) and answer.dtype == torch.bool
        assert oracle.calls == 0 and victim.shown == []


def test_where_nothing_is_random_one_answer_is_all() -> None:
    victim = Scripted([[0]])
    victim.random = False
    oracle = DecisionOracle(victim, images(1), torch.tensor([0]), lead=7)
    oracle(images(1), torch.tensor([0]))
    assert oracle.answers.tolist() == [1]


class Unsaid(nn.Module):
    """A user's own module with no attribute `random`: scores of its input, the first `noise` more at random."""

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.noise, self.generator = noise, torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.stack([x.flatten(1).mean(1) + 1, 1 - x.flatten(1).mean(1)], 1)
        return scores + self.noise * torch.randn(scores.shape, generator=self.generator)


@pytest.mark.parametrize("noise", [0.05, 2.0])
def test_a_victim_that_contradicts_itself_and_does_not_say_so_is_taken_as_random(noise: float) -> None:
    with pytest.warns(VictimWarning, match=r"^victim: contradicts itself when asked twice .* no attribute `random`"):
        oracle = DecisionOracle(Unsaid(noise), torch.rand(3, 1, 2, 2), torch.zeros(3).long(), lead=5)
        assert oracle.random
    assert oracle.answers.tolist() == [2, 2, 2] and oracle.calls == 2


@pytest.mark.parametrize("said", [None, False])
def test_a_victim_that_repeats_itself_or_says_so_is_not(said: bool | None) -> None:
    """Rounding is no contradiction; a victim that says what it is, is not asked."""
    victim = Unsaid(1e-6 if said is None else 1.0)
    if said is not None:
        victim.random = said
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        oracle = DecisionOracle(victim, torch.rand(3, 1, 2, 2), torch.zeros(3).long(), lead=5)
        assert not oracle.random
    assert oracle.answers.tolist() == [2 if said is None else 0] * 3


@pytest.mark.parametrize("attack", [hop_skip_jump, boundary])
def test_attacks_check_what_a_random_module_of_ones_own_returns(attack: Callable[..., Decided]) -> None:
    """Its scores hardly depend on the image, so that nothing is ever clearly adversarial."""
    x, y = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(4).long()
    with pytest.warns(VictimWarning, match="contradicts itself"):
        made = attack(Unsaid(50.0), x, y, generator=torch.Generator(), iterations=1, check_answers=50, start_tries=5)
    assert not made.found.any()


def test_votes_of_many_classes_take_little_memory() -> None:
    """256 images, 200 answers and 1,000 classes: a vote for every class of every answer would be 400 MB."""
    victim = Scripted([[i, i, 999 - i] for i in range(256)], classes=1000)
    oracle = DecisionOracle(victim, images(256), torch.arange(256), max_batch=512)
    with Largest() as largest:
        margin = oracle.margin(images(256), torch.arange(256), 200)
    torch.testing.assert_close(margin, torch.full((256,), (66 - 134) / 200))
    assert largest.bytes < 5e6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lead": 0}, "lead: expected a whole number of at least 1, got 0"),
        ({"lead": 2.0}, "lead: "),
        ({"lead": 9, "max_answers": 8}, "lead: expected at most 8, the answers that a question may take, got 9"),
        ({"max_batch": 0}, "max_batch: "),
    ],
)
def test_bad_settings_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        DecisionOracle(Scripted([[0]]), images(1), torch.tensor([0]), **change)
    assert str(caught.value).startswith(told)


def test_a_label_that_is_no_class_is_refused_at_the_first_answer() -> None:
    oracle = DecisionOracle(Scripted([[0], [1]]), images(2), torch.tensor([2, 3]))
    with pytest.raises(BadValue, match=r"^y: expected labels below 3, the number of the victim's classes, got 3$"):
        oracle(images(2), torch.arange(2))
