"""Where a result comes from: commit, library versions, device, time, memory."""

import importlib.metadata
import platform
import re
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch

from experiments.records import ROOT

CODE = ("lib", "experiments")  # what a measurement depends on
LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn", "cleverhans")


def describe(*, device: str, seconds: float, processor_seconds: float) -> dict[str, Any]:
    """The provenance of a result that was computed on `device`.

    `seconds` are those of a clock, `processor_seconds` those that all threads together had a processor.
    """
    return {
        "commit": commit(),
        "versions": versions(),
        "device": device_name(device),
        "device_type": torch.device(device).type,
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor_seconds, 2),
        "peak_memory_mib": peak_memory_mib(device),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def commit() -> str:
    """The commit of the working tree, with "+" if tracked code differs from it; "unknown" outside a git checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", *CODE) else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def versions() -> dict[str, str]:
    """Python's version and those of the libraries that a result depends on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def device_name(device: str) -> str:
    """What `device` is called by its maker, such as "NVIDIA H100 80GB HBM3" or the processor's model name."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:(.+)$", cpuinfo.read_text() if cpuinfo.exists() else "", re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def peak_memory_mib(device: str) -> int:
    """The most memory in use since the process began: of the GPU, or of the process on a CPU."""
    if torch.device(device).type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20)
    unit = 1 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)
