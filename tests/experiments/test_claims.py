"""Claims: every kind with every word it can get, by hand-computed numbers, and every slip in a declaration."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import claims, published
from experiments.claims import Claim, Kind
from experiments.published import Published
from experiments.verdicts import Measured, Verdict, judge
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


def seeds(*values: float, first: int = 0, points: int = 10_000) -> Measured:
    return Measured(values, tuple(range(first, first + len(values))), points)


def claim(kind: Kind, *cells: str, tolerance: float | None = None, margin: float | None = None) -> Claim:
    return Claim("x", "A sentence.", "Section 4", kind, cells, tolerance, margin)


def verdict(made: Claim, *measured: Measured) -> Verdict:
    return judge(made, dict(zip(made.cells, measured, strict=True)), NUMBERS)


def ends(found: Verdict) -> list[float]:
    assert found.low is not None and found.high is not None
    return [found.low, found.high]


VALUE = claim("value", "a", tolerance=5)  # 23
RANGE = claim("range", "wide", tolerance=10)  # 30 to 37
GAIN = claim("difference", "a", "b", tolerance=5)  # 13
LOSS = claim("difference", "b", "a", tolerance=5)  # -13
DROP = claim("difference", "high", "wide", tolerance=10)  # 62 to 70
NO_GAIN = claim("no_gain", "b", "c", margin=2)  # -2
LOWER = claim("double_difference", "a", "b", "c", "d", tolerance=5)  # 13 - 2 = 11


@pytest.mark.parametrize(
    ("made", "measured", "word"),
    [
        # One cell: only the mean counts, and a tolerance includes its end.
        (VALUE, [seeds(22, 24, 26)], "replicated"),
        (VALUE, [seeds(28)], "replicated"),
        (VALUE, [seeds(28.01)], "not replicated"),
        (VALUE, [seeds(17, 18.9)], "not replicated"),
        (RANGE, [seeds(20)], "replicated"),
        (RANGE, [seeds(47)], "replicated"),
        (RANGE, [seeds(19.9)], "not replicated"),
        (RANGE, [seeds(47.1)], "not replicated"),
        # Differences 10, 12, 11: 11 +- 4.3027 / sqrt(3), wholly above 0 and 2 away from 13.
        (GAIN, [seeds(20, 22, 24), seeds(10, 10, 13)], "replicated"),
        # Differences 2, 4, 3: 3 +- 2.48, wholly above 0 but 10 away.
        (GAIN, [seeds(12, 14, 16), seeds(10, 10, 13)], "replicated in direction"),
        (GAIN, [seeds(30, 32, 34), seeds(10, 10, 13)], "replicated in direction"),
        # Differences 8, 18, 13: 13 +- 12.42 is above 0; 7, 19, 13: 13 +- 14.90 is not, though its mean is the paper's.
        (GAIN, [seeds(18, 28, 23), seeds(10, 10, 10)], "replicated"),
        (GAIN, [seeds(17, 29, 23), seeds(10, 10, 10)], "not replicated"),
        # The wrong side is no direction.
        (GAIN, [seeds(10, 10, 13), seeds(20, 22, 24)], "not replicated"),
        (LOSS, [seeds(10, 10, 13), seeds(20, 22, 24)], "replicated"),
        (LOSS, [seeds(10, 10, 13), seeds(12, 14, 16)], "replicated in direction"),
        # Any difference between the ends of two ranges is the paper's.
        (DROP, [seeds(100, 100), seeds(47, 49)], "replicated"),
        (DROP, [seeds(100, 100), seeds(48, 50)], "replicated in direction"),
        # A margin of 2. Differences -1, 0, -1: -2/3 +- 1.43 is below it. -1, 0, 1: 0 +- 2.48 straddles it, mean below;
        # 2, 3, 4: 3 +- 2.48 straddles it, mean above; 9, 10, 11 is above it.
        (NO_GAIN, [seeds(9, 10, 9), seeds(10, 10, 10)], "replicated"),
        (NO_GAIN, [seeds(9, 10, 11), seeds(10, 10, 10)], "replicated in direction"),
        (NO_GAIN, [seeds(12, 13, 14), seeds(10, 10, 10)], "not replicated"),
        (NO_GAIN, [seeds(19, 20, 21), seeds(10, 10, 10)], "not replicated"),
        (NO_GAIN, [seeds(12, 12), seeds(10, 10)], "replicated"),
        # (10, 12, 11) - 1 = 10 +- 2.48; (4, 6, 5) - 1 = 4 +- 2.48; (2, 4, 3) - 3 = 0 +- 2.48.
        (LOWER, [seeds(20, 22, 24), seeds(10, 10, 13), seeds(11, 11, 11), seeds(10, 10, 10)], "replicated"),
        (LOWER, [seeds(14, 16, 18), seeds(10, 10, 13), seeds(1, 1, 1), seeds(0, 0, 0)], "replicated in direction"),
        (LOWER, [seeds(12, 14, 16), seeds(10, 10, 13), seeds(13, 13, 13), seeds(10, 10, 10)], "not replicated"),
    ],
)
def test_words(made: Claim, measured: list[Measured], word: str) -> None:
    assert verdict(made, *measured).word == word


def test_a_difference_is_paired_by_seed() -> None:
    found = verdict(GAIN, seeds(20, 22, 24), seeds(10, 10, 13))
    assert (found.estimate, found.seeds, found.interval_from) == (11, 3, "seeds")
    assert ends(found) == pytest.approx([8.5159, 13.4841], abs=1e-4)
    assert (found.published, found.published_low, found.published_high) == (13, 13, 13)


def test_pairing_follows_the_seeds_and_not_the_order() -> None:
    found = verdict(GAIN, Measured((24, 20, 22), (2, 0, 1), 100), Measured((10, 13, 10, 99), (1, 2, 0, 7), 100))
    assert found == verdict(GAIN, seeds(20, 22, 24), seeds(10, 10, 13))


def test_no_shared_seed_is_not_run() -> None:
    assert verdict(GAIN, seeds(20, 22), seeds(10, 10, first=5)).word == "not run"


def test_halves_with_other_seeds_are_independent() -> None:
    """Half-widths 4.3027 / sqrt(3) = 2.4841 for three seeds, 12.7062 sqrt(2) / sqrt(2) for two; squared and added."""
    found = verdict(LOWER, seeds(20, 22, 24), seeds(10, 10, 13), seeds(11, 13, first=5), seeds(10, 10, first=5))
    assert (found.estimate, found.seeds, found.interval_from) == (9, 2, "seeds")
    assert ends(found) == pytest.approx([9 - 12.94676, 9 + 12.94676], abs=1e-4)


def test_one_seed_takes_wilsons_interval() -> None:
    """81 of 263: Newcombe (1998), "Two-sided confidence intervals for the single proportion", Table I."""
    found = verdict(VALUE, seeds(100 * 81 / 263, points=263))
    assert ends(found) == pytest.approx([25.53, 36.62], abs=0.01)
    assert (found.seeds, found.interval_from) == (1, "test points")


def test_one_seed_takes_newcombes_interval_of_a_difference() -> None:
    """56 of 70 against 48 of 80: Newcombe (1998), "Interval estimation for the difference", Table II, method 10."""
    found = verdict(GAIN, seeds(80, points=70), seeds(60, points=80))
    assert ends(found) == pytest.approx([5.24, 33.39], abs=0.01)
    turned = verdict(LOSS, seeds(60, points=80), seeds(80, points=70))
    assert ends(turned) == pytest.approx([-33.39, -5.24], abs=0.01)


def test_one_seed_at_the_ends_of_the_scale_has_an_interval() -> None:
    """10 of 10 against 0 of 20, from the same table; the textbook interval would be 100 to 100."""
    found = verdict(GAIN, seeds(100, points=10), seeds(0, points=20))
    assert ends(found) == pytest.approx([67.91, 100], abs=0.01)


def test_one_seed_in_one_half_takes_the_test_points() -> None:
    found = verdict(LOWER, seeds(20, 22), seeds(10, 12), seeds(11, first=5), seeds(10, first=5))
    assert (found.estimate, found.seeds, found.interval_from) == (9, 1, "test points")


def test_the_other_half_keeps_its_spread_over_seeds() -> None:
    """Differences of 6 and 14: half-width 12.7062 * 4 = 50.825 points, which test points alone would hide."""
    spread, narrow = seeds(16, 26, points=10_000), seeds(10, 12, points=10_000)
    one = [seeds(11, first=5, points=10_000), seeds(10, first=5, points=10_000)]
    alone = verdict(GAIN, one[0], one[1])
    low, high = ends(verdict(LOWER, spread, narrow, *one))
    assert 9 - low == pytest.approx(math.hypot(50.825, ends(alone)[1] - 1), abs=1e-2)
    assert high - 9 == pytest.approx(math.hypot(50.825, 1 - ends(alone)[0]), abs=1e-2)


def test_an_interval_stays_among_what_percentages_can_be() -> None:
    assert ends(verdict(VALUE, seeds(99.5, 100, 100)))[1] == 100
    assert ends(verdict(LOSS, seeds(0, 30), seeds(100, 95)))[0] == -100


@pytest.mark.parametrize("made", [VALUE, RANGE, GAIN, NO_GAIN, LOWER])
def test_a_missing_cell_is_not_run(made: Claim) -> None:
    found = judge(made, {cell: seeds(50) for cell in made.cells[1:]}, NUMBERS)
    assert (found.word, found.estimate, found.seeds, found.interval_from) == ("not run", None, 0, None)
    assert found.published_low is not None


def test_not_testable_stays_so_whatever_was_measured() -> None:
    found = judge(claim("not_testable"), {"a": seeds(23)}, NUMBERS)
    assert found == Verdict("not testable as written")
    assert found.published is None


def test_a_range_has_no_single_published_number() -> None:
    found = verdict(DROP, seeds(100, 100), seeds(47, 49))
    assert (found.published, found.published_low, found.published_high) == (None, 62, 70)


def test_a_hand_made_claim_needs_its_limit() -> None:
    with pytest.raises(BadValue, match="expected a margin, got none"):
        verdict(claim("no_gain", "b", "c", tolerance=2), seeds(1), seeds(2))


percent = st.floats(0, 100, allow_subnormal=False)
runs = st.integers(1, 5).flatmap(lambda n: st.tuples(*[st.lists(percent, min_size=n, max_size=n).map(tuple)] * 2))


@given(runs, st.floats(0, 20), st.sampled_from([GAIN, LOSS, DROP]))
def test_never_replicated_outside_the_tolerance_or_on_the_wrong_side(
    values: tuple[tuple[float, ...], tuple[float, ...]], tolerance: float, kind: Claim
) -> None:
    made = claim("difference", *kind.cells, tolerance=tolerance)
    found = verdict(made, seeds(*values[0], points=100), seeds(*values[1], points=100))
    assert found.estimate is not None and found.low is not None and found.high is not None
    assert found.published_low is not None and found.published_high is not None
    assert found.low <= found.estimate <= found.high
    if not found.published_low - tolerance - 1e-6 <= found.estimate <= found.published_high + tolerance + 1e-6:
        assert found.word != "replicated"
    if found.word != "not replicated":
        assert found.low * found.high > 0 and found.estimate * found.published_low > 0


@given(runs, st.floats(0, 20))
def test_a_value_is_never_replicated_outside_the_tolerance(
    values: tuple[tuple[float, ...], tuple[float, ...]], tolerance: float
) -> None:
    found = verdict(claim("value", "a", tolerance=tolerance), seeds(*values[0]))
    assert found.estimate is not None
    away = abs(found.estimate - 23)
    assert found.word == ("replicated" if away <= tolerance else "not replicated") or abs(away - tolerance) < 1e-6


@given(runs, st.floats(0, 20))
def test_no_gain_never_passes_a_clear_gain(values: tuple[tuple[float, ...], tuple[float, ...]], margin: float) -> None:
    made = claim("no_gain", "b", "c", margin=margin)
    found = verdict(made, seeds(*values[0], points=100), seeds(*values[1], points=100))
    assert found.estimate is not None and found.low is not None and found.high is not None
    if found.estimate > margin + 1e-6:
        assert found.word == "not replicated"
    if found.word == "replicated":
        assert found.high <= margin + 1e-6


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

[[claim]]
id = "gain"
quote = "It increases to 22.92%."
where = "Section 4"
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
    cells = ("m/epistemic/adversarial_accuracy", "m/none/adversarial_accuracy")
    expected = Claim("gain", "It increases to 22.92%.", "Section 4", "difference", cells, 5.0)
    assert claims.load("harakeh", folder=tmp_path) == [expected]
    assert claims.tolerances("harakeh", folder=tmp_path) == {
        "m/none/adversarial_accuracy": 5.0,
        "m/epistemic/adversarial_accuracy": 5.0,
        "m/none/fooling_rate": 10.0,
        "m/epistemic/fooling_rate": 10.0,
    }


GAIN_CELLS = 'cells = ["m/epistemic/adversarial_accuracy", "m/none/adversarial_accuracy"]'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tolerance = 5\n", "", "claim 'gain': expected ['cells', 'id'"),
        ("tolerance = 5\n", "", "it lacks ['tolerance']"),
        ("tolerance = 5\n", "tolerance = 5\nmargin = 2\n", "adds ['margin']"),
        ("tolerance = 5\n", "tolerence = 5\n", "lacks ['tolerance'] and adds ['tolerence']"),
        ("tolerance = 5\n", "tolerance = nan\n", "claim 'gain', tolerance: expected a finite number"),
        ("tolerance = 5\n", "tolerance = inf\n", "got inf"),
        ("tolerance = 5\n", "tolerance = -1\n", "got -1"),
        ("tolerance = 5\n", "tolerance = true\n", "got True"),
        ("tolerance = 5\n", 'tolerance = "5"\n', "got '5'"),
        ('"difference"', '"diference"', "claim 'gain', kind: unknown 'diference'; expected one of value, range"),
        ('kind = "difference"\n', "", "claim 'gain', kind: unknown None"),
        ('id = "gain"\n', "", "claim 'number 1': expected"),
        ('quote = "It increases to 22.92%."', 'quote = " "', "claim 'gain', quote: expected words, got ' '"),
        ("m/epistemic/adversarial_accuracy", "m/epistemic/accuracy", "claim 'gain', cells: expected published ids"),
        (GAIN_CELLS, 'cells = ["m/none/fooling_rate"]', "expected 2 different published ids"),
        (GAIN_CELLS, 'cells = ["m/none/fooling_rate", "m/none/fooling_rate"]', "expected 2 different published ids"),
        (GAIN_CELLS, 'cells = "m/none/fooling_rate"', "expected 2 different published ids"),
        (GAIN_CELLS, 'cells = [["a"], ["b"]]', "got ['a']"),
        (GAIN_CELLS, 'cells = ["m/none/fooling_rate", "m/epistemic/fooling_rate"]', "one side of 0, got -10 to 2"),
        ('kind = "difference"\n' + GAIN_CELLS, 'kind = "value"\ncells = ["m/none/fooling_rate"]', "prints 30-37"),
        (
            'kind = "difference"\n' + GAIN_CELLS,
            'kind = "range"\ncells = ["m/none/adversarial_accuracy"]',
            "expected a range, but the paper prints 9.96",
        ),
        ('"difference"', '"not_testable"', "lacks ['reason'] and adds ['cells', 'tolerance']"),
        (
            'kind = "difference"\n' + GAIN_CELLS + "\ntolerance",
            'kind = "no_gain"\n' + GAIN_CELLS + "\nmargin",
            "expected a published difference of at most the margin 5, got 12.96",
        ),
        ("[[claim]]", "[claim]", "expected [[claim]] tables"),
        ("[[claim]]", "[[claims]]", "expected only [tolerance] and [[claim]], got ['claims']"),
        ("[tolerance]", "tolerance 5", "expected TOML"),
        ("[[claim]]", TOML.partition("[[claim]]")[2].join(["[[claim]]", "[[claim]]"]), "claim 'gain': declared twice"),
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


def test_harakehs_claims() -> None:
    """The paper's own numbers would replicate every claim that can be tested, and each cell has a tolerance."""
    numbers = published.load("harakeh")
    declared = claims.load("harakeh")
    own = {name: seeds((n.low + n.high) / 2, (n.low + n.high) / 2) for name, n in numbers.items()}
    words = {made.id: judge(made, own, numbers).word for made in declared}
    assert {made.id for made in declared if made.kind == "not_testable"} == {
        name for name, word in words.items() if word == "not testable as written"
    }
    assert set(words.values()) == {"replicated", "not testable as written"}
    assert all(judge(made, {}, numbers).word in ("not run", "not testable as written") for made in declared)
    assert claims.tolerances("harakeh").keys() == numbers.keys()


def test_harakehs_tolerances_follow_their_rule() -> None:
    """The rule in the head of the file, computed: a limit depends on what is compared, and on nothing else."""
    numbers = published.load("harakeh")
    cells = claims.tolerances("harakeh")
    for made in claims.load("harakeh"):
        if made.kind in ("value", "range"):
            assert made.tolerance == cells[made.cells[0]], made.id
        elif made.kind in ("difference", "double_difference"):
            found = judge(made, {}, numbers)
            small = found.published is not None and abs(found.published) < 5
            assert made.tolerance == (10 if made.cells[0].endswith("fooling_rate") else 2 if small else 5), made.id
        elif made.kind == "no_gain":
            assert made.margin == 2, made.id
