"""Inference from targeted adversarial examples: which targets, in which order, and what the small network learns from them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.papers.song.targeted import MLP, learnt_accuracy, targeted_answers


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(n: int, *, shift: float = 0.0, features: int = 6, seed: int = 0) -> Tensor:
    return shift + torch.randn(n, features, generator=generator(seed))


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_every_other_class_is_a_target_once_in_the_order_after_the_label(classes: int) -> None:
    x, y = torch.rand(classes + 2, 1, 2, 2, generator=generator()), torch.arange(classes + 2) % classes
    asked: list[Tensor] = []

    def answer(images: Tensor, targets: Tensor) -> Tensor:
        assert torch.equal(images, x)
        asked.append(targets)
        # Logits that tell the target and the image.
        return 5 * F.one_hot(targets, classes) + images.flatten(1).sum(1, keepdim=True) * torch.arange(classes)

    found = targeted_answers(answer, x, y, classes=classes)
    assert found.shape == (classes + 2, classes - 1, classes) and len(asked) == classes - 1
    for i in range(classes + 2):
        targets = [(int(y[i]) + shift) % classes for shift in range(1, classes)]
        assert [int(column[i]) for column in asked] == targets
        assert sorted([*targets, int(y[i])]) == list(range(classes))
        for place, target in enumerate(targets):
            z = float(x[i].sum()) * torch.arange(classes)
            z[target] += 5
            torch.testing.assert_close(found[i, place], z - z.exp().sum().log(), atol=1e-5, rtol=1e-5)


def test_answers_are_log_probabilities_that_do_not_saturate() -> None:
    x, y = torch.rand(3, 1, 2, 2), torch.tensor([0, 1, 2])
    found = targeted_answers(lambda images, _: torch.tensor([[200.0, 0.0, -200.0]]).expand(3, 3), x, y, classes=3)
    assert found[0, 0].tolist() == [0.0, -200.0, -400.0]


def test_no_images_have_no_answers() -> None:
    found = targeted_answers(
        lambda x, t: torch.zeros(len(x), 4), torch.rand(0, 1, 2, 2), torch.zeros(0).long(), classes=4
    )
    assert found.shape == (0, 3, 4)


# --- learning ---------------------------------------------------------------------------------------------------------


def test_the_network_has_two_hidden_layers() -> None:
    """The paper has "a 3-layer MLP"."""
    assert len(MLP.hidden) == 2 and MLP.epochs == 100 and MLP.standardise


def test_what_lies_apart_is_told_apart() -> None:
    known = rows(150, shift=1.5), rows(150, shift=-1.5, seed=1)
    judged = rows(200, shift=1.5, seed=2), rows(300, shift=-1.5, seed=3)
    assert learnt_accuracy(known, judged, generator=generator()) > 0.98
    assert (
        learnt_accuracy(known, judged[::-1], generator=generator()) < 0.02
    )  # and the other way round nothing is right


def test_what_is_alike_is_not_told_apart() -> None:
    """On other points than those it learnt from: whatever it remembers of them is worth nothing."""
    known = rows(150), rows(150, seed=1)
    judged = rows(2000, seed=2), rows(2000, seed=3)
    found = learnt_accuracy(known, judged, generator=generator())
    assert found == pytest.approx(0.5, abs=5 * 0.5 / 4000**0.5)  # five standard errors
    assert learnt_accuracy(known, known, generator=generator()) > 0.8  # it does remember


def test_it_learns_what_no_threshold_can() -> None:
    """Members lie on both sides of the others: no one feature orders them, and the mean is the same."""

    def sides(n: int, seed: int) -> tuple[Tensor, Tensor]:
        sign = 2.0 * torch.randint(2, (n, 1), generator=generator(seed)) - 1
        return rows(n, features=2, seed=seed + 1) * 0.3 + 2 * sign, rows(n, features=2, seed=seed + 2) * 0.3

    assert learnt_accuracy(sides(200, 0), sides(200, 10), generator=generator()) > 0.95


def test_the_accuracy_is_balanced() -> None:
    """Members that look like others are all wrong, and others that look so all right: half, however many there are."""
    known = rows(100, shift=3), rows(100, shift=-3, seed=1)
    members, others = rows(10, shift=-3, seed=2), rows(500, shift=-3, seed=3)
    assert learnt_accuracy(known, (members, others), generator=generator()) == 0.5
    half = torch.cat([rows(30, shift=3, seed=4), rows(10, shift=-3, seed=5)])
    assert learnt_accuracy(known, (half, others), generator=generator()) == pytest.approx((0.75 + 1) / 2)


def test_all_that_is_random_comes_from_the_generator() -> None:
    known = rows(60, shift=0.2), rows(60, seed=1)
    judged = rows(500, shift=0.2, seed=2), rows(500, seed=3)
    torch.manual_seed(1)
    first = learnt_accuracy(known, judged, generator=generator(7))
    torch.manual_seed(2)
    assert learnt_accuracy(known, judged, generator=generator(7)) == first
    assert learnt_accuracy(known, judged, generator=generator(8)) != first
