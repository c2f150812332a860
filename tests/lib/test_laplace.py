"""The Laplace approximation of the last layer, against the Gauss-Newton matrix of autograd's Jacobians; and its draws."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from torch.nn import functional as F

from lib import seeds
from lib.data import Split
from lib.errors import BadValue
from lib.layers import Flatten
from lib.models import Network, Parts
from lib.uncertainty import LastLayerLaplace, scores_of
from lib.uncertainty.laplace import PRIORS

FEATURES, CLASSES = 4, 3


def generator(seed: int = 0) -> torch.Generator:
    return seeds.generator(seed, "laplace")


def network(head: Any = None) -> Network:
    torch.manual_seed(0)
    body = nn.Sequential(Flatten(), nn.Linear(9, FEATURES), nn.Tanh())
    return Network(Parts(body, head or (lambda: nn.Linear(FEATURES, CLASSES)))).eval().requires_grad_(False)


def points(n: int) -> Split:
    return Split(torch.rand(n, 1, 3, 3, generator=generator(n)), torch.arange(n) % CLASSES)


def laplace(n: int, **settings: Any) -> LastLayerLaplace:
    return LastLayerLaplace(network(), points(n), generator=generator(), **settings)


def covariance_of(victim: LastLayerLaplace, x: Tensor) -> Tensor:
    """That of the logits of each image, V diag(s(x)) V^T: (n, k, k)."""
    variance = victim._variance(victim._features(x), victim.prior)
    return victim.rotation * variance[:, None, :] @ victim.rotation.T


def jacobians(of: Network, x: Tensor) -> Tensor:
    """Of the logits by the weights and biases of the head, (n, k, k (d + 1)), the bias last in each row of the weights."""
    weights = dict(of.head.named_parameters())

    def logits(weights: dict[str, Tensor], features: Tensor) -> Tensor:
        return functional_call(of.head, weights, (features,))

    found = vmap(jacrev(logits), in_dims=(None, 0))(weights, of.body(x))
    return torch.cat([found["weight"], found["bias"][..., None]], 3).flatten(2).double()


def curvatures(of: Network, x: Tensor) -> Tensor:
    """Hessians (n, k, k) of the cross-entropy by the logits."""
    logits = of(x).detach().double()
    return vmap(torch.func.hessian(lambda z: F.cross_entropy(z, torch.tensor(0))))(logits)


def gauss_newton(of: Network, x: Tensor) -> Tensor:
    j = jacobians(of, x)
    return torch.einsum("nkp,nkl,nlq->pq", j, curvatures(of, x), j)


def kronecker(of: Network, x: Tensor) -> Tensor:
    """sum phi phi^T and the mean curvature, multiplied out for parameters in the order of `jacobians`."""
    phi = torch.cat([of.body(x), torch.ones(len(x), 1)], 1).double()
    return torch.kron(curvatures(of, x).mean(0), phi.T @ phi)


@pytest.mark.parametrize("prior", [0.1, 3.0])
def test_of_one_image_the_covariance_is_that_of_the_whole_gauss_newton_matrix(prior: float) -> None:
    victim, x = laplace(1, prior=prior), points(6).images
    j = jacobians(victim.network, x)
    h = gauss_newton(victim.network, points(1).images) + prior * torch.eye(j.shape[2])
    expected = j @ torch.linalg.inv(h) @ j.mT
    torch.testing.assert_close(covariance_of(victim, x).double(), expected, rtol=1e-3, atol=1e-5)


def test_of_many_images_it_is_that_of_the_kronecker_product() -> None:
    victim, x = laplace(40, prior=0.5), points(6).images
    j = jacobians(victim.network, x)
    h = kronecker(victim.network, points(40).images) + 0.5 * torch.eye(j.shape[2])
    torch.testing.assert_close(covariance_of(victim, x).double(), j @ torch.linalg.inv(h) @ j.mT, rtol=1e-3, atol=1e-5)


def test_draws_have_the_logits_of_the_network_for_a_mean_and_the_covariance_of_the_closed_form() -> None:
    victim, x = laplace(40, prior=2.0), points(3).images
    with torch.no_grad():
        samples = victim.sample(x, 40_000)
        covariance = covariance_of(victim, x)
        scale = covariance.diagonal(dim1=1, dim2=2).max().sqrt()
        torch.testing.assert_close(samples.mean(0), victim.network(x), rtol=0, atol=float(0.03 * scale))
    for i in range(3):
        torch.testing.assert_close(samples[:, i].T.cov(), covariance[i], rtol=0, atol=float(0.03 * scale**2))
    assert samples[:, :2].flatten(1).T.corrcoef()[:3, 3:].abs().max() < 0.03  # each image has heads of its own


def test_the_prior_is_that_of_the_likeliest_labels_of_images_that_are_held_out() -> None:
    held_out = points(60)
    chosen = laplace(40, prior=held_out).prior
    victims = {prior: laplace(40, prior=prior) for prior in PRIORS}

    def loss(victim: LastLayerLaplace) -> float:
        with torch.no_grad():
            variance = covariance_of(victim, held_out.images).diagonal(dim1=1, dim2=2)
            logits = victim.network(held_out.images) / (1 + torch.pi / 8 * variance).sqrt()
        return float(F.nll_loss(logits.log_softmax(1), held_out.labels))

    losses = {prior: loss(victim) for prior, victim in victims.items()}
    assert losses[chosen] == pytest.approx(min(losses.values()), abs=1e-6)


def test_gradients_go_through_the_mean_and_through_the_variance() -> None:
    victim, x, step = laplace(40, prior=0.5), points(1).images.clone(), 1e-2

    def total(images: Tensor) -> Tensor:
        victim.generator.manual_seed(1)
        return victim(images)[0, 0]

    (gradient,) = torch.autograd.grad(total(x.requires_grad_()), x)
    with torch.no_grad():
        ends = [total(x + sign * step * gradient / gradient.norm()) for sign in (1, -1)]
    assert float(ends[0] - ends[1]) / (2 * step) == pytest.approx(float(gradient.norm()), rel=0.02)


def test_a_prior_without_end_leaves_the_network_itself_and_draws_follow_the_generator() -> None:
    x = points(3).images
    with torch.no_grad():
        sure = laplace(40, prior=1e12)
        torch.testing.assert_close(sure(x), sure.network(x).log_softmax(1), rtol=0, atol=1e-4)
        assert torch.equal(laplace(40)(x), laplace(40)(x))
        victim = laplace(40)
        assert not torch.equal(victim(x), victim(x)) and victim.random
    assert scores_of(victim) == ("entropy", "mutual_information")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"network": network(nn.Identity)}, "network: expected a head of one dense layer, got Identity"),
        ({"points": points(0)}, "points: expected what the network was trained on, got none"),
        ({"prior": 0.0}, "prior: expected"),
        ({"prior": points(0)}, "prior: expected one image or more to choose it by, got none"),
        ({"draws": 0}, "draws: expected"),
        ({"generator": 7}, "generator: expected"),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(given: dict[str, Any], told: str) -> None:
    usual: dict[str, Any] = {"network": network(), "points": points(5), "generator": generator()}
    one = usual | given
    with pytest.raises(BadValue, match=told):
        LastLayerLaplace(one.pop("network"), one.pop("points"), **one)
