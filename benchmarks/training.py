"""How fast Song's victims train, naturally and by PGD: images a second, and the share of the machine's bfloat16 matrix peak.

    python -m benchmarks.training [--device cuda] [--network wide_resnet] [--seconds 20]

The peak is measured here, as the best of a few square matrix products; the work of a step is PyTorch's count for a pass
forward, once more for each pass back. Aim: 40 % of the peak of an H100 for the wide residual network. Not measured there yet.
"""

from dataclasses import replace
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import harness
from benchmarks.harness import seconds_of
from experiments.papers import song
from experiments.papers.song.victims import training_config
from lib import data, models
from lib.data import Split
from lib.training.robust import Run, can_compile

SIZES = {"cpu": (1024, 2048, 4096), "cuda": (4096, 8192, 16384)}


def peak(device: str) -> float:
    """Floating-point operations a second of the best bfloat16 matrix product."""
    rates = []
    for n in SIZES[device]:
        a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
        rates.append(2 * n**3 / seconds_of(lambda a=a, b=b: a @ b, seconds=1.0))
    return max(rates)


def run_of(cell: song.Cell, *, device: str) -> Run:
    """A training of the victim of `cell` on random images, with the paper's batch and the attack at its full budget."""
    shape, config = data.SHAPES[cell.dataset], replace(training_config(cell), ramp=0)
    images = torch.randint(0, 256, (4 * config.batch_size, *shape), dtype=torch.uint8, device=device)
    split = Split(images, torch.randint(0, 10, (len(images),), device=device))
    network = models.build(cell.network, shape=shape, classes=len(data.CLASSES[cell.dataset]), seed=0, width=cell.width)
    return Run(network.to(device).train(), split, config, seed=0, compiled=can_compile(device))


def operations(cell: song.Cell, *, device: str) -> float:
    """Floating-point operations of one step of training, two for each multiplication with addition.

    A pass forward is counted by PyTorch; back to the images, and back to the weights, take as many each.
    """
    run = run_of(cell, device=device)
    x = run.split.take(torch.arange(cell.batch_size, device=device))[0]
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        run.plain(x)
    return float(counted.get_total_flops()) * cell.training_work() / (cell.steps * cell.batch_size)


def report(network: str, *, device: str, seconds: float, highest: float) -> None:
    """Print the rates of one network's natural and robust training."""
    for cell in (c for c in song.main("paper") if c.network == network and c.seed == 0 and c.attack == "threshold"):
        run = run_of(cell, device=device)
        step = seconds_of(partial(run.step, 0), seconds=seconds)
        rate = operations(cell, device=device) / step
        images = f"{cell.batch_size / step:9.1f} images/s"
        print(f"{network:<12} {cell.estimator:<8} {images} {rate / 1e12:8.2f} TFLOP/s {rate / highest:6.1%} of peak")


def main() -> None:
    """Print the peak and a line for each network and training."""
    networks = ["yale_cnn", "fashion_cnn", "wide_resnet"]
    options = harness.command_line(
        __doc__,
        counts={"threads": torch.get_num_threads()},
        device={"default": "cuda" if torch.cuda.is_available() else "cpu", "choices": ["cpu", "cuda"]},
        network={"nargs": "+", "choices": networks, "default": networks},
        seconds={"type": float, "default": 20.0},
    )
    highest = peak(options.device)
    print(f"bfloat16 matrix products on {options.device}: {highest / 1e12:.2f} TFLOP/s")
    for network in options.network:
        report(network, device=options.device, seconds=options.seconds, highest=highest)


if __name__ == "__main__":
    harness.run(main)
