"""Trained networks, cached outside the repository by the key of what trained them.

A checkpoint is one safetensors file: the weights, in its metadata the notes of their training, and a checksum over both.
"""

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from ..errors import BadValue

SUFFIX, SNAPSHOT = ".safetensors", ".snapshot"  # of a trained network, and of one that is being trained
COPIES = 4  # of the weights: a checkpoint, and a snapshot with the optimiser's two moments


class NotKept(UserWarning):
    """What was trained cannot be written to the cache: the training holds, but whoever needs it again trains it again."""


def default_cache() -> Path:
    """`CHECKPOINT_DIR`, or a folder in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("CHECKPOINT_DIR") or Path(cache) / "robust-private-uncertain")


def digest(tensors: Mapping[str, Tensor], told: str) -> str:
    """SHA-256 over what is told of the tensors, and over their names and bytes."""
    found = hashlib.sha256(told.encode())
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
    """Write one safetensors file of tensors and of what is told of them, as JSON; what stood there is replaced whole."""
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(told)
    write_atomically(Path(path), to_bytes(kept, metadata={"state": text, "sha256": digest(kept, text)}))


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors at `path` and what is told of them; see `tensors_of`."""
    return tensors_of(Path(path).read_bytes())  # at once: another process may replace the file


def tensors_of(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors in a file's content and what is told of them; one not as `write_tensors` wrote it is a `ValueError`."""
    try:
        tensors = from_bytes(content)
        stated = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        whole = digest(tensors, stated["state"]) == stated["sha256"]
        told: dict[str, Any] = json.loads(stated["state"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"damaged, {type(error).__name__}: {error}") from error
    if not whole:
        raise ValueError("damaged, its checksum is not the recorded one")
    return tensors, told


def save_weights(network: nn.Module, path: str | Path, notes: dict[str, Any]) -> None:
    """Write the weights of `network` and `notes`."""
    write_tensors(path, network.state_dict(), notes)


def load_weights(network: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load the weights at `path` into `network`; returns the notes saved with them.

    A file that is missing, damaged or of another network is a `BadValue`.
    """
    try:
        tensors, notes = read_tensors(path)
    except FileNotFoundError as error:
        raise BadValue(f"checkpoint {path}: expected a file, and there is none") from error
    except (OSError, ValueError) as error:
        raise BadValue(f"checkpoint {path}: cannot be read ({error}); delete it to train again") from error
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise BadValue(f"checkpoint {path}: not of this network ({error}); delete it to train again") from error
    return notes


def trained(
    network: nn.Module,
    key: str,
    train: Callable[[nn.Module, Path | None], dict[str, Any]],
    *,
    cache: Path | None,
    fresh: bool = False,
) -> dict[str, Any]:
    """Fill `network` with the weights cached under `key`, which names all that they depend on; without any, or `fresh`, train it.

    `train` returns notes to keep with the weights (losses, seconds). It is told of a file for a snapshot to go on from, which is
    removed once the weights are safe; of None if there is no folder `cache`, so that nothing is kept, or it is to begin `fresh`.

    Raises:
        BadValue: the weights that are cached are damaged, or of another network.
        OSError: before training: the cache has no room for what will be written.

    Warns:
        NotKept: after training: the weights could not be written all the same.
    """
    if cache is None:
        return train(network, None)
    path = cache / f"{key}{SUFFIX}"
    if not fresh and path.exists():
        return load_weights(network, path)
    check_room(cache, COPIES * sum(value.nbytes for value in network.state_dict().values()))
    snapshot = None if fresh else path.with_suffix(SNAPSHOT)
    notes = train(network, snapshot)
    try:
        save_weights(network, path, notes)
    except OSError as error:
        warnings.warn(f"checkpoint {path}: cannot be kept ({error})", NotKept, stacklevel=2)
        return notes
    if snapshot is not None:
        snapshot.unlink(missing_ok=True)
    return notes


def check_room(folder: Path, needed: int) -> None:
    """See that as many bytes as `needed` are free where `folder` is, or will be; if not, an `OSError` names it."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if (free := shutil.disk_usage(there).free) < needed:
        wanted = f"expected {needed / 2**20:.1f} MiB of free space, got {free / 2**20:.1f}"
        raise OSError(errno.ENOSPC, wanted, str(folder))


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a name of this writer alone, flush to the disk, rename: a reader sees the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sweep(folder: Path, *, older: float) -> None:
    """Remove what writers that were killed left in `folder` and below: parts that are `older`, in seconds."""
    for part in folder.rglob(".*.part"):
        with suppress(OSError):  # gone meanwhile, or somebody else's
            if time.time() - part.stat().st_mtime > older:
                part.unlink()
