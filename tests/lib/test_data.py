"""The data sets: the stand-ins bit by bit, the real ones by what is known of them, and every way a folder can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lib import data, sources
from lib.data import Dataset, Split, gather
from lib.errors import BadValue

# --- the stand-ins ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("digits_as_mnist", (1, 28, 28)),
        ("digits_as_fashion_mnist", (1, 28, 28)),
        ("digits_as_cifar10", (3, 32, 32)),
        ("digits_as_yale", (1, 192, 168)),
    ],
)
def test_the_stand_ins_are_the_digits_with_repeated_pixels(name: str, shape: tuple[int, int, int]) -> None:
    """Every image is one of scikit-learn's, each once, its 8x8 pixels repeated to fill the shape in every channel."""
    dataset = data.load(name)
    assert dataset.shape == shape and dataset.bounds == (0.0, 1.0) and dataset.classes == tuple("0123456789")
    assert (len(dataset.train), len(dataset.test)) == (1437, 360) == data.SIZES[name]
    images = torch.cat([dataset.train.images, dataset.test.images])
    labels = torch.cat([dataset.train.labels, dataset.test.labels])
    assert images.dtype == torch.uint8 and labels.dtype == torch.int64
    assert (images.min(), images.max()) == (0, 255)

    source = load_digits()
    levels = np.floor(np.arange(17) * 255 / 16).astype(np.uint8)  # 0..16 as 0..255
    _, h, w = shape
    rows, columns = np.arange(h) * 8 // h, np.arange(w) * 8 // w
    expected = [
        (levels[image.astype(int)][rows][:, columns].tobytes(), int(label))
        for image, label in zip(source.images, source.target, strict=True)
    ]
    for channel in range(shape[0]):
        found = [(image.numpy().tobytes(), int(label)) for image, label in zip(images[:, channel], labels, strict=True)]
        assert sorted(found) == sorted(expected)


def test_the_checksum_covers_pixels_labels_and_their_order(digits: Dataset) -> None:
    assert data.checksum(digits) == data.CHECKSUMS["digits_as_mnist"]
    pixel = digits.train.images.clone()
    pixel[700, 0, 14, 14] ^= 1
    label = digits.test.labels.clone()
    label[-1] = (label[-1] + 1) % 10
    others = [
        Dataset("x", Split(pixel, digits.train.labels), digits.test, digits.classes),
        Dataset("x", digits.train, Split(digits.test.images, label), digits.classes),
        Dataset("x", digits.train.subset(torch.arange(1436, -1, -1)), digits.test, digits.classes),
        Dataset("x", digits.test, digits.train, digits.classes),
        Dataset(
            "x", Split(digits.train.images.reshape(-1, 1, 14, 56), digits.train.labels), digits.test, digits.classes
        ),
    ]
    assert len({data.checksum(dataset) for dataset in (digits, *others)}) == 6


def test_other_contents_than_published_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(data.CHECKSUMS, "digits_as_mnist", "0" * 64)
    with pytest.raises(
        BadValue, match=rf"data set digits_as_mnist in {tmp_path}: .* expected 000000000000; .* fetch it again"
    ):
        data.load("digits_as_mnist", tmp_path)


def test_an_unknown_data_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        BadValue, match="dataset: unknown 'imagenet'; expected one of mnist, fashion_mnist, cifar10, yale, "
    ):
        data.load("imagenet")


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (
            {"dtype": torch.float64},
            {},
            "images: expected (n, c, h, w) in torch.uint8 or torch.float32, got (3, 1, 2, 2) in torch.float64",
        ),
        ({"size": (3, 2, 2)}, {}, "images: expected (n, c, h, w) in torch.uint8 or torch.float32, got (3, 2, 2)"),
        ({}, {"size": (2,)}, "labels: expected (3,) in torch.int64, got (2,)"),
        ({}, {"dtype": torch.float32}, "labels: expected (3,) in torch.int64, got (3,) in torch.float32"),
        ({}, {"fill_value": -100}, "labels: expected numbers of at least 0, got -100"),
    ],
)
def test_a_split_of_anything_else_is_refused(images: dict[str, Any], labels: dict[str, Any], told: str) -> None:
    usual: dict[str, Any] = {"fill_value": 0, "dtype": torch.uint8}
    with pytest.raises(BadValue) as caught:
        Split(
            torch.full(**{**usual, "size": (3, 1, 2, 2), **images}),
            torch.full(**{**usual, "size": (3,), "dtype": torch.int64, **labels}),
        )
    assert str(caught.value).startswith(told)


# --- tensors ----------------------------------------------------------------------------------------------------------


def test_floats_are_a_division_by_255_exactly_and_leave_their_images_alone() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 4, 8, 8)
    floats, _ = data.Split(levels, torch.tensor([0])).take(torch.tensor([0]))
    expected = np.arange(256, dtype=np.float32) / np.float32(255)
    assert floats.dtype == torch.float32 and floats.stride() == (256, 64, 8, 1)
    assert np.array_equal(floats.numpy().ravel(), expected)
    assert levels.dtype == torch.uint8 and torch.equal(levels.ravel(), torch.arange(256, dtype=torch.uint8))


def test_parts_of_a_split_keep_images_and_labels_together(digits: Dataset) -> None:
    split, indices = digits.test, torch.tensor([5, 0, 359, 5])
    images, labels = split.take(indices)
    assert torch.equal(images, split.images[indices].float() / 255) and torch.equal(labels, split.labels[indices])
    chosen = split.subset(indices)
    assert torch.equal(chosen.images, split.images[indices]) and torch.equal(chosen.labels, split.labels[indices])
    batches = list(split.batches(7))
    assert torch.equal(torch.cat([y for _, y in batches]), split.labels) and len(batches[-1][0]) == 360 % 7
    assert all(map(torch.equal, batches[1], split.take(torch.arange(7, 14))))
    assert (len(split.first(7)), len(split.first(None)), len(split.first(1000))) == (7, 360, 360)
    assert torch.equal(split.first(7).images, split.images[:7]) and torch.equal(split.first(7).labels, split.labels[:7])
    moved = split.first(3).to("meta")
    assert moved.images.device.type == moved.labels.device.type == "meta"


@given(sizes=st.lists(st.integers(0, 40), max_size=5), spare=st.integers(0, 30), seed=st.integers(0, 2**31))
def test_a_partition_is_disjoint_complete_and_seeded(sizes: list[int], spare: int, seed: int) -> None:
    named, n = {f"part {i}": size for i, size in enumerate(sizes)}, sum(sizes) + spare
    parts = data.partition(n, named, seed=seed)
    assert {part: len(indices) for part, indices in parts.items()} == named
    drawn = [int(i) for indices in parts.values() for i in indices]
    assert len(set(drawn)) == len(drawn) and set(drawn) <= set(range(n))
    again = data.partition(n, named, seed=seed)
    assert all(torch.equal(parts[part], again[part]) for part in named)


def test_another_seed_is_another_partition_and_every_point_can_land_anywhere() -> None:
    def victims(seed: int) -> list[int]:
        return data.partition(8, {"victim": 4, "shadow": 4}, seed=seed)["victim"].tolist()

    assert victims(0) != victims(1)
    assert {i for seed in range(40) for i in victims(seed)} == set(range(8))


@pytest.mark.parametrize("sizes", [{"a": -1}, {"a": 5, "b": 6}, {"a": 11}, {"a": 12, "b": -2}])
def test_a_partition_of_more_than_there_is_is_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(BadValue, match=r"^sizes: expected non-negative numbers with a sum of at most 10, got "):
        data.partition(10, sizes, seed=0)


# --- folders that are wrong -------------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    """An array of bytes in the format of MNIST's files."""
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def fake_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Fills the folder of MNIST or Fashion-MNIST with complete files of three images each; nothing is downloaded."""
    forbid_download(monkeypatch)

    def fill(name: str) -> Path:
        raw = tmp_path / sources.FOLDERS[name]
        raw.mkdir(parents=True)
        for part in ("train", "t10k"):
            (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(np.full((3, 28, 28), 7, np.uint8)))
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(3, dtype=np.uint8)))
        return raw

    return fill


def forbid_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **keywords: object) -> None:
        raise AssertionError("a download was tried")

    for module in ("mnist", "cifar"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", refuse)


MNISTS = pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def refusal(name: str, root: Path) -> str:
    with pytest.raises(BadValue) as caught:
        data.load(name, root)
    message = str(caught.value)
    assert "\n" not in message
    return message


@MNISTS
def test_complete_files_with_other_contents_are_refused_by_checksum(name: str, fake_mnist: Any, tmp_path: Path) -> None:
    fake_mnist(name)
    message = refusal(name, tmp_path)
    assert f"data set {name} in {tmp_path}: contents have checksum" in message and "fetch it again" in message


@MNISTS
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="emptied"),
        pytest.param(lambda content: content[:2], id="cut in its first number"),
        pytest.param(lambda content: content[:10], id="cut after it"),
        pytest.param(lambda content: content[:-1], id="without its last byte"),
        pytest.param(lambda content: b"\0\0\x08\x09" + content[4:], id="of nine dimensions"),
        pytest.param(lambda content: b"\0\0\x0a" + content[3:], id="of a type that is none"),
        pytest.param(lambda content: b"<html>not found</html>", id="a web page"),
    ],
)
def test_a_damaged_file_is_refused(name: str, file: str, damage: Any, fake_mnist: Any, tmp_path: Path) -> None:
    raw = fake_mnist(name)
    (raw / file).write_bytes(damage((raw / file).read_bytes()))
    message = refusal(name, tmp_path)
    assert message.startswith(f"data set {name}") and str(raw) in message
    assert "DATA_DIR" in message and f"delete {raw}" in message


@MNISTS
@pytest.mark.parametrize("file", FILES)
def test_where_a_file_is_missing_nothing_is_downloaded_over_the_rest(
    name: str, file: str, fake_mnist: Any, tmp_path: Path
) -> None:
    raw = fake_mnist(name)
    (raw / file).unlink()
    message = refusal(name, tmp_path)
    assert message.startswith(f"data set {name}: cannot read {raw} (Dataset not found.")
    assert f"delete {raw} to download it again" in message
    assert sorted(path.name for path in raw.iterdir()) == sorted(set(FILES) - {file})


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_without_a_network_an_absent_data_set_says_where_to_put_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*arguments: object, **keywords: object) -> None:
        raise URLError("Name or service not known")

    for module in ("mnist", "cifar"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", unreachable)
    message = refusal(name, tmp_path)
    assert message.startswith(f"data set {name}: cannot read {tmp_path / sources.FOLDERS[name]}")
    assert "set DATA_DIR to the folder that holds it" in message


CIFAR_FILES = ["batches.meta", "test_batch", *(f"data_batch_{i}" for i in range(1, 6))]


@pytest.mark.parametrize("missing", [None, *CIFAR_FILES])
def test_altered_or_missing_files_of_cifar10_are_refused_unread(
    missing: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are pickles: torchvision compares their MD5 before it opens one."""
    forbid_download(monkeypatch)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for file in CIFAR_FILES:
        (folder / file).write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "opened").encode() + b"'\ntR.")
    if missing:
        (folder / missing).unlink()
    message = refusal("cifar10", tmp_path)
    assert message.startswith("data set cifar10") and str(folder) in message and f"delete {folder}" in message
    assert not (tmp_path / "opened").exists()


@pytest.fixture
def fake_yale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two subjects with 51 and 52 faces, and files that are not faces; the code is told to expect these."""
    monkeypatch.setitem(data.CLASSES, "yale", ("yaleB01", "yaleB02"))
    monkeypatch.setattr(sources, "FACES", 103)
    folder = tmp_path / "CroppedYale"
    for label, (subject, faces) in enumerate([("yaleB01", 51), ("yaleB02", 52)]):
        (folder / subject).mkdir(parents=True)
        for face in range(faces):
            pixels = np.full((192, 168), 100 * label + face, np.uint8)
            (folder / subject / f"{subject}_P00A+{face:03d}E+00.pgm").write_bytes(
                b"P5\n168 192\n255\n" + pixels.tobytes()
            )
        (folder / subject / f"{subject}_P00_Ambient.pgm").write_bytes(b"not a face with a light of its own")
        (folder / subject / "WS_FTP.LOG").write_bytes(b"")
    return folder


@pytest.mark.parametrize("name", sources.DRAWS)
def test_yale_is_50_faces_of_each_subject_and_the_rest(name: str, fake_yale: Path) -> None:
    train, test = (Split(*pair) for pair in sources.yale(name, fake_yale.parent))
    assert train.labels.tolist() == [0] * 50 + [1] * 50 and test.labels.tolist() == [0, 1, 1]
    assert train.images.shape == (100, 1, 192, 168) and train.images.dtype == torch.uint8
    shades = [int(image[0, 0, 0]) for image in torch.cat([train.images, test.images])]
    assert sorted(shades) == [*range(51), *range(100, 152)]
    assert shades[:50] != sorted(shades[:50])  # drawn, not the first fifty


def test_the_codes_draw_is_that_of_numpys_global_generator() -> None:
    """As in `YALE_split`: seeded once, then a permutation of the places of each subject's images among all."""
    np.random.seed(0)
    places = [np.random.permutation(np.arange(100, 163)) - 100, np.random.permutation(np.arange(200, 264)) - 200]
    assert sources.DRAWS["yale_as_coded"]([63, 64]) == [place.tolist() for place in places]


@pytest.mark.parametrize(("change", "found"), [("remove", 102), ("add", 104), ("elsewhere", 0)])
def test_another_number_of_faces_is_refused_with_what_to_place_where(change: str, found: int, fake_yale: Path) -> None:
    if change == "remove":
        (fake_yale / "yaleB02" / "yaleB02_P00A+007E+00.pgm").unlink()
    if change == "add":
        (fake_yale / "yaleB02" / "yaleB02_P00A+999E+00.pgm").write_bytes(b"")
    root = fake_yale if change == "elsewhere" else fake_yale.parent
    message = refusal("yale", root)
    assert f"data set yale: {root / 'CroppedYale'} holds {found} face images, expected 103" in message
    assert "place the cropped Extended Yale Face Database B there as CroppedYale/yaleBNN/*.pgm" in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"P5\n168 192\n255\n" + bytes(1000), "cannot be read"),
        (b"", "cannot be read"),
        (b"<html>not found</html>", "cannot be read"),
        pytest.param(b"P5\n168", "cannot be read"),
        (b"P5\n192 168\n255\n" + bytes(192 * 168), "is (168, 192), expected (192, 168)"),
    ],
)
def test_a_damaged_face_is_named(content: bytes, told: str, fake_yale: Path) -> None:
    path = fake_yale / "yaleB01" / "yaleB01_P00A+003E+00.pgm"
    path.write_bytes(content)
    message = refusal("yale", fake_yale.parent)
    assert message.startswith(f"data set yale: {path} ") and told in message


# --- the real data sets -----------------------------------------------------------------------------------------------


def real(name: str, *values: object) -> Any:
    return pytest.param(name, *values, marks=pytest.mark.data(name))


@pytest.mark.parametrize(
    ("name", "shape", "sizes", "mean", "deviation", "train_labels", "test_labels"),
    [
        # Mean and standard deviation of the training pixels, and the first labels, as commonly published.
        real("mnist", (1, 28, 28), (60_000, 10_000), [0.1307], [0.3081], [5, 0, 4, 1, 9], [7, 2, 1, 0, 4]),
        real("fashion_mnist", (1, 28, 28), (60_000, 10_000), [0.2860], [0.3530], [9, 0, 0, 3, 0], [9, 2, 1, 1, 6]),
        real(
            "cifar10",
            (3, 32, 32),
            (50_000, 10_000),
            [0.4914, 0.4822, 0.4465],
            [0.2470, 0.2435, 0.2616],
            [6, 9, 9, 4, 1],
            [3, 8, 8, 0, 6],
        ),
    ],
)
def test_the_real_data_sets_are_what_everybody_has(
    name: str,
    shape: tuple[int, int, int],
    sizes: tuple[int, int],
    mean: list[float],
    deviation: list[float],
    train_labels: list[int],
    test_labels: list[int],
) -> None:
    dataset = data.load(name)
    assert dataset.shape == shape and (len(dataset.train), len(dataset.test)) == sizes == data.SIZES[name]
    assert dataset.train.images.dtype == torch.uint8 and len(dataset.classes) == 10
    assert dataset.train.labels[:5].tolist() == train_labels and dataset.test.labels[:5].tolist() == test_labels
    assert dataset.test.labels.unique().tolist() == list(range(10))
    for channel, expected in enumerate(zip(mean, deviation, strict=True)):
        levels = torch.arange(256, dtype=torch.float64) / 255
        weights = torch.bincount(dataset.train.images[:, channel].flatten(), minlength=256).double()
        average = float((weights * levels).sum() / weights.sum())
        spread = float((weights * (levels - average) ** 2).sum() / weights.sum()) ** 0.5
        assert (average, spread) == pytest.approx(expected, abs=6e-5)


@pytest.mark.data("yale")
@pytest.mark.parametrize("name", sources.DRAWS)
def test_the_real_faces_are_what_the_paper_counts(name: str) -> None:
    dataset = data.load(name)
    assert dataset.shape == (1, 192, 168) and len(dataset.classes) == 38 and "yaleB14" not in dataset.classes
    assert (len(dataset.train), len(dataset.test)) == (1900, 514) == data.SIZES[name]
    assert torch.bincount(dataset.train.labels).tolist() == [50] * 38
    assert int(torch.bincount(dataset.test.labels, minlength=38).min()) > 0

    def prints(images: Tensor) -> set[bytes]:
        return {image.numpy().tobytes() for image in images}

    assert not prints(dataset.train.images) & prints(dataset.test.images)


def test_a_split_is_gathered_from_a_pair_a_loader_or_itself() -> None:
    images, labels = torch.rand(7, 1, 2, 2), torch.arange(7)
    loader = DataLoader(TensorDataset(images, labels), batch_size=3)
    for points in (
        (images, labels),
        [(images[:4], labels[:4]), (images[4:], labels[4:])],
        loader,
        Split(images, labels),
    ):
        split = gather(points)
        assert torch.equal(split.labels, labels) and torch.equal(split.take(torch.tensor([5]))[0], images[5:6])
    for wrong in ([], [images], images, [(images, labels, labels)], [(images, "labels")]):
        with pytest.raises(BadValue, match=r"^data: expected a Split, or images and labels or a DataLoader"):
            gather(wrong)  # type: ignore[arg-type]
