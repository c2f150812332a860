"""Whether the measurements bear a claim out: one word a part and one a sentence, by rules that do not know the results.

A part has a target (`Part.target`), and the whole 95 % interval of what was measured decides:

*replicated*                it lies in the target
*replicated in direction*   it lies on the paper's side of 0, but not in the target: the size is another, or undecided
*not replicated*            it does not meet the target
*inconclusive*              it meets the target and what is outside of it

Before that: *not run* without a measurement of every cell; *one seed* where no two seeds have all of them, for one training says
nothing of the next; and *victim not matched* where the network that is attacked has not the clean accuracy that the paper
printed. A sentence has the worst word of its parts (the order of `Word`), for it says that all of them are so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from experiments.contrasts import SLACK, Measured, contrast, joined
from experiments.published import Published
from experiments.rules import REST, SIGNS, Part, Sentence, Target
from lib.metrics import Interval

Word = Literal[
    "not testable as written",
    "not replicated",
    "not run",
    "one seed",
    "victim not matched",
    "inconclusive",
    "replicated in direction",
    "replicated",
]


class Miss(NamedTuple):
    """A clean accuracy that is not the paper's."""

    name: str  # of the published number
    ours: float
    printed: float
    tolerance: float


@dataclass(frozen=True)
class Verdict:
    """The word on one part or sentence, and what it rests on, in percent or percentage points."""

    word: Word
    reasons: tuple[str, ...] = ()
    missed: tuple[Miss, ...] = ()  # why a victim is not matched
    estimate: float | None = None
    low: float | None = None  # the ends of the 95 % interval of the estimate; None on one seed
    high: float | None = None
    published_low: float | None = None  # the same quantity in the paper: one number twice, or the ends of a range
    published_high: float | None = None
    seeds: int = 0  # how many the estimate averages: the smaller number where two halves differ
    inside_interval: bool | None = None  # whether the paper's value, or some of its range, lies in the interval
    inside_prediction: bool | None = None  # and in the 95 % prediction interval for one more training

    @property
    def published(self) -> float | None:
        """The published number, or nothing where the paper gives a range or nothing to compare."""
        return self.published_low if self.published_low == self.published_high else None


def judge(
    part: Part, measured: Mapping[str, Measured], published: Mapping[str, Published], missed: Iterable[Miss] = ()
) -> Verdict:
    """The verdict on `part`; `measured` and `published` are both by published id, `missed` says where its victims differ."""
    low, high = part.expected(published) or (None, None)
    made = Verdict("not run", missed=tuple(missed), published_low=low, published_high=high)
    if any(name not in measured for name in part.names):
        return made
    cells = [joined([_one(name, measured) for name in cell], part.of) for cell in part.cells]
    there = [cell for cell in cells if cell is not None]
    found = contrast(SIGNS[len(cells)], there) if len(there) == len(cells) else None
    if found is None:
        return replace(made, reasons=("no seed in common",))
    interval, reasons = found.interval, found.reasons
    made = replace(made, estimate=interval.mean, seeds=interval.n, reasons=reasons)
    if interval.n < 2:
        return replace(made, word="one seed")
    word = _word(interval, part.target(published))
    if word == "replicated in direction" and low is not None and high is not None:
        apart = interval.low > high + part.limit or interval.high < low - part.limit
        reasons = (f"the size is {'another' if apart else 'undecided'}", *reasons)
    inside, predicted = (_meets(one, low, high) for one in (interval, found.prediction))
    word = "victim not matched" if made.missed else word
    made = replace(made, word=word, reasons=reasons, low=interval.low, high=interval.high)
    return replace(made, inside_interval=inside, inside_prediction=predicted)


def _one(name: str, measured: Mapping[str, Measured]) -> Measured:
    found = measured[name.removeprefix(REST)]
    return found.rest if name.startswith(REST) else found


def _meets(found: Interval, low: float | None, high: float | None) -> bool | None:
    """Whether the paper's value, or some of its range, lies in an interval."""
    return None if low is None or high is None else found.low - SLACK <= high and low <= found.high + SLACK


def judge_sentence(sentence: Sentence, parts: Sequence[Verdict]) -> Verdict:
    """The verdict on `sentence` from those on its parts: the only one, or the worst word, with how many parts have which."""
    if not parts:
        return Verdict("not testable as written", (str(sentence.reason),))
    if len(parts) == 1:
        return parts[0]
    counts = Counter(part.word for part in parts)
    words = [word for word in get_args(Word) if counts[word]]
    return Verdict(words[0], (", ".join(f"{counts[word]} {word}" for word in reversed(words)),))


def _word(found: Interval, target: Target) -> Word:
    """The rules of the module's head, one after another."""
    directed = found.low > 0 if target.side > 0 else found.high < 0 if target.side < 0 else True
    if directed and target.low - SLACK <= found.low and found.high <= target.high + SLACK:
        return "replicated"
    if directed and target.side:
        return "replicated in direction"
    if found.high < target.low - SLACK or found.low > target.high + SLACK:
        return "not replicated"
    return "inconclusive"
