"""HopSkipJump (Chen, Jordan and Wainwright 2020).

All images are attacked at once, and share calls of the victim; each has its own settings, step lengths, random numbers and end.
Different from the paper's algorithm, what is returned is the closest of the points at the end of each iteration, all of which
lie on the boundary. The settings are those of the adversarial-robustness-toolbox (ART) 1.20.1, which Counterfit uses.

A random victim deceives every bisection of the plain attack, which ends where the true label wins. With `lead` the oracle asks
until it is sure, wherever one answer decides; with `check_answers` a start and the last point must be clearly adversarial by so
many fresh answers, for which a point on the boundary moves out as far as it must. Noise also drowns what near points could tell
of the direction: `probe` 10 for l_inf and 1 for l2 served the victim below, where ART's 0.01 finds nothing.

The victim should answer in float32. In bfloat16 pixels near 1 are 0.004 apart, which rounds away the probes: the direction is
lost, and LeNet-5 on MNIST seems more than twice as far from its boundary.

Claims, on MNIST, LeNet-5 and 10 iterations, measured on one thread of a Xeon with AMX, shared with other jobs, by `python -m
benchmarks.decision` and with `--noisy`:

1. 64 images take 524 calls of the victim, where ART 1.20.1 takes 12,872 and Foolbox 3.3.4 2,566. The median l_inf distance is
   0.133 after 2,442 answers an image; Foolbox's 0.137 after 2,566, ART's 0.177 after 2,437. In l2 it is 1.78 after 2,387, and
   Foolbox's, an image at a time, 1.75 after 2,467.
2. Of the time 88% is the victim's (l_inf), and 97% if that is a ResNet-18 on 3x32x32.
3. Where LeNet-5 answers by one draw of dropout 0.5, of 32 images the plain attack deceives 3% (l_inf) and none (l2) by most of
   50 fresh draws, ART 3% in either, and with lead 5, 50 answers to a check and these probes it deceives 97% and all. That takes
   5,236 and 4,420 answers an image, where the plain attack takes 2,083 and 2,225.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import check_choice, check_count, check_flag, check_number
from .decision import (
    NORMS,
    Decided,
    bisections,
    check_request,
    distances,
    for_each,
    outward,
    starting_points,
    streams,
    to_boundary,
)  # fmt: skip
from .oracle import DecisionOracle

HALVINGS = 30  # of a step's length, after which the image stays where it is
FARTHER = (1.02, 1.03, 1.05, 1.08, 1.13, 1.2, 1.3, 1.5, 1.8)  # how far out along its ray a point is checked, in turn
BACK = (0.1, 0.2, 0.4, 0.7)  # and then how far along the way back to the start


@torch.no_grad()
def hop_skip_jump(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    generator: torch.Generator,
    norm: str = "linf",
    targeted: bool = False,
    start: Tensor | None = None,
    iterations: int | Tensor = 50,
    max_evaluations: int | Tensor = 10_000,
    initial_evaluations: int | Tensor = 100,
    start_tries: int = 100,
    probe: float = 0.01,
    lead: int = 1,
    check_answers: int = 0,
    budget: int | Tensor | None = None,
    step_outward: bool = True,
    ids: Tensor | None = None,
    max_batch: int = 512,
) -> Decided:
    """HopSkipJump: in turn, a direction from many answers around a point on the boundary, a step along it, and back.

    A setting that may be a tensor (n,) has a value for each image, which ends after its own.

    Args:
        victim: images to scores of classes; a random one, see `uncertainty`, answers afresh at every call.
        x: images (n, c, h, w) inside the victim's bounds.
        y: labels (n,) to leave or, if `targeted`, to reach.
        generator: one number is drawn from it, from which with its id each image gets random numbers of its own.
        norm: of the distance that is made small, "l2" or "linf".
        targeted: whether `y` is to be reached.
        start: adversarial images to start from; None tries uniformly random ones.
        iterations: of direction, step and return.
        max_evaluations: the most answers that one direction takes.
        initial_evaluations: how many the first takes; the t-th takes sqrt(t) times as many.
        start_tries: how many random images are tried.
        probe: radius around the point within which those answers are asked for, as a multiple of its distance.
        lead: how many answers one of two classes must be ahead of the other, wherever a single answer decides; 1 believes the
            first. The answers that make a direction are averaged anyway.
        check_answers: how many fresh answers must call a start and the last point clearly adversarial; 0 checks nothing. No use
            where nothing is random.
        budget: an image begins no iteration once it has had this many answers, and the last direction takes what the step and
            the way back leave: these may ask a few more.
        step_outward: whether, where nothing is random, the last point moves outward by a thousandth of its distance if it is
            adversarial there too. On the very boundary an answer may change with the rounding of another batch.
        ids: (n,) what its random numbers know an image by; its place if None.
        max_batch: images shown to the victim at once; a GPU takes more.

    Raises:
        BadValue: a setting out of range; labels, starts or ids that do not match the images; images outside the bounds.
    """
    low, high = check_request(victim, x, y, start, ids, generator)
    n = len(x)
    order = NORMS[check_choice("norm", norm, NORMS)]
    check_count("start_tries", start_tries)
    features = x[0].numel() if n else 1
    check_number("probe", probe, low=1e-6, high=math.sqrt(features))
    check_count("check_answers", check_answers, low=0)
    check_flag("step_outward", step_outward)
    rounds = for_each("iterations", iterations, y, low=0)
    first = for_each("initial_evaluations", initial_evaluations, y)
    most = for_each("max_evaluations", max_evaluations, y)
    limit = torch.full_like(rounds, 2**62) if budget is None else for_each("budget", budget, y)
    oracle = DecisionOracle(victim, y, targeted=targeted, lead=lead, max_batch=max_batch)
    check_answers = check_answers if oracle.random else 0
    sources = streams(generator, torch.arange(n) if ids is None else ids, x.device)

    tolerance = probe / (math.sqrt(features) if norm == "l2" else features)
    begun, found = starting_points(oracle, x, start, tries=start_tries, sources=sources, check_answers=check_answers)
    point = begun.clone()
    leaving = step_outward and not oracle.random
    reserved = oracle.lead * (1 + bisections(tolerance)) + leaving  # a step, the way back, and the step outward
    everyone = torch.arange(n, device=x.device)

    started = everyone[found & (begun != x).flatten(1).any(1)]
    point[started] = to_boundary(oracle, x[started], point[started], started, order, tolerance)
    closest, distance = point.clone(), distances(x, point, order)
    least = torch.where(found, distance, torch.inf)
    trace = [(oracle.answers.clone(), least.clone())]
    for iteration in range(int(rounds.max()) if n else 0):
        going = everyone[found & (distance > 0) & (iteration < rounds) & (oracle.answers < limit)]
        if len(going) == 0:
            break
        at, away = point[going], distance[going]
        radius = probe * away if iteration else (probe * away).clamp_min(0.1 * (high - low))
        evaluations = torch.minimum((first[going] * math.sqrt(iteration + 1)).long(), most[going])
        left = limit[going] - oracle.answers[going] - reserved
        evaluations = torch.minimum(evaluations, left).clamp_min(1)
        direction = directions(oracle, at, going, radius, evaluations, [sources[i] for i in going.tolist()], order)
        moved = step(oracle, at, direction, going, away / math.sqrt(iteration + 1), (low, high))
        at = to_boundary(oracle, x[going], moved, going, order, tolerance)
        point[going], distance[going] = at, distances(x[going], at, order)
        nearer = going[distance[going] < least[going]]
        closest[nearer], least[nearer] = point[nearer], distance[nearer]
        trace.append((oracle.answers.clone(), least.clone()))
    if check_answers:
        begun, point = begun[started], closest[started]
        closest[started] = checked(oracle, x[started], point, begun, started, check_answers, (low, high))
        least[started] = distances(x[started], closest[started], order)
        trace.append((oracle.answers.clone(), least.clone()))
    if leaving:
        closest[started] = outward(oracle, x[started], closest[started], started)
        least[started] = distances(x[started], closest[started], order)
        trace[-1] = (oracle.answers.clone(), least.clone())
    traces = (torch.stack(rows) for rows in zip(*trace, strict=True))  # of answers, of distances
    return Decided(closest, found, least, oracle.answers.clone(), oracle.calls, *traces)


def directions(
    oracle: DecisionOracle,
    point: Tensor,
    owner: Tensor,
    radius: Tensor,
    evaluations: Tensor,
    sources: list[torch.Generator],
    order: float,
) -> Tensor:
    """Estimates of which way each `point` (m, c, h, w) gets more adversarial, of l2 norm 1 or, in l_inf, signs.

    One answer is asked for each of `evaluations` points (m,) at `radius` (m,) around it, in a random direction: the estimate
    leads from the mean of those that are not adversarial to the mean of those that are.
    """
    low, high = oracle.bounds
    # Images share calls of the victim, in groups that make few of them and yet fit into memory.
    group = (evaluations.cumsum(0) - evaluations) // (4 * oracle.max_batch)
    found = torch.empty_like(point)
    for number in sorted(set(group.tolist())):
        members = (group == number).nonzero()[:, 0]
        sizes = evaluations[members].tolist()
        pool = point.new_empty(sum(sizes), *point.shape[1:])
        around = torch.split(pool, sizes)
        for i, points in zip(members.tolist(), around, strict=True):
            _fill(points, sources[i], order)
            scale = radius[i] / torch.linalg.vector_norm(points.flatten(1), dim=1)
            points.mul_(scale.view(-1, 1, 1, 1)).add_(point[i]).clamp_(low, high)
        adversarial = oracle.once(pool, owner[members].repeat_interleave(evaluations[members]))
        for i, points, answers in zip(members.tolist(), around, torch.split(adversarial, sizes), strict=True):
            # sum_b (phi_b - mean phi) (x_b - x),  phi_b = 1 where adversarial, -1 elsewhere; phi_b if all are the same
            phi = 2 * answers.to(point.dtype) - 1
            mean = phi.mean()
            weight = torch.where(mean.abs() < 1, phi - mean, phi)
            found[i] = (weight @ points.sub_(point[i]).flatten(1)).view(point.shape[1:])
    return found.sign() if order > 2 else F.normalize(found.flatten(1)).view(point.shape)


def _fill(points: Tensor, source: torch.Generator, order: float) -> None:
    """Random numbers of either sign, up to a factor: normal ones for l2, uniform ones for l_inf."""
    if order == 2:
        points.normal_(generator=source)
    else:
        # A 64-bit word serves four features, in a quarter of the time of `uniform_`.
        words = torch.empty(-(-points.numel() // 4), dtype=torch.int64, device=points.device)
        words.random_(-(2**63), None, generator=source)
        points.copy_(words.view(torch.int16)[: points.numel()].view(points.shape))


def step(
    oracle: DecisionOracle, point: Tensor, direction: Tensor, owner: Tensor, length: Tensor, bounds: tuple[float, float]
) -> Tensor:
    """Each `point` moved along its direction by `length` (m,), halved until it is adversarial."""
    moved, seeking = point.clone(), torch.arange(len(point), device=point.device)
    for halvings in range(HALVINGS):
        lengths = (length[seeking] / 2**halvings).view(-1, 1, 1, 1)
        tried = (point[seeking] + lengths * direction[seeking]).clamp(*bounds)
        adversarial = oracle(tried, owner[seeking])
        moved[seeking[adversarial]] = tried[adversarial]
        seeking = seeking[~adversarial]
        if len(seeking) == 0:
            break
    return moved


def checked(
    oracle: DecisionOracle,
    x: Tensor,
    point: Tensor,
    begun: Tensor,
    owner: Tensor,
    answers: int,
    bounds: tuple[float, float],
) -> Tensor:
    """For each of the images `owner` (m,) the first point that is clearly adversarial by fresh `answers`: (m, c, h, w).

    On the boundary the vote of a random victim is a toss-up. So points farther out along the ray from the image `x` through its
    `point` are tried, then points on the way back to where it has `begun`, which has passed this check before.
    """
    best, seeking = begun.clone(), torch.arange(len(owner), device=x.device)
    for factor, back in [*((f, 0.0) for f in FARTHER), *((FARTHER[-1], b) for b in BACK)]:
        out = (x[seeking] + factor * (point[seeking] - x[seeking])).clamp(*bounds)
        tried = torch.lerp(out, begun[seeking], back)
        clear = oracle.clearly(tried, owner[seeking], answers)
        best[seeking[clear]] = tried[clear]
        seeking = seeking[~clear]
        if len(seeking) == 0:
            break
    return best
