"""The claims of a paper as a list: each sentence with its word, and, when it is opened, what stands behind the word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments import claims
from experiments.address import readings
from experiments.judging import judge_part
from experiments.records import Store
from experiments.rules import Sentence
from experiments.verdicts import Verdict, Word, judge_sentence
from report.claims_page import place, printed, reasons, rule
from report.numbers import NOT_RUN
from report.tables import Table
from report.text import literal

ENTRY = """::::{{dropdown}} {word} “{quote}” [{where}]{{.where}}
:name: claim-{paper}-{id}
:class-container: claim

{body}
::::"""
REST = ("Ours", "Paper's value is", "Verdict")


def claims_list(store: Store, paper: str) -> str:
    """Every sentence of `paper` as MyST, in the paper's order."""
    return "\n\n".join(_entry(store, paper, sentence) for sentence in claims.load(paper))


def _entry(store: Store, paper: str, sentence: Sentence) -> str:
    """A sentence under the paper's text; below it its parts, and its words where the paper is read otherwise."""
    as_written, *others = readings(paper)
    first, *found = [[judge_part(store, paper, one, part) for part in sentence.parts] for one in (as_written, *others)]
    body = [f"Nothing to compare: {sentence.reason}"]
    if sentence.parts:
        body = [
            _parts(sentence, first),
            *_otherwise(sentence, first, dict(zip((one.title for one in others), found, strict=True))),
        ]
    quote, where = literal(sentence.quote), literal(sentence.where)
    word = badge(judge_sentence(sentence, first).word)
    return ENTRY.format(word=word, quote=quote, where=where, paper=paper, id=sentence.id, body="\n\n".join(body))


def badge(word: Word) -> str:
    """A word in the colour that the style gives it."""
    return f"[{word}]{{.verdict .{word.replace(' ', '-')}}}"


def _parts(sentence: Sentence, found: Sequence[Verdict]) -> str:
    """A line a part."""
    rows = [[rule(part), printed(one), *_rest(one)] for part, one in zip(sentence.parts, found, strict=True)]
    return Table(["What is compared, and the rule in points", "Paper", *REST], rows).plain()


def _rest(found: Verdict) -> list[str]:
    return [_ours(found), place(found), _told(found)]


def _ours(found: Verdict) -> str:
    """The number with its interval and its seeds, as the other pages write them."""
    if found.estimate is None or found.low is None:
        return NOT_RUN if found.estimate is None else f"{found.estimate:.2f}"
    return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}] ×{found.seeds}"


def _told(found: Verdict) -> str:
    return "; ".join([badge(found.word), *map(literal, reasons(found))])


def _otherwise(sentence: Sentence, first: Sequence[Verdict], others: Mapping[str, Sequence[Verdict]]) -> list[str]:
    """A line for each other reading that changes something; those that do not, and those without a record, in a sentence."""
    same = [title for title, found in others.items() if found == first]
    empty = [title for title, found in others.items() if {one.word for one in found} == {"not run"}]
    missing = [title for title in empty if title not in same]
    single = len(sentence.parts) == 1  # of several parts there is no one number
    rows = []
    for title, found in others.items():
        if title not in [*same, *missing]:
            whole = judge_sentence(sentence, found)
            rows.append([title, *(_rest(whole) if single else [_told(whole)])])
    told = [Table(["Read otherwise", *(REST if single else REST[-1:])], rows).plain()] if rows else []
    told += [f"The same for: {'; '.join(same)}."] if same else []
    return told + ([f"Not run for: {'; '.join(missing)}."] if missing else [])
