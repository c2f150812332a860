"""How Galinkin's numbers can be read.

An id is `<data set>/<network>/<plain or bayesian>/<quantity>` in Table 1; Tables 2 and 3 average it over the networks
(`mnist/bayesian/membership`) or over all four victims of a data set (`mnist/boundary`), and so do we, seed by seed. Other
measurements of an attack are named after its quantity: `mnist/lenet5/plain/membership?auc`.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

from experiments.papers.galinkin import matching
from experiments.papers.galinkin.aimed import Aimed
from experiments.papers.galinkin.evasion import Evasion
from experiments.papers.galinkin.grid import HUNDRED, MEMBERSHIP_CODE, OVERFITTED, RARE
from experiments.papers.galinkin.membership import Membership
from experiments.papers.galinkin.scan import Scan
from experiments.papers.galinkin.victims import Cell
from experiments.reading import Reading, Source
from lib.errors import BadValue, check_choice

ATTACKS = ("hop_skip_jump", "boundary")
NETWORKS = ("lenet5", "resnet18")
VICTIMS = ("plain", "bayesian")
SUCCESS = dict.fromkeys(ATTACKS, "success")
CHANGED = dict.fromkeys(ATTACKS, "success_changed")
WITHIN = {**dict.fromkeys(ATTACKS, "success_within"), "membership": ""}  # to membership no limit applies: "text" is it
MATCHED = ("matched", "matched_aware")
LENET = (*MATCHED, "targeted", "hundred")  # readings of that network alone
AS_CODED = {"adversary": "as_coded", "features": "unsorted"}
CODED = {**SUCCESS, "membership": "membership_as_coded"}


def _beside(name: str, title: str, **settings: Any) -> Reading:
    """A reading that no claim is judged under: as written, but for some settings; at `reduced` where `paper` has no record."""
    return Reading(name, title, ("paper", "reduced"), settings, quantities=SUCCESS, judged=False)


READINGS = (
    Reading("text", "as written", quantities=SUCCESS),
    Reading("coded", "as coded", settings=AS_CODED, quantities=CODED),
    Reading("naive", "within a limit, naive", quantities=WITHIN),
    Reading("aware", "within a limit, aware of noise", settings={"aware": True}, quantities=WITHIN),
    Reading("reduced", "as written, ResNet-18 attacked at `reduced`", ("reduced",), quantities=SUCCESS),
    Reading("coded_reduced", "as coded, ResNet-18 attacked at `reduced`", ("reduced",), AS_CODED, quantities=CODED),
    # A LeNet-5 trained to the clean accuracy that the paper printed; images that come back as they were are no success.
    Reading("matched", "LeNet-5 with the paper's accuracy", quantities=CHANGED),
    _beside("matched_aware", "so, aware of noise", aware=True),
    # What the text may mean as well.
    _beside("targeted", "Boundary aimed at a class"),
    _beside("hundred", "100 iterations an attack", iterations=HUNDRED),
    # How an attack sees a victim with dropout.
    _beside("off", "dropout off", answers="off"),
    _beside("mean", "mean of T, naive"),
    _beside("mean_aware", "mean of T, aware", aware=True),
    _beside("one_draw", "one draw, naive", answers="one_draw"),
    _beside("one_draw_aware", "one draw, aware", answers="one_draw", aware=True),
    _beside("scanned", "as scanned", **AS_CODED),
    # What could lift the accuracy of membership inference, one change each from "text".
    _beside("same", "shadow trained on the target's own images", shadow="same"),
    _beside("raw", "target asked about pixels of 0 to 255", inputs="raw"),
    _beside("inverted", "non-members from another distribution", nonmembers="inverted"),
    _beside("overfitted", "trained for 100 epochs, never stopped", **OVERFITTED),
    _beside("overfitted_rare", "so, with dropout 0.05", **OVERFITTED, dropout=RARE),
    _beside(
        "overfitted_rare_spread",
        "so, and the spread over the draws is seen",
        **OVERFITTED,
        dropout=RARE,
        features="top3_spread",
    ),
    _beside("spread", "mean, and spread over the draws", features="top3_spread"),
    # Victims that are trained otherwise.
    _beside("rare", "with rare dropout", dropout=RARE, patience=2),
    _beside("unstopped", "never stopped", patience=0),
    _beside("membership_code", "as coded, trained by the membership code", **AS_CODED, **MEMBERSHIP_CODE),
)
MEASURED = frozenset(
    "accuracy train_accuracy training_epochs watched_loss started found success success_vote success_within "
    "success_one_answer_within success_changed success_vote_changed success_no_attack success_vote_no_attack success_noise "
    "success_vote_noise unchanged success_targeted success_untargeted first_label_right median_distance answers passes calls "
    "targeted membership membership_as_coded tpr fpr auc auc_as_coded advantage tpr_at_1pct tpr_at_01pct control "
    "validation_accuracy control_auc odds_auc odds_membership odds_tpr_at_1pct odds_tpr_at_01pct".split()
)


def sources(one: Reading, path: Sequence[str]) -> list[list[Source]]:
    """The row of an id of Table 1, or those that an average is of."""
    return [_of_victim(one, *row) for row in _rows(path)]


def victims(path: Sequence[str]) -> list[tuple[str, str]]:
    """The accuracies of Table 1, for membership of the networks that it was inferred of, which have half of the data."""
    rows = ["/".join(row) for row in _rows(path)]
    accuracies = [f"{row.rpartition('/')[0]}/accuracy" for row in rows]
    return list(zip(accuracies, [f"{row}?accuracy" for row in rows], strict=True))


def _rows(path: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Data set, network, victim and quantity of each row of Table 1 that an id is of."""
    if not 2 <= len(path) <= 4:
        raise BadValue(f"id: expected data set/network/victim/quantity, got {'/'.join(path)}")
    dataset, *middle, quantity = path
    check_choice("quantity", quantity, ("accuracy", *ATTACKS, "membership"))
    networks = [middle[0]] if len(middle) == 2 else NETWORKS
    chosen = [check_choice("victim", middle[-1], VICTIMS)] if middle else VICTIMS
    return [(dataset, network, victim, quantity) for network, victim in product(networks, chosen)]


def _of_victim(one: Reading, dataset: str, network: str, victim: str, quantity: str) -> list[Source]:
    """The rows that could measure a quantity of one victim.

    LeNet-5 and membership can be had at the paper's scale everywhere: a reading of `reduced` takes them from there. As coded,
    a network whose scan has no record can be the same one of membership inference.
    """
    coded, bayesian = one.settings.get("adversary") == "as_coded", victim == "bayesian"
    measurement = one.quantities.get(quantity, quantity)
    answers = "off" if coded or not bayesian else one.settings.get("answers", "mean")

    def source(kind: type[Cell], attack: str, **usual: Any) -> Source:
        own = {name: value for name, value in one.settings.items() if hasattr(kind, name)}
        settings = {"dataset": dataset, "network": network, "bayesian": bayesian, "attack": attack, **usual, **own}
        if kind is Evasion:
            settings["aware"] = bayesian and one.settings.get("aware", False)
        at_paper = network != "resnet18" or kind is Membership
        if one.name in MATCHED:
            settings |= matching.settings(
                matching.MATCHED[dataset, bayesian, "target" if kind is Membership else "whole"]
            )
        return Source(
            settings | {"answers": answers},
            measurement,
            ("paper",) if at_paper else one.profiles,
            10_000 if quantity == "accuracy" else None,
        )

    if not measurement or (one.name in LENET and network != "lenet5"):
        return []
    if one.name == "targeted":
        return [source(Aimed, "boundary_targeted")] if quantity in ("boundary", "accuracy") else []
    membership = source(Membership, "membership", adversary="salem", features="top3")
    if quantity == "membership":
        return [membership]
    attack = quantity if quantity in ATTACKS else ATTACKS[0]
    if not coded:
        return [source(Evasion, attack)]
    scan = source(Scan, f"{attack}_scan", scale="raw")
    return [scan, membership] if quantity == "accuracy" else [scan]
