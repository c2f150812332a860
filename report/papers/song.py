"""What the Song chapter sets beside each other: the rows of its forest plots, as addresses."""

from itertools import product

from experiments.papers import song
from experiments.papers.song.readings import DATASETS, TRAININGS
from report.figures.forest import Row, Rows, beside
from report.figures.specification import Question, Way
from report.names import DATASET_NAMES, QUANTITY_NAMES, WORDS

PAPER = "song"
READINGS = ("text", "reduced")  # whose records stand for a number on the first page: the first that has any
INPUTS = ("benign", "adversarial")
# The scale that a data set is shown at: Yale Face was run at the paper's alone, the others wait for a GPU.
SCALES = {"yale": "text", "fashion_mnist": "reduced", "cifar10": "reduced"}
FEWER = {"yale": [], "fashion_mnist": ["few"], "cifar10": ["few", "fitting"]}  # readings with fewer members
# What an adversary could do, by the measurement that judges it.
ADVERSARIES_TRIED = WORDS["adversaries"]
SIDES = {
    "train_accuracy": "members",
    "test_accuracy": "others",
    "adv_train_accuracy": "members, under attack",
    "adv_test_accuracy": "others, under attack",
}


def _few(dataset: str) -> tuple[str, ...]:
    """The readings of a data set: at its scale, and on fewer members."""
    return SCALES[dataset], *FEWER[dataset]


# The claims of a data set, by training and images.
CLAIMED = {("robust", "benign"): "robust-leaks", ("robust", "adversarial"): "robust-leaks-most"}


def _inference(dataset: str, training: str, inputs: str) -> Row:
    claim = CLAIMED.get((training, inputs), "")
    named = f"{SCALES[dataset]}:{dataset.replace('_', '-')}-{claim}" if claim else ""
    return beside(f"{training}, {inputs}", f"{dataset}/{training}/inference_{inputs}", _few(dataset), named)


INFERENCE: Rows = {
    DATASET_NAMES[dataset]: [_inference(dataset, *one) for one in product(TRAININGS, INPUTS)] for dataset in DATASETS
}
ACCURACIES: Rows = {
    f"{DATASET_NAMES[dataset]}, {training}: accuracy (%)": [
        beside(words, f"{dataset}/{training}/{side}", _few(dataset)) for side, words in SIDES.items()
    ]
    for dataset, training in product(DATASETS, TRAININGS)
}


def _by_loss(dataset: str, training: str, side: str) -> Row:
    id_ = f"{dataset}/{training}/{side}"
    found = {loss: f"{SCALES[dataset]}:{id_}?attack_loss={loss}" for loss in ("log_odds", "cross_entropy")}
    return Row(f"{training}, {SIDES[side].split(',')[0]}", found, id_)


LOSSES: Rows = {
    f"{DATASET_NAMES[dataset]}: accuracy under attack (%)": [
        _by_loss(dataset, *one) for one in product(TRAININGS, ("adv_train_accuracy", "adv_test_accuracy"))
    ]
    for dataset in DATASETS
}
ADVERSARIES: Rows = {
    f"{DATASET_NAMES[dataset]}, {training}": [
        Row(words, {inputs: f"{SCALES[dataset]}:{dataset}/{training}/{name}_{inputs}" for inputs in INPUTS})
        for name, words in ADVERSARIES_TRIED.items()
        if not (name == "shadow" and dataset == "yale")  # trained on all there is: no images are left for a shadow
    ]
    for dataset, training in product(DATASETS, TRAININGS)
}
CLASSES = range(10)
TABLE2_AT = ("reduced", "fitting")


def _methods(label: str, id_: str, printed: str | tuple[str, ...]) -> Row:
    return Row(label, {name: f"{name}:{id_}" for name in TABLE2_AT}, printed)


METHODS: Rows = {
    "Robust CIFAR-10 network, mean over classes": [
        _methods(QUANTITY_NAMES[one], one, tuple(f"{one}/class{c}" for c in CLASSES)) for one in song.METHODS
    ]
}
TABLE2: Rows = {
    QUANTITY_NAMES[one]: [_methods(f"class {c}", f"{one}/class{c}", f"{one}/class{c}") for c in CLASSES]
    for one in song.METHODS
}

# Whether the robust network leaks more, in every way in which it was asked.
SMALLER = {
    "the paper": "text",
    "reduced": "reduced",
    "a fifth of the members": "few",
    "a tenth of the members": "fitting",
    "half of the budget": "half",
    "a quarter of the budget": "quarter",
}
QUESTION = Question(
    [
        Way(
            {"data": DATASET_NAMES[dataset], "scale": words, "images": inputs, "threshold": threshold},
            f"{name}:{dataset}/robust/{measured}_{inputs}"
            f" - {'reduced' if name in ('half', 'quarter') else name}:{dataset}/natural/{measured}_benign",
        )
        for dataset in DATASETS
        for words, name in SMALLER.items()
        if (name == "text") == (dataset == "yale") and (name != "fitting" or dataset == "cifar10")
        for inputs in INPUTS
        for threshold, measured in {"best": "inference", "from half": "honest", "gap attack": "gap"}.items()
    ],
    printed=[
        (f"{dataset}/robust/inference_{inputs}", f"{dataset}/natural/inference_benign")
        for dataset, inputs in product(DATASETS, INPUTS)
    ],
    ylabel="robust − natural: accuracy (points)",
)
