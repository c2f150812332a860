"""What turns a network into a victim: a module from images (n, c, h, w) in [0, 1] to log-probabilities (n, k).

A random victim draws afresh at every call. `draws` is how many fresh random passes through the network make up one answer, the
T of the papers; they are folded into the batch, not looped over, in pieces of at most `max_batch` images and of one draw at
least. `sample` gives the logits draw by draw, and `combine` makes one answer of them.

The draws of dropout share what stands before the first mask: `python -m benchmarks.layers` measures what that saves.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .. import models
from ..errors import BadValue, check_choice, check_count, check_kind
from ..layers import sampling, set_sampling
from ..metrics import entropy, mutual_information
from ..models import Network
from ..seeds import check_generator

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Victim(nn.Module, ABC):
    """A predictor under attack. Its answers are float32 log-probabilities whatever the precision inside."""

    random = False
    bounds: tuple[float, float] = (0.0, 1.0)
    scores: tuple[str, ...] = ("entropy", "mutual_information")  # those of `UNCERTAINTY_SCORES` that it has

    def __init__(self, network: Network, *, draws: int = 1, precision: str = "float32") -> None:
        super().__init__()
        self.network = network.eval()
        self.bounds, self.draws = getattr(network, "bounds", self.bounds), check_count("draws", draws)
        self.precision = check_choice("precision", precision, PRECISIONS)
        self.max_batch = 2048

    def autocast(self, x: Tensor) -> torch.autocast:
        """Convolutions and matrix products in `precision`, everything after the logits in float32."""
        return torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    @abstractmethod
    def sample(self, x: Tensor, draws: int) -> Tensor:
        """The logits of `draws` fresh draws: (draws, n, k); of a victim that is not random, of all that it has."""

    def combine(self, samples: Tensor) -> Tensor:
        """The logits (n, k) of the one answer that samples (m, n, k) make: their mean softmax, on the scale of logits.

        A softmax does not tell the scale of its logits; the mean log-normaliser puts it back, so that one draw is itself.
        """
        # z = log 1/m sum_t softmax f_t + 1/m sum_t logsumexp f_t
        scale = samples.logsumexp(-1, keepdim=True).mean(0)
        return samples.log_softmax(-1).logsumexp(0) - math.log(len(samples)) + scale

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (n, k) of images (n, c, h, w): of the one answer that `draws` of them make."""
        return self.combine(self.sample(x, self.draws)).log_softmax(1)


class Deterministic(Victim):
    """The plain network: log softmax f(x). Dropout, if it has any, is off."""

    scores = ("entropy",)

    def sample(self, x: Tensor, draws: int = 1) -> Tensor:
        """Its logits, however many draws are asked for: (1, n, k)."""
        set_sampling(self.network, sampling=False)
        with self.autocast(x):
            logits: Tensor = self.network(x.contiguous(memory_format=torch.channels_last))
        return logits.float()[None]

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (n, k)."""
        return self.sample(x)[0].log_softmax(1)


class Ensemble(Victim):
    """The mean softmax of networks trained apart (Lakshminarayanan et al. 2017; Harakeh, section 2 and appendix A).

    Not random: its draws are its members, the first of which stands for a single one.
    """

    def __init__(self, networks: Sequence[Network], *, precision: str = "float32") -> None:
        if not check_kind("networks", networks, Sequence, "a list of networks"):
            raise BadValue("networks: expected one or more, got none")
        super().__init__(networks[0], draws=len(networks), precision=precision)
        self.members = nn.ModuleList(networks).eval()

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """The logits of the first `draws` members, or of all if there are fewer: (m, n, k)."""
        set_sampling(self.members, sampling=False)
        with self.autocast(x):
            return torch.stack([member(x).float() for member in self.members[:draws]])


class RandomVictim(Victim):
    """A victim whose answers are drawn from a generator handed in; T of them make one answer."""

    random = True

    def __init__(
        self, network: Network, *, generator: torch.Generator, draws: int = 10, precision: str = "float32"
    ) -> None:
        check_generator(generator)
        super().__init__(network, draws=draws, precision=precision)
        self.generator = generator


class MonteCarloDropout(RandomVictim):
    """Dropout stays on: the mean of T softmaxes (Gal and Ghahramani 2016; Harakeh, equation 2)."""

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (n, k) of the mean over T fresh draws."""
        # p(y|x) = 1/T sum_t softmax f(x, theta_t)
        return self.sample(x, self.draws).log_softmax(-1).logsumexp(0) - math.log(self.draws)

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """The logits under `draws` fresh sets of masks: (draws, n, k). What comes before the first mask is computed once."""
        at_once = max(1, self.max_batch // max(1, len(x)))
        pieces = []
        with self.autocast(x), sampling(self.network, self.generator):
            before, after = self.network.around_dropout()
            shared = before(x.contiguous(memory_format=torch.channels_last))
            for start in range(0, draws, at_once):
                folded = [shared] * min(at_once, draws - start)
                logits = after(torch.cat(folded))  # (repeats * n, k); Tensor.repeat would not keep channels last
                pieces.append(logits.float().view(len(folded), len(x), logits.shape[-1]))
        return torch.cat(pieces)


class Heteroscedastic(RandomVictim):
    """Gaussian logits f + sigma * N(0, I), "sampled, averaged, and passed through the softmax" (Harakeh, section 3)."""

    scores = ("entropy", "variance")

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (n, k) of the mean of T sampled logits; one pass through the network serves all T."""
        logits, sigma, noise = self._draw(x, self.draws)
        # y = softmax(1/T sum_t (f(x) + sigma(x) eps_t)),  eps_t ~ N(0, I)
        return (logits + sigma * noise.mean(0)).log_softmax(1)

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """The noisy logits of `draws` fresh draws: (draws, n, k)."""
        logits, sigma, noise = self._draw(x, draws)
        return logits + sigma * noise

    def combine(self, samples: Tensor) -> Tensor:
        """The mean of the logits (n, k)."""
        return samples.mean(0)

    def sigma(self, x: Tensor) -> Tensor:
        """The standard deviation of each logit (n, k)."""
        return self._draw(x, 0)[1]

    def _draw(self, x: Tensor, draws: int) -> tuple[Tensor, Tensor, Tensor]:
        """f (n, k), sigma (n, k) and standard normal noise (draws, n, k)."""
        set_sampling(self.network, sampling=False)
        with self.autocast(x):
            logits, sigma = (head.float() for head in self.network.logits_and_sigma(x))
        return logits, sigma, torch.randn((draws, *logits.shape), generator=self.generator, device=x.device)


# By how uncertain a victim is, of images (n, c, h, w) and samples (m, n, k), each (n,): the first two in nats, of the answer, and
# of label and draw; the variance that a heteroscedastic network gives its logits, mean over classes.
UNCERTAINTY_SCORES: dict[str, Callable[[Any, Tensor, Tensor], Tensor]] = {
    "entropy": lambda victim, x, samples: entropy(victim.combine(samples).log_softmax(1)),
    "mutual_information": lambda victim, x, samples: mutual_information(samples.log_softmax(-1)),
    "variance": lambda victim, x, samples: victim.sigma(x).square().mean(1),
}


def scores_of(victim: Victim) -> tuple[str, ...]:
    """The names of the uncertainty scores that `victim` has, of "entropy", "mutual_information" and "variance"."""
    return victim.scores


ESTIMATORS = ("none", "epistemic", "aleatoric")


def estimate(
    estimator: str, network: nn.Module, *, generator: torch.Generator, draws: int, precision: str = "float32"
) -> Victim:
    """The victim that `estimator` makes of `network`: `none`, `epistemic` (MC dropout) or `aleatoric` (Gaussian logits).

    Args:
        estimator: one of `ESTIMATORS`.
        network: from `models.build`, or any module from images to logits, which is adopted: see `models.adopt`.
        generator: where the draws come from.
        draws: how many fresh random passes through the network make up one answer: the T of the papers.
        precision: `float32`, or `bfloat16` for what is inside.

    Raises:
        BadValue: unknown estimator; no draws; one that needs what the network has not, dropout or a second head.
    """
    check_choice("estimator", estimator, ESTIMATORS)
    check_count("draws", draws)
    if isinstance(network, Victim):
        raise BadValue(f"network: expected a network, got a victim, {type(network).__name__}, that was made of one")
    network = network if isinstance(network, Network) else models.adopt(network)
    if estimator == "epistemic" and not models.draws(network):
        raise BadValue("estimator: epistemic needs a network with dropout layers, and this one has none")
    if estimator == "aleatoric" and network.noise is None:
        raise BadValue("estimator: aleatoric needs a network with a second head (heteroscedastic=True)")
    if estimator == "none":
        return Deterministic(network, precision=precision)
    kind = MonteCarloDropout if estimator == "epistemic" else Heteroscedastic
    return kind(network, generator=generator, draws=draws, precision=precision)
