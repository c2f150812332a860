"""Claims: every kind with every word it can get, by hand-computed numbers, and every slip in a declaration."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import claims, papers, published
from experiments.address import parse, readings
from experiments.contrasts import Measured
from experiments.published import Published
from experiments.rules import Kind, Part, Sentence
from experiments.verdicts import Miss, Verdict, Word, judge, judge_sentence
from lib.errors import BadValue


def number(name: str, low: float, high: float | None = None) -> Published:
    high = low if high is None else high
    text = f"{low:g}" if high == low else f"{low:g}-{high:g}"
    return Published(name, "Table 1", "row", "column", low, high, "%", text)


NUMBERS = {
    n.id: n
    for n in (
        number("a", 23),
        number("b", 10),
        number("c", 12),
        number("d", 10),
        number("wide", 30, 37),
        number("high", 99, 100),
    )
}


def seeds(*values: float, first: int = 0, points: int = 10_000, made: tuple[str, ...] = ()) -> Measured:
    return Measured(values, tuple(range(first, first + len(values))), points, made)


def part(kind: Kind, *cells: str, limit: float = math.nan, **more: Any) -> Part:
    return Part("x", kind, tuple((cell,) for cell in cells), limit, **more)


def verdict(made: Part, *measured: Measured, missed: tuple[Miss, ...] = ()) -> Verdict:
    return judge(made, dict(zip(made.names, measured, strict=True)), NUMBERS, missed)


def ends(found: Verdict) -> list[float]:
    assert found.low is not None and found.high is not None
    return [found.low, found.high]


VALUE = part("value", "a", limit=5)  # 23
RANGE = part("value", "wide", limit=10)  # 30 to 37
GAIN = part("difference", "a", "b", limit=5)  # 13
LOSS = part("difference", "b", "a", limit=5)  # -13
DROP = part("difference", "high", "wide", limit=10)  # 62 to 70
NO_GAIN = part("no_gain", "b", "c", limit=2)  # -2
SAME = part("same", "b", "c", limit=3)  # -2
MORE = part("more", "a", "b")
LOWER = part("difference", "a", "b", "c", "d", limit=5)  # 13 - 2 = 11
LEAST = part("at_least", "a", limit=20)
MOST = part("at_most", "a", limit=25)


# Half-widths: 4.3027 / sqrt(3) = 2.484 for three seeds at a distance of 1, 8.984 for two at a distance of 1 / sqrt(2).
@pytest.mark.parametrize(
    ("made", "measured", "word"),
    [
        # One cell, 18 to 28: the whole interval counts.
        (VALUE, [seeds(22, 23, 24)], "replicated"),
        (VALUE, [seeds(19.6, 20.6, 21.6)], "replicated"),  # 20.6 - 2.48 = 18.12
        (VALUE, [seeds(19, 20, 21)], "inconclusive"),
        (VALUE, [seeds(28.1, 29.1, 30.1)], "inconclusive"),  # the mean is outside, the interval is not wholly
        (VALUE, [seeds(30, 31, 32)], "not replicated"),
        (VALUE, [seeds(0, 46)], "inconclusive"),  # the mean is the paper's, and nothing is known
        (RANGE, [seeds(23, 24, 25)], "replicated"),
        (RANGE, [seeds(17, 18, 19)], "inconclusive"),
        (RANGE, [seeds(14, 15, 16)], "not replicated"),
        # Differences 10, 12, 11: 8.5 to 13.5, wholly between 8 and 18.
        (GAIN, [seeds(20, 22, 24), seeds(10, 10, 13)], "replicated"),
        # 3 +- 2.48, wholly above 0 but below 8; 7 +- 2.48 is on the paper's side, its size undecided.
        (GAIN, [seeds(12, 14, 16), seeds(10, 10, 13)], "replicated in direction"),
        (GAIN, [seeds(16, 18, 20), seeds(10, 10, 13)], "replicated in direction"),
        # 13 +- 14.90 holds 0, though its mean is the paper's; 0 +- 2.48 holds 0 and nothing that the claim allows.
        (GAIN, [seeds(17, 29, 23), seeds(10, 10, 10)], "inconclusive"),
        (GAIN, [seeds(9, 11, 13), seeds(10, 10, 13)], "not replicated"),
        # The wrong side is no direction.
        (GAIN, [seeds(10, 10, 13), seeds(20, 22, 24)], "not replicated"),
        (LOSS, [seeds(10, 10, 13), seeds(20, 22, 24)], "replicated"),
        (LOSS, [seeds(10, 10, 13), seeds(12, 14, 16)], "replicated in direction"),
        # Any difference between the ends of two ranges is the paper's: 52 to 80.
        (DROP, [seeds(99, 100, 100), seeds(33, 33, 34)], "replicated"),
        (DROP, [seeds(99, 100, 100), seeds(48, 48, 49)], "replicated in direction"),
        # A margin of 2. Differences -1, 0, -1: -2/3 +- 1.43 is below it. 0 and 3 +- 2.48 straddle it; 10 +- 2.48 is above.
        (NO_GAIN, [seeds(9, 10, 9), seeds(10, 10, 10)], "replicated"),
        (NO_GAIN, [seeds(9, 10, 11), seeds(10, 10, 10)], "inconclusive"),
        (NO_GAIN, [seeds(12, 13, 14), seeds(10, 10, 10)], "inconclusive"),
        (NO_GAIN, [seeds(19, 20, 21), seeds(10, 10, 10)], "not replicated"),
        (NO_GAIN, [seeds(1, 2, 3), seeds(90, 90, 90)], "replicated"),  # no more robust than so is as robust
        # Both sides count for the same.
        (SAME, [seeds(9, 10, 11), seeds(10, 10, 10)], "replicated"),
        (SAME, [seeds(10, 11, 12), seeds(10, 10, 10)], "inconclusive"),
        (SAME, [seeds(1, 2, 3), seeds(90, 90, 90)], "not replicated"),
        (MORE, [seeds(12, 14, 16), seeds(10, 10, 13)], "replicated"),
        (MORE, [seeds(9, 10, 11), seeds(10, 10, 10)], "inconclusive"),
        (MORE, [seeds(1, 2, 3), seeds(10, 10, 10)], "not replicated"),
        (LEAST, [seeds(23, 24, 25)], "replicated"),
        (LEAST, [seeds(20, 21, 22)], "inconclusive"),
        (LEAST, [seeds(15, 16, 17)], "not replicated"),
        (MOST, [seeds(21, 22, 23)], "replicated"),
        (MOST, [seeds(28, 29, 30)], "not replicated"),
        # (10, 12, 11) - 1 = 10 +- 2.48; (4, 6, 5) - 1 = 4 +- 2.48; (2, 4, 3) - 3 = 0 +- 2.48.
        (LOWER, [seeds(20, 22, 24), seeds(10, 10, 13), seeds(11, 11, 11), seeds(10, 10, 10)], "replicated"),
        (LOWER, [seeds(14, 16, 18), seeds(10, 10, 13), seeds(1, 1, 1), seeds(0, 0, 0)], "replicated in direction"),
        (LOWER, [seeds(12, 14, 16), seeds(10, 10, 13), seeds(13, 13, 13), seeds(10, 10, 10)], "not replicated"),
        # One training says nothing of the next, wherever it lies.
        (VALUE, [seeds(23)], "one seed"),
        (GAIN, [seeds(50, 51), seeds(10, first=1)], "one seed"),
    ],
)
def test_words(made: Part, measured: list[Measured], word: str) -> None:
    assert verdict(made, *measured).word == word


def test_one_seed_has_a_number_and_no_interval() -> None:
    found = verdict(GAIN, seeds(23), seeds(10))
    assert (found.word, found.estimate, found.low, found.high, found.seeds) == ("one seed", 13, None, None, 1)
    assert found.inside_interval is None and found.inside_prediction is None


def test_a_victim_that_is_not_the_papers_has_numbers_and_no_word() -> None:
    miss = Miss("a/accuracy", 48.3, 58.43, 3.0)
    found, matched = (verdict(GAIN, seeds(20, 22, 24), seeds(10, 10, 13), missed=missed) for missed in ((miss,), ()))
    assert found == replace(matched, word="victim not matched", missed=(miss,))
    assert verdict(GAIN, seeds(20), seeds(10), missed=(miss,)).word == "one seed"


def test_whether_the_papers_value_lies_in_either_interval() -> None:
    """19, 20, 21: the mean within 2.484, one more training within 4.3027 sqrt(4 / 3) = 4.968 of 20; 23 lies between."""
    found = verdict(VALUE, seeds(19, 20, 21))
    assert (found.inside_interval, found.inside_prediction) == (False, True)
    assert verdict(VALUE, seeds(21, 22, 23)).inside_interval
    outside = verdict(VALUE, seeds(17, 18, 19))  # 18 + 4.968 = 22.97
    assert (outside.inside_interval, outside.inside_prediction) == (False, False)
    assert verdict(RANGE, seeds(37, 38, 39)).inside_interval  # some of the range
    assert verdict(LEAST, seeds(20, 21)).inside_interval  # the paper has a number, though the rule is another


def test_the_size_is_another_or_undecided() -> None:
    assert verdict(GAIN, seeds(12, 14, 16), seeds(10, 10, 13)).reasons == ("the size is another",)
    assert verdict(GAIN, seeds(16, 18, 20), seeds(10, 10, 13)).reasons == ("the size is undecided",)


def test_a_difference_is_paired_by_seed() -> None:
    found = verdict(GAIN, seeds(20, 22, 24), seeds(10, 10, 13))
    assert (found.estimate, found.seeds) == (11, 3)
    assert ends(found) == pytest.approx([8.5159, 13.4841], abs=1e-4)
    assert (found.published, found.published_low, found.published_high) == (13, 13, 13)


def test_pairing_follows_the_seeds_and_not_the_order() -> None:
    found = verdict(GAIN, Measured((24, 20, 22), (2, 0, 1), 100), Measured((10, 13, 10, 99), (1, 2, 0, 7), 100))
    assert found == verdict(GAIN, seeds(20, 22, 24), seeds(10, 10, 13))


def test_pairs_that_were_not_computed_alike_are_told() -> None:
    """One processor rounds as another does not, and compiled training as training that is not."""
    one = seeds(20, 22, 24, made=("EPYC", "EPYC", "EPYC, compiled"))
    found = verdict(GAIN, one, seeds(10, 10, 13, made=("EPYC", "Xeon", "EPYC")))
    assert found.reasons == ("2 of 3 pairs were not computed alike",)
    assert verdict(VALUE, one).reasons == ()


def test_no_shared_seed_is_not_run() -> None:
    found = verdict(GAIN, seeds(20, 22), seeds(10, 10, first=5))
    assert (found.word, found.reasons) == ("not run", ("no seed in common",))


def test_halves_with_other_seeds_are_independent() -> None:
    """Half-widths 4.3027 / sqrt(3) = 2.4841 for three seeds, 12.7062 sqrt(2) / sqrt(2) for two; squared and added."""
    found = verdict(LOWER, seeds(20, 22, 24), seeds(10, 10, 13), seeds(11, 13, first=5), seeds(10, 10, first=5))
    assert (found.estimate, found.seeds) == (9, 2)
    assert ends(found) == pytest.approx([9 - 12.94676, 9 + 12.94676], abs=1e-4)
    one = verdict(LOWER, seeds(20, 22), seeds(10, 12), seeds(11, first=5), seeds(10, first=5))
    assert (one.word, one.estimate, one.seeds) == ("one seed", 9, 1)


def test_without_spread_over_seeds_a_value_takes_wilsons_interval_of_the_images() -> None:
    """81 of 263: Newcombe (1998), "Two-sided confidence intervals for the single proportion", Table I."""
    share = 100 * 81 / 263
    found = verdict(VALUE, seeds(share, share, points=263))
    assert ends(found) == pytest.approx([25.53, 36.62], abs=0.01)
    assert (found.seeds, found.reasons) == (2, ("no two seeds differ: interval over 263 images",))


def test_without_spread_over_seeds_a_difference_takes_newcombes() -> None:
    """56 of 70 against 48 of 80: Newcombe (1998), "Interval estimation for the difference", Table II, method 10."""
    found = verdict(GAIN, seeds(80, 80, points=70), seeds(60, 60, points=80))
    assert ends(found) == pytest.approx([5.24, 33.39], abs=0.01)
    turned = verdict(LOSS, seeds(60, 60, points=80), seeds(80, 80, points=70))
    assert ends(turned) == pytest.approx([-33.39, -5.24], abs=0.01)


def test_at_the_ends_of_the_scale_there_is_an_interval() -> None:
    """10 of 10 against 0 of 20, from the same table; over seeds it would be 100 to 100."""
    found = verdict(GAIN, seeds(100, 100, points=10), seeds(0, 0, points=20))
    assert ends(found) == pytest.approx([67.91, 100], abs=0.01)


def test_an_interval_stays_among_what_percentages_can_be() -> None:
    assert ends(verdict(VALUE, seeds(99.5, 100, 100)))[1] == 100
    assert ends(verdict(LOSS, seeds(0, 30), seeds(100, 95)))[0] == -100


def test_a_list_of_cells_is_their_mean_seed_by_seed() -> None:
    made = Part("x", "difference", (("a", "c"), ("b", "d")), 5.0)
    measured = {"a": seeds(10, 20, 99), "c": seeds(20, 40), "b": seeds(1, 2), "d": seeds(3, 4)}
    found = judge(made, measured, NUMBERS)
    assert (found.estimate, found.seeds, found.published) == (20, 2, 7.5)  # (15 + 30) / 2 - (2 + 3) / 2; 17.5 - 10
    assert judge(made, measured | {"d": seeds(3, first=9)}, NUMBERS).word == "not run"


def test_the_range_of_cells_is_from_the_smallest_to_the_largest() -> None:
    made = Part("x", "at_most", (("a", "b", "c"),), 20.0, statistic="range")
    found = judge(made, {"a": seeds(10, 11), "b": seeds(14, 13), "c": seeds(12, 12)}, NUMBERS)
    assert (found.estimate, found.published) == (3, 13)  # 4 and 2; 23 - 10


def test_what_is_left_of_100_percent_can_be_compared() -> None:
    made = part("more", "high", "100 - a")
    found = judge(made, {"high": seeds(99, 100), "a": seeds(10, 20)}, NUMBERS)
    assert (found.estimate, found.published_low, found.published_high) == (14.5, 22, 23)  # 99.5 - 85; 99 or 100 - 77


def test_a_number_outside_the_tables_is_declared() -> None:
    found = judge(part("value", "a?auc", limit=5, printed=64), {"a?auc": seeds(50, 51, 52)}, NUMBERS)
    assert (found.word, found.published) == ("not replicated", 64)


@pytest.mark.parametrize("made", [VALUE, RANGE, GAIN, NO_GAIN, LOWER, SAME, MORE])
def test_a_missing_cell_is_not_run(made: Part) -> None:
    found = judge(made, {cell: seeds(50) for cell in made.names[1:]}, NUMBERS)
    assert (found.word, found.estimate, found.seeds) == ("not run", None, 0)
    assert found.published_low is not None


def test_a_range_has_no_single_published_number() -> None:
    found = verdict(DROP, seeds(100, 100), seeds(47, 49))
    assert (found.published, found.published_low, found.published_high) == (None, 62, 70)


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["replicated", "replicated"], "replicated"),
        (["replicated", "replicated in direction"], "replicated in direction"),
        (["inconclusive", "replicated in direction"], "inconclusive"),
        (["inconclusive", "victim not matched", "replicated"], "victim not matched"),
        (["victim not matched", "one seed"], "one seed"),
        (["one seed", "not run"], "not run"),
        (["not run", "not replicated", "replicated"], "not replicated"),  # one part that is refuted refutes all of them
    ],
)
def test_a_sentence_has_the_worst_word_of_its_parts(words: list[Word], word: Word) -> None:
    found = judge_sentence(Sentence("x", "All.", "Section 4"), [Verdict(one) for one in words])
    assert found.word == word
    assert sum(int(count.split()[0]) for count in found.reasons[0].split(", ")) == len(words)


def test_a_sentence_of_one_part_is_that_part_and_one_of_none_is_not_testable() -> None:
    only = verdict(GAIN, seeds(20, 22, 24), seeds(10, 10, 13))
    assert judge_sentence(Sentence("x", "So.", "Section 4", (GAIN,)), [only]) == only
    found = judge_sentence(Sentence("x", "Perhaps.", "Section 4", reason="no number"), [])
    assert found == Verdict("not testable as written", ("no number",))


percent = st.floats(0, 100, allow_subnormal=False)
runs = st.integers(2, 5).flatmap(lambda n: st.tuples(*[st.lists(percent, min_size=n, max_size=n).map(tuple)] * 2))
two = tuple[tuple[float, ...], tuple[float, ...]]


@given(runs, st.floats(0.1, 20), st.sampled_from([VALUE, GAIN, LOSS, DROP, NO_GAIN, SAME, MORE]))
def test_a_word_says_what_is_known(values: two, limit: float, kind: Part) -> None:
    """*Replicated*: no value of the interval is outside of the target. *Not replicated*: none is inside."""
    made = replace(kind, limit=limit)
    found = verdict(made, *(seeds(*one, points=100) for one in values[: len(made.cells)]))
    assert found.estimate is not None
    low, high = ends(found)
    target = made.target(NUMBERS)
    assert low - 1e-6 <= found.estimate <= high + 1e-6
    if found.word == "replicated":
        assert target.low - 1e-6 <= low and high <= target.high + 1e-6
    elif found.word == "not replicated":
        assert high < target.low or low > target.high
    elif found.word == "replicated in direction":
        assert low * high > 0 and found.estimate * target.side > 0
    else:
        assert found.word == "inconclusive" and low <= target.high and target.low <= high
    assert found.inside_prediction or not found.inside_interval


@pytest.mark.parametrize(
    ("values", "numbers", "points"),
    [
        ((), (), 100),
        ((1.0,), (0, 1), 100),
        ((1.0, 2.0), (3, 3), 100),
        ((100.5,), (0,), 100),
        ((-1.0,), (0,), 100),
        ((math.nan,), (0,), 100),
        ((1.0,), (0,), 0),
    ],
)
def test_measurements_are_checked(values: tuple[float, ...], numbers: tuple[int, ...], points: int) -> None:
    with pytest.raises(BadValue):
        Measured(values, numbers, points)


CSV = """id,location,row,column,value,unit
m/none/adversarial_accuracy,Table 2,None,Adversarial Accuracy (%),9.96,%
m/epistemic/adversarial_accuracy,Table 2,Epistemic,Adversarial Accuracy (%),22.92,%
m/none/fooling_rate,Table 2,None,Fooling Rate (%),30-37,%
m/epistemic/fooling_rate,Table 2,Epistemic,Fooling Rate (%),35-40,%
"""
TOML = """
[tolerance]
"*/adversarial_accuracy" = 5
"*/fooling_rate" = 10.0

[[sentence]]
id = "gain"
quote = "It increases to 22.92%."
where = "Section 4"
[[sentence.part]]
kind = "difference"
cells = ["m/epistemic/adversarial_accuracy", "m/none/adversarial_accuracy"]
tolerance = 5
"""


def declare(folder: Path, text: str) -> None:
    (folder / "harakeh").mkdir(exist_ok=True)
    (folder / "harakeh" / "published.csv").write_text(CSV, encoding="utf-8")
    (folder / "harakeh" / "claims.toml").write_text(text, encoding="utf-8")


def test_a_declaration_loads(tmp_path: Path) -> None:
    declare(tmp_path, TOML)
    only = Part("gain", "difference", (("m/epistemic/adversarial_accuracy",), ("m/none/adversarial_accuracy",)), 5.0)
    assert claims.load("harakeh", folder=tmp_path) == [
        Sentence("gain", "It increases to 22.92%.", "Section 4", (only,))
    ]
    assert claims.tolerances("harakeh", folder=tmp_path) == {
        "m/none/adversarial_accuracy": 5.0,
        "m/epistemic/adversarial_accuracy": 5.0,
        "m/none/fooling_rate": 10.0,
        "m/epistemic/fooling_rate": 10.0,
    }


def test_one_declaration_stands_for_a_part_for_every_choice_of_its_words(tmp_path: Path) -> None:
    each = 'id = "{who}-{what}"\neach = { who = ["m/none", "m/epistemic"], what = ["adversarial_accuracy"] }\n'
    declare(tmp_path, TOML.replace(KIND + GAIN_CELLS, each + 'kind = "value"\ncells = ["{who}/{what}"]'))
    (found,) = claims.load("harakeh", folder=tmp_path)
    assert [(one.id, one.names) for one in found.parts] == [
        ("m-none-adversarial-accuracy", ["m/none/adversarial_accuracy"]),
        ("m-epistemic-adversarial-accuracy", ["m/epistemic/adversarial_accuracy"]),
    ]


KIND = 'kind = "difference"\n'
GAIN_CELLS = 'cells = ["m/epistemic/adversarial_accuracy", "m/none/adversarial_accuracy"]'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tolerance = 5\n", "", "sentence 'gain', part 'gain': expected ['cells', 'id'"),
        ("tolerance = 5\n", "", "it lacks ['tolerance']"),
        ("tolerance = 5\n", "tolerance = 5\nmargin = 2\n", "adds ['margin']"),
        ("tolerance = 5\n", "tolerence = 5\n", "lacks ['tolerance'] and adds ['tolerence']"),
        ("tolerance = 5\n", "tolerance = nan\n", "part 'gain', tolerance: expected a finite number"),
        ("tolerance = 5\n", "tolerance = inf\n", "got inf"),
        ("tolerance = 5\n", "tolerance = -1\n", "got -1"),
        ("tolerance = 5\n", "tolerance = true\n", "got True"),
        ("tolerance = 5\n", 'tolerance = "5"\n', "got '5'"),
        ("tolerance = 5\n", 'tolerance = 5\nstatistic = "median"\n', "statistic: unknown 'median'"),
        ('"difference"', '"diference"', "part 'gain', kind: unknown 'diference'; expected one of value, difference"),
        (KIND, "", "part 'gain', kind: unknown None"),
        ('id = "gain"\n', "", "sentence 'number 1': expected"),
        ('quote = "It increases to 22.92%."', 'quote = " "', "sentence 'gain', quote: expected words, got ' '"),
        ("m/epistemic/adversarial_accuracy", "m/epistemic/accuracy", "part 'gain', cells: expected published ids"),
        (GAIN_CELLS, 'cells = ["m/none/fooling_rate"]', "expected 2 or 4 different published ids"),
        (
            GAIN_CELLS,
            'cells = ["m/none/fooling_rate", "m/none/fooling_rate"]',
            "expected 2 or 4 different published ids",
        ),
        (GAIN_CELLS, 'cells = "m/none/fooling_rate"', "expected 2 or 4 different published ids"),
        (GAIN_CELLS, 'cells = [["m/none/fooling_rate"], []]', "expected 2 or 4 different published ids"),
        (GAIN_CELLS, 'cells = [["a"], ["b"]]', "got 'a'"),
        (GAIN_CELLS, "cells = [[1], [2]]", "got 1"),
        (
            GAIN_CELLS,
            'cells = ["m/none/fooling_rate?l2", "m/none/fooling_rate"]',
            "expected numbers that the paper prints",
        ),
        (GAIN_CELLS, 'cells = ["m/none/fooling_rate", "m/epistemic/fooling_rate"]', "one side of 0, got -10 to 2"),
        (
            KIND + GAIN_CELLS + "\ntolerance",
            'kind = "no_gain"\n' + GAIN_CELLS + "\nmargin",
            "expected published numbers that bear it out, between -inf and 5, got 12.96 to 12.96",
        ),
        (
            KIND + GAIN_CELLS + "\ntolerance = 5\n",
            'kind = "more"\ncells = ["m/none/adversarial_accuracy", "m/epistemic/adversarial_accuracy"]\n',
            "between 0 and inf, got -12.96",
        ),
        ("[[sentence.part]]", 'reason = "none"\n[[sentence.part]]', "adds ['part']"),
        ("[[sentence.part]]\n", "", "lacks ['part'] and adds ['cells', 'kind', 'tolerance']"),
        ("[[sentence]]\n", "[sentence]\n", "expected"),
        ("[[sentence]]", "[[claim]]\n[[sentence]]", "expected only [tolerance] and [[sentence]], got ['claim']"),
        ("[tolerance]", "tolerance 5", "expected TOML"),
        (
            "[[sentence]]",
            TOML.partition("[[sentence]]")[2].join(["[[sentence]]", "[[sentence]]"]),
            "declared twice, expected once: gain",
        ),
        (
            "[[sentence.part]]",
            TOML.partition("[[sentence.part]]")[2].join(["[[sentence.part]]"] * 2),
            "an id of its own for each",
        ),
    ],
)
def test_a_wrong_declaration_names_the_claim(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TOML
    declare(tmp_path, TOML.replace(old, new, 1))
    with pytest.raises(BadValue) as caught:
        claims.load("harakeh", folder=tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"*/fooling_rate" = 10.0\n', "", "expected exactly one pattern for m/none/fooling_rate, got []"),
        ('"*/fooling_rate"', '"*rate" = 1\n"*/fooling_rate"', "got ['*rate', '*/fooling_rate']"),
        ('"*/fooling_rate"', '"*/accuracy" = 1\n"*/fooling_rate"', "got '*/accuracy', which matches none"),
        ("= 10.0", "= -10.0", "got -10.0"),
    ],
)
def test_a_wrong_tolerance_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    declare(tmp_path, TOML.replace(old, new, 1))
    with pytest.raises(BadValue) as caught:
        claims.tolerances("harakeh", folder=tmp_path)
    assert message in str(caught.value)


def test_a_paper_without_declared_claims(tmp_path: Path) -> None:
    (tmp_path / "harakeh").mkdir()
    (tmp_path / "harakeh" / "published.csv").write_text(CSV, encoding="utf-8")
    with pytest.raises(BadValue, match="no claims are declared"):
        claims.load("harakeh", folder=tmp_path)


def test_an_unknown_paper() -> None:
    with pytest.raises(BadValue, match="unknown 'madry'"):
        claims.load("madry")


@pytest.mark.parametrize("paper", papers.NAMES)
def test_the_papers_own_numbers_would_replicate_every_claim(paper: str) -> None:
    """Each cell of a table has a tolerance, and no part is contradicted by the numbers that it is about."""
    numbers = published.load(paper)
    own = {name: seeds(*[(one.low + one.high) / 2] * 2, points=10**12) for name, one in numbers.items()}
    parts = [part for one in claims.load(paper) for part in one.parts]
    words = {part.id: judge(part, own, numbers).word for part in parts if set(part.names) <= own.keys()}
    assert set(words.values()) <= {"replicated", "replicated in direction"}, words
    assert all(judge(part, {}, numbers).word == "not run" for part in parts)
    assert claims.tolerances(paper).keys() == numbers.keys()


@pytest.mark.parametrize("paper", papers.NAMES)
def test_every_number_of_a_claim_has_an_address_under_every_reading(paper: str) -> None:
    names = {name for one in claims.load(paper) for part in one.parts for name in part.names}
    assert all(parse(f"{one.name}:{name}", paper).id for one in readings(paper) for name in names)


def test_harakehs_tolerances_follow_their_rule() -> None:
    """The rule in the head of the file, computed: a limit depends on what is compared, and on nothing else."""
    numbers = published.load("harakeh")
    cells = claims.tolerances("harakeh")
    for made in (part for one in claims.load("harakeh") for part in one.parts):
        if made.kind == "value":
            assert made.limit == cells[made.names[0]], made.id
        elif made.kind == "difference":
            found = judge(made, {}, numbers)
            small = found.published is not None and abs(found.published) < 5
            assert made.limit == (10 if made.names[0].endswith("fooling_rate") else 2 if small else 5), made.id
        elif made.kind == "no_gain":
            assert made.limit == 2, made.id
        else:
            assert made.kind == "more" or made.limit == {"same": 5, "at_most": 55}[made.kind], made.id
