"""HopSkipJump (Chen, Jordan and Wainwright 2020), all images at once, each with its own settings, step lengths and end.

Different from the paper's algorithm, what is returned is the closest of the points at the end of each iteration, all of which
lie on the boundary. The settings are those of the adversarial-robustness-toolbox (ART) 1.20.1, which Counterfit uses.

A random victim deceives every bisection of the plain attack, which ends where the true label wins. With `lead` the oracle asks
until it is sure, wherever one answer decides; what is returned stands the check of `hops.checked`. Noise also drowns what near
points could tell of the direction, so `probe` is large. The one published precedent found is PopSkipJump (Simon-Gabriel, Sheikh
and Krause 2021), for an image at a time, whose points lie where a vote is a toss-up. `python -m benchmarks.decision` measures it
beside ART's and Foolbox's, with `--noisy` and `--popskipjump` on random victims.

The victim should answer in float32. In bfloat16 pixels near 1 are 0.004 apart, which rounds away the probes: the direction is
lost, and LeNet-5 on MNIST seems more than twice as far from its boundary.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import check_choice, check_count, check_flag, check_number
from ..progress import track
from .checks import for_each
from .decision import NORMS, Decided, begin, request_of, restored, state_of
from .hops import FARTHER, Hops, first_point, hop, settle
from .starts import bisections, starting_points

CHECKS = 16  # that a point takes on average, those that confirm it aside


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
    initial_evaluations: int | Tensor | None = None,
    start_tries: int = 100,
    probe: float | None = None,
    lead: int = 5,
    check_answers: int = 50,
    confirm_answers: int = 200,
    farthest: float = 5.5,
    budget: int | Tensor | None = None,
    step_outward: bool = True,
    ids: Tensor | None = None,
    max_batch: int = 512,
    progress: bool = False,
    callback: Callable[[dict[str, Tensor]], None] | None = None,
    state: Mapping[str, Tensor] | None = None,
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
        initial_evaluations: how many the first takes; the t-th takes sqrt(t) times as many. None: 100 or, of a random victim with
            a budget, a fortieth of that if it is more.
        start_tries: how many random images are tried.
        probe: radius around the point within which those answers are asked for, as a multiple of its distance. None: 0.01 or, of
            a random victim, 2 in l2 and 0.6 sqrt(c h w) in l_inf, where a change of distance 1 may be as long as that root in l2.
        lead: how many answers one of two classes must be ahead of the other, wherever a single answer decides; 1 believes the
            first. No use where nothing is random, like the next two.
        check_answers: how many fresh answers must call a start and the last point clearly adversarial; 0 checks nothing.
        confirm_answers: how many more, that did not choose it, must call the last point so; 0 returns the first that passes.
        farthest: how far out along its ray a last point that is not clear is tried, as a multiple of its distance; then on the
            way back to its start. The noisier the victim, the nearer to the image a walk takes luck for a boundary.
        budget: an image begins no iteration once it has had this many answers, less what confirming takes, and the last direction
            takes what the step and the way back leave: these may ask a few more.
        step_outward: whether, where nothing is random, the last point moves outward by a thousandth of its distance if it is
            adversarial there too. On the very boundary an answer may change with the rounding of another batch.
        ids: (n,) what its random numbers know an image by; its place if None.
        max_batch: images shown to the victim at once; a GPU takes more.
        progress: whether to show a bar.
        callback: called after each iteration with all that is needed to go on: plain tensors, for `torch.save` or safetensors.
        state: what a callback was called with. With it and the same arguments the attack goes on from there, equal to the bit if
            the victim draws from the attribute `generator` of its own or of a module inside.

    Raises:
        BadValue: a setting out of range; labels, starts or ids that do not match the images; images outside the bounds;
            a state of another request.
    """
    order = NORMS[check_choice("norm", norm, NORMS)]
    asking: dict[str, Any] = {"targeted": targeted, "order": order, "lead": lead, "max_batch": max_batch}
    oracle, limit = begin(victim, x, y, generator, start, start_tries, ids, budget, check_answers, **asking)
    features = x[0].numel() if len(x) else 1
    if probe is not None:
        check_number("probe", probe, low=1e-6, high=math.sqrt(features))
    check_count("confirm_answers", confirm_answers, low=0)
    check_number("farthest", farthest, low=1.0, high=FARTHER[-1])
    check_flag("step_outward", step_outward)
    rounds = for_each("iterations", iterations, y, low=0)
    first = for_each("initial_evaluations", 100 if initial_evaluations is None else initial_evaluations, y)
    most = for_each("max_evaluations", max_evaluations, y)
    checking = check_answers if oracle.random else 0
    if oracle.random and initial_evaluations is None and budget is not None:
        first = first.maximum(limit // 40)
    if probe is None:
        probe = (2.0 if norm == "l2" else 0.6 * math.sqrt(features)) if oracle.random else 0.01
    tolerance = probe / (math.sqrt(features) if norm == "l2" else features)
    leaving = step_outward and not oracle.random
    # A step, the way back, and the step outward.
    reserved = (lead if oracle.random else 1) ** 2 * (1 + bisections(tolerance)) + leaving
    confirming = confirm_answers if checking else 0
    if confirming:
        limit = (limit - CHECKS * checking - confirming).clamp_min(1)
    everyone, request = torch.arange(len(x), device=x.device), request_of(oracle)
    if state is None:
        begun, found = starting_points(oracle, start, start_tries, checking, confirming)
        walk = first_point(oracle, request, begun, found, tolerance)
    else:
        walk = restored(Hops, state, oracle, request)
    for iteration in track(range(int(walk.steps), int(rounds.max()) if len(x) else 0), "HopSkipJump", enabled=progress):
        going = everyone[walk.found & (walk.distance > 0) & (iteration < rounds) & (oracle.answers < limit)]
        if len(going) == 0:
            break
        evaluations = torch.minimum((first[going] * math.sqrt(iteration + 1)).long(), most[going])
        left = limit[going] - oracle.answers[going] - reserved
        evaluations = torch.minimum(evaluations, left).clamp_min(1)
        hop(oracle, walk, going, evaluations, probe, tolerance)
        if callback is not None:
            callback(state_of(walk, oracle))
    settle(oracle, walk, checking, confirming, farthest, leaving)
    traces = walk.trace_answers, walk.trace_distance
    return Decided(walk.kept, walk.found, walk.least, oracle.answers.clone(), oracle.calls, *traces)
