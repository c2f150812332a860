"""The published numbers: all of them, as printed, and nothing that is not one."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from experiments import published
from experiments.papers import NAMES
from experiments.published import Published
from lib.errors import BadValue

HEADER = "id,location,row,column,value,unit\n"
LINE = "mnist/fgsm/none/accuracy,Table 2,MNIST / None,Accuracy (%),98.50,%\n"


@pytest.mark.parametrize(
    ("paper", "counts"),
    [
        ("galinkin", {"Table 1": 32, "Table 2": 4, "Table 3": 4}),
        ("harakeh", {"Table 2": 30}),
        ("song", {"Table 1": 36, "Table 2": 50}),
    ],
)
def test_every_number_is_there(paper: str, counts: dict[str, int]) -> None:
    locations = [number.location for number in published.load(paper).values()]
    assert {location: locations.count(location) for location in locations} == counts


def test_harakeh_counts_by_column() -> None:
    columns = [number.column for number in published.load("harakeh").values()]
    counts = {"Accuracy (%)": 15, "Adversarial Accuracy (%)": 9, "Fooling Rate (%)": 6}
    assert {column: columns.count(column) for column in columns} == counts


# Read off the papers by eye, not copied from the CSV files: id, number, then row and column as printed.
SPOTS = {
    "galinkin": """
        mnist/lenet5/plain/accuracy | 98.48 | MNIST LeNet-5 | Test Accuracy
        mnist/resnet18/bayesian/hop_skip_jump | 66 | Bayesian MNIST ResNet-18 | Hop-Skip-Jump
        cifar10/lenet5/bayesian/boundary | 87 | Bayesian CIFAR-10 LeNet-5 | Boundary
        cifar10/resnet18/plain/accuracy | 75.40 | CIFAR-10 ResNet-18 | Test Accuracy
        cifar10/resnet18/bayesian/membership | 77.16 | Bayesian CIFAR-10 ResNet-18 | Membership Inference
        mnist/plain/membership | 63.2 | MNIST | Non-Bayesian
        cifar10/bayesian/membership | 72.01 | CIFAR-10 | Bayesian
        mnist/hop_skip_jump | 60 | MNIST | Hop-Skip-Jump
        cifar10/boundary | 76.75 | CIFAR-10 | Boundary""",
    "harakeh": """
        mnist/fgsm/none/adversarial_accuracy | 9.96 | MNIST / Basic CNN / FGSM / None | Adversarial Accuracy (%)
        mnist/fgsm/epistemic/accuracy | 98.50 | MNIST / Basic CNN / FGSM / Epistemic | Accuracy (%)
        mnist/cw/none/fooling_rate | 99-100 | MNIST / Basic CNN / CW / None | Fooling Rate (%)
        mnist/jsma/aleatoric/fooling_rate | 73-81 | MNIST / Basic CNN / JSMA / Aleatoric | Fooling Rate (%)
        mnist/black_box/epistemic/accuracy | 98.51 | MNIST / Basic CNN / BB / Epistemic | Accuracy (%)
        cifar10/fgsm/none/accuracy | 77.84 | CIFAR10 / Fully Convolutional Network / FGSM / None | Accuracy (%)""",
    "song": """
        yale/natural/train_accuracy | 100 | Yale Face / 10-layer CNN / natural | train accuracy
        yale/robust/adv_train_accuracy | 99.00 | Yale Face / 10-layer CNN / robust | adv-train accuracy
        fashion_mnist/natural/test_accuracy | 92.18 | Fashion MNIST / 8-layer CNN / natural | test accuracy
        cifar10/natural/adv_test_accuracy | 0 | CIFAR10 / Wide ResNet / natural | adv-test accuracy
        cifar10/robust/inference_benign | 74.89 | CIFAR10 / wide ResNet / robust | inference accuracy (I_B)
        cifar10/robust/inference_adversarial | 75.67 | CIFAR10 / wide ResNet / robust | inference accuracy (I_A)
        confidence_benign/class3 | 90.43 | confidence (benign) | class 3
        model_untargeted/class0 | 72.70 | model (untargeted) | class 0
        model_targeted/class9 | 73.32 | model (targeted) | class 9""",
}


@pytest.mark.parametrize(("paper", "line"), [(paper, line) for paper in SPOTS for line in SPOTS[paper].split("\n")[1:]])
def test_numbers_stand_as_printed(paper: str, line: str) -> None:
    name, text, row, column = line.strip().split(" | ")
    number = published.load(paper)[name]
    assert (number.text, number.row, number.column, number.unit) == (text, row, column, "%")
    low, _, high = text.partition("-")
    assert (number.low, number.high) == (float(low), float(high or low))


def test_galinkins_averages_follow_from_his_first_table() -> None:
    """A check on the copying: Tables 2 and 3 average rows of Table 1, so a slip in either would show."""
    numbers = published.load("galinkin")
    for data in ("mnist", "cifar10"):
        for estimator in ("plain", "bayesian"):
            parts = [numbers[f"{data}/{network}/{estimator}/membership"].value for network in ("lenet5", "resnet18")]
            assert numbers[f"{data}/{estimator}/membership"].value == pytest.approx(fmean(parts), abs=0.00501)
        for attack in ("hop_skip_jump", "boundary"):
            rows = [f"{data}/{network}/{kind}" for network in ("lenet5", "resnet18") for kind in ("plain", "bayesian")]
            assert numbers[f"{data}/{attack}"].value == pytest.approx(
                fmean(numbers[f"{r}/{attack}"].value for r in rows)
            )


def test_songs_targeted_method_is_always_best() -> None:
    """The paper's own sentence about its Table 2, which a swapped digit or row would break."""
    numbers = published.load("song")
    for label in range(10):
        column = {name: number.value for name, number in numbers.items() if name.endswith(f"/class{label}")}
        assert max(column, key=lambda name: column[name]) == f"model_targeted/class{label}"


def test_a_range_has_two_ends_and_no_value() -> None:
    number = published.load("harakeh")["mnist/cw/epistemic/fooling_rate"]
    assert (number.low, number.high, number.is_range) == (30.0, 37.0, True)
    with pytest.raises(BadValue, match=r"mnist/cw/epistemic/fooling_rate is the range 30-37 %"):
        _ = number.value


def test_a_number_is_its_own_low_and_high() -> None:
    number = published.load("harakeh")["mnist/fgsm/epistemic/accuracy"]
    assert (number.value, number.low, number.high, number.is_range) == (98.5, 98.5, 98.5, False)


def test_unknown_paper() -> None:
    with pytest.raises(BadValue, match=r"'madry'; expected one of .*galinkin, harakeh, song"):
        published.load("madry")


@pytest.mark.parametrize("paper", NAMES)
def test_each_id_is_its_own_key(paper: str) -> None:
    assert all(isinstance(number, Published) and number.id == name for name, number in published.load(paper).items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the columns are ''"),
        ("id,location,row,column,value\n", "the columns are"),
        (HEADER, "expected at least one"),
        (HEADER + LINE + LINE, "line 3: the id 'mnist/fgsm/none/accuracy' stands twice"),
        (HEADER + LINE.replace(",%", ""), "5 fields, expected 6"),
        (HEADER + LINE.replace("98.50", "about 99"), "'about 99', expected a number like 99.37"),
        (HEADER + LINE.replace("98.50", "nan"), "'nan', expected a number"),
        (HEADER + LINE.replace("98.50", "-1"), "'-1', expected a number"),
        (HEADER + LINE.replace("98.50", "37-30"), "'37-30', expected a range with its lower end first"),
        (HEADER + LINE.replace("98.50", "37-37"), "'37-37', expected a range with its lower end first"),
        (HEADER + LINE.replace("98.50", "101"), "'101', expected at most 100 %"),
        (HEADER + LINE.replace("98.50", ""), "value is ''"),
        (HEADER + LINE.replace("Table 2", " Table 2"), "location is ' Table 2'"),
        (HEADER + LINE.replace("mnist/", "MNIST/"), "expected lower-case words"),
        (HEADER + LINE.replace(",%", ",points"), "'points', expected one of %"),
    ],
)
def test_malformed_files_name_the_line_and_the_value(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "harakeh").mkdir()
    (tmp_path / "harakeh" / "published.csv").write_text(content, encoding="utf-8")
    with pytest.raises(BadValue) as caught:
        published.load("harakeh", folder=tmp_path)
    assert message in str(caught.value)
