"""What the first page says of each paper: what was found so far, in a few sentences, and how many claims have which verdict."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from experiments import claims, papers, published
from experiments.records import Store
from experiments.results import measured, reading
from experiments.verdicts import Word, judge
from report.papers import galinkin_prose, harakeh_prose, song_prose

PROSE = {"galinkin": galinkin_prose.prose, "harakeh": harakeh_prose.prose, "song": song_prose.prose}
# Names in braces are those by which the chapters quote their numbers.
FINDINGS = {
    "harakeh": """On MNIST, FGSM through a single draw of the dropout masks leaves more images right than through the mean of
ten draws (points: {text-mnist-one-draw-less-mean}), with the same weights, images and judge: much of what looked like
protection is an attacker who looks at noise. CW fools the network with dropout in {text-mnist-epistemic-cw} of its attempts
where it looks at the network's own answer, and in {expectation-mnist-epistemic-cw} (one seed so far) where it averages the
gradients of ten draws (paper: {paper-mnist-epistemic-cw}). Aleatoric uncertainty hardly changes anything on MNIST, because
hardly any is learnt. His clean accuracy on CIFAR-10, {paper-cifar10-none-fgsm-clean}, is not reached by the network that his text
describes ({text-cifar10-none-clean}), but by that of the tutorial that he started from ({tutorial-cifar10-none-clean}).""",
    "galinkin": """Against LeNet-5 on MNIST, membership inference as the text describes it has a balanced accuracy of
{mnist-lenet5-plain-written-membership} (paper: {paper-mnist-lenet5-plain-membership}); the same blind decisions, counted as
the published code counts, score {mnist-lenet5-plain-written-membership-as-coded-lowest} to
{mnist-lenet5-plain-written-membership-as-coded-highest}, seed by seed. Asked for one draw of dropout at a time, HopSkipJump
claims {mnist-lenet5-hop-skip-jump-one-draw-naive-found} of its images and a vote of fresh draws confirms
{mnist-lenet5-hop-skip-jump-one-draw-naive-success-vote}; an attack that knows of the noise has
{mnist-lenet5-hop-skip-jump-one-draw-aware-success-vote} confirmed, {mnist-lenet5-hop-skip-jump-one-draw-aware-success-within}
within a change of 0.3 (one seed so far).""",
    "song": """The paper's own scale has been reached on Yale Face alone (seeds: {yale-natural-seeds} natural,
{yale-robust-seeds} robust): there the inference has a balanced accuracy of {yale-natural-inference-benign} on the natural
victim and of {yale-robust-inference-benign} on the robust one (paper: {paper-yale-natural-inference-benign} and
{paper-yale-robust-inference-benign}). At the reduced scale the robust victims leak less than the natural ones
through benign images (points: {reduced-estimate-fashion-mnist-robust-leaks} on Fashion-MNIST,
{reduced-estimate-cifar10-robust-leaks} on CIFAR-10), the opposite of the paper's direction. On Fashion-MNIST that ends where
members are few enough for robust victims to learn their adversarial images too (points: {few-fashion-mnist-robust-leaks}).""",
}


def summary(store: Store) -> str:
    """A Markdown list: each paper's title, what was found, and the count of its verdicts."""
    lines = []
    for paper, finding in FINDINGS.items():
        found, printed = measured(store, paper, reading(paper)), published.load(paper)
        words = Counter(judge(claim, found, printed).word for claim in claims.load(paper))
        counts = ", ".join(f"{words[word]} {word}" for word in get_args(Word) if words[word])
        said = " ".join(finding.format_map(PROSE[paper](store)).split())
        lines.append(f"- **{papers.get(paper).TITLE}**: {said} Of {words.total()} claims, {counts}.")
    return "\n".join(lines) + "\n"
