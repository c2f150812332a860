"""The Boundary attack of Brendel, Rauber and Bethge (2018): a random walk along the boundary, ever closer to the image.

From a point at distance r of the image each step tries a random candidate on the sphere of that radius, delta r away, and, if
that is adversarial, one epsilon r closer. The settings are those of ART 1.20.1's `BoundaryAttack`, which Counterfit uses, and
an iteration is, as there, a step closer that succeeds. Different from ART:

1. One candidate is asked about at a time, where ART asks for `sample_size` = 20 and keeps the closest.
2. Both step sizes change after every answer, by a power of `step_adapt` under which they stay where ORTHOGONAL of the candidates
   on the sphere and CLOSER of those closer are adversarial; ART changes them after each 20. Neither grows beyond 1.
3. A candidate on the sphere that is adversarial is moved to even if the one closer is not.
4. The image itself is asked about first. The start moves straight towards it by bisection.
5. An image ends early after `trials` candidates without a step closer, or when both its steps are below STILL, as a random victim
   may make them: at a point that fewer than ORTHOGONAL of its answers call adversarial both shrink for good.
6. Where nothing is random, the last point moves `outward`, as HopSkipJump's does.

A random victim deceives the walk: one lucky draw is enough for a step, none undoes it, and so it ends where the true label
wins. With `lead` the oracle asks until it is sure of a step, and with `check_answers` the walk is held to account, see
`called_back`, whenever it has come a NEWS closer than the closest point that passed, and at its end; it goes on from the point
that passed. The trace then tells of the points that passed.

`python -m benchmarks.decision --attack boundary --norm l2 --iterations 300` measures it beside ART's and Foolbox's.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..progress import track
from .checks import for_each
from .decision import Decided, Walk, begin, distances, request_of, restored, state_of
from .oracle import DecisionOracle
from .starts import SURE, outward, starting_points, sure_starts, to_boundary

ORTHOGONAL = 0.28  # on a flat boundary, in many dimensions, the shares at which the walk advances fastest
CLOSER = 0.42
BISECTIONS = 5  # of the line back to the last point that passed
BLOCK = 16  # candidates whose random numbers are drawn at once
NEWS = 0.1  # by what share the walk must have come closer to be checked
COARSE = 0.01  # how close to the boundary a start is brought, as a share of its distance
STILL = 1e-12  # of the distance: float32 does not tell such a step from none, and no run of luck leads back from it


@dataclass
class Steps(Walk):
    """Where the Boundary attack stands between two blocks of candidates; its traces have rows to spare."""

    delta: Tensor  # (n,) length of the next step on the sphere, as a share of the distance
    epsilon: Tensor  # (n,) and of the next one closer
    done: Tensor  # (n,) steps closer
    tried: Tensor  # (n,) candidates since the last one
    started: Tensor  # (n,) whether there is anything to do

    @property
    def rows(self) -> int:
        """How many the traces have in use."""
        return int(self.done.max()) + 1 if len(self.done) else 1

    def tell(self, owner: Tensor, oracle: DecisionOracle) -> None:
        """The last row of the images `owner` in the traces."""
        while self.rows > len(self.trace_answers):
            self.trace_answers = self.trace_answers.repeat(2, 1)
            self.trace_distance = self.trace_distance.repeat(2, 1)
        self.trace_answers[self.done[owner], owner] = oracle.answers[owner]
        self.trace_distance[self.done[owner], owner] = self.least[owner]


@torch.no_grad()
def boundary(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    generator: torch.Generator,
    targeted: bool = False,
    start: Tensor | None = None,
    iterations: int | Tensor = 5000,
    delta: float | Tensor = 0.01,
    epsilon: float | Tensor = 0.01,
    step_adapt: float | Tensor = 0.667,
    trials: int | Tensor = 500,
    min_epsilon: float | Tensor = 0.0,
    start_tries: int = 100,
    lead: int = 3,
    check_answers: int = 50,
    budget: int | Tensor | None = None,
    ids: Tensor | None = None,
    max_batch: int = 4096,
    progress: bool = False,
    callback: Callable[[dict[str, Tensor]], None] | None = None,
    state: Mapping[str, Tensor] | None = None,
) -> Decided:
    """The Boundary attack, in l2, on all images at once.

    A setting that may be a tensor (n,) has a value for each image, which ends after its own.

    Args:
        victim, x, y, generator, targeted, start, start_tries, ids, max_batch: as of `hop_skip_jump`.
        iterations: how many steps closer.
        delta: first length of a step on the sphere, as a share of the distance.
        epsilon: first length of a step closer, as a share of the distance.
        step_adapt: how fast both change, 1 being not at all.
        trials: after how many candidates without a step closer an image ends.
        min_epsilon: an image ends once `epsilon` is smaller.
        lead: how many answers one of two classes must be ahead of the other, for every decision; 1 believes the first. No
            use where nothing is random, like the next.
        check_answers: how many fresh answers a point must stand to be returned; 0 checks nothing.
        budget: an image tries no candidate once it has had this many answers.
        progress, callback, state: as of `hop_skip_jump`; the callback is called after every 16 candidates.

    Raises:
        BadValue: as of `hop_skip_jump`.
    """
    asking: dict[str, Any] = {"targeted": targeted, "lead": lead, "max_batch": max_batch}
    oracle, limit = begin(victim, x, y, generator, start, start_tries, ids, budget, check_answers, **asking)
    rounds = for_each("iterations", iterations, y, low=0)
    patience = for_each("trials", trials, y)
    delta = for_each("delta", delta, x, low=1e-6, high=1.0)
    epsilon = for_each("epsilon", epsilon, x, low=1e-6, high=1.0)
    step_adapt = for_each("step_adapt", step_adapt, x, low=1e-3, high=1.0)
    min_epsilon = for_each("min_epsilon", min_epsilon, x, low=0.0, high=1.0)
    checking = check_answers if oracle.random else 0
    everyone, request = torch.arange(len(x), device=x.device), request_of(oracle)

    def keep(owner: Tensor) -> None:
        """Keep the points of the images `owner` that are closer than those kept; what does not pass is called back first."""
        owner = owner[distances(x[owner], walk.point[owner]) < walk.least[owner]]
        if checking:
            walk.point[owner] = called_back(oracle, walk.point[owner], walk.kept[owner], owner, checking)
        walk.kept[owner], walk.least[owner] = walk.point[owner], distances(x[owner], walk.point[owner])

    def going() -> Tensor:
        """The images that have not ended."""
        w = walk
        open_ = w.found & (w.least > 0) & (distances(x, w.point) > 0) & (w.done < rounds) & (w.tried < patience)
        moving = (w.epsilon >= min_epsilon) & (torch.maximum(w.delta, w.epsilon) >= STILL)
        return everyone[open_ & moving & (oracle.answers < limit)]

    if state is None:
        point, found = starting_points(oracle, start, start_tries)
        if checking:
            point, found = sure_starts(oracle, point, found, checking, start, start_tries)
        least = distances(x, point).masked_fill(~found, torch.inf)
        none, traces = torch.zeros_like(rounds), (oracle.answers[None].clone(), least[None].clone())
        kept, begun = point.clone(), found & (least > 0)
        walk = Steps(request, none.sum(), found, point, kept, least, *traces, delta, epsilon, none, none.clone(), begun)
        started = everyone[begun]
        walk.point[started] = to_boundary(oracle, walk.point[started], started, COARSE)
        keep(started)
        walk.tell(everyone, oracle)
    else:
        walk = restored(Steps, state, oracle, request)
        started = everyone[walk.started]
    noise = x.new_empty(len(x), BLOCK, *x.shape[1:])
    for candidate in track(itertools.count(int(walk.steps)), "Boundary", enabled=progress):
        on = going()
        if len(on) == 0:
            break
        if candidate % BLOCK == 0:
            for i in on.tolist():
                noise[i].normal_(generator=oracle.sources[i])
        nearer = advance(oracle, walk, on, noise[on, candidate % BLOCK], step_adapt)
        news = distances(x[nearer], walk.point[nearer]) < (1 - NEWS) * walk.least[nearer]
        keep(nearer[news] if checking else nearer)
        walk.steps += 1
        walk.tried[on] += 1
        walk.tried[nearer], walk.done[nearer] = 0, walk.done[nearer] + 1
        walk.tell(nearer, oracle)
        if callback is not None and walk.steps % BLOCK == 0:
            callback(state_of(walk, oracle))
    keep(started)
    if not oracle.random:
        walk.kept[started] = outward(oracle, walk.kept[started], started)
        walk.least[started] = distances(x[started], walk.kept[started])
    # An image that has ended repeats its last entries; what it cost and came to after its last step belongs to these.
    walk.tell(everyone, oracle)
    rows = torch.arange(walk.rows, device=x.device)[:, None].minimum(walk.done)
    traces = walk.trace_answers.gather(0, rows), walk.trace_distance.gather(0, rows)
    return Decided(walk.kept, walk.found, walk.least, oracle.answers.clone(), oracle.calls, *traces)


def advance(oracle: DecisionOracle, walk: Steps, owner: Tensor, noise: Tensor, step_adapt: Tensor) -> Tensor:
    """One candidate for each of the images `owner` (m,), by `noise` (m, c, h, w): those that have come a step closer."""
    aside = orthogonal(oracle.x[owner], walk.point[owner], walk.delta[owner], noise).clamp(*oracle.bounds)
    adversarial = oracle(aside, owner)
    walk.delta[owner] = adapted(walk.delta[owner], step_adapt[owner], adversarial, ORTHOGONAL)
    owner, aside = owner[adversarial], aside[adversarial]
    nearer = torch.lerp(aside, oracle.x[owner], walk.epsilon[owner].view(-1, 1, 1, 1))
    adversarial = oracle(nearer, owner)
    walk.epsilon[owner] = adapted(walk.epsilon[owner], step_adapt[owner], adversarial, CLOSER)
    walk.point[owner] = torch.where(adversarial.view(-1, 1, 1, 1), nearer, aside)
    return owner[adversarial]


def orthogonal(x: Tensor, point: Tensor, delta: Tensor, noise: Tensor) -> Tensor:
    """Each `point` moved by `delta` (m,) of its distance from `x`, at a right angle to it, and back to that distance.

    The direction is that of `noise` (m, c, h, w), less what of it points to `x`.
    """
    away, noise = (point - x).flatten(1), noise.flatten(1)
    squared = (away * away).sum(1, keepdim=True)
    noise = noise - (noise * away).sum(1, keepdim=True) / squared * away
    noise = nn.functional.normalize(noise) * squared.sqrt()
    # x + (a + delta |a| n) / sqrt(1 + delta^2),  n at a right angle to a, |n| = 1
    delta = delta[:, None]
    return x + ((away + delta * noise) / (1 + delta**2).sqrt()).view(x.shape)


def adapted(size: Tensor, step_adapt: Tensor, success: Tensor, rate: float) -> Tensor:
    """Step sizes (m,) after an answer: longer for a success, shorter for a failure, unmoved on average at `rate` successes."""
    # s a^((rate - success) / 2): a whole factor a takes two answers
    return (size * step_adapt ** ((rate - success.to(size.dtype)) / 2)).clamp(max=1.0)


def called_back(oracle: DecisionOracle, point: Tensor, passed: Tensor, owner: Tensor, answers: int) -> Tensor:
    """Each `point` that is clearly adversarial by fresh `answers`; else the first on the line back to `passed` that is.

    What is found must pass once more, by SURE times as many answers, or the way back leads to `passed`.
    """
    best, stands = passed.clone(), oracle.clearly(point, owner, answers)
    best[stands], rest = point[stands], (~stands).nonzero()[:, 0]
    share, half = point.new_full((len(rest),), 0.5), 0.25  # of the line from `passed`
    for _ in range(BISECTIONS):
        tried = torch.lerp(passed[rest], point[rest], share.view(-1, 1, 1, 1))
        stands = oracle.clearly(tried, owner[rest], answers)
        best[rest[stands]] = tried[stands]
        share, half = share + torch.where(stands, half, -half), half / 2
    moved = (best != passed).flatten(1).any(1).nonzero()[:, 0]
    fallen = moved[~oracle.clearly(best[moved], owner[moved], SURE * answers)]
    best[fallen] = passed[fallen]
    return best
