"""How Harakeh's numbers can be read. An id is `<data set>/<attack>/<estimator>/<quantity>`, by the names of our cells."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.reading import Reading, Source
from lib.errors import BadValue

TEXT = {"mnist": {"network": "basic_cnn"}, "cifar10": {"network": "fully_convolutional"}}
TUTORIAL = {"mnist": {"network": "basic_cnn_tutorial"}, "cifar10": {"network": "fully_convolutional_tutorial"}}
REDUCED = {"mnist": TEXT["mnist"], "cifar10": TUTORIAL["cifar10"]}
READINGS = (
    Reading("text", "text's network", by_dataset=TEXT),
    Reading("one_draw", "text's network, one draw", settings={"form": "one_draw"}, by_dataset=TEXT),
    Reading("expectation", "text's network, expectation", settings={"form": "expectation"}, by_dataset=TEXT),
    Reading("tutorial", "tutorial's network", by_dataset=TUTORIAL),
    Reading("reduced", "`reduced`", ("reduced",), by_dataset=REDUCED),
    # The first form and the tutorial's own switch: how he ran CW, as far as it can be known.
    Reading(
        "aborting", "text's network, CW aborting early", settings={"form": "one_draw"}, by_dataset=TEXT, judged=False
    ),
    Reading("first_ten", "text's network, JSMA on the first ten images", by_dataset=TEXT, judged=False),
    Reading("substitutes", "text's network, the mean of five substitutes", by_dataset=TEXT, judged=False),
    Reading("dense", "fully connected", by_dataset={"mnist": {"network": "fully_connected"}}, judged=False),
)
# The epsilon beside the curve, the scores of uncertainty, and the judges by a vote of fresh draws stand beside what he measured.
MEASURED = frozenset(
    "accuracy adversarial_accuracy adversarial_accuracy_one_draw adversarial_accuracy_vote adversarial_accuracy_variance "
    "adversarial_accuracy_of_each fooling_rate fooling_rate_min "
    "fooling_rate_max fooling_rate_vote misclassified l2 changed_features unmoved zero_gradients largest_perturbation "
    "outside sigma adversarial_sigma auroc_entropy auroc_mutual_information auroc_variance queries source_accuracy "
    "substitute_accuracy substitute_agreement white_box_accuracy black_box_accuracy untrained_accuracy".split()
)
INSTEAD = {  # of the attack of an id, under a reading
    ("aborting", "cw"): "cw_aborting",
    ("first_ten", "jsma"): "jsma_first_ten",
    ("substitutes", "black_box"): "substitutes",
}
ATTEMPTS = {"cw": 10, "cw_aborting": 10, "jsma": 9, "jsma_first_ten": 9}  # targets that an image is aimed at
RANDOM = ("epistemic", "aleatoric")  # victims whose answers are


def sources(one: Reading, path: Sequence[str]) -> list[list[Source]]:
    """The one row of an id.

    The clean accuracy of a victim does not depend on the attack: CW's and JSMA's is that of the same victim's FGSM row. FGSM
    in the form of an expectation is PGD with one step, on fewer images, and so is that of the plain victim beside it. Through
    one draw FGSM was measured beside the mean, of dropout alone.
    """
    if len(path) not in (3, 4) or path[0] not in one.by_dataset:
        raise BadValue(f"id: expected data set/attack/estimator/quantity of {', '.join(one.by_dataset)}, got {path}")
    dataset, attack, estimator, quantity = [*path, ""][:4]
    if quantity == "accuracy" and attack in ("cw", "jsma"):
        attack = "fgsm"
    attack = INSTEAD.get((one.name, attack), attack)
    found: dict[str, Any] = {"dataset": dataset, **one.by_dataset[dataset], "estimator": estimator, "attack": attack}
    form = one.settings.get("form", "mean")
    if attack == "fgsm" and quantity not in ("", "accuracy"):
        if form == "expectation":
            found |= {"attack": "pgd", "steps": 1}
        elif form == "one_draw" and estimator != "none":
            quantity = f"{quantity}_one_draw"
    found |= _settings(found, form, quantity)
    return [[Source(found, quantity or "accuracy", one.profiles, attempts=ATTEMPTS.get(found["attack"], 1))]]


def victims(path: Sequence[str]) -> list[tuple[str, str]]:
    """The clean accuracy of a row of his table."""
    accuracy = "/".join([*path[:3], "accuracy"])
    return [(accuracy, accuracy)]


def _settings(found: Mapping[str, Any], form: str, quantity: str) -> dict[str, Any]:
    """What else tells the row of an attack, unless the address names it."""
    if found["attack"] == "aware":  # of the score that its quantity judges
        return {"form": "expectation", "steps": 20, "score": quantity.removeprefix("auroc_")}
    steps = {"steps": found.get("steps", 20)} if found["attack"] == "pgd" else {}
    if found["attack"] not in ("pgd", *ATTEMPTS):
        return steps
    return {**steps, "form": form if found["estimator"] in RANDOM else "mean"}
