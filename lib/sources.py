"""Where the data sets come from: torchvision's files, the folder of faces, scikit-learn's digits. All give images and labels.

A pair is images (n, c, h, w) uint8 and labels (n,) int64; all readers but the digits' give one to train on and one to test.
Files that are missing, cannot be read or are others are a `BadValue`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from . import seeds
from .errors import BadValue

Pair = tuple[Tensor, Tensor]

FOLDERS = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw", "cifar10": "cifar-10-batches-py"}
SUBJECTS = tuple(f"yaleB{i:02d}" for i in range(1, 40) if i != 14)  # there never was a subject 14
FACE = (192, 168)
FACES, TRAIN_FACES = 2414, 50  # of all subjects, and of each to train on


def torchvision(name: str, root: Path) -> tuple[Pair, Pair]:
    """MNIST, Fashion-MNIST or CIFAR-10, downloaded if its folder is not there; one that is not whole is not downloaded over."""
    from torchvision import datasets

    kind = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}[name]
    pairs, where = [], root / FOLDERS[name]
    absent = not where.exists()
    for train in (True, False):
        try:
            source = kind(str(root), train=train, download=absent)
        except (OSError, RuntimeError, ValueError, EOFError, AssertionError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            told = f"set DATA_DIR to the folder that holds it, or delete {where} to download it again"
            raise BadValue(f"data set {name}: cannot read {where} ({reason}); {told}") from error
        images = torch.as_tensor(source.data)
        images = images.permute(0, 3, 1, 2) if images.dim() == 4 else images[:, None]
        pairs.append((images.contiguous(), torch.as_tensor(source.targets).long()))
    return pairs[0], pairs[1]


def _our_draw(sizes: list[int], name: str = "yale split") -> list[list[int]]:
    """An order of the images of each subject."""
    return [torch.randperm(n, generator=seeds.generator(i, name)).tolist() for i, n in enumerate(sizes)]


def _coded_draw(sizes: list[int]) -> list[list[int]]:
    """The same by NumPy's generator with seed 0, one subject after the other (Song et al., `YALE_split` in their utils.py)."""
    drawn = np.random.RandomState(0)
    return [drawn.permutation(n).tolist() for n in sizes]


DRAWS: dict[str, Callable[[list[int]], list[list[int]]]] = {
    "yale": _our_draw,
    "yale_as_coded": _coded_draw,
    "yale_split_3": partial(_our_draw, name="yale split 3"),
    "yale_split_4": partial(_our_draw, name="yale split 4"),
}


def yale(name: str, root: Path) -> tuple[Pair, Pair]:
    """50 images of each subject to train on, the rest to test (Song et al.); `name` says how they are drawn apart."""
    from PIL import Image

    folder = root / "CroppedYale"
    files = [sorted((folder / subject).glob(f"{subject}_P00A*.pgm")) for subject in SUBJECTS]
    if (found := sum(map(len, files))) != FACES:
        raise BadValue(
            f"data set yale: {folder} holds {found} face images, expected {FACES}; place the cropped Extended Yale "
            f"Face Database B there as CroppedYale/yaleBNN/*.pgm (its authors give it for research; search 'Extended Yale B')"
        )
    orders = DRAWS[name]([len(of_subject) for of_subject in files])
    drawn = [[(files[label][i], label) for i in order] for label, order in enumerate(orders)]

    def read(path: Path) -> np.ndarray:
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image, dtype=np.uint8)
        except (OSError, ValueError) as error:
            raise BadValue(f"data set yale: {path} cannot be read ({error}); restore it from the original") from error
        if pixels.shape != FACE:
            raise BadValue(f"data set yale: {path} is {pixels.shape}, expected {FACE}")
        return pixels

    def pair(part: slice) -> Pair:
        paths, labels = zip(*(item for of_subject in drawn for item in of_subject[part]), strict=True)
        return torch.from_numpy(np.stack([*map(read, paths)])[:, None]), torch.tensor(labels)

    return pair(slice(TRAIN_FACES)), pair(slice(TRAIN_FACES, None))


def digits(shape: tuple[int, int, int]) -> Pair:
    """scikit-learn's 1,797 digits of 8x8 pixels, resized by repetition of pixels: exact on every machine."""
    from sklearn.datasets import load_digits

    c, h, w = shape
    found = load_digits()
    small = torch.from_numpy((found.images * 15.9375).astype(np.uint8))[:, None]  # 0..16 to 0..255
    images = F.interpolate(small, size=(h, w), mode="nearest").expand(-1, c, -1, -1).contiguous()
    return images, torch.from_numpy(found.target.astype(np.int64))
