"""Tables: the paper's numbers beside ours, the claims with their verdicts, the state of the grid.

A table is a list of rows of strings under a head; the same rows become the Markdown of a page and the CSV that a reader
downloads. A cell without a record says "not run".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments import claims, published
from experiments.address import measured, readings
from experiments.records import Record, Store
from experiments.verdicts import Verdict, judge
from lib.errors import BadValue
from report.numbers import evidence, over_seeds

DATASET_NAMES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "yale": "Yale Face",
    "yale_as_coded": "Yale Face, drawn as coded",
}

ATTACK_NAMES = {
    "fgsm": "FGSM",
    "cw": "CW",
    "jsma": "JSMA",
    "black_box": "black box",
    "pgd": "FGSM and PGD, every form",
    "aware": "PGD that knows the score",
    "hop_skip_jump": "HopSkipJump",
    "boundary": "Boundary",
    "hop_skip_jump_scan": "HopSkipJump, as scanned",
    "boundary_scan": "Boundary, as scanned",
    "membership": "membership inference",
    "threshold": "inference by thresholds",
    "targeted": "inference class by class",
}
QUANTITY_NAMES = {
    "accuracy": "clean accuracy",
    "adversarial_accuracy": "accuracy under attack",
    "hop_skip_jump": "success of HopSkipJump",
    "boundary": "success of Boundary",
    "membership": "membership accuracy",
    "inference_benign": "inference accuracy on benign inputs",
    "inference_adversarial": "inference accuracy on adversarial inputs",
    "confidence_benign": "confidence (benign)",
    "model_benign": "model (benign)",
    "confidence_untargeted": "confidence (untargeted)",
    "model_untargeted": "model (untargeted)",
    "model_targeted": "model (targeted)",
}
NETWORK_NAMES = {"lenet5": "LeNet-5", "resnet18": "ResNet-18"}


@dataclass(frozen=True)
class Table:
    """A head and rows of as many strings."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self, *, name: str, caption: str) -> str:
        """A numbered MyST table, called `name`.

        Raises:
            BadValue: a backtick in the caption, which would end the fence that it stands in.
        """
        if "`" in caption:
            raise BadValue(f"caption of {name}: expected no backtick, got {caption!r}")
        return f"```{{table}} {caption}\n:name: {name}\n\n{self.plain()}\n```"

    def plain(self) -> str:
        """The rows as plain Markdown, for a notebook that is not being built into a page."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

    def csv(self) -> str:
        """The same cells as CSV, without the marks of Markdown."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerows(
            [[cell.replace("**", "").replace("`", "") for cell in line] for line in (self.head, *self.rows)]
        )
        return buffer.getvalue()


def of(records: Iterable[Record], measurement: str) -> str:
    """A measured percentage of records, one a seed, by `over_seeds`."""
    values = [record.measurements[measurement] for record in records if measurement in record.measurements]
    return over_seeds(values, lowest=0.0, highest=100.0)


def paired(less: tuple[Sequence[Record], str], more: tuple[Sequence[Record], str]) -> list[float]:
    """By how much the second measurement is larger, for each seed that has both: each is of some records, one a seed."""
    values = [
        {r.config["seed"]: r.measurements[name] for r in kept if name in r.measurements} for kept, name in (less, more)
    ]
    return [values[1][seed] - values[0][seed] for seed in sorted(values[0].keys() & values[1].keys())]


def claims_table(store: Store, paper: str) -> Table:
    """Every claim of `paper`, what it was judged by, and its verdict under each reading."""
    printed = published.load(paper)
    by_reading = {one.name: measured(store, paper, one) for one in readings(paper)}
    rows = []
    for claim in claims.load(paper):
        verdicts = [judge(claim, found, printed) for found in by_reading.values()]
        rows.append(
            [f"“{claim.quote}” ({claim.where})", _rule(claim), _published(verdicts[0]), *map(_verdict, verdicts)]
        )
    head = ["Claim", "Rule, in points", "Paper", *(f"Verdict, {one.title}" for one in readings(paper))]
    return Table(head, rows)


def _rule(claim: claims.Claim) -> str:
    """What is compared, and how close it has to come."""
    cells = [f"({_in_words(cell)})" for cell in claim.cells]
    if claim.kind == "not_testable":
        return f"none: {claim.reason}"
    if claim.kind in ("value", "range"):
        return f"{cells[0][1:-1]}, within {claim.tolerance:g}"
    if claim.kind == "no_gain":
        return f"{' − '.join(cells)}: at most {claim.margin:g}"
    minus = " − ".join(cells)
    if claim.kind == "double_difference":
        minus = f"[{cells[0]} − {cells[1]}] − [{cells[2]} − {cells[3]}]"
    return f"{minus}: same side of 0, and within {claim.tolerance:g}"


def _in_words(cell: str) -> str:
    """`mnist/fgsm/none/adversarial_accuracy` as "MNIST, FGSM, none: accuracy under attack"."""
    dataset, *middle, quantity = cell.split("/")
    known = {**ATTACK_NAMES, **NETWORK_NAMES}
    words = [DATASET_NAMES.get(dataset, dataset), *(known.get(word, word) for word in middle)]
    return f"{', '.join(words)}: {QUANTITY_NAMES.get(quantity, quantity.replace('_', ' '))}"


def _published(found: Verdict) -> str:
    if found.published_low is None or found.published_high is None:
        return "–"
    if found.published is not None:
        return f"{found.published:.2f}"
    return f"{found.published_low:g} to {found.published_high:g}"


def _verdict(found: Verdict) -> str:
    return found.word if found.estimate is None else f"**{found.word}**: {evidence(found)}"
