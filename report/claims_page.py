"""The page of claims: every sentence with its word and what stands behind it, the words counted, and what was corrected."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import get_args

from experiments import claims, coverage, papers
from experiments.address import parse, readings
from experiments.judging import by_dataset, judge_parts, verdict
from experiments.records import ROOT, Store
from experiments.rules import REST, Part, Sentence
from experiments.verdicts import Verdict, Word, judge_sentence
from report.declared import declared
from report.names import ATTACK_NAMES, DATASET_NAMES, NETWORK_NAMES, QUANTITY_NAMES, VICTIM_NAMES, WORDS, covered
from report.numbers import evidence
from report.origins import compared
from report.tables import Table, linked
from report.text import literal

# The words of every entry by the rules until 30 November 2026, and what became of it.
BEFORE = ROOT / "results" / "claims_before.csv"
ENTRY: str = declared("texts")["claim"]
JUDGED = ("Ours", "Paper's value is", "Verdict")


# --- sentences ------------------------------------------------------------------------------------------------------------


def claims_list(store: Store, paper: str) -> str:
    """Every sentence of `paper` as MyST, in the paper's order: its word, and, when it is opened, what stands behind the word."""
    return "\n\n".join(_entry(store, paper, sentence) for sentence in claims.load(paper))


def claims_table(store: Store, paper: str) -> Table:
    """Every part of every sentence under every reading, a line each."""
    rows = [
        [quoted(paper, one), one.where, title, rule(part), printed(found), *_judged(found, found.word)]
        for one in claims.load(paper)
        for title, verdicts in _by_reading(store, paper, one).items()
        for part, found in zip(one.parts, verdicts, strict=True)
    ]
    return Table(["Sentence", "Where", "Reading", "Rule, in points", "Paper", *JUDGED], rows)


def _by_reading(store: Store, paper: str, sentence: Sentence) -> dict[str, list[Verdict]]:
    """The verdicts on the parts of a sentence under each reading, by its title, the paper's text first."""
    return {one.title: judge_parts(store, paper, sentence, one) for one in readings(paper)}


def _entry(store: Store, paper: str, sentence: Sentence) -> str:
    """A sentence under the paper's text; below it its parts, and its words where the paper is read otherwise."""
    (_, first), *others = _by_reading(store, paper, sentence).items()
    body = [f"Nothing to compare: {sentence.reason}"]
    if sentence.parts:
        pairs = zip(sentence.parts, first, strict=True)
        rows = [[rule(part), printed(one), *_judged(one, badge(one.word))] for part, one in pairs]
        body = [_table(paper, ["What is compared, and the rule in points", "Paper", *JUDGED], rows)]
        body += _otherwise(paper, sentence, first, dict(others))
        names = dict.fromkeys([*compared(sentence), *(miss.name for one in first for miss in one.missed)])
        found = (linked(_in_words(name), f"{paper}:text:{name}") for name in names)
        body.append(f"Records and code of {'; '.join(found)}.")
    quote, where = literal(quoted(paper, sentence)), literal(sentence.where)
    return ENTRY.format(
        word=_words(paper, sentence, first),
        quote=quote,
        where=where,
        paper=paper,
        id=sentence.id,
        body="\n\n".join(body),
    )


def _words(paper: str, sentence: Sentence, parts: Sequence[Verdict]) -> str:
    """The word on a sentence; of a study of our own, one for each data set where they differ."""
    found = {} if paper in papers.REPLICATED else by_dataset(sentence, parts)
    if len({one.word for one in found.values()}) < 2:
        return badge(judge_sentence(sentence, parts).word)
    return " ".join(f"{DATASET_NAMES[name]} {badge(one.word)}" for name, one in found.items())


def quoted(paper: str, sentence: Sentence) -> str:
    """A sentence, in quotation marks where it is a paper's."""
    return f"“{sentence.quote}”" if paper in papers.REPLICATED else sentence.quote


def _table(paper: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows as Markdown, without the columns of the paper's numbers where nobody has printed any."""
    ours = paper not in papers.REPLICATED
    kept = [i for i, name in enumerate(head) if not (ours and name in ("Paper", JUDGED[1]))]
    return Table([head[i] for i in kept], [[row[i] for i in kept] for row in rows]).plain()


def _otherwise(
    paper: str, sentence: Sentence, first: Sequence[Verdict], others: Mapping[str, Sequence[Verdict]]
) -> list[str]:
    """A line for each other reading that changes something; those that do not, and those without a record, in a sentence."""
    same = [title for title, found in others.items() if found == first]
    empty = [title for title, found in others.items() if {one.word for one in found} == {"not run"}]
    missing = [title for title in empty if title not in same]
    shown = slice(None) if len(sentence.parts) == 1 else slice(-1, None)  # of several parts there is no one number
    whole = {
        title: judge_sentence(sentence, found) for title, found in others.items() if title not in [*same, *missing]
    }
    rows = [[title, *_judged(found, badge(found.word))[shown]] for title, found in whole.items()]
    told = [_table(paper, ["Read otherwise", *JUDGED[shown]], rows)] if rows else []
    told += [f"The same for: {'; '.join(same)}."] if same else []
    return told + ([f"Not run for: {'; '.join(missing)}."] if missing else [])


def badge(word: Word) -> str:
    """A word in the colour that the style gives it."""
    return f"[{word}]{{.verdict .{word.replace(' ', '-')}}}"


def _judged(found: Verdict, word: str) -> list[str]:
    """What stands under `JUDGED`; behind the word why it is what it is, the victims' accuracies last."""
    victims = ", ".join(f"{one.ours:.1f} for {one.printed:g}" for one in found.missed)
    reasons = [*found.reasons, *([f"clean accuracy {victims}"] if victims else [])]
    place = "in our interval" if found.inside_interval else "outside"
    if found.inside_prediction and not found.inside_interval:
        place = "in that of one more training"
    place = "–" if found.inside_interval is None else place
    return [evidence(found), place, "; ".join([word, *map(literal, reasons)])]


def printed(found: Verdict) -> str:
    """The paper's number, or the ends of its range."""
    if found.published_low is None or found.published_high is None:
        return "–"
    if found.published is not None:
        return f"{found.published:.2f}"
    return f"{found.published_low:g} to {found.published_high:g}"


def rule(part: Part) -> str:
    """What is compared, and how close it has to come."""
    cells = [_cell(part, cell) for cell in part.cells]
    if len(cells) > 1:
        cells = [f"({cell})" for cell in cells]
    compared = " − ".join(cells) if len(cells) < 4 else f"[{cells[0]} − {cells[1]}] − [{cells[2]} − {cells[3]}]"
    limit = WORDS["limits"][part.kind].format(f"{part.limit:g}")
    return f"{compared}{':' if len(cells) > 1 else ','} {limit}"


def _cell(part: Part, names: Sequence[str]) -> str:
    """A cell in words, or the statistic of several."""
    words = [("100 − " if name.startswith(REST) else "") + _in_words(name.removeprefix(REST)) for name in names]
    if len(words) == 1:
        return words[0]
    places, quantities = zip(*(one.rsplit(": ", 1) for one in words), strict=True)
    if len(set(quantities)) == 1:  # said once, of all places
        return f"{part.statistic} of {quantities[0]} over {'; '.join(places)}"
    return f"{part.statistic} of {'; '.join(words)}"


def _in_words(cell: str) -> str:
    """`mnist/fgsm/none/adversarial_accuracy` as "MNIST, FGSM, none: accuracy under attack"."""
    name, _, other = cell.partition("?")
    first, *rest = name.split("/")
    measured = other or (rest.pop() if rest else "")
    known = {**ATTACK_NAMES, **NETWORK_NAMES, **VICTIM_NAMES, **QUANTITY_NAMES}
    words = [known.get(word, word.replace("_", " ")) for word in rest]
    if other in ("auc", "odds_auc"):
        words = words[:-1]
    quantity = measured.replace("_", " ")
    quantity = quantity if other else known.get(measured, quantity)
    return f"{', '.join([DATASET_NAMES.get(first, known.get(first, first)), *words])}: {quantity}"


# --- counts ---------------------------------------------------------------------------------------------------------------


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
            why = found.reasons if found.word == "replicated in direction" else (WORDS["why"][found.word],)
            become = "" if entry["now"] == entry["id"] else f": now `{entry['now']}`"
            told = "; ".join(filter(None, (entry["note"], *why)))
            key = (papers.get(entry["paper"]).TITLE, become, entry["word"], found.word, told)
            groups.setdefault(key, []).append(f"`{entry['id']}`")
    rows = [[title, ", ".join(names) + become, *words] for (title, become, *words), names in groups.items()]
    return Table.of("Paper,Entry,Word before,Word now,Why", rows, empty="–")


def coverage_table(store: Store) -> Table:
    """How many numbers of each published table have a counterpart of ours, at which scale and on how many seeds."""
    counted = covered(store) | {"all": coverage.totals(store)}
    rows = [
        [name, str(counts.total()), *(str(counts[column] or "–") for column in coverage.COLUMNS)]
        for name, counts in counted.items()
    ]
    return Table(["Of", "Numbers", *(column.capitalize() for column in coverage.COLUMNS)], rows)


def words_table(store: Store) -> Table:
    """How many entries had each word before, and how many parts and sentences have it now, as the papers' texts describe them."""
    judged = [(one, judge_parts(store, paper, one)) for paper in papers.REPLICATED for one in claims.load(paper)]
    counts: dict[str, Counter[str]] = {
        "Sentences": Counter(judge_sentence(*one).word for one in judged),
        "Parts": Counter(found.word for _, parts in judged for found in parts),
        "Entries before": Counter(entry["word"] for entry in before()),
    }
    words = ["replicated", *(word for word in reversed(get_args(Word)) if word != "replicated")]
    rows = [[word, *(str(count[word]) for count in counts.values())] for word in words]
    rows.append(["in all", *(str(count.total()) for count in counts.values())])
    return Table(["Word", *counts], rows)
