"""The data sets as tensors: MNIST, Fashion-MNIST, CIFAR-10, the cropped Extended Yale B, and a stand-in for tests.

    load("mnist")               the real thing, by torchvision, checked file by file
    load("digits_as_mnist")     scikit-learn's embedded digits in the shape of MNIST: for smoke tests, never for a result

Images are held once as uint8 and become floats in [0, 1] a batch at a time, on the device that uses them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from . import seeds
from .errors import BadValue, check_choice

SHAPES = {"mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32), "yale": (1, 192, 168)}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": tuple("T-shirt,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot".split(",")),
    "cifar10": tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
    "yale": tuple(f"yaleB{i:02d}" for i in range(1, 40) if i != 14),  # there never was a subject 14
}
DIGITS = {f"digits_as_{name}": name for name in SHAPES}
NAMES = (*SHAPES, "yale_as_coded", *DIGITS)
# Images of the training and of the test set.
SIZES = {
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "yale": (1900, 514),
    "yale_as_coded": (1900, 514),
    **dict.fromkeys(DIGITS, (1437, 360)),
}

# SHA-256 over shape and bytes of the four tensors of `load(name)`. Part of every run's key: other data, other run.
CHECKSUMS = {
    "mnist": "35914650c8beaeed4429263376775b71ac05b224ab7d958a603bb5feac95afaf",
    "fashion_mnist": "c2df23e9d135ade7af62bf6273886728f606f79e67e066d2485f52ee9d597534",
    "cifar10": "ad1a54dfad01caa9ded6376715754acc6cff75cfd4035deecefc743f754ce5bb",
    "yale": "4ec1f94548b6a0ce543b083d92b2a37dacc933471393c49194b1799ec470549d",
    "yale_as_coded": "db83d338cfab673f9f6354bf1d631ceae18ede3710a6b37b6920c4dfbe82a862",
    "digits_as_mnist": "bfda28831dbd0c3c88f762b3783b16479c5e57ca64cff7dd1dcd30ab1094403e",
    "digits_as_fashion_mnist": "bfda28831dbd0c3c88f762b3783b16479c5e57ca64cff7dd1dcd30ab1094403e",
    "digits_as_cifar10": "2222dc7e1f182ebae7ee36b22d077e7e39fd32dc950a4f5506a8ff77cc697f9c",
    "digits_as_yale": "20455209c7750c8eb32c4ceb8fff7452f155e9d67f27c73dbdd2eac06bbc39bd",
}
YALE_IMAGES, YALE_TRAIN_PER_CLASS = 2414, 50


@dataclass(frozen=True)
class Split:
    """Images (n, c, h, w) uint8, from 0 to 255, and labels (n,) int64, from 0, on one device.

    Raises:
        BadValue: images or labels of another shape or type, not one label each, or a negative one.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8 or images.dim() != 4:
            raise BadValue(f"images: expected (n, c, h, w) in torch.uint8, got {tuple(images.shape)} in {images.dtype}")
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
        """Images at `indices` as floats in [0, 1], channels last, and their labels."""
        return to_float(self.images[indices]), self.labels[indices]

    def first(self, n: int | None) -> Split:
        """The first `n` points; all of them for None."""
        return Split(self.images[:n], self.labels[:n])

    def subset(self, indices: Tensor) -> Split:
        """The points at `indices`."""
        return Split(self.images[indices], self.labels[indices])


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


def to_float(images: Tensor) -> Tensor:
    """uint8 images as float32 in [0, 1], channels last."""
    return images.to(memory_format=torch.channels_last).float().div_(255)


def default_root() -> Path:
    """The folder the data sets live in: `DATA_DIR`, or `data` at the top of the project."""
    return Path(os.environ.get("DATA_DIR") or Path(__file__).resolve().parent.parent / "data")


def load(name: str, root: str | Path | None = None) -> Dataset:
    """The data set `name`, read from `root` and checked against its published contents.

    What is missing is downloaded by torchvision, except Yale, which has to be placed by hand. `yale_as_coded` has the same faces,
    drawn apart as by the code of Song et al. if their file has them by name.

    Raises:
        BadValue: unknown name; a missing, truncated or altered file. The message names the file and what to do.
    """
    check_choice("dataset", name, NAMES)
    folder = default_root() if root is None else Path(root)
    if name in DIGITS:
        parts = _digits(SHAPES[DIGITS[name]])
    elif name in YALE_DRAWS:
        parts = _yale(folder, YALE_DRAWS[name])
    else:
        parts = _torchvision(name, folder)
    named = "mnist" if name in DIGITS else "yale" if name in YALE_DRAWS else name
    dataset = Dataset(name, *parts, CLASSES[named])
    if (found := checksum(dataset)) != CHECKSUMS[name]:
        raise BadValue(
            f"data set {name} in {folder}: contents have checksum {found[:12]}, expected {CHECKSUMS[name][:12]}; "
            f"a file was altered or replaced: delete the folder and fetch it again"
        )
    return dataset


def loaded(name: str) -> Dataset:
    """`load(name)` from the default folder, kept for the next one who asks: the cells of one process share it, and its check."""
    return _kept(name, default_root())


@lru_cache(maxsize=2)
def _kept(name: str, root: Path) -> Dataset:
    return load(name, root)


def checksum(dataset: Dataset) -> str:
    """SHA-256 over the shapes and bytes of images and labels."""
    digest = hashlib.sha256()
    for tensor in (dataset.train.images, dataset.train.labels, dataset.test.images, dataset.test.labels):
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def partition(n: int, sizes: Mapping[str, int], *, seed: int) -> dict[str, Tensor]:
    """Disjoint random index sets of the named `sizes` out of range(n): train and validation, victim and shadow.

    Raises:
        BadValue: a negative size, or more points asked for than there are.
    """
    if min(sizes.values(), default=0) < 0 or sum(sizes.values()) > n:
        raise BadValue(f"sizes: expected non-negative numbers with a sum of at most {n}, got {dict(sizes)}")
    order = torch.randperm(n, generator=seeds.generator(seed, "partition"))
    ends = np.cumsum([0, *sizes.values()])
    return {part: order[ends[i] : ends[i + 1]] for i, part in enumerate(sizes)}


def _torchvision(name: str, root: Path) -> tuple[Split, Split]:
    from torchvision import datasets

    kind = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}[name]
    splits = []
    for train in (True, False):
        try:
            source = kind(str(root), train=train, download=not _present(name, root))
        except (OSError, RuntimeError, ValueError, EOFError, AssertionError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            where = root / _folder(name)
            raise BadValue(
                f"data set {name}: cannot read {where} ({reason}); "
                f"set DATA_DIR to the folder that holds it, or delete {where} to download it again"
            ) from error
        images = torch.as_tensor(source.data)
        images = images.permute(0, 3, 1, 2) if images.dim() == 4 else images[:, None]
        splits.append(Split(images.contiguous(), torch.as_tensor(source.targets).long()))
    return splits[0], splits[1]


def _folder(name: str) -> str:
    return {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw", "cifar10": "cifar-10-batches-py"}[name]


def _present(name: str, root: Path) -> bool:
    """Whether the folder holds every file; a folder that holds some is an error, not a reason to download over it."""
    if name == "cifar10":
        files = ["batches.meta", "test_batch", *(f"data_batch_{i}" for i in range(1, 6))]
    else:
        files = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    folder = root / _folder(name)
    if not folder.exists():
        return False
    for file in files:
        if not (folder / file).is_file():
            raise BadValue(f"data set {name}: {folder / file} is missing; delete {folder} to download it again")
    return True


def _our_draw(sizes: list[int]) -> list[list[int]]:
    """An order of the images of each subject."""
    return [torch.randperm(n, generator=seeds.generator(i, "yale split")).tolist() for i, n in enumerate(sizes)]


def _coded_draw(sizes: list[int]) -> list[list[int]]:
    """The same by NumPy's generator with seed 0, one subject after the other (Song et al., `YALE_split` in their utils.py)."""
    drawn = np.random.RandomState(0)
    return [drawn.permutation(n).tolist() for n in sizes]


YALE_DRAWS = {"yale": _our_draw, "yale_as_coded": _coded_draw}


def _yale(root: Path, draw: Callable[[list[int]], list[list[int]]]) -> tuple[Split, Split]:
    """50 images of each subject to train on, the rest to test (Song et al.)."""
    from PIL import Image

    folder = root / "CroppedYale"
    files = [sorted((folder / subject).glob(f"{subject}_P00A*.pgm")) for subject in CLASSES["yale"]]
    if (found := sum(map(len, files))) != YALE_IMAGES:
        raise BadValue(
            f"data set yale: {folder} holds {found} face images, expected {YALE_IMAGES}; place the cropped Extended Yale "
            f"Face Database B there as CroppedYale/yaleBNN/*.pgm (its authors give it for research; search 'Extended Yale B')"
        )
    train: list[tuple[Path, int]] = []
    test: list[tuple[Path, int]] = []
    for label, order in enumerate(draw([len(of_subject) for of_subject in files])):
        chosen = [(files[label][i], label) for i in order]
        train += chosen[:YALE_TRAIN_PER_CLASS]
        test += chosen[YALE_TRAIN_PER_CLASS:]

    def read(path: Path) -> np.ndarray:
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image, dtype=np.uint8)
        except (OSError, ValueError) as error:
            raise BadValue(f"data set yale: {path} cannot be read ({error}); restore it from the original") from error
        if pixels.shape != SHAPES["yale"][1:]:
            raise BadValue(f"data set yale: {path} is {pixels.shape}, expected {SHAPES['yale'][1:]}")
        return pixels

    def split(items: list[tuple[Path, int]]) -> Split:
        images = torch.from_numpy(np.stack([read(path) for path, _ in items])[:, None])
        return Split(images, torch.tensor([label for _, label in items]))

    return split(train), split(test)


def _digits(shape: tuple[int, int, int]) -> tuple[Split, Split]:
    """scikit-learn's 1,797 digits of 8x8 pixels, resized by repetition of pixels: exact on every machine."""
    from sklearn.datasets import load_digits

    c, h, w = shape
    digits = load_digits()
    small = torch.from_numpy((digits.images * 15.9375).astype(np.uint8))[:, None]  # 0..16 to 0..255
    images = F.interpolate(small, size=(h, w), mode="nearest").expand(-1, c, -1, -1).contiguous()
    labels = torch.from_numpy(digits.target.astype(np.int64))
    parts = partition(len(labels), {"train": 1437, "test": 360}, seed=0)
    whole = Split(images, labels)
    return whole.subset(parts["train"]), whole.subset(parts["test"])
