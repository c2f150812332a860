"""Galinkin's experiments: cells and keys, grids and published numbers, who is on which side, tiny cells from end to end."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch import Tensor

from experiments import claims, papers, published
from experiments.address import Found, parse, readings, resolve, sources
from experiments.inference import sampled
from experiments.papers import galinkin
from experiments.papers.galinkin import Cell, Evasion, Membership, Scan, evasion, matching, membership, scan, victims
from experiments.papers.galinkin.aimed import Aimed
from experiments.papers.galinkin.grid import HUNDRED
from experiments.papers.galinkin.matching import Matching
from experiments.records import Record, Result, Store, key_of, settings
from experiments.run import Bench, Job, recognised, result_of
from lib import data, models
from lib.data import Dataset, Split
from lib.errors import BadValue
from lib.evasion.decision import Decided
from lib.membership import roc
from lib.models import Network
from lib.training.snapshots import History
from lib.uncertainty import Deterministic, MonteCarloDropout, RandomVictim, Victim
from report.papers import galinkin_membership

KINDS = list(papers.kinds("galinkin"))
PROFILES = pytest.mark.parametrize("profile", galinkin.PROFILES)
EACH = pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
SEEDS = st.integers(0, 2**32 - 1)


def through_json(values: dict[str, Any]) -> dict[str, Any]:
    """As a record keeps settings."""
    found: dict[str, Any] = json.loads(json.dumps(values))
    return found


# --- cells and keys ---------------------------------------------------------------------------------------------------

RANDOM: dict[str, Any] = {"bayesian": True, "answers": "mean"}
CODED: dict[str, Any] = {"part": "whole", "stop_on": "test", "shadow": "same"}
OF_EVERY_CELL: dict[str, Any] = {
    "profile": "smoke",
    "dataset": "cifar10",
    "network": "resnet18",
    "bayesian": True,
    "seed": 1,
    "version": 2,
    "part": "shadow",
    "copy": 1,
    "dropout": 0.25,
    "train_size": 100,
    "epochs": 7,
    "batch_size": 64,
    "learning_rate": 0.01,
    "patience": 3,
    "min_delta": 0.01,
    "augmentation": "flip_and_rotate",
    "precision": "float32",
    "draws": 11,
}
OTHER: dict[type[Cell], dict[str, Any]] = {
    Evasion: {
        "norm": "l2",
        "lead": 7,
        "probe": 0.5,
        "check_answers": 51,
        "attempts": 99,
        "iterations": 49,
        "max_evaluations": 9999,
        "initial_evaluations": 99,
        "start_tries": 99,
        "judges": 51,
        "test_size": 1000,
        "answer_precision": "bfloat16",
    },
    Aimed: {"attempts": 99, "iterations": 49, "judges": 51, "test_size": 1000, "answer_precision": "bfloat16"},
    Scan: {"attack": "boundary_scan", "stop_on": "test", "scale": "unit", "attempts": 99, "longest": 10},
    Membership: {
        "adversary": "as_coded",
        "features": "unsorted",
        "shadow": "same",
        "inputs": "raw",
        "nonmembers": "inverted",
        "members": 0,
        "answer_precision": "bfloat16",
    },
    Matching: {"answer_precision": "bfloat16", "part": "target"},
}
# Settings that others need, each list a way from a cell to one with one setting more.
TOGETHER: dict[type[Cell], list[list[dict[str, Any]]]] = {
    Evasion: [
        [{"norm": "l2"}, {"norm": "l2", "attack": "boundary"}],
        [{"bayesian": True}, RANDOM, {**RANDOM, "aware": True}],
        [{"bayesian": True}, {**RANDOM, "answers": "one_draw"}],
        [{}, {"stop_on": "test"}],
    ],
    Scan: [[{"bayesian": True}, RANDOM]],
    Aimed: [[{"bayesian": True}, RANDOM], [{}, {"stop_on": "test"}]],
    Matching: [[{"bayesian": True}, RANDOM], [{}, {"stop_on": "test"}]],
    Membership: [
        [{"shadow": "same"}, {"shadow": "same", "part": "whole"}, CODED],
        [{"bayesian": True}, RANDOM, {**RANDOM, "features": "top3_spread"}],
    ],
}


def others(kind: type[Cell]) -> list[Cell]:
    """A cell of `kind` with each of its settings changed, alone where that can be."""
    alone = [kind(**{name: value}) for name, value in {**OF_EVERY_CELL, **OTHER[kind]}.items()]
    return list(dict.fromkeys([*alone, *(kind(**one) for way in TOGETHER[kind] for one in way if one)]))


@EACH
def test_every_setting_is_part_of_the_key(kind: type[Cell]) -> None:
    together = {name for way in TOGETHER[kind] for one in way for name in one}
    reached = OF_EVERY_CELL.keys() | OTHER[kind].keys() | together | {"paper"}
    if kind in (Membership, Matching, Aimed):
        reached |= {"attack"}  # it has one
    assert reached == {field.name for field in fields(kind)}
    cells = [kind(), *others(kind)]
    assert len({key_of(cell) for cell in cells}) == len(set(cells)) == len(cells)


@EACH
def test_checkpoints_follow_the_victim_and_nothing_else(kind: type[Cell]) -> None:
    """Every experiment shares the networks of its victims with the others."""
    victim, usual = key_of(Evasion(), only=Cell.VICTIM), asdict(Evasion())
    seen = set()
    for cell in others(kind):
        changed = asdict(cell)
        same = all(changed[name] == usual[name] for name in Cell.VICTIM)
        assert (key_of(cell, only=Cell.VICTIM) == victim) == same
        seen.add(same)
    assert seen == {False, True}
    assert {"part", "copy", "stop_on", "seed", "dropout"} < set(Cell.VICTIM)
    assert not {"profile", "attack", "answers", "draws"} & set(Cell.VICTIM)


@EACH
def test_equal_cells_have_one_key_whole_numbers_or_floats(kind: type[Cell]) -> None:
    numbers = [field.name for field in fields(kind) if isinstance(getattr(kind(), field.name), float)]
    assert set(numbers) - {"probe"} == {"dropout", "learning_rate", "min_delta"}
    for name in numbers:
        value = int(name == "probe")  # 0 for the others
        whole, exact = kind(**{name: value}), kind(**{name: float(value)})
        assert whole == exact and key_of(whole) == key_of(exact), name


@PROFILES
def test_every_cell_of_a_grid_comes_back_from_its_record(profile: str) -> None:
    for cell in galinkin.grid(profile):
        found = papers.revive("galinkin", through_json(settings(cell)))
        assert found == cell and type(found) is type(cell)


@EACH
def test_settings_of_an_older_experiment_are_of_no_cell(kind: type[Cell]) -> None:
    known = through_json(settings(kind()))
    assert papers.revive("galinkin", known) == kind()
    for name in known:
        assert papers.revive("galinkin", {other: value for other, value in known.items() if other != name}) is None
    unknown = ({**known, "gone": 1}, {**known, "attack": "deepfool"}, {**known, "attack": None}, {})
    assert [papers.revive("galinkin", one) for one in unknown] == [None] * 4


BAD: list[tuple[type[Cell], dict[str, Any], str]] = [
    *(
        (kind, change, told)
        for kind in KINDS
        for change, told in [
            ({"paper": "harakeh"}, "paper: unknown 'harakeh'; expected one of galinkin"),
            ({"profile": "huge"}, "profile: unknown 'huge'; expected one of smoke, reduced, paper"),
            ({"dataset": "imagenet"}, "dataset: "),
            (
                {"network": "basic_cnn"},
                "network: unknown 'basic_cnn'; expected one of lenet5, lenet5_coded, resnet18, shadow_coded",
            ),
            ({"attack": "deepfool"}, "attack: unknown 'deepfool'; expected one of "),
            ({"part": "half"}, "part: unknown 'half'; expected one of whole, target, shadow"),
            ({"stop_on": "train"}, "stop_on: "),
            ({"answers": "on"}, "answers: unknown 'on'; expected one of off, one_draw, mean"),
            ({"answers": "mean"}, "answers: expected off for a network without dropout, got 'mean'"),
            ({"answers": "one_draw"}, "answers: expected off for a network without dropout, got 'one_draw'"),
            ({"part": "target", "stop_on": "test"}, "stop_on: expected validation for a target, got 'test'"),
            ({"part": "shadow", "stop_on": "test"}, "stop_on: expected validation for a shadow, got 'test'"),
            ({"bayesian": 1}, "bayesian: expected True or False, got 1"),
            ({"bayesian": "yes"}, "bayesian: "),
            ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
            ({"copy": -1}, "copy: "),
            ({"version": 0}, "version: "),
            ({"dropout": 1}, "dropout: expected a finite number in [0, 0.999], got 1"),
            ({"train_size": -1}, "train_size: "),
            ({"epochs": 0}, "epochs: "),
            ({"batch_size": 0}, "batch_size: "),
            ({"learning_rate": math.nan}, "learning_rate: "),
            ({"patience": -1}, "patience: "),
            ({"patience": 0.5}, "patience: "),
            ({"min_delta": -1e-3}, "min_delta: "),
            ({"augmentation": "mixup"}, "augmentation: "),
            ({"precision": "int8"}, "precision: "),
            ({"draws": 0}, "draws: "),
        ]
    ),
    (Evasion, {"attack": "hop_skip_jump_scan"}, "attack: unknown "),
    (Evasion, {"norm": "l1"}, "norm: unknown 'l1'; expected one of l2, linf"),
    (Evasion, {"attack": "boundary"}, "norm: expected l2 for the Boundary attack, got 'linf'"),
    (Evasion, {"aware": True}, "aware: expected False where nothing is random, got True"),
    (Evasion, {"aware": True, "bayesian": True}, "aware: expected False where nothing is random, got True"),
    (Evasion, {**RANDOM, "aware": 1}, "aware: expected True or False, got 1"),
    *(
        (Evasion, {name: value}, f"{name}: expected a whole number of at least 1, got {value}")
        for value in (0, 1.5)
        for name in (
            "lead",
            "check_answers",
            "attempts",
            "iterations",
            "max_evaluations",
            "initial_evaluations",
            "start_tries",
            "judges",
        )
    ),
    (Evasion, {"test_size": -1}, "test_size: "),
    (Scan, {"attack": "boundary"}, "attack: unknown 'boundary'; expected one of hop_skip_jump_scan, boundary_scan"),
    (Scan, {"scale": "bytes"}, "scale: unknown 'bytes'; expected one of raw, unit"),
    (Scan, {"attempts": 0}, "attempts: "),
    (Scan, {"longest": -1}, "longest: "),
    (Membership, {"adversary": "song"}, "adversary: unknown 'song'; expected one of salem, as_coded"),
    (Membership, {"features": "top5"}, "features: "),
    (Membership, {"shadow": "none"}, "shadow: "),
    (Membership, {"inputs": "bytes"}, "inputs: "),
    (Membership, {"answer_precision": "float16"}, "answer_precision: unknown 'float16'"),
    (Membership, {"nonmembers": "train"}, "nonmembers: "),
    (Membership, {"members": -1}, "members: "),
    (Membership, {"part": "whole"}, "shadow: expected same where the target is trained on the whole, got 'disjoint'"),
    (Membership, {"features": "top3_spread"}, "features: top3_spread needs answers=mean"),
    (Membership, {"features": "top3_spread", "bayesian": True, "answers": "one_draw"}, "features: top3_spread needs "),
    (
        Membership,
        {"features": "top3_spread", "adversary": "as_coded", **RANDOM},
        "features: top3_spread needs a shadow with dropout, which as_coded has not",
    ),
]


@pytest.mark.parametrize(("kind", "change", "told"), BAD, ids=[f"{kind.__name__}-{change}" for kind, change, _ in BAD])
def test_bad_settings_are_named(kind: type[Cell], change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue) as caught:
        kind(**change)
    assert str(caught.value).startswith(told)


# --- grids ------------------------------------------------------------------------------------------------------------


@PROFILES
def test_no_two_cells_of_a_grid_are_one(profile: str) -> None:
    cells = galinkin.grid(profile)
    assert len({key_of(cell) for cell in cells}) == len(set(cells)) == len(cells) > 0
    assert {(cell.paper, cell.profile) for cell in cells} == {("galinkin", profile)}


@PROFILES
def test_the_published_cells_have_all_seeds(profile: str) -> None:
    """Those as written and as coded; what no table of the paper has may have fewer."""
    seeds: dict[Cell, set[int]] = {}
    for cell in galinkin.main(profile):
        seeds.setdefault(replace(cell, seed=0), set()).add(cell.seed)
    every = set(range(1 if profile == "smoke" else galinkin.SEEDS))
    for cell, found in seeds.items():
        written = cell.answers == ("mean" if cell.bayesian else "off") and not getattr(cell, "aware", False)
        judged = profile == "paper" and getattr(cell, "aware", False) and cell.answers == "mean"
        published = cell.stop_on == "test" or judged or (written and getattr(cell, "features", "top3") == "top3")
        assert found == every if published or cell.network == "lenet5" else found == {0}, cell


@pytest.mark.parametrize(
    ("profile", "network", "plain", "bayesian", "later"),
    # Each victim: two attacks and membership as written, the same as coded. A Bayesian one: both attacks in four other ways,
    # and three more answers or features of membership; of a ResNet-18 those of one seed, the attacks at `reduced` alone, but for
    # that by which claims are judged. `reduced` has no membership.
    [
        ("paper", "lenet5", 6, 6 + 8 + 3, 6 + 8 + 3),
        ("paper", "resnet18", 6, 6 + 3 + 2, 6 + 2),
        ("reduced", "resnet18", 4, 4 + 8, 4),
    ],
)
def test_every_victim_has_the_same_cells(profile: str, network: str, plain: int, bayesian: int, later: int) -> None:
    cells = galinkin.main(profile)
    found = Counter((one.dataset, one.bayesian, one.seed) for one in cells if one.network == network)
    assert len(found) == 2 * 2 * galinkin.SEEDS
    for (_, random, seed), count in found.items():
        assert count == ((later if seed else bayesian) if random else plain)
    assert {cell.network for cell in cells} == ({"lenet5", "resnet18"} if profile == "paper" else {"resnet18"})


def test_smoke_has_a_cell_of_every_kind_and_network() -> None:
    cells = galinkin.main("smoke")
    assert {type(cell) for cell in galinkin.grid("smoke")} == set(KINDS)
    assert {cell.dataset for cell in galinkin.grid("smoke")} == {"digits_as_mnist"}
    assert [(cell.network, cell.attack) for cell in cells if cell.network == "resnet18"] == [
        ("resnet18", "hop_skip_jump")
    ]


@PROFILES
def test_the_attacks_as_written_have_the_settings_of_the_paper(profile: str) -> None:
    for cell in galinkin.main(profile):
        assert profile == "smoke" or cell.dropout == {"lenet5": 0.5, "resnet18": 0.4}[cell.network]
        if profile != "smoke":  # `reduced` attacks the paper's victims
            assert (cell.epochs, cell.patience, cell.min_delta, cell.learning_rate) == (25, 2, 1e-3, 0.035)
            assert cell.train_size == 0 and cell.draws == {"paper": 10, "reduced": 5}[profile]
        if isinstance(cell, Evasion) and profile == "paper":
            assert cell.attempts == 100
            assert (cell.norm, cell.iterations) == {"hop_skip_jump": ("linf", 50), "boundary": ("l2", 5000)}[
                cell.attack
            ]


@PROFILES
def test_what_is_coded_is_all_of_the_code(profile: str) -> None:
    """No draws, no validation split, raw pixels: none of the differences to the text is missing."""
    coded = [cell for cell in galinkin.main(profile) if cell.stop_on == "test"]
    assert coded and all(cell.part == "whole" and cell.answers == "off" for cell in coded)
    for cell in coded:
        if isinstance(cell, Membership):
            assert (cell.adversary, cell.features, cell.shadow, cell.inputs, cell.members) == (
                "as_coded",
                "unsorted",
                "same",
                "raw",
                0,
            )
        else:
            assert isinstance(cell, Scan) and cell.scale == "raw"
    assert {type(cell) for cell in coded} == ({Scan} if profile == "reduced" else {Membership, Scan})


@PROFILES
def test_all_victims_of_a_reading_are_trained_once_for_all_attacks(profile: str) -> None:
    """Both attacks share a network, and all membership cells of a reading theirs."""
    groups: dict[tuple[Any, ...], set[str]] = {}
    for cell in galinkin.main(profile):
        kind = (cell.dataset, cell.network, cell.bayesian, cell.seed, cell.part, cell.stop_on)
        groups.setdefault(kind, set()).add(key_of(cell, only=Cell.VICTIM))
    assert all(len(keys) == 1 for keys in groups.values())
    assert len(set.union(*groups.values())) == len(groups)


@PROFILES
def test_a_deviation_changes_little_of_a_main_cell(profile: str) -> None:
    """One setting, or those that go together: how long is trained and with what, for each of which the sets say why.

    Longer training must not stop early; a network with much dropout does not overfit all the same; and the membership code
    trains its targets in a way of its own.
    """
    together = [{"epochs", "patience"}, {"epochs", "patience", "dropout"}]
    together += [{"learning_rate", "patience"}, {"learning_rate", "patience", "dropout"}]

    def group(cell: Cell) -> tuple[Any, ...]:
        return type(cell), cell.dataset, cell.bayesian, cell.seed

    main: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in galinkin.main(profile):
        main.setdefault(group(cell), []).append(cell)
    extra = {cell for cell in galinkin.grid(profile) if not searched(cell)} - set(galinkin.main(profile))
    assert extra
    for cell in extra:
        names = [field.name for field in fields(cell)]
        changes = [{name for name in names if getattr(cell, name) != getattr(one, name)} for one in main[group(cell)]]
        least = min(changes, key=len)
        assert len(least) == 1 or least in together, cell


def searched(cell: Cell) -> bool:
    """Whether a cell is of the search for the paper's accuracy or of a victim that it has chosen, or reads the text otherwise."""
    chosen = {tuple(matching.settings(one).items()) for one in matching.MATCHED.values()}
    as_written = not isinstance(cell, Membership) or (cell.adversary, cell.features) == ("salem", "top3")
    return (
        isinstance(cell, Matching | Aimed)
        or getattr(cell, "iterations", 0) == HUNDRED
        or (as_written and (("dropout", cell.dropout), ("epochs", cell.epochs), ("patience", cell.patience)) in chosen)
    )


def test_deviations_have_one_seed_but_for_the_dropout_rate_of_the_membership_code() -> None:
    found: dict[Cell, set[int]] = {}
    for cell in (cell for cell in galinkin.deviations("paper") if not searched(cell)):
        found.setdefault(replace(cell, seed=0), set()).add(cell.seed)
    several = [cell for cell, seeds in found.items() if seeds == set(range(galinkin.SEEDS))]
    assert all(seeds == {0} for cell, seeds in found.items() if cell not in several)
    assert {(cell.network, cell.dropout, cell.patience) for cell in several} == {("lenet5", galinkin.RARE, 2)}
    assert len(several) == 2 * 3  # both data sets under two attacks and membership inference


@pytest.mark.parametrize("grid", [galinkin.grid, galinkin.main, galinkin.deviations, galinkin.variants])
def test_an_unknown_profile_has_no_cells(grid: Callable[[str], Any]) -> None:
    with pytest.raises(BadValue, match=r"^profile: unknown 'huge'; expected one of smoke, reduced, paper$"):
        grid("huge")


# --- published numbers ------------------------------------------------------------------------------------------------

PRINTED = published.load("galinkin")
BY_NAME = [one.name for one in readings("galinkin")]
POINTS = {Evasion: 100.0, Scan: 100.0, Membership: 10_000.0}


class Stub(Store):
    """A store that has every cell, or those of some seeds; what each measured is made up by `invent`."""

    def __init__(self, invent: Callable[[Cell], dict[str, float]], seeds: Sequence[int] = range(5)) -> None:
        super().__init__(Path("nowhere"))
        self.invent, self.seeds = invent, seeds

    def get(self, cell: Any) -> Record | None:
        """The record of `cell`."""
        if cell.seed not in self.seeds:
            return None
        return Record(key_of(cell), settings(cell), self.invent(cell), {}, {})


def as_printed(cell: Cell) -> dict[str, float]:
    """What Table 1 says of the victim of `cell`, whatever the cell measures; each seed a point more than the one before."""
    row = f"{cell.dataset}/{cell.network}/{'bayesian' if cell.bayesian else 'plain'}"
    attack = PRINTED[f"{row}/{'boundary' if 'boundary' in cell.attack else 'hop_skip_jump'}"].value + cell.seed
    member = PRINTED[f"{row}/membership"].value + cell.seed
    return {
        "accuracy": PRINTED[f"{row}/accuracy"].value + cell.seed,
        **({"membership": member, "membership_as_coded": member} if isinstance(cell, Membership) else {}),
        **(
            {}
            if isinstance(cell, Membership)
            else dict.fromkeys(("success", "success_within", "success_changed"), attack)
        ),
        "test_points": POINTS[type(cell)],
    }


def found_at(store: Store, published_id: str, name: str = "text") -> Found:
    return resolve(store, parse(f"{name}:{published_id}", "galinkin"))


def has_a_reading(name: str, published_id: str) -> bool:
    """Membership has no limit, so no reading within one; a LeNet-5 alone is matched."""
    return ("lenet5" in published_id or "matched" not in name) and not (
        name in ("naive", "aware") and published_id.endswith("membership")
    )


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("published_id", PRINTED)
def test_every_published_number_has_its_cells_and_is_their_mean(published_id: str, name: str) -> None:
    """If every network measured what Table 1 prints of it, Tables 2 and 3 came out as printed, seed by seed."""
    found = found_at(Stub(as_printed), published_id, name).values
    if not has_a_reading(name, published_id):
        assert found == {}
        return
    assert list(found) == list(range(galinkin.SEEDS))
    for seed, value in found.items():
        assert value == pytest.approx(PRINTED[published_id].value + seed, abs=0.0051)  # as far as means are rounded


@pytest.mark.parametrize("name", BY_NAME)
def test_a_row_of_a_seed_is_one_cell_of_its_reading(name: str) -> None:
    """`text` and `coded` have nothing in common, and neither has the naive attack with the aware one on a random victim."""
    for published_id in PRINTED:
        row = published_id.split("/")
        if len(row) < 4 or not has_a_reading(name, published_id):
            continue
        found = found_at(Stub(as_printed), published_id, name)
        assert [record.config["seed"] for record in found.records] == list(range(galinkin.SEEDS)) == list(found.values)
        for record in found.records:
            config = record.config
            assert [config["dataset"], config["network"]] == row[:2]
            assert config["bayesian"] == (row[2] == "bayesian")
            assert config["stop_on"] == ("test" if "coded" in name else "validation")
            drawn = config["bayesian"] and "coded" not in name
            assert config["answers"] == ("mean" if drawn else "off")
            if "aware" in config:
                assert config["aware"] == (drawn and "aware" in name)
            large = row[1] == "resnet18" and "reduced" in name and row[3] != "membership"
            assert config["profile"] == ("reduced" if large else "paper")


def test_a_mean_takes_only_seeds_that_all_its_rows_have() -> None:
    class Uneven(Stub):
        def get(self, cell: Any) -> Record | None:
            return None if cell.network == "resnet18" and cell.seed != 2 else super().get(cell)

    store = Uneven(as_printed, seeds=(0, 2, 4))
    assert list(found_at(store, "mnist/lenet5/plain/boundary").values) == [0, 2, 4]
    for both in ("mnist/boundary", "mnist/plain/membership"):
        assert list(found_at(store, both).values) == [2]
    assert found_at(Stub(as_printed, seeds=()), "mnist/boundary").values == {}


def test_a_mean_stands_on_the_points_of_all_its_rows() -> None:
    """And an accuracy on the whole test set, however many images the attack had."""

    def points(published_id: str) -> int:
        return found_at(Stub(as_printed), published_id).points

    assert points("mnist/lenet5/plain/boundary") == 100 and points("mnist/boundary") == 400
    assert points("mnist/plain/membership") == 20_000 and points("mnist/lenet5/plain/accuracy") == 10_000


@pytest.mark.parametrize(
    ("published_id", "rows"),
    [
        ("mnist/lenet5/plain/accuracy", ["mnist/lenet5/plain/accuracy"]),
        ("cifar10/bayesian/membership", ["cifar10/lenet5/bayesian/membership", "cifar10/resnet18/bayesian/membership"]),
        (
            "mnist/boundary",
            [
                f"mnist/{network}/{victim}/boundary"
                for network in ("lenet5", "resnet18")
                for victim in ("plain", "bayesian")
            ],
        ),
    ],
)
def test_the_rows_of_a_published_number(published_id: str, rows: list[str]) -> None:
    found = [source.settings for (source,) in sources(parse(f"text:{published_id}", "galinkin"))]
    victims = [(one["dataset"], one["network"], {False: "plain", True: "bayesian"}[one["bayesian"]]) for one in found]
    assert ["/".join([*victim, published_id.split("/")[-1]]) for victim in victims] == rows


def test_galinkins_claims() -> None:
    """Each cell has a tolerance, by the rule in the head of the file, and each claim that can be tested has its numbers."""
    tolerances = claims.tolerances("galinkin")
    assert tolerances.keys() == PRINTED.keys()
    by_rule = {"hop_skip_jump": 10, "boundary": 10, "membership": 5}
    for name, tolerance in tolerances.items():
        rule = (1 if name.startswith("mnist") else 3) if name.endswith("accuracy") else by_rule[name.split("/")[-1]]
        assert tolerance == rule, name
    limits = {"no_gain": 5, "same": 10, "value": 5}
    for made in (part for one in claims.load("galinkin") for part in one.parts):
        of_membership = "membership" in made.names[0]
        if made.kind == "difference":
            assert made.limit == (5 if of_membership else 10), made.id
        elif made.kind in ("at_least", "at_most"):
            assert of_membership and made.limit in (5, 55), made.id
        else:
            assert made.kind == "more" or made.limit == limits[made.kind], made.id


# --- which images -----------------------------------------------------------------------------------------------------


def numbered(train: int, test: int) -> Dataset:
    """A data set whose labels number its images, those of the test set from `train` on."""
    images = torch.zeros(train + test, 1, 1, 1, dtype=torch.uint8)
    whole = Split(images, torch.arange(train + test))
    parts = (whole.subset(torch.arange(train)), whole.subset(torch.arange(train, train + test)))
    return Dataset("numbered", *parts, data.CLASSES["mnist"])


def numbers(split: Split) -> set[int]:
    found = split.labels.tolist()
    assert len(set(found)) == len(found)
    return set(found)


@given(n=st.integers(10, 300), seed=SEEDS)
def test_validation_target_and_shadow_have_no_image_in_common(n: int, seed: int) -> None:
    dataset = numbered(n, 7)
    parts = {part: victims.splits(Evasion(part=part, seed=seed), dataset) for part in victims.PARTS}
    whole, target, shadow = (numbers(parts[part][0]) for part in ("whole", "target", "shadow"))
    (held_out,) = {frozenset(numbers(validation)) for _, validation in parts.values()}
    assert (len(held_out), len(target), len(shadow), len(whole)) == (n // 10, n * 45 // 100, n * 45 // 100, n * 9 // 10)
    assert not held_out & whole and not target & shadow and target | shadow <= whole
    assert whole | held_out <= set(range(n))


@given(n=st.integers(10, 300), seed=SEEDS, size=st.integers(1, 50))
def test_a_smaller_training_set_is_part_of_the_larger(n: int, seed: int, size: int) -> None:
    dataset = numbered(n, 7)
    for part in victims.PARTS:
        (all_of_it, validation), (some, same) = (
            victims.splits(Evasion(part=part, seed=seed, train_size=train_size), dataset) for train_size in (0, size)
        )
        assert some.labels.tolist() == all_of_it.labels.tolist()[:size]
        assert torch.equal(validation.labels, same.labels)


@given(seed=SEEDS)
def test_as_coded_the_whole_training_set_is_trained_on_and_the_test_set_stops(seed: int) -> None:
    train_on, watched = victims.splits(Evasion(stop_on="test", seed=seed), numbered(50, 9))
    assert train_on.labels.tolist() == list(range(50)) and watched.labels.tolist() == list(range(50, 59))


def test_other_seeds_hold_out_other_images() -> None:
    dataset = numbered(100, 9)
    held_out = [frozenset(numbers(victims.splits(Evasion(seed=seed), dataset)[1])) for seed in range(galinkin.SEEDS)]
    assert len(set(held_out)) == galinkin.SEEDS


@pytest.mark.parametrize("change", [{}, {"train_size": 100}, {"train_size": 646}], ids=str)
@pytest.mark.parametrize(("name", "train"), [("mnist", 60_000), ("cifar10", 50_000), ("digits_as_mnist", 1437)])
def test_the_price_of_a_victim_knows_how_many_images_it_sees(name: str, train: int, change: dict[str, int]) -> None:
    dataset = numbered(train, 1)
    for part, stop_on in [*((part, "validation") for part in victims.PARTS), ("whole", "test")]:
        cell = Evasion(dataset=name, part=part, stop_on=stop_on, **change)
        assert victims.points(cell) == len(victims.splits(cell, dataset)[0])
        assert cell.training_work() == 3 * 25 * victims.points(cell)


@PROFILES
def test_every_cell_of_a_grid_costs_something(profile: str) -> None:
    assert all(0 < cell.work() < 1e12 for cell in galinkin.grid(profile))


# --- victims ----------------------------------------------------------------------------------------------------------

TINY: dict[str, Any] = {
    "profile": "smoke",
    "dataset": "digits_as_mnist",
    "epochs": 6,
    "batch_size": 16,
    "learning_rate": 0.05,
    "train_size": 240,
    "patience": 0,
    "precision": "float32",
    "draws": 3,
    "dropout": 0.1,
}


def network_of(cell: Cell, digits: Dataset, cache: Path) -> Network:
    found, _ = Bench(digits, Job(cache=cache)).network(cell)
    return found


def test_victims_share_a_checkpoint_where_their_weights_are_the_same(digits: Dataset, tmp_path: Path) -> None:
    usual: dict[str, Any] = {**TINY, "epochs": 1, "train_size": 0, "batch_size": 256}
    cells = [Evasion(**usual), Scan(**usual), Evasion(**{**usual, "dropout": 0.3}), Evasion(**usual, attempts=3)]
    for cell in cells:  # one plain network, whose dropout rate means nothing
        network_of(cell, digits, tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    changes: list[dict[str, Any]] = [
        {"copy": 1},
        {"copy": 2},
        {"part": "target"},
        {"part": "shadow"},
        {"stop_on": "test"},
        {"seed": 1},
        {"bayesian": True},
        {"bayesian": True, "dropout": 0.3},
    ]
    networks = [network_of(Evasion(**{**usual, **change}), digits, tmp_path) for change in ({}, *changes)]
    assert len(list(tmp_path.glob("*.safetensors"))) == 1 + len(changes)
    weights = [next(network.parameters()).detach() for network in networks]
    assert len({tuple(weight.flatten().tolist()) for weight in weights}) == 1 + len(changes)


def test_a_copy_has_weights_of_its_own_and_the_batches_of_another(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, list[int]]] = []

    def fit(network: Network, split: Split, *_: Any, seed: int, **__: Any) -> History:
        told.append((seed, split.labels.tolist()))
        return History([1.0])

    monkeypatch.setattr(victims.training, "fit", fit)
    cells = [Evasion(**TINY, copy=copy) for copy in (0, 1, 2)]
    networks = [Bench(digits, Job()).network(cell)[0] for cell in cells]
    weights = [next(network.parameters()).detach() for network in networks]
    assert told[0][0] == 0 and len({seed for seed, _ in told}) == 3
    assert told[0][1] == told[1][1] == told[2][1]
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])


@pytest.mark.parametrize(
    ("cell", "kind", "draws"),
    [
        (Evasion(), Deterministic, 1),
        (Evasion(bayesian=True), Deterministic, 1),
        (Evasion(bayesian=True, answers="one_draw"), MonteCarloDropout, 1),
        (Evasion(**RANDOM), MonteCarloDropout, 10),
        (Evasion(**RANDOM, draws=4), MonteCarloDropout, 4),
    ],
)
def test_a_victim_answers_as_its_cell_says(cell: Cell, kind: type[Victim], draws: int) -> None:
    network = models.build("lenet5", shape=(1, 28, 28), classes=10, seed=0, width=6, dropout=0.5)
    victim = victims.victim_of(cell, network, device="cpu")
    assert type(victim) is kind and victim.draws == draws == cell.passes
    x = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(victim(x), victim(x)) == (kind is Deterministic)


# --- evasion: what is attacked and counted ----------------------------------------------------------------------------


class Shade(Victim):
    """Answers how bright an image is on the whole, in `classes` steps; the last step it never reaches."""

    def __init__(self, classes: int) -> None:
        super().__init__(models.build("fully_connected", shape=(1, 4, 4), classes=classes, seed=0, width=1))
        self.classes = classes

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """Not used."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities that are clear."""
        low, high = self.bounds
        share = (x.mean((1, 2, 3)) - low) / (high - low)
        step = (share * (self.classes - 1)).long().clamp(0, self.classes - 2)
        return (20.0 * torch.nn.functional.one_hot(step, self.classes)).log_softmax(1)


class Always(Shade):
    """Answers class 0."""

    def forward(self, x: Tensor) -> Tensor:
        """The same for every image."""
        return super().forward(torch.full_like(x, self.bounds[0]))


class Alternating(RandomVictim):
    """Takes turns: `pattern` says which class is the answer to all images at each call."""

    def __init__(self, pattern: Sequence[int]) -> None:
        network = models.build("fully_connected", shape=(1, 4, 4), classes=3, seed=0, width=1)
        super().__init__(network, generator=torch.Generator(), draws=1)
        self.pattern, self.calls = pattern, 0

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """Not used."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities of the class whose turn it is."""
        label = self.pattern[self.calls % len(self.pattern)]
        self.calls += 1
        return torch.eye(3)[label].expand(len(x), -1).mul(20).log_softmax(1)


def grey(*shades: float) -> Tensor:
    return torch.tensor(shades).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()


def split_of(x: Tensor, y: list[int]) -> Split:
    return Split((255 * x).round().to(torch.uint8), torch.tensor(y))


def test_which_images_are_recognised() -> None:
    test = split_of(grey(0.1, 0.2, 0.9, 0.8), [0, 1, 1, 0])
    assert recognised(Shade(3), test).tolist() == [True, False, True, False]


def drawn(cell: Evasion, victim: Victim, test: Split, right: Tensor) -> Tensor:
    """The images that a cell attacks."""
    return evasion.draw_images(victim, test, right, **cell.chosen("seed attempts judges"))


def test_only_different_images_that_are_recognised_are_attacked() -> None:
    shades = torch.linspace(0, 1, 60)
    labels = [0 if i % 3 else 1 for i in range(60)]
    test = split_of(grey(*shades.tolist()), labels)
    right = recognised(Shade(3), test)
    cell = Evasion(attempts=10)
    chosen = drawn(cell, Shade(3), test, right)
    assert len(set(chosen.tolist())) == 10 and right[chosen].all()
    assert torch.equal(chosen, drawn(cell, Shade(3), test, right))
    other = drawn(replace(cell, seed=1), Shade(3), test, right)
    assert not torch.equal(chosen, other)
    n = int(right.sum())
    assert 10 < n < 60
    with pytest.raises(BadValue, match=rf"^attempts: expected at most {n}, of {n} recognised images, got {n + 1}$"):
        drawn(replace(cell, attempts=n + 1), Shade(3), test, right)


def test_one_lucky_answer_does_not_recognise_an_image() -> None:
    """The draw that named them 1 was one in three; the vote says 0."""
    test = split_of(grey(0.1, 0.2, 0.3), [1, 1, 0])
    told = r"^attempts: expected at most 1, of 3 recognised images, got 2$"
    with pytest.raises(BadValue, match=told):
        drawn(Evasion(attempts=2, judges=3), Alternating([1, 0, 0]), test, torch.ones(3).bool())


def test_images_are_drawn_until_enough_pass_the_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the vote recognises one in five, twice the attempts hold too few."""
    test = split_of(grey(*torch.linspace(0, 0.4, 50).tolist()), [int(i % 5 == 0) for i in range(50)])
    monkeypatch.setattr(evasion, "votes", lambda victim, x, judges: torch.tensor([[0, 3]]).expand(len(x), 2))
    chosen = drawn(Evasion(attempts=9, judges=3), Shade(3), test, torch.ones(50).bool())
    assert len(set(chosen.tolist())) == 9 and bool((chosen % 5 == 0).all())


def test_a_tie_is_won_by_the_label_whichever_its_number() -> None:
    counts = torch.tensor([[25, 25, 0], [25, 25, 0], [24, 26, 0], [26, 24, 0]])
    assert evasion.outvoted(counts, torch.tensor([0, 1, 1, 1])).tolist() == [False, False, False, True]


def test_votes_are_counted() -> None:
    assert evasion.votes(Alternating([0, 1, 1, 2]), grey(0.1, 0.2), 8).tolist() == [[2, 4, 2]] * 2
    assert evasion.votes(Shade(3), grey(0.1, 0.9), 8).tolist() == [[1, 0, 0], [0, 1, 0]]  # nothing is random: one


def decided(x: Tensor, adversarial: Tensor, trace: list[list[float]], answers: list[list[int]]) -> Decided:
    distances = torch.tensor(trace)
    return Decided(
        adversarial,
        distances[-1].isfinite(),
        distances[-1],
        torch.tensor(answers[-1]),
        7,
        torch.tensor(answers),
        distances,
    )


def test_success_by_one_answer_by_vote_and_within_a_limit() -> None:
    """Four dark images, on the scale of MNIST: brightened enough within .3, brightened further, too little, not at all."""
    cell = Evasion(norm="linf", judges=5)
    x, y = grey(0.3, 0.3, 0.3, 0.3), torch.zeros(4, dtype=torch.int64)
    adversarial = grey(0.55, 0.8, 0.45, 0.3)
    trace = [[0.5, 0.6, 0.4, math.inf], [0.25, 0.5, 0.15, math.inf]]
    found = decided(x, adversarial, trace, [[50, 50, 50, 100], [150, 150, 250, 100]])
    measured, curves = evasion.judge(cell, Shade(3), x, y, found)
    assert measured["success"] == measured["success_vote"] == 50 and measured["limit"] == 0.3
    assert measured["success_within"] == measured["success_one_answer_within"] == 25
    assert measured["started"] == measured["found"] == 75
    assert measured["median_distance"] == pytest.approx(0.25) and measured["answers"] == 162.5 == measured["passes"]
    assert measured["calls"] == 7
    by_limit = dict(zip(curves["limit"], curves["success_within"], strict=True))
    assert by_limit[0.2] == 0 and by_limit[0.3] == by_limit[0.4] == 25 and by_limit[0.75] == by_limit[1.0] == 50
    assert curves["success_one_answer_within"] == curves["success_within"] == sorted(curves["success_within"])
    by_answers = dict(zip(curves["answers"], curves["success_by_answers"], strict=True))
    assert by_answers[100] == 0 and by_answers[200] == 25 and by_answers[500] == by_answers[100_000] == 50


def test_where_none_is_found_nothing_counts() -> None:
    x, y = grey(0.3, 0.3), torch.zeros(2, dtype=torch.int64)
    found = decided(x, x.clone(), [[math.inf] * 2], [[100, 100]])
    measured, curves = evasion.judge(Evasion(dataset="cifar10"), Shade(3), x, y, found)
    assert measured["limit"] == 8 / 255 and measured["median_distance"] == -1
    shares = [value for name, value in measured.items() if name.startswith(("success", "found", "started"))]
    assert shares == [0] * 6 and not any(curves["success_within"]) and not any(curves["success_by_answers"])


def test_a_random_answer_and_the_vote_are_told_apart() -> None:
    """One answer in three is wrong, the first one: an attack believed by it alone."""
    x = grey(0.1, 0.2)
    found = decided(x, grey(0.2, 0.3), [[0.1, 0.1]], [[10, 10]])
    cell = Evasion(judges=6)
    measured, _ = evasion.judge(cell, Alternating([1, 0, 0]), x, torch.zeros(2, dtype=torch.int64), found)
    assert measured["success"] == measured["success_one_answer_within"] == 100
    assert measured["success_vote"] == measured["success_within"] == 0


@pytest.mark.parametrize("attack", ["hop_skip_jump", "boundary"])
@pytest.mark.parametrize("aware", [False, True])
def test_an_attack_is_run_with_the_settings_of_its_cell(
    attack: str, aware: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(evasion, attack, lambda victim, x, y, **given: told.update(given))
    cell = Evasion(attack=attack, norm="l2", **RANDOM, aware=aware, lead=3, check_answers=9, iterations=8)
    evasion.attack(cell, Shade(3), grey(0.1), torch.tensor([0]))
    assert told.pop("generator").initial_seed() == evasion.seeds.derive(0, "attack")
    expected: dict[str, Any] = {"iterations": 8, "start_tries": 100}
    expected |= {"lead": 3, "check_answers": 9} if aware else {"lead": 1, "check_answers": 0}
    if attack == "hop_skip_jump":
        expected |= {"norm": "l2", "probe": 0.01, "max_evaluations": 10_000, "initial_evaluations": 100}
        expected |= {"step_outward": False, "confirm_answers": 0}  # the records are of points on the boundary
        expected["farthest"] = 1.8
    else:
        expected |= {"budget": evasion.BUDGET if aware else None}
    assert told == expected


# --- the scan ---------------------------------------------------------------------------------------------------------

SCANS = pytest.mark.parametrize("attack", ["hop_skip_jump_scan", "boundary_scan"])
TWELVE = torch.arange(12)


@SCANS
@pytest.mark.parametrize(
    ("victim", "targets", "expected"),
    [
        # Two shades, and a third that no image has; the even attempts are aimed.
        (Shade(3), [1] * 12, [True] * 12),
        (Shade(3), [2] * 12, [False, True] * 6),
        (Shade(3), [1, 0, 2, 0] * 3, [True, True, False, True] * 3),
        (Always(3), [1] * 12, [False] * 12),
    ],
    ids=["reached", "out of reach", "both", "always the same"],
)
def test_a_scan_counts_labels_that_change_and_classes_reached(
    attack: str, victim: Victim, targets: list[int], expected: list[bool]
) -> None:
    """Half of the attempts leave class 0; the other half have a class to reach."""
    cell = Scan(attack=attack, attempts=12, longest=2)
    x = grey(*torch.linspace(0.4, 0.49, 12).tolist())
    targeted = TWELVE % 2 == 0
    aim = torch.where(targeted, torch.tensor(targets), 0)
    found = scan.scan(cell, victim, x, aim, targeted, torch.Generator().manual_seed(0))
    assert found.tolist() == expected


@SCANS
@pytest.mark.parametrize("longest", [0, 40])
def test_each_attempt_has_settings_of_its_own_as_counterfit_draws_them(
    attack: str, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def watch(victim: Victim, x: Tensor, y: Tensor, **given: Any) -> Any:
        calls.append({**given, "x": x, "y": y})
        return decided(x, x, [[1.0] * len(x)], [[1] * len(x)])

    monkeypatch.setattr(scan, attack.removesuffix("_scan"), watch)
    n = 400
    x, aim = grey(*torch.linspace(0, 1, n).tolist()), torch.arange(n) % 10
    targeted = torch.arange(n) % 4 == 0
    cell = Scan(attack=attack, attempts=n, longest=longest)
    scan.scan(cell, Shade(11), x, aim, targeted, torch.Generator().manual_seed(0))
    ids = torch.cat([call["ids"] for call in calls])
    assert sorted(ids.tolist()) == list(range(n))
    for call in calls:
        assert torch.equal(call["x"], x[call["ids"]]) and torch.equal(call["y"], aim[call["ids"]])
        assert (targeted[call["ids"]] == call["targeted"]).all()
    hop = attack == "hop_skip_jump_scan"
    assert {call.get("norm") for call in calls} == ({"l2", "linf"} if hop else {None})
    assert len(calls) == (4 if hop else 2)
    bounds: dict[str, tuple[float, float]] = (
        {"iterations": (10, 100), "max_evaluations": (300, 10_000), "initial_evaluations": (10, 200)}
        if hop
        else {"iterations": (200, 2000), "delta": (0.005, 0.05), "epsilon": (0.005, 0.05), "step_adapt": (0.5, 0.75)}
    )
    for name, (low, high) in bounds.items():
        values = torch.cat([call[name] for call in calls]).double()
        if longest and name == "iterations":
            assert values.max() == longest and (hop or values.min() == longest)
            continue
        assert low <= values.min() < low + 0.05 * (high - low) and high - 0.05 * (high - low) < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 5 * (high - low) / math.sqrt(12 * n)


@pytest.mark.parametrize(("scale", "most"), [("raw", 255.0), ("unit", 1.0)])
def test_a_scan_asks_on_its_scale_and_aims_at_other_classes_half_of_the_time(
    scale: str, most: float, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    told: dict[str, Any] = {}

    def watch(config: Scan, victim: Victim, x: Tensor, aim: Tensor, targeted: Tensor, _: Any) -> Tensor:
        with torch.no_grad():
            told.update(bounds=victim.bounds, x=x, aim=aim, targeted=targeted, first=victim(x).argmax(1))
        return targeted

    monkeypatch.setattr(scan, "scan", watch)
    found = result_of(Scan(**TINY, scale=scale, attempts=400), Job(cache=cache)).measurements
    aim, first, targeted = told["aim"], told["first"], told["targeted"]
    assert told["bounds"] == (0.0, most) and told["x"].max() == most and told["x"].min() == 0
    assert (aim[targeted] != first[targeted]).all() and (aim[~targeted] == first[~targeted]).all()
    assert set(((aim - first) % 10)[targeted].tolist()) == set(range(1, 10))
    assert 40 < found["targeted"] == found["success"] < 60
    assert found["success_targeted"] == 100 and found["success_untargeted"] == 0 and found["test_points"] == 400


# --- membership: who is on which side ---------------------------------------------------------------------------------


@given(seed=SEEDS, members=st.integers(1, 30))
def test_target_and_shadow_share_neither_members_nor_others(seed: int, members: int) -> None:
    sides = membership.pools(Membership(seed=seed, members=members), numbered(100, 60))
    inside, outside, shadow_inside, shadow_outside = (
        numbers(sides[name]) for name in ("in", "out", "shadow_in", "shadow_out")
    )
    assert [len(side) for side in (inside, outside, shadow_inside, shadow_outside)] == [members] * 4
    assert not inside & shadow_inside and not outside & shadow_outside
    assert inside | shadow_inside <= set(range(100)) and outside | shadow_outside <= set(range(100, 160))


@given(seed=SEEDS, part=st.sampled_from(["target", "shadow"]), shadow=st.sampled_from(["disjoint", "same"]))
def test_members_are_what_target_and_shadow_were_trained_on(seed: int, part: str, shadow: str) -> None:
    cell = Membership(seed=seed, members=20, part=part, shadow=shadow)
    dataset = numbered(100, 60)
    sides = membership.pools(cell, dataset)
    own = numbers(victims.splits(cell, dataset)[0])
    of_shadow = numbers(victims.splits(membership.shadow_of(cell), dataset)[0])
    assert numbers(sides["in"]) <= own and numbers(sides["shadow_in"]) <= of_shadow
    assert not own & of_shadow if shadow == "disjoint" else own == of_shadow
    assert not numbers(sides["out"]) & numbers(sides["shadow_out"])


@pytest.mark.parametrize(("train", "test"), [(100, 60), (40, 60)])
def test_as_coded_all_images_are_judged_and_the_last_are_learnt_from(train: int, test: int) -> None:
    coded = Membership(adversary="as_coded", features="unsorted", inputs="raw", members=0, **CODED)
    sides = membership.pools(coded, numbered(train, test))
    assert sides["in"].labels.tolist() == list(range(train))
    assert sides["out"].labels.tolist() == sides["shadow_out"].labels.tolist() == list(range(train, train + test))
    assert sides["shadow_in"].labels.tolist() == list(range(max(0, train - test), train))


@pytest.mark.parametrize(("train", "test", "most"), [(100, 60, 30), (40, 60, 18), (100, 7, 3)])
def test_more_members_than_there_are_are_refused(train: int, test: int, most: int) -> None:
    dataset = numbered(train, test)
    assert len(membership.pools(Membership(members=most), dataset)["in"]) == most
    told = rf"^members: expected at most {most}, what there is on each side, got {most + 1}$"
    with pytest.raises(BadValue, match=told):
        membership.pools(Membership(members=most + 1), dataset)


def test_inverted_nonmembers_are_the_same_images_with_dark_and_light_exchanged(digits: Dataset) -> None:
    usual, inverted = (
        membership.pools(Membership(members=20, nonmembers=kind), digits) for kind in ("test", "inverted")
    )
    for name in ("in", "shadow_in"):
        assert torch.equal(usual[name].images, inverted[name].images)
    for name in ("out", "shadow_out"):
        assert torch.equal(usual[name].labels, inverted[name].labels)
        torch.testing.assert_close(usual[name].take(TWELVE)[0], 1 - inverted[name].take(TWELVE)[0])


@pytest.mark.parametrize("part", ["target", "shadow"])
def test_the_shadow_is_another_network_like_the_target_on_the_other_half(part: str) -> None:
    cell = Membership(**RANDOM, part=part, epochs=7)
    shadow = membership.shadow_of(cell)
    assert shadow == replace(cell, copy=1, part={"target": "shadow", "shadow": "target"}[part])
    assert membership.shadow_of(replace(cell, shadow="same")) == replace(cell, shadow="same", copy=1)


@pytest.mark.parametrize("bayesian", [False, True])
def test_the_shadow_as_coded_is_always_the_same_small_network(bayesian: bool) -> None:
    cell = Membership(adversary="as_coded", features="unsorted", bayesian=bayesian, network="resnet18", **CODED)
    shadow = membership.shadow_of(cell)
    assert (shadow.network, shadow.bayesian, shadow.answers) == ("shadow_coded", False, "off")
    assert (shadow.batch_size, shadow.learning_rate, shadow.patience) == (32, 0.01, 3)
    assert shadow.augmentation == "flip_and_rotate" and shadow.copy == 1
    assert (shadow.part, shadow.stop_on, shadow.dataset, shadow.seed) == ("whole", "test", "mnist", 0)
    assert membership.shadow_of(replace(cell, patience=0, learning_rate=0.5)) == shadow


# --- membership: what is seen and counted -----------------------------------------------------------------------------


class Remembering(Victim):
    """Is certain of images whose first pixel is white, and as unsure of all others as `certain` = 0.1 is of ten classes."""

    def __init__(self, certain: float) -> None:
        super().__init__(models.build("fully_connected", shape=(1, 4, 4), classes=10, seed=0, width=1))
        self.certain = certain

    def sample(self, x: Tensor, draws: int) -> Tensor:
        """Not used."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities; class 0 is the likeliest of images that it remembers."""
        remembered = torch.tensor([self.certain, *[(1 - self.certain) / 9] * 9])
        known = (x[:, 0, 0, 0] > 0.5)[:, None]
        return torch.where(known, remembered, torch.full((10,), 0.1)).log()


def marked(train: int, test: int) -> Dataset:
    """Images of noise and class 0, of which those for training have a white pixel in the corner."""
    noise = torch.randint(0, 100, (train + test, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    noise[:train, 0, 0, 0], noise[train:, 0, 0, 0] = 255, 0
    whole = Split(noise, torch.zeros(train + test, dtype=torch.int64))
    parts = (whole.subset(torch.arange(train)), whole.subset(torch.arange(train, train + test)))
    return Dataset("marked", *parts, data.CLASSES["mnist"])


def attacked(
    cell: Membership, victim: Victim, monkeypatch: pytest.MonkeyPatch, train: int = 1000, test: int = 600
) -> Result:
    """The cell's result, if target and shadow are `victim`."""
    notes = {"losses": [1.0], "seconds": 0.0, "observed": [{"validation_loss": 2.0}]}
    monkeypatch.setattr(data, "loaded", lambda name: marked(train, test))
    monkeypatch.setattr(Membership, "victim", lambda *_: (victim, notes))
    return result_of(cell)


@pytest.mark.parametrize(
    "change", [{}, {"shadow": "same"}, {"adversary": "as_coded", "features": "unsorted"}, {"inputs": "raw"}], ids=str
)
def test_a_victim_that_remembers_is_found_out(change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    result = attacked(Membership(members=200, **change), Remembering(0.95), monkeypatch)
    found = result.measurements
    assert found["membership"] == found["membership_as_coded"] == found["tpr"] == found["auc"] == 100
    assert found["fpr"] == 0 and found["tpr_at_1pct"] == found["tpr_at_01pct"] == found["advantage"] == 100
    assert found["auc_as_coded"] == 50  # of a perfect attack
    assert found["odds_membership"] == found["odds_auc"] == 100
    assert abs(found["control"] - 50) < 5 * 100 * 0.5 / math.sqrt(400) and abs(found["control_auc"] - 50) < 13
    assert found["test_points"] == 400 and result.curves["tpr"] == [1.0] * len(result.curves["fpr"])


@pytest.mark.parametrize("change", [{}, {"adversary": "as_coded", "features": "unsorted"}], ids=str)
def test_a_victim_that_answers_all_alike_betrays_nobody(
    change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = attacked(Membership(members=200, **change), Remembering(0.1), monkeypatch)
    found = result.measurements
    assert found["membership"] == found["auc"] == found["odds_membership"] == found["odds_auc"] == 50
    assert found["tpr"] == found["fpr"] == found["auc_as_coded"] and found["tpr"] in (0, 100)
    assert found["advantage"] == found["tpr_at_1pct"] == 0 and found["control"] == 50


def test_as_coded_calling_everybody_a_member_is_right_most_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five members to every other make 83 % of nothing."""
    coded = Membership(adversary="as_coded", features="unsorted", inputs="raw", members=0, **CODED)
    found = attacked(coded, Remembering(0.1), monkeypatch, train=500, test=100).measurements
    assert found["membership"] == 50 and found["test_points"] == 600
    assert found["membership_as_coded"] == pytest.approx(100 * (5 if found["tpr"] else 1) / 6)


@given(
    member=st.lists(st.integers(-3, 3), min_size=1, max_size=6),
    nonmember=st.lists(st.integers(-3, 3), min_size=1, max_size=6),
    ratio=st.integers(1, 6),
)
def test_the_accuracy_as_coded_is_that_over_all_images(member: list[int], nonmember: list[int], ratio: int) -> None:
    """Counted: every member and every other, where there are `ratio` members to each other."""
    inside = member * len(nonmember) * ratio
    outside = nonmember * len(member)
    right = sum(score >= 0 for score in inside) + sum(score < 0 for score in outside)
    found = membership.rates(torch.tensor(member).double(), torch.tensor(nonmember).double(), ratio=float(ratio))
    assert found["membership_as_coded"] == pytest.approx(100 * right / (len(inside) + len(outside)))
    tpr = sum(score >= 0 for score in member) / len(member)
    fpr = sum(score >= 0 for score in nonmember) / len(nonmember)
    assert found["tpr"] == pytest.approx(100 * tpr) and found["fpr"] == pytest.approx(100 * fpr)
    assert found["membership"] == pytest.approx(100 * (tpr + 1 - fpr) / 2)
    assert found["auc_as_coded"] == pytest.approx(100 * (tpr + fpr) / 2)
    assert found["advantage"] >= 100 * (tpr - fpr) - 1e-9


DECISIONS = st.lists(st.booleans(), min_size=1, max_size=12)


def area_as_coded(member: list[bool], nonmember: list[bool]) -> float:
    """The paper's "AUC" of these decisions, in percent."""
    sides = (torch.tensor(side).double() - 0.5 for side in (member, nonmember))
    return membership.rates(*sides, ratio=1.0)["auc_as_coded"]


@given(member=DECISIONS, nonmember=DECISIONS)
def test_the_area_as_coded_is_half_of_tpr_plus_fpr(member: list[bool], nonmember: list[bool]) -> None:
    """The way it was coded: decisions on members, flipped ones on non-members, labels of ones then zeros."""
    decisions = [int(hard) for hard in member] + [1 - int(hard) for hard in nonmember]
    coded = roc_auc_score([1] * len(member) + [0] * len(nonmember), decisions)
    assert area_as_coded(member, nonmember) == pytest.approx(100 * coded, abs=1e-10)
    assert area_as_coded(nonmember, member) == pytest.approx(100 * coded, abs=1e-10)  # who is a member is lost


@pytest.mark.parametrize(
    ("member", "nonmember", "coded"),
    [([1, 1], [0, 0], 50), ([1, 1], [1, 1], 100), ([0, 0], [0, 0], 0), ([1, 0], [1, 0], 50), ([0, 0], [1, 1], 50)],
)
def test_it_rewards_who_calls_all_members(member: list[bool], nonmember: list[bool], coded: float) -> None:
    assert area_as_coded(member, nonmember) == coded


@given(
    member=st.lists(st.floats(-2, 2), min_size=1, max_size=30),
    nonmember=st.lists(st.floats(-2, 2), min_size=1, max_size=30),
)
def test_the_recorded_curve_never_promises_more_than_the_scores(member: list[float], nonmember: list[float]) -> None:
    """At each rate the best threshold that does not exceed it, by trying them all."""
    inside, outside = (torch.tensor(side, dtype=torch.float64) for side in (member, nonmember))
    curve = dict(zip(("fpr", "tpr"), sampled(roc(inside, outside)), strict=True))
    assert curve["fpr"] == sorted(set(curve["fpr"])) and curve["fpr"][0] == 0 and curve["fpr"][-1] == 1
    assert curve["tpr"] == sorted(curve["tpr"]) and curve["tpr"][-1] == 1
    thresholds = [math.inf, *member, *nonmember]
    rates = [(float((outside >= t).double().mean()), float((inside >= t).double().mean())) for t in thresholds]
    for fpr, tpr in list(zip(curve["fpr"], curve["tpr"], strict=True))[::20]:
        assert tpr == pytest.approx(max(t for f, t in rates if f <= fpr))
    assert len(roc(inside, outside).fpr) <= len(thresholds)


@pytest.mark.parametrize(("features", "width"), [("top3", 3), ("top3_spread", 7), ("unsorted", 10)])
def test_what_the_attack_network_sees(features: str, width: int, digits: Dataset) -> None:
    network = models.build("lenet5", shape=(1, 28, 28), classes=10, seed=0, width=6, dropout=0.5)
    victim = MonteCarloDropout(network, generator=torch.Generator().manual_seed(0), draws=4)
    seen = membership.features_of(features, victim, digits.test.first(130))  # more than go through at once
    assert seen.shape == (130, width)
    posteriors = seen[:, :3] if features != "unsorted" else seen
    assert (posteriors >= 0).all() and (posteriors.sum(1) <= 1 + 1e-5).all()
    if features == "unsorted":
        torch.testing.assert_close(posteriors.sum(1), torch.ones(130))
    else:
        assert torch.equal(posteriors, posteriors.sort(1, descending=True).values)
    assert (seen.std(0) > 0).all()


def test_draws_are_seen_one_by_one_and_their_mean_is_the_answer(digits: Dataset) -> None:
    network = models.build("lenet5", shape=(1, 28, 28), classes=10, seed=0, width=6, dropout=0.5)
    split = digits.test.first(20)
    for draws in (1, 4):
        victim = MonteCarloDropout(network, generator=torch.Generator().manual_seed(3), draws=draws)
        answers = membership.log_probabilities(victim, split)
        assert answers.shape == (draws, 20, 10)
        victim.generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            torch.testing.assert_close(membership.posteriors_of(answers), victim(split.take(torch.arange(20))[0]).exp())


# --- from end to end --------------------------------------------------------------------------------------------------

FEW: dict[str, Any] = {"attempts": 4, "judges": 5, "lead": 2, "check_answers": 6, "start_tries": 10, "test_size": 60}
HOP: dict[str, Any] = {**FEW, "iterations": 1, "initial_evaluations": 10}
WALK: dict[str, Any] = {**FEW, "attack": "boundary", "norm": "l2", "iterations": 5}
ONE: dict[str, Any] = {"bayesian": True, "answers": "one_draw"}
CELLS: list[Cell] = [
    Evasion(**TINY, **HOP),
    Evasion(**TINY, **WALK),
    Evasion(**TINY, **HOP, **RANDOM),
    Evasion(**TINY, **HOP, **RANDOM, aware=True),
    Evasion(**TINY, **WALK, **ONE),
    Evasion(**TINY, **WALK, **ONE, aware=True),
    Scan(**TINY, attempts=6, longest=2),
    Scan(**TINY, attempts=6, longest=2, attack="boundary_scan", scale="unit", bayesian=True),
    Membership(**TINY, members=50),
    Membership(**TINY, members=50, **RANDOM, features="top3_spread"),
    Membership(**TINY, members=50, **ONE, nonmembers="inverted"),
    Membership(**TINY, adversary="as_coded", features="unsorted", inputs="raw", members=0, **CODED),
]
TIMES = {"training_seconds", "attack_seconds"}
NOT_SHARES = {
    *TIMES,
    "limit",
    "median_distance",
    "answers",
    "passes",
    "calls",
    "training_epochs",
    "test_points",
    "advantage",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The victims of these tests, each trained once."""
    return tmp_path_factory.mktemp("victims")


def told_apart(cell: Cell) -> str:
    attack = cell.attack if not isinstance(cell, Membership) else f"{cell.adversary}-{cell.features}"
    return f"{attack}-{cell.answers}{'-aware' if getattr(cell, 'aware', False) else ''}"


@pytest.mark.parametrize("cell", CELLS, ids=told_apart)
def test_a_tiny_cell_measures_what_it_should_and_the_same_again(cell: Cell, cache: Path) -> None:
    result = result_of(cell, Job(cache=cache))
    found, curves = result.measurements, result.curves
    numbers = [*found.values(), *(value for curve in curves.values() for value in curve)]
    assert all(isinstance(value, float) and math.isfinite(value) for value in numbers)
    assert all(0 <= value <= 100 for name, value in found.items() if name not in NOT_SHARES)
    assert found["training_epochs"] == cell.epochs and found["accuracy"] > 50
    again = result_of(cell, Job(cache=cache))
    different = {name for name, value in found.items() if again.measurements[name] != value}
    assert different <= TIMES and found.keys() == again.measurements.keys() and curves == again.curves
    if isinstance(cell, Evasion):
        check_evasion(cell, result)
    elif isinstance(cell, Scan):
        assert found["test_points"] == 6 and not curves
        share = found["targeted"] / 100
        both = share * found["success_targeted"] + (1 - share) * found["success_untargeted"]
        assert found["success"] == pytest.approx(both)
    elif isinstance(cell, Membership):
        assert found["test_points"] == (100 if cell.members else 240 + 360)
        assert found["membership"] == pytest.approx((found["tpr"] + 100 - found["fpr"]) / 2)
        assert found["odds_membership"] >= 50 and found["advantage"] >= 2 * found["membership"] - 100 - 1e-9
        assert curves["tpr"] == sorted(curves["tpr"]) and len(curves["tpr"]) == len(curves["fpr"])


def check_evasion(cell: Evasion, result: Result) -> None:
    found, curves = result.measurements, result.curves
    assert found["test_points"] == cell.attempts == 4 and found["passes"] == found["answers"] * cell.passes
    assert found["success_within"] <= found["success_vote"] and found["found"] <= found["started"]
    assert curves["success_within"] == sorted(curves["success_within"]) and curves["success_within"][0] == 0
    assert curves["success_by_answers"] == sorted(curves["success_by_answers"])
    if cell.answers == "off":  # nothing is random: what is found is adversarial, by one answer and by vote
        assert found["found"] == found["success"] == found["success_vote"] > 0


def test_another_seed_measures_something_else(cache: Path) -> None:
    first, other = (result_of(one, Job(cache=cache)) for one in (CELLS[0], replace(CELLS[0], seed=1)))
    assert first.curves != other.curves


def test_early_stopping_ends_a_victims_training(digits: Dataset) -> None:
    """An improvement by 5 is asked for, which only the first epoch brings, from infinity."""
    cell = Evasion(**{**TINY, "epochs": 9, "patience": 2, "min_delta": 5.0, "train_size": 50})
    _, notes = Bench(digits, Job()).network(cell)
    assert len(notes["losses"]) == 3


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (Membership(**TINY, members=5000), "members: expected at most 180"),
        (Membership(**{**TINY, "train_size": 30}, members=31), "members: expected at most 30"),
    ],
)
def test_what_the_data_cannot_give_is_refused_before_training(
    cell: Cell, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a network was trained before the settings were checked")

    monkeypatch.setattr(victims.training, "fit", never)
    with pytest.raises(BadValue, match=f"^{told}"):
        result_of(cell)


# --- what the code's way of counting makes of an attack ---------------------------------------------------------------


@given(tpr=st.floats(0, 100), fpr=st.floats(0, 100), dataset=st.sampled_from(["mnist", "cifar10"]))
def test_accuracy_and_area_as_coded_give_back_what_they_were_made_of(tpr: float, fpr: float, dataset: str) -> None:
    w = galinkin_membership.MEMBERS[dataset]
    accuracy, area = w * tpr + (1 - w) * (100 - fpr), (tpr + fpr) / 2
    assert galinkin_membership.implied_signal(dataset, accuracy, area) == pytest.approx(tpr - fpr, abs=1e-9)
    blind = w * tpr + (1 - w) * (100 - tpr)
    assert galinkin_membership.equal_rates(dataset, blind) == pytest.approx(tpr, abs=1e-9)


def test_the_area_of_an_honest_attack() -> None:
    assert galinkin_membership.honest_area(50) == pytest.approx(50)
    # accuracy Phi(1/2), area Phi(1 / sqrt 2), for scores one standard deviation apart
    assert galinkin_membership.honest_area(69.146) == pytest.approx(76.025, abs=1e-2)


def test_the_figure_of_the_count_has_every_victim_as_written_and_as_coded_and_no_other() -> None:
    for marks in galinkin_membership.counted(Stub(lambda _: {"tpr": 60.0, "fpr": 50.0})).values():
        counts = Counter(one.key for one in marks)
        assert counts == {key: 4 if key == "printed" else 10 for key in galinkin_membership.COUNTED}
