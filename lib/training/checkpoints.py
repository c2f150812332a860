"""Trained networks as safetensors with a checksum, cached outside the repository by the key of what trained them."""

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from ..errors import BadValue

SUFFIX = ".safetensors"


def default_cache() -> Path:
    """`CHECKPOINT_DIR`, or a folder in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("CHECKPOINT_DIR") or Path(cache) / "robust-private-uncertain")


def save_weights(network: nn.Module, path: Path, notes: dict[str, Any]) -> None:
    """Write the weights and, beside them, `notes` with the checksum; each under a temporary name, then renamed."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = save(tensors)
    path.with_suffix(".json").unlink(
        missing_ok=True
    )  # without notes weights are trained again, not mistaken for others
    write_atomically(path, content)
    notes = {**notes, "sha256": hashlib.sha256(content).hexdigest()}
    write_atomically(path.with_suffix(".json"), json.dumps(notes, indent=1).encode())


def load_weights(network: nn.Module, path: Path) -> dict[str, Any]:
    """Load the weights at `path` into `network`; returns the notes saved with them.

    Raises:
        BadValue: the file or its notes are missing, damaged, or of another network.
    """
    try:
        notes: dict[str, Any] = json.loads(path.with_suffix(".json").read_bytes())
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise BadValue(f"checkpoint {path}: cannot be read ({error}); delete it to train again") from error
    if not isinstance(notes, dict) or hashlib.sha256(content).hexdigest() != notes.get("sha256"):
        raise BadValue(f"checkpoint {path}: damaged, its checksum is not the recorded one; delete it to train again")
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError) as error:
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
    """Fill `network` with the weights cached under `key`, training and caching them first if there are none.

    Args:
        network: filled in place.
        key: names everything the weights depend on.
        train: trains the network and returns notes to keep with it (losses, seconds). It is told of a file for a snapshot to
            go on from, which is removed once the weights are safe; None if nothing is kept or the training is to be fresh.
        cache: folder of the cache; None keeps nothing.
        fresh: train again even if there are weights, as a verification does.
    """
    path = None if cache is None else cache / f"{key}{SUFFIX}"
    # The weights are written before their notes: a file without notes is an interrupted write, not a checkpoint.
    if path is not None and path.with_suffix(".json").exists() and not fresh:
        return load_weights(network, path)
    snapshot = None if path is None or fresh else path.with_suffix(".snapshot")
    notes = train(network, snapshot)
    if path is not None:
        save_weights(network, path, notes)
    if snapshot is not None:
        snapshot.unlink(missing_ok=True)
    return notes


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a name of this writer alone, flush to the disk, rename: a reader sees the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
