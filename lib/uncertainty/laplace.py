"""The Laplace approximation of the last layer of a trained network, in closed form (MacKay 1992; Daxberger et al. 2021).

With phi (d,) the features of an image and 1 for the bias, W (k, d) the weights of the head, p the softmax of W phi and
L = diag(p) - p p^T the Gauss-Newton curvature of the cross-entropy at the logits, the posterior is W ~ N(W_trained, H^-1) with

    H = (sum_i phi_i phi_i^T) x (1/n sum_i L_i) + prior I                       Kronecker-factored (Ritter et al. 2018)

In the eigenvectors U, V of the two factors and their eigenvalues a (d,), b (k,) H is diagonal, so the logits are Gaussian too:

    f(x) = W_trained phi + V diag(sqrt(s(x))) N(0, I),     s_c(x) = sum_j (U^T phi)_j^2 / (a_j b_c + prior)

Nothing is trained, features are computed once, however many the draws, and gradients go through both mean and variance.
laplace-torch 0.3 has the same, but brings along forty packages, an alpha version among them.
"""

import math

import torch
from torch import Tensor, nn

from ..data import Points, gather
from ..errors import BadValue, check_number
from ..layers import set_sampling
from ..models import Network
from .victims import RandomVictim

PRIORS = tuple(10 ** (step / 4) for step in range(-8, 21))  # precisions from 0.01 to 100,000


class LastLayerLaplace(RandomVictim):
    """A network whose last layer is drawn from its approximate posterior, for every image and draw anew.

    Args:
        network: one whose head is a `torch.nn.Linear`, trained.
        points: what it was trained on.
        generator, draws, precision: as of `estimate`.
        prior: the precision of the Gaussian prior of the head's weights, biases included. Or images and labels of the same kind,
            not trained on: then it is the one of `PRIORS` whose answers to them, in MacKay's approximation, have the least
            negative log-likelihood. (The prior of the largest evidence costs accuracy where a network has learnt its points by
            heart: it is weak, for there is next to no curvature.)

    Raises:
        BadValue: a head of another kind, a prior that is not above 0, no points.
    """

    basis: Tensor
    rotation: Tensor
    curvature: Tensor

    def __init__(
        self,
        network: Network,
        points: Points,
        *,
        generator: torch.Generator,
        draws: int = 10,
        prior: float | Points = 1.0,
        precision: str = "float32",
    ) -> None:
        super().__init__(network, generator=generator, draws=draws, precision=precision)
        if not isinstance(network.head, nn.Linear):
            raise BadValue(f"network: expected a head of one dense layer, got {type(network.head).__name__}")
        features, curvature = self._factors(points)
        (a, basis), (b, rotation) = map(torch.linalg.eigh, (features, curvature))
        self.register_buffer("basis", basis.float())  # U (d, d)
        self.register_buffer("rotation", rotation.float())  # V (k, k)
        self.register_buffer("curvature", torch.outer(a.clamp_min(0), b.clamp_min(0)).float())  # a_j b_c (d, k)
        if isinstance(prior, int | float):
            self.prior = check_number("prior", prior, low=1e-12, high=1e12)
        else:
            self.prior = self._likeliest(prior)

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """The logits of `draws` fresh heads: (draws, n, k)."""
        features = self._features(x)
        logits: Tensor = self.network.head(features[:, :-1])
        noise = torch.randn((draws, *logits.shape), generator=self.generator, device=x.device)
        return logits + (noise * self._variance(features, self.prior).sqrt()) @ self.rotation.T

    def _variance(self, features: Tensor, prior: float) -> Tensor:
        """s (n, k), of the logits along the eigenvectors V."""
        return (features @ self.basis).square() @ (1 / (self.curvature + prior))

    def _features(self, x: Tensor) -> Tensor:
        """phi, with 1 for the bias: (n, d)."""
        set_sampling(self.network, sampling=False)
        with self.autocast(x):
            features: Tensor = self.network.body(x.contiguous(memory_format=torch.channels_last)).float()
        return torch.cat([features, features.new_ones(len(x), 1)], 1)

    @torch.no_grad()
    def _factors(self, points: Points) -> tuple[Tensor, Tensor]:
        """sum_i phi_i phi_i^T (d, d) and 1/n sum_i L_i (k, k), in float64."""
        features, labels = self._all_features(points, "points: expected what the network was trained on")
        p, phi = self.network.head(features[:, :-1]).softmax(1).double(), features.double()
        return phi.T @ phi, (p.sum(0).diag() - p.T @ p) / len(labels)

    def _all_features(self, points: Points, expected: str) -> tuple[Tensor, Tensor]:
        """phi (n, d) of all images, and their labels."""
        split = gather(points)
        if len(split) == 0:
            raise BadValue(f"{expected}, got none")
        return torch.cat([self._features(x) for x, _ in split.batches()]), split.labels

    @torch.no_grad()
    def _likeliest(self, held_out: Points) -> float:
        """The prior precision of the likeliest labels of images that were held out."""
        features, labels = self._all_features(held_out, "prior: expected one image or more to choose it by")
        logits, losses = self.network.head(features[:, :-1]), []
        for prior in PRIORS:
            variance = self._variance(features, prior) @ self.rotation.square().T
            # E softmax f ~ softmax(f / sqrt(1 + pi/8 var f))  (MacKay 1992; Gibbs 1998)
            losses.append(float(nn.functional.cross_entropy(logits / (1 + math.pi / 8 * variance).sqrt(), labels)))
        return PRIORS[losses.index(min(losses))]
