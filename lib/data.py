"""The data sets as tensors: MNIST, Fashion-MNIST, CIFAR-10, the cropped Extended Yale B, and a stand-in for tests.

    load("mnist")               the real thing, by torchvision, checked file by file
    load("digits_as_mnist")     scikit-learn's embedded digits in the shape of MNIST: for smoke tests, never for a result

Images are held once as uint8 and become floats in [0, 1] a batch at a time, on the device that uses them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from . import seeds, sources
from .errors import BadValue, check_choice, check_kind

SHAPES = {"mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32), "yale": (1, *sources.FACE)}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": tuple("T-shirt,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot".split(",")),
    "cifar10": tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
    "yale": sources.SUBJECTS,
}
DIGITS = {f"digits_as_{name}": name for name in SHAPES}
NAMES = (*SHAPES, "yale_as_coded", "yale_split_3", "yale_split_4", *DIGITS)
# Images of the training and of the test set.
SIZES = {
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    **dict.fromkeys(sources.DRAWS, (1900, 514)),
    **dict.fromkeys(DIGITS, (1437, 360)),
}

# SHA-256 over shape and bytes of the four tensors of `load(name)`. Part of every run's key: other data, other run.
CHECKSUMS = {
    "mnist": "35914650c8beaeed4429263376775b71ac05b224ab7d958a603bb5feac95afaf",
    "fashion_mnist": "c2df23e9d135ade7af62bf6273886728f606f79e67e066d2485f52ee9d597534",
    "cifar10": "ad1a54dfad01caa9ded6376715754acc6cff75cfd4035deecefc743f754ce5bb",
    "yale": "4ec1f94548b6a0ce543b083d92b2a37dacc933471393c49194b1799ec470549d",
    "yale_as_coded": "db83d338cfab673f9f6354bf1d631ceae18ede3710a6b37b6920c4dfbe82a862",
    "yale_split_3": "1d4cbac9493b48a8ee628e31980d91451b679ba3d5acc2bd26cedfd5c1b511ee",
    "yale_split_4": "2de364ba6e2789260b5b861ea6c092ff2c1333fac1f860db8710404c0eb880a0",
    "digits_as_mnist": "bfda28831dbd0c3c88f762b3783b16479c5e57ca64cff7dd1dcd30ab1094403e",
    "digits_as_fashion_mnist": "bfda28831dbd0c3c88f762b3783b16479c5e57ca64cff7dd1dcd30ab1094403e",
    "digits_as_cifar10": "2222dc7e1f182ebae7ee36b22d077e7e39fd32dc950a4f5506a8ff77cc697f9c",
    "digits_as_yale": "20455209c7750c8eb32c4ceb8fff7452f155e9d67f27c73dbdd2eac06bbc39bd",
}


@dataclass(frozen=True)
class Split:
    """Images (n, c, h, w) uint8, from 0 to 255, or float32 as networks see them, and labels (n,) int64, from 0, on one device.

    Images or labels of another shape or type, not one label each, or a negative one are a `BadValue`.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images = check_kind("images", self.images, Tensor, "a torch.Tensor")
        labels = check_kind("labels", self.labels, Tensor, "a torch.Tensor")
        if images.dtype not in (torch.uint8, torch.float32) or images.dim() != 4:
            got = f"{tuple(images.shape)} in {images.dtype}"
            raise BadValue(f"images: expected (n, c, h, w) in torch.uint8 or torch.float32, got {got}")
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            expected = f"({len(images)},) in torch.int64"
            raise BadValue(f"labels: expected {expected}, got {tuple(labels.shape)} in {labels.dtype}")
        if len(labels) and not labels.is_meta and labels.min() < 0:
            raise BadValue(f"labels: expected numbers of at least 0, got {int(labels.min())}")

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str | torch.device) -> Split:
        """The same split on `device`."""
        return Split(self.images.to(device), self.labels.to(device))

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images at `indices` as floats, those in uint8 in [0, 1] and in plain storage, and their labels."""
        images = self.images[indices]
        if images.dtype == torch.uint8:
            # Row by row whatever the layout of all images: any network may flatten them by a view.
            images = images.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        return images, self.labels[indices]

    def batches(self, size: int = 1000) -> Iterator[tuple[Tensor, Tensor]]:
        """All images and labels in their order, as `take` gives them, so many at once."""
        return map(self.take, torch.split(torch.arange(len(self), device=self.labels.device), size))

    def first(self, n: int | None) -> Split:
        """The first `n` points; all of them for None."""
        return Split(self.images[:n], self.labels[:n])

    def subset(self, indices: Tensor) -> Split:
        """The points at `indices`."""
        return Split(self.images[indices], self.labels[indices])


Points = Split | Iterable[Sequence[Tensor]]  # as `gather` takes them


@dataclass(frozen=True)
class Dataset:
    """A data set as published: training and test split, class names, and the bounds every attack must respect."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    bounds: tuple[float, float] = (0.0, 1.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        c, h, w = self.train.images.shape[1:]
        return c, h, w


def gather(points: Points) -> Split:
    """A split, a pair of images and labels, or all pairs that a DataLoader gives, as a split; all else is a `BadValue`."""
    if isinstance(points, Split):
        return points
    expected = "a Split, or images and labels or a DataLoader of them"
    whole = isinstance(points, tuple) or _is_pair(points)
    batches = [points] if whole else list(check_kind("data", points, Iterable, expected))
    if wrong := [batch for batch in batches or [()] if not _is_pair(batch)]:
        held = " and ".join(type(one).__name__ for one in wrong[0]) or "nothing"
        raise BadValue(f"data: expected {expected}, as torch.Tensor, got {type(points).__name__} of {held}")
    images, labels = (torch.cat(column) for column in zip(*batches, strict=True))
    return Split(images, labels)


def _is_pair(batch: object) -> bool:
    return isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(one, Tensor) for one in batch)


def default_root() -> Path:
    """The folder the data sets live in: `DATA_DIR`, or `data` at the top of the project; installed, that where one works."""
    project = Path(__file__).resolve().parent.parent
    inside = (project / "pyproject.toml").is_file()
    return Path(os.environ.get("DATA_DIR") or (project if inside else Path.cwd()) / "data")


def load(name: str, root: str | Path | None = None) -> Dataset:
    """The data set `name`, such as "mnist", "fashion_mnist", "cifar10" or "yale", read from `root` and checked.

    Its images have to be the published ones; those of "digits_as_mnist" and its like are scikit-learn's, and need no file.
    What is missing is downloaded by torchvision, except Yale, which has to be placed by hand. `yale_as_coded` has the same faces,
    drawn apart as by the code of Song et al. if their file has them by name; `yale_split_3` and `yale_split_4` are further draws.
    An unknown name and a missing, truncated or altered file are a `BadValue` that says what to do.
    """
    check_choice("dataset", name, NAMES)
    folder = default_root() if root is None else Path(root)
    if name in DIGITS:
        whole = Split(*sources.digits(SHAPES[DIGITS[name]]))
        train, test = map(whole.subset, partition(len(whole), {"train": 1437, "test": 360}, seed=0).values())
    else:
        read = sources.yale if name in sources.DRAWS else sources.torchvision
        train, test = (Split(*pair) for pair in read(name, folder))
    named = "mnist" if name in DIGITS else "yale" if name in sources.DRAWS else name
    dataset = Dataset(name, train, test, CLASSES[named])
    if (found := checksum(dataset)) != CHECKSUMS[name]:
        told = f"contents have checksum {found[:12]}, expected {CHECKSUMS[name][:12]}; a file was altered or replaced"
        raise BadValue(f"data set {name} in {folder}: {told}: delete the folder and fetch it again")
    return dataset


def loaded(name: str) -> Dataset:
    """`load(name)` from the default folder, kept for the next one who asks in this process, its check as well."""
    return _kept(name, default_root())


_kept = lru_cache(maxsize=2)(load)


def checksum(dataset: Dataset) -> str:
    """SHA-256 over the shapes and bytes of images and labels."""
    digest = hashlib.sha256()
    for tensor in (dataset.train.images, dataset.train.labels, dataset.test.images, dataset.test.labels):
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def partition(n: int, sizes: Mapping[str, int], *, seed: int) -> dict[str, Tensor]:
    """Disjoint random index sets of the named `sizes` out of range(n); a negative size, or a sum above n, is a `BadValue`."""
    if min(sizes.values(), default=0) < 0 or sum(sizes.values()) > n:
        raise BadValue(f"sizes: expected non-negative numbers with a sum of at most {n}, got {dict(sizes)}")
    order = torch.randperm(n, generator=seeds.generator(seed, "partition"))
    return dict(zip(sizes, torch.split(order, [*sizes.values(), n - sum(sizes.values())]), strict=False))
