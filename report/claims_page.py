"""The tables behind the page of claims: every sentence with its verdicts, the words counted, and what was corrected."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import get_args

from experiments import claims, coverage, papers
from experiments.address import parse, reading, readings
from experiments.judging import judge_part, verdict
from experiments.records import ROOT, Store
from experiments.rules import REST, Part, Sentence
from experiments.verdicts import Verdict, Word, judge_sentence
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES, QUANTITY_NAMES, VICTIM_NAMES, part_of_paper
from report.numbers import evidence
from report.tables import Table
from report.text import literal

BEFORE = (
    ROOT / "results" / "claims_before.csv"
)  # the words of every entry by the rules until 30 November 2026, and what became of it
LIMITS = {
    "value": "within {}",
    "difference": "same side of 0, and within {}",
    "more": "above 0",
    "no_gain": "at most {}",
    "same": "at most {} to either side",
    "at_least": "at least {}",
    "at_most": "at most {}",
}
WHY = {
    "one seed": "one training says nothing of the next",
    "victim not matched": "the network that is attacked has not the paper's clean accuracy",
    "inconclusive": "the interval meets what the rule allows and what it does not",
    "not run": "a part has no record",
    "not replicated": "the interval does not meet what the rule allows",
    "replicated": "the whole interval is as the rule wants it",
}


def claims_table(store: Store, paper: str) -> Table:
    """Every sentence of `paper`, its parts below it, what they are judged by, the verdict proper, and those of other readings."""
    proper, *others = readings(paper)
    rows = []
    for sentence in claims.load(paper):
        # For each part its verdict under every reading.
        found = [[judge_part(store, paper, one, part) for one in (proper, *others)] for part in sentence.parts]
        whole = [judge_sentence(sentence, list(parts)) for parts in zip(*found, strict=True)] or [
            judge_sentence(sentence, [])
        ] * (1 + len(others))
        rows.append([f"“{sentence.quote}” ({sentence.where})", *_rule_of(sentence, whole[0]), *_verdicts(whole)])
        if len(sentence.parts) > 1:
            below = zip(sentence.parts, found, strict=True)
            rows += [["↳", rule(part), printed(one[0]), *_verdicts(one)] for part, one in below]
    head = ["Sentence", "Rule, in points", "Paper", f"Verdict, {proper.title}", "Ours", "Paper's value is"]
    return Table([*head, *(one.title[0].upper() + one.title[1:] for one in others)], rows)


def _rule_of(sentence: Sentence, found: Verdict) -> list[str]:
    """The rule of a sentence and the paper's number; one of a single part has that part's."""
    if not sentence.parts:
        return [f"none: {sentence.reason}", "–"]
    if len(sentence.parts) > 1:
        return [f"all of its {len(sentence.parts)} parts", "–"]
    return [rule(sentence.parts[0]), printed(found)]


def _verdicts(found: Sequence[Verdict]) -> list[str]:
    """The verdict proper with what it rests on, and the words of the others with their numbers."""
    proper, *others = found
    ours = [_numbers(proper), *(() if proper.word == "not testable as written" else reasons(proper))]
    told = [word if word == "not run" else f"**{word}**" for word in (one.word for one in found)]
    beside = [": ".join(filter(None, pair)) for pair in zip(told[1:], map(_numbers, others), strict=True)]
    return [told[0], "; ".join(filter(None, ours)) or "–", place(proper), *beside]


def reasons(found: Verdict) -> list[str]:
    """Why the word is what it is, the victims' accuracies last."""
    victims = ", ".join(f"{one.ours:.1f} for {one.printed:g}" for one in found.missed)
    return [*found.reasons, *([f"clean accuracy {victims}"] if victims else [])]


def _numbers(found: Verdict) -> str:
    return "" if found.estimate is None else evidence(found).removesuffix(f", {found.word}")


def place(found: Verdict) -> str:
    """Where the paper's value lies."""
    if found.inside_interval is None:
        return "–"
    if found.inside_interval:
        return "in our interval"
    return "in that of one more training" if found.inside_prediction else "outside"


def rule(part: Part) -> str:
    """What is compared, and how close it has to come."""
    cells = [_cell(part, cell) for cell in part.cells]
    if len(cells) > 1:
        cells = [f"({cell})" for cell in cells]
    compared = " − ".join(cells) if len(cells) < 4 else f"[{cells[0]} − {cells[1]}] − [{cells[2]} − {cells[3]}]"
    limit = LIMITS[part.kind].format(f"{part.limit:g}")
    return f"{compared}{':' if len(cells) > 1 else ','} {limit}"


def _cell(part: Part, names: Sequence[str]) -> str:
    """A cell in words, or the statistic of several."""
    words = [("100 − " if name.startswith(REST) else "") + _in_words(name.removeprefix(REST)) for name in names]
    return words[0] if len(words) == 1 else f"{part.statistic} of {'; '.join(words)}"


def _in_words(cell: str) -> str:
    """`mnist/fgsm/none/adversarial_accuracy` as "MNIST, FGSM, none: accuracy under attack"."""
    name, _, other = cell.partition("?")
    first, *rest = name.split("/")
    measured = other or (rest.pop() if rest else "")
    known = {**ATTACK_NAMES, **NETWORK_NAMES, **VICTIM_NAMES, **QUANTITY_NAMES}
    words = [known.get(word, word.replace("_", " ")) for word in rest]
    if other == "auc" or other == "odds_auc":
        words = words[:-1]
    quantity = known.get(measured, measured.replace("_", " "))
    return f"{', '.join([DATASET_NAMES.get(first, known.get(first, first)), *words])}: {quantity}"


def printed(found: Verdict) -> str:
    if found.published_low is None or found.published_high is None:
        return "–"
    if found.published is not None:
        return f"{found.published:.2f}"
    return f"{found.published_low:g} to {found.published_high:g}"


@cache
def before() -> tuple[Mapping[str, str], ...]:
    """Every entry as it stood before: paper, id, word, what it has become, and a note where the rule was mended."""
    with BEFORE.open(encoding="utf-8", newline="") as lines:
        return tuple({name: literal(text) for name, text in entry.items()} for entry in csv.DictReader(lines))


def corrections_table(store: Store) -> Table:
    """The entries whose word has changed, or whose rule: what stood there, what stands there, and why."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for entry in before():
        found = verdict(store, parse(f"text:{entry['now']}", entry["paper"]))
        if found.word != entry["word"] or entry["note"]:
            why = "; ".join(filter(None, (entry["note"], *_why(found))))
            become = "" if entry["now"] == entry["id"] else f": now `{entry['now']}`"
            key = (papers.get(entry["paper"]).TITLE, become, entry["word"], found.word, why)
            groups.setdefault(key, []).append(f"`{entry['id']}`")
    rows = [[title, ", ".join(names) + become, *words] for (title, become, *words), names in groups.items()]
    return Table(["Paper", "Entry", "Word before", "Word now", "Why"], rows or [["–"] * 5])


def _why(found: Verdict) -> tuple[str, ...]:
    return found.reasons if found.word == "replicated in direction" else (WHY[found.word],)


def coverage_table(store: Store) -> Table:
    """How many numbers of each published table have a counterpart of ours, at which scale and on how many seeds."""
    rows = [[part_of_paper(one), *_counted(one.counts)] for one in coverage.rows(store)]
    rows.append(["all", *_counted(coverage.totals(store))])
    return Table(["Of", "Numbers", *(column.capitalize() for column in coverage.COLUMNS)], rows)


def _counted(counts: Counter[str]) -> list[str]:
    return [str(counts.total()), *(str(counts[column] or "–") for column in coverage.COLUMNS)]


def words_table(store: Store) -> Table:
    """How many entries had each word before, and how many parts and sentences have it now, as the papers' texts describe them."""
    sentences: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    for paper in papers.REPLICATED:
        for sentence in claims.load(paper):
            found = [judge_part(store, paper, reading(paper), part) for part in sentence.parts]
            parts.update(one.word for one in found)
            sentences[judge_sentence(sentence, found).word] += 1
    counts = {
        "Entries before": Counter(entry["word"] for entry in before()),
        "Parts now": parts,
        "Sentences now": sentences,
    }
    words = ["replicated", *(word for word in reversed(get_args(Word)) if word != "replicated")]
    rows = [[word, *(str(count[word]) for count in counts.values())] for word in words]
    rows.append(["in all", *(str(count.total()) for count in counts.values())])
    return Table(["Word", *counts], rows)
