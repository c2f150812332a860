"""What somebody tries who comes from another library: it works, or one line says what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lib import data, evaluate, evasion, judging, membership, models, seeds, training, uncertainty
from lib.errors import BadValue, VictimWarning

pytestmark = pytest.mark.bad_input

SHAPE = (1, 8, 8)
X, Y = torch.rand(4, *SHAPE, generator=seeds.generator(0, "images")), torch.arange(4)
QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 2, "precision": "float32"}
SETTINGS: dict[str, dict[str, Any]] = {
    **{name: {"epsilon": 0.1} for name in evasion.ATTACKS},
    "jsma": {},
    "hop_skip_jump": {"iterations": 1},
    "boundary": {"iterations": 1},
}
EVERY = {**evasion.ATTACKS, **evasion.DECISION_ATTACKS}


class Answering(nn.Module):
    """A victim that answers by a function of its logits."""

    def __init__(self, answer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.answer = network(), answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.network(x))


def network(**settings: Any) -> models.Network:
    return models.build("fully_connected", shape=SHAPE, classes=10, seed=0, width=8, **settings).eval()


def attack(name: str, victim: nn.Module, x: Tensor, y: Tensor) -> Any:
    return EVERY[name](victim, x, y, generator=seeds.generator(0, name), **SETTINGS[name])


def test_each_attack_has_settings_here() -> None:
    assert set(SETTINGS) == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_an_answer_with_too_few_rows_is_refused(name: str) -> None:
    with pytest.raises(BadValue, match=r"^victim: expected a row of scores for each of 4 images, got \(1, 10\)$"):
        attack(name, Answering(lambda logits: logits.mean(0, keepdim=True)), X, Y)


@pytest.mark.parametrize("cut", [Tensor.detach, lambda logits: torch.from_numpy(logits.detach().numpy())])
@pytest.mark.parametrize("name", evasion.ATTACKS)
def test_answers_without_gradients_are_told_of(name: str, cut: Callable[[Tensor], Tensor]) -> None:
    victim = Answering(cut)
    y = victim(X).argmax(1)
    if name == "square":
        attack(name, victim, X, y)
        return
    with pytest.raises(BadValue, match=r"^victim: expected answers that have a gradient at its images"):
        attack(name, victim, X, y)


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ((255 * X).byte(), Y, "x: expected images in torch.float32, got torch.uint8: call float(), and divide by 255"),
        (X, Y.int(), "y: expected labels in torch.int64, got torch.int32: call long()"),
        (X * 4 - 2, Y, "models.adopt(mean=, std=)"),
    ],
)
def test_images_of_another_kind_are_refused_with_what_to_do(x: Tensor, y: Tensor, told: str) -> None:
    with pytest.raises(BadValue) as caught:
        attack("fgsm", network(), x, y)
    assert str(caught.value).endswith(told)


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (X.double(), "x: expected images in torch.float32"),
        ((255 * X).byte(), "x: expected images in torch.float32"),
        (X.numpy(), "x: expected a torch.Tensor"),
        (X[0], "x, y: expected"),
        (X * 255, "x: expected finite values in"),
    ],
)
def test_only_images_are_judged(x: Any, told: str) -> None:
    victim = uncertainty.estimate("none", network(), generator=seeds.generator(0, "draws"), draws=1)
    with pytest.raises(BadValue, match=f"^{told}"):
        judging.judge(victim, x)


def test_a_victim_that_ends_in_a_softmax_is_told_of_where_it_is_judged_and_trained() -> None:
    softmax = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1))
    victim = uncertainty.estimate("none", softmax.eval(), generator=seeds.generator(0, "draws"), draws=1)
    with pytest.warns(VictimWarning, match="look like probabilities"):
        judging.judge(victim, X)
    with pytest.warns(VictimWarning, match=r"^network: expected logits, and it answers with probabilities"):
        training.fit(softmax, (X, Y), training.TrainingConfig(**QUICK), seed=0)


@pytest.mark.parametrize("numbers", [np.array, torch.tensor, lambda one: torch.tensor(one[0]), list])
def test_a_normalisation_may_stand_in_an_array_or_a_tensor(
    numbers: Callable[[list[float]], Any], recwarn: pytest.WarningsRecorder
) -> None:
    found = models.adopt(network(), mean=numbers([0.5]), std=numbers([0.25]))(X)
    assert torch.equal(found, network()((X - 0.5) / 0.25)) and not recwarn.list


def test_a_normalisation_by_name_is_refused() -> None:
    with pytest.raises(BadValue, match=r"^mean, std: expected a number for each channel, got 'imagenet'"):
        models.adopt(network(), mean="imagenet", std="imagenet")  # type: ignore[arg-type]


def test_a_list_of_images_and_labels_is_a_pair_of_them() -> None:
    found = data.gather([X, Y])  # type: ignore[list-item]
    assert torch.equal(found.images, X) and torch.equal(found.labels, Y)


def test_arrays_are_no_data_and_are_called_so() -> None:
    with pytest.raises(BadValue, match=r"as torch.Tensor, got tuple of ndarray and ndarray$"):
        data.gather((X.numpy(), Y.numpy()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attacks", "told"),
    [
        ({1: evasion.fgsm}, "attacks: expected functions by name, such as .*, got <function fgsm"),
        ({"pgd": partial(evasion.pgd, step=3)}, "attacks: 'pgd' cannot be called with step$"),
        ({"own": lambda victim, x, y: x + 1}, "attacks: what 'own' returned: x: expected finite values"),
    ],
)
def test_what_is_wrong_with_an_attack_is_told_with_its_name(attacks: Any, told: str) -> None:
    victim = network()
    pair = X, victim(X).argmax(1)
    with pytest.raises(BadValue, match=f"^{told}"):
        evaluate(victim, pair, attacks, epsilons=[0.1], generator=seeds.generator(0, "evaluation"))


def test_weights_go_to_a_path_that_is_a_string_and_come_from_it(tmp_path: Path) -> None:
    path, other = f"{tmp_path}/weights.safetensors", network()
    training.checkpoints.save_weights(network(), path, {"epochs": 1})
    nn.init.zeros_(next(other.parameters()))
    assert training.checkpoints.load_weights(other, path) == {"epochs": 1}
    assert torch.equal(other(X), network()(X))


def test_training_needs_weights_and_images_in_bounds() -> None:
    frozen, robust = network().requires_grad_(False), training.RobustConfig(steps=1, batch_size=2)
    with pytest.raises(BadValue, match=r"^network: expected weights to train"):
        training.fit(frozen, (X, Y), training.TrainingConfig(**QUICK), seed=0)
    with pytest.raises(BadValue, match=r"^split: expected images in \[0, 1\], where the attack keeps them"):
        training.fit_robust(network(), (255 * X, Y), robust, seed=0)


def test_an_ensemble_is_of_a_list() -> None:
    with pytest.raises(BadValue, match=r"^networks: expected a list of networks, got Network"):
        uncertainty.Ensemble(network())  # type: ignore[arg-type]


def test_shadows_are_built_afresh(tmp_path: Path) -> None:
    one = network()
    shared = partial(
        membership.train_shadows,
        points=(X, Y),
        count=2,
        config=training.TrainingConfig(**QUICK),
        folder=tmp_path,
        seed=0,
    )
    for build, told in (
        (one, "a function from a seed to a network, got a network"),
        (lambda seed: None, "a function that returns a torch.nn.Module, got None"),
        (lambda seed: one, "an untrained network for each seed, got weights of the one before"),
    ):
        with pytest.raises(BadValue, match=f"^build: expected {told}"):
            shared(build)  # type: ignore[arg-type]
