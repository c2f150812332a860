"""The Square attack (Andriushchenko et al. 2020): random search that asks for scores, with windows of its own for each image.

No package fits: torchattacks 3.5.1 and ART draw from global generators and compare single answers of a random victim, and adv-lib
0.2.8 has none.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import check_choice, check_count, check_flag, check_number
from ..seeds import check_generator
from .ball import NORMS, l2
from .carlini_wagner import margin
from .checks import check_budget, check_images
from .forms import answer, looks
from .pieces import in_pieces, persist, unsettled

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # when windows halve, in ten thousandths of the queries
TINY = 1e-12
Draw = Callable[..., Tensor]  # numbers in [0, 1) of the shape asked for


def square(
    victim: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor,
    norm: str = "linf",
    queries: int = 5000,
    restarts: int = 1,
    area: float = 0.8,
    targeted: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Windows of random places and signs, kept where they make the margin smaller, until an image is adversarial.

    The margins of a `Look` are those of its averaged answer; of a random victim all queries and restarts are made.

    Args:
        victim, x, y, targeted, epsilon, norm: as of `pgd`; no gradient is asked for.
        queries: looks at an image in one run, at most.
        restarts: runs of an image that none has fooled.
        area: the paper's p, the share of an image that the first windows cover.
        generator: where places and signs come from, piece by piece (see `pieces`); there has to be one.

    Warns:
        VictimWarning: the victim answers with probabilities.
    """
    bounds = check_images(victim, x, y, gradients=False)
    check_count("queries", queries)
    check_count("restarts", restarts)
    check_number("area", area, low=0.0, high=1.0)
    check_flag("targeted", targeted)
    radius = check_budget(epsilon, x, check_choice("norm", norm, NORMS), bounds)
    source = check_generator(generator)
    begin, propose = (_stripes, _window) if norm == "linf" else (_tiles, _exchange)

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=source, device=source.device).to(x.device)

    @torch.no_grad()
    def look(point: Tensor, y: Tensor) -> Tensor:
        return margin(answer(victim, looks(victim, point, y))[None], y, targeted=targeted)[0]

    def attack(x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
        def attempt(others: Tensor, run: int) -> tuple[Tensor, Tensor]:
            best = begin(x, radius, draw).clamp(*bounds)[others]
            margins = look(best, y[others])
            for query in range(queries - 1):
                # Drawn for all images, so that none depends on what others need.
                numbers = draw(len(x), 5 + x.shape[1])[others]
                if len(left := unsettled(victim, margins)) == 0:
                    break
                # s = sqrt(p h w)
                share = area / 2 ** sum(10_000 * query > mark * queries for mark in HALVINGS)
                side = round((share * x[0, 0].numel()) ** 0.5)
                at = others[left]
                proposal = propose(best[left], x[at], radius[at], side, numbers[left]).clamp(*bounds)
                found = look(proposal, y[at])
                better = found < margins[left]
                best[left[better]], margins[left[better]] = proposal[better], found[better]
            return best, margins

        return persist(victim, x, look(x, y), restarts, attempt)

    return in_pieces(attack, victim, x.detach(), y, radius)


def _signs(numbers: Tensor) -> Tensor:
    """A sign of each number in [0, 1)."""
    return torch.where(numbers < 0.5, -1.0, 1.0)


def _places(corner: Tensor, side: int, image: Tensor) -> Tensor:
    """Where squares of that side lie whose corners two numbers in [0, 1) tell, (n, 2), in an `image`: (n, 1, h, w)."""
    first = [(corner[:, i, None] * (image.shape[i - 2] - side + 1)).long() for i in (0, 1)]
    pixels = [torch.arange(image.shape[i - 2], device=image.device) for i in (0, 1)]
    rows, columns = [(at >= one) & (at < one + side) for at, one in zip(pixels, first, strict=True)]
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _stripes(x: Tensor, radius: Tensor, draw: Draw) -> Tensor:
    """Vertical stripes, a pixel wide."""
    return x + radius * _signs(draw(len(x), x.shape[1], 1, x.shape[3]))


def _window(point: Tensor, x: Tensor, radius: Tensor, side: int, numbers: Tensor) -> Tensor:
    """A square whose channels move by 2 epsilon or -2 epsilon each, that is to one side of the ball."""
    inside = _places(numbers, min(max(side, 1), *x.shape[2:]), x)
    return torch.where(inside, x + radius * _signs(numbers[:, 5:, None, None]), point)


def _pair(side: int, device: torch.device) -> Tensor:
    """A peak above a hollow, with square contours, of l2 norm 1 (side, side)."""

    def peak(height: int) -> Tensor:
        # eta(r, s) = sum_{j = d + 1}^{J} 1 / j^2,  d = max(|r - height / 2|, |s - side / 2|)
        rows, columns = ((torch.arange(size) - size // 2).abs() for size in (height, side))
        sums = (torch.arange(1, side // 2 + 2).double() ** -2).flip(0).cumsum(0).flip(0)
        found = sums[torch.maximum(rows[:, None], columns)]
        return found / found.square().sum().sqrt()

    both = torch.cat([peak(side // 2), -peak(side - side // 2)])
    return (both / both.square().sum().sqrt()).float().to(device)


def _tiles(x: Tensor, radius: Tensor, draw: Draw) -> Tensor:
    """About five by five pairs of peaks, upright or not."""
    n, channels, height, width = x.shape
    side = max(1, min(height, width) // 5)
    down, across = height // side, width // side
    signs, upright = _signs(draw(n, channels, down, across)), draw(n, 1, down, across) < 0.5
    pair = _pair(side, x.device)
    tiles = torch.kron(signs * upright, pair) + torch.kron(signs * ~upright, pair.T.contiguous())
    change, top, start = torch.zeros_like(x), (height - down * side) // 2, (width - across * side) // 2
    change[:, :, top : top + down * side, start : start + across * side] = tiles
    return x + change * radius / l2(change)


def _exchange(point: Tensor, x: Tensor, radius: Tensor, side: int, numbers: Tensor) -> Tensor:
    """A pair of peaks more in one window, for what the budget has left and for the change in another, which is undone."""
    side, change = min(max(side, 3) | 1, *x.shape[2:]), point - x

    def norms(change: Tensor) -> Tensor:
        return change.square().sum((2, 3), keepdim=True).sqrt()  # (n, c, 1, 1)

    first, second = (_places(numbers[:, i : i + 2], side, x) for i in (0, 2))
    pair = _pair(side, x.device)
    turned = torch.where(numbers[:, 4, None, None] < 0.5, pair, pair.T)
    peaks = _signs(numbers[:, 5:, None, None]) * torch.zeros_like(x[:, :1]).masked_scatter(first, turned)
    # v = rho eta / |eta| + nu_W1 / |nu_W1|
    v = peaks + change * first / norms(change * first).clamp_min(TINY)
    # nu_W1 = v / |v| sqrt(|nu_(W1 u W2)|^2 + (epsilon^2 - |nu|^2) / c),  nu_W2 = 0
    unused = (radius.square() - l2(change).square()).clamp_min(0) / x.shape[1]
    room = (norms(change * (first | second)).square() + unused).sqrt()
    moved = torch.where(first, v / norms(v).clamp_min(TINY) * room, change * ~second)
    return x + moved * radius / l2(moved).clamp_min(TINY)
