"""What the pages call papers, in the order of the book, data sets, networks, attacks, victims and quantities."""

from collections import Counter

from experiments import coverage, papers
from experiments.records import ROOT, Store
from report.declared import declared

CONTENTS = (ROOT / "_toc.yml").read_text(encoding="utf-8")
PAPER_NAMES = {
    paper: paper.replace("_", " ").capitalize()
    for paper in sorted(papers.NAMES, key=lambda paper: CONTENTS.find(f"notebooks/{paper}\n"))
}
REPLICATED = tuple(paper for paper in PAPER_NAMES if paper in papers.REPLICATED)
WORDS: dict[str, dict[str, str]] = declared("names")
DATASET_NAMES, NETWORK_NAMES, VICTIM_NAMES, SCORE_NAMES = (
    WORDS[kind] for kind in ("datasets", "networks", "victims", "scores")
)
ATTACK_NAMES = {
    attack: title
    for paper in papers.NAMES
    for kind in papers.kinds(paper)
    for attack, title in zip(kind.attacks(), kind.TITLES, strict=True)
}
QUANTITY_NAMES = WORDS["quantities"] | {
    f"{side}{score}_{rate}": f"{name}{inputs}, {words}"
    for side, inputs in {"": "", "adv_": " on adversarial images"}.items()
    for score, name in WORDS["membership"].items()
    for rate, words in WORDS["rates"].items()
}


def called(*keys: str) -> str:
    """Data sets, networks, victims and attacks in words, such as "MNIST, LeNet-5"."""
    return ", ".join((DATASET_NAMES | NETWORK_NAMES | VICTIM_NAMES | ATTACK_NAMES)[key] for key in keys)


def covered(store: Store) -> dict[str, Counter[str]]:
    """The rows of `coverage`, each by author, table, data set and network, such as "Galinkin, Table 1, MNIST, LeNet-5"."""
    rows = sorted(coverage.rows(store), key=lambda row: list(PAPER_NAMES).index(row.paper))
    return {
        ", ".join(filter(None, (PAPER_NAMES[one.paper], one.location, called(*one.words)))): one.counts for one in rows
    }
