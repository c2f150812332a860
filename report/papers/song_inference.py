"""What the Song chapter shows of inference: its claims, the gap behind them, what an honest adversary could do, and chance."""

from __future__ import annotations

from experiments import claims, published
from experiments.papers.song.rows import DATASETS, READINGS, TRAININGS
from experiments.records import Record, Store
from experiments.results import measured
from experiments.verdicts import judge
from lib import data
from lib.membership import best_by_chance
from report.numbers import NOT_RUN, evidence
from report.papers.song_pages import INPUTS, PAPER, kept, scale, title
from report.tables import Table, of

# What an adversary could do, by the measurement that judges it.
ADVERSARIES = {
    "inference": "best threshold for these points",
    "honest": "threshold from half of them",
    "class_honest": "a threshold for each class, from half",
    "shadow": "threshold from a shadow",
    "entropy": "entropy, best threshold",
    "modified_entropy": "modified entropy, best",
    "gap": "gap attack",
    "control": "control",
}
# Claims of the paper, by the end of their names.
EFFECTS = {
    "robust-leaks": "robust − natural, benign images",
    "adversarial-helps": "robust victim: adversarial − benign images",
    "robust-leaks-most": "robust, adversarial − natural, benign",
}


def effects_table(store: Store) -> Table:
    """The paper's claims about robust victims, each the difference of two inferences, at the scale of each data set."""
    printed, declared = published.load(PAPER), {claim.id: claim for claim in claims.load(PAPER)}
    found = {one.profile: measured(store, PAPER, one) for one in READINGS}
    rows = []
    for dataset in DATASETS:
        for name, words in EFFECTS.items():
            verdict = judge(declared[f"{dataset}-{name}".replace("_", "-")], found[scale(store, dataset)], printed)
            rows.append([title(store, dataset), words, f"{verdict.published:.2f}", evidence(verdict), verdict.word])
    return Table(["Data", "Difference of inferences, in points", "Paper", "Ours", "Verdict"], rows)


def gaps_table(store: Store) -> Table:
    """What the gap of accuracies alone gives, beside what the best threshold finds: in the paper's own numbers, and in ours."""
    printed, rows = published.load(PAPER), []
    for dataset in DATASETS:
        for training, inputs in (("natural", "benign"), ("robust", "benign"), ("robust", "adversarial")):
            gap = f"{printed_gap_attack(dataset, training, inputs):.1f}"
            paper = [gap, printed[f"{dataset}/{training}/inference_{inputs}"].text]
            ours = [of(kept(store, dataset, training), f"{name}_{inputs}") for name in ("gap", "inference")]
            rows.append([f"{title(store, dataset)}, {training}", inputs, *paper, *ours])
    head = "Victim,Images,Paper: gap attack,Paper: inference,Ours: gap attack,Ours: inference".split(",")
    return Table(head, rows)


def printed_gap_attack(dataset: str, training: str, inputs: str) -> float:
    """The accuracy in percent that the gap attack has by the paper's own Table 1."""
    prefix, printed = "" if inputs == "benign" else "adv_", published.load(PAPER)
    train, test = (printed[f"{dataset}/{training}/{prefix}{side}_accuracy"].value for side in ("train", "test"))
    # one half plus half the gap
    return 50 + (train - test) / 2


def adversaries_table(store: Store) -> Table:
    """The accuracy of inference by what the adversary knows, on images and on adversarial images."""
    rows = []
    for dataset in DATASETS:
        for training in TRAININGS:
            found, victim = kept(store, dataset, training), f"{title(store, dataset)}, {training}"
            if not found:
                rows.append([victim, *[NOT_RUN] * 3])
                continue
            for name, words in ADVERSARIES.items():
                cells = [of(found, f"{name}_{inputs}") for inputs in INPUTS]
                if name == "shadow" and set(cells) == {NOT_RUN}:
                    cells = ["–", "–"]  # trained on all there is: no images are left for a shadow
                rows.append([victim, words, *cells])
                if name == "inference":
                    rows.append([victim, "the same by chance: mean; 95 % quantile", *[_by_chance(found[0])] * 2])
    return Table(["Victim", "Adversary", "Benign, %", "Adversarial, %"], rows)


def _by_chance(record: Record) -> str:
    """What the best threshold has where there is nothing to find: on average, and at most in 95 of 100 cases."""
    config = record.config
    train, test = data.SIZES[config["dataset"]]
    largest = config["judged"] or train
    members, others = min(config["train_size"] or train, largest), min(test, largest)
    return f"{100 * best_by_chance(members, others):.1f}; {100 * best_by_chance(members, others, quantile=0.95):.1f}"


def beyond_table(store: Store) -> Table:
    """Beyond accuracy: area, advantage, and the members found where hardly any other is called one."""
    rows = []
    for dataset in DATASETS:
        for training in TRAININGS:
            found = kept(store, dataset, training)
            for inputs in INPUTS:
                names = [f"{name}_{inputs}" for name in ("auc", "advantage", "tpr_at_1pct", "tpr_at_01pct")]
                numbers = [of(found, name) for name in names]
                if found and found[0].measurements["test_points"] < 1000:
                    numbers[-1] = "–"  # one in a thousand is less than one image
                rows.append([f"{title(store, dataset)}, {training}", inputs, *numbers])
    return Table("Victim,Inputs,AUC,Advantage,TPR at 1 % FPR,TPR at 0.1 % FPR".split(","), rows)
