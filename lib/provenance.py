"""Where a result comes from: commit, fingerprint of the code, library versions, device, time, memory."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import io
import platform
import resource
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch

LIB = Path(__file__).resolve().parent
LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn", "cleverhans")


def describe(module: str, *, device: str, seconds: float, processor_seconds: float) -> dict[str, Any]:
    """The provenance of a result that `module` (such as `lib.papers.harakeh`) computed on `device`.

    `seconds` are those of a clock, `processor_seconds` those that all threads together had a processor.
    """
    return {
        "commit": commit(),
        "fingerprint": fingerprint(module),
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
            ["git", *arguments], cwd=LIB.parent, capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", "lib") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


@cache
def fingerprint(module: str) -> str:
    """Twelve digits over the sources of `module` and of everything in `lib` that it imports, directly or not."""
    digest = hashlib.sha256()
    for path in sorted(_sources(module)):
        digest.update(path.relative_to(LIB).as_posix().encode() + b"\0" + _code(path.read_bytes()).encode())
    return digest.hexdigest()[:12]


def drifted(record: Any, module: str) -> bool:
    """Whether `record` was computed by other code than `module` has now."""
    return bool(record.provenance["fingerprint"] != fingerprint(module))


@cache
def _code(source: bytes) -> str:
    """`source` without comments, docstrings and layout: what cannot change a result does not count as drift."""
    kept = []
    at_start = True  # of a statement, where a string on its own is a docstring
    for token in _tokens(source):
        if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING):
            continue
        if token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            at_start = True
            kept.append({tokenize.NEWLINE: ";", tokenize.INDENT: ">", tokenize.DEDENT: "<"}[token.type])
            continue
        if not (at_start and token.type == tokenize.STRING):
            kept.append(token.string)
        at_start = False
    return "".join(kept)


def _tokens(source: bytes) -> Iterator[tokenize.TokenInfo]:
    """The tokens as Python 3.11 has them: later ones take an f-string apart, which would make another fingerprint."""
    opening, closing = (getattr(tokenize, name, -1) for name in ("FSTRING_START", "FSTRING_END"))
    lines = source.decode().splitlines(keepends=True)
    begun: list[tokenize.TokenInfo] = []  # f-strings, inside each other
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == opening:
            begun.append(token)
        elif token.type == closing:
            (row, column), (last, end) = begun.pop().start, token.end
            text = "".join([*lines[row - 1 : last - 1], lines[last - 1][:end]])[column:]
            if not begun:
                yield token._replace(type=tokenize.STRING, string=text)
        elif not begun:
            yield token


def _sources(module: str) -> set[Path]:
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = _path(waiting.pop())
        if path is None or path in found:
            continue
        found.add(path)
        waiting += _imported(path.read_text())
    return found


@cache
def _imported(source: str) -> tuple[str, ...]:
    """The names that `source` imports, each perhaps a module."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    return tuple(names)


def _path(module: str) -> Path | None:
    if module.split(".")[0] != "lib" or module == "lib":
        return None
    stem = LIB.joinpath(*module.split(".")[1:])
    return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)


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
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def peak_memory_mib(device: str) -> int:
    """The most memory in use since the process began: of the GPU, or of the process on a CPU."""
    if torch.device(device).type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20)
    unit = 1 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)
