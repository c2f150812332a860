"""How Song's numbers can be read: at the paper's scale, and at `reduced`.

An id is `<data set>/<natural or robust>/<quantity>` in Table 1 and `<method>/class<c>` in Table 2, which is about the robust
CIFAR-10 victim; `<method>` alone is the accuracy over all classes. Measurements have the names of the quantities.
"""

from collections.abc import Sequence
from typing import Any

from experiments.papers.song.grid import EPSILON, FITTING, SUSPECTS, fewer_members
from experiments.papers.song.targeted import METHODS
from experiments.papers.song.victims import SPLITS
from experiments.reading import Reading, Source
from lib.errors import BadValue

DATASETS = ("yale", "fashion_mnist", "cifar10")
TRAININGS = ("natural", "robust")


def _beside(name: str, by_dataset: dict[str, dict[str, Any]], *profiles: str) -> Reading:
    """A reading that no claim is judged under."""
    return Reading(name, name.replace("_", " "), profiles, by_dataset=by_dataset, judged=False)


def _budget(part: float) -> dict[str, dict[str, Any]]:
    """Training with a part of the budget."""
    return {dataset: {"train_epsilon": part * EPSILON[dataset]} for dataset in ("fashion_mnist", "cifar10")}


# The paper's threshold is the best for the very points that it is judged on; this one is learnt on half of them for the rest.
HELD_OUT = {f"inference_{inputs}": f"honest_{inputs}" for inputs in ("benign", "adversarial")}
READINGS = (
    Reading("text", "at the paper's scale"),
    Reading("held_out", "at the paper's scale, threshold from the other half of the points", quantities=HELD_OUT),
    Reading("reduced", "`reduced`", ("reduced",)),
    _beside("few", {cell.dataset: {"train_size": cell.train_size} for cell in fewer_members("reduced")}, "reduced"),
    _beside("fitting", {"cifar10": {"train_size": FITTING}}, "reduced"),
    _beside("splits", {"yale": {"dataset": SPLITS[3]}}, "paper"),  # and the others of its row
    _beside("compiled", {"yale": {"attack": "threshold_compiled"}}, "paper"),
    _beside("quarter", _budget(0.25), "reduced"),
    _beside("half", _budget(0.5), "reduced"),
    *(
        _beside(name, {"yale": changes}, "paper")
        for name, changes in zip(("no_decay", "float32", "code_split"), SUSPECTS.values(), strict=True)
    ),
)
_OF_INPUTS = (
    "inference honest class_honest shadow entropy modified_entropy gap control auc advantage tpr_at_1pct tpr_at_01pct"
)
MEASURED = frozenset(
    [
        *(f"{name}_{inputs}" for name in _OF_INPUTS.split() for inputs in ("benign", "adversarial")),
        *(f"{side}{part}_accuracy" for side in ("", "adv_", "dark_", "light_") for part in ("train", "test")),
        *(name for method in METHODS for name in (method, f"{method}_log")),
        *(f"{method}/class{c}" for method in METHODS for c in range(10)),
        "trace_test_accuracy",
    ]
)


def sources(one: Reading, path: Sequence[str]) -> list[list[Source]]:
    """The one row of an id."""
    if path[0].removesuffix("_log") in METHODS:
        settings = {
            "dataset": "cifar10",
            "estimator": "robust",
            "attack": "targeted",
            **one.by_dataset.get("cifar10", {}),
        }
        return [[Source(settings, "/".join(path), one.profiles)]]
    if len(path) not in (2, 3) or path[0] not in (one.by_dataset or DATASETS):
        raise BadValue(f"id: expected data set/natural or robust/quantity, or method/class, got {'/'.join(path)}")
    dataset, training, quantity = [*path, "test_accuracy"][:3]
    settings = {"dataset": dataset, "estimator": training, "attack": "threshold", **one.by_dataset.get(dataset, {})}
    return [[Source(settings, one.quantities.get(quantity, quantity), one.profiles)]]


def victims(path: Sequence[str]) -> list[tuple[str, str]]:
    """The accuracies of a victim on its members and on other images."""
    victim = "cifar10/robust" if path[0] in METHODS else "/".join(path[:2])
    return [(accuracy, accuracy) for accuracy in (f"{victim}/train_accuracy", f"{victim}/test_accuracy")]
