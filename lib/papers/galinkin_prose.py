"""The measured numbers and verdicts that the Galinkin chapter's sentences quote, by the name they are glued under."""

from __future__ import annotations

from itertools import product
from statistics import fmean

from lib import claims, published
from lib.papers.galinkin import Evasion, Membership, Scan
from lib.papers.galinkin_attacks import SEEN
from lib.papers.galinkin_membership import HYPOTHESES, POSTERIORS, equal_rates, written
from lib.papers.galinkin_pages import DATASETS, PAPER, records
from lib.papers.galinkin_rows import ATTACKS, NETWORKS, READINGS, VICTIMS
from lib.results import measured
from lib.runs import Record, Store
from lib.tables import NOT_RUN, interval_of
from lib.verdicts import judge

# Short names of the settings of `HYPOTHESES` and `POSTERIORS`, in their order.
CHANGED = dict(zip(HYPOTHESES, ("written", "same", "raw", "inverted", "overfit"), strict=True))
SEES = dict(zip(POSTERIORS, ("off", "one-draw", "mean", "spread"), strict=True))
OF_MEMBERSHIP = (
    "membership membership_as_coded tpr fpr auc auc_as_coded tpr_at_1pct tpr_at_01pct odds_auc control accuracy "
    "train_accuracy training_epochs"
).split()
OF_EVASION = (
    "success success_vote success_within success_one_answer_within found answers passes median_distance accuracy"
).split()
OF_SCAN = "success success_untargeted success_targeted first_label_right accuracy".split()
PLAIN_NUMBERS = ("answers", "passes", "median_distance", "training_epochs")


def prose(store: Store) -> dict[str, str]:
    """Every name and its text; what has no record says "not run"."""
    return {**_readings(store), **_evasion(store), **_membership(store)}


def _readings(store: Store) -> dict[str, str]:
    """`paper-mnist-lenet5-plain-membership`, `text-...`, `text-verdict-...`: what the tables and claims say."""
    text, declared, printed = {}, claims.load(PAPER), published.load(PAPER)
    for name, number in printed.items():
        text[f"paper-{_dashed(name)}"] = f"{number.text} %"
        if name.endswith("/membership") and name.count("/") == 3:
            text[f"equal-rates-{_dashed(name)}"] = percent(equal_rates(name.split("/")[0], number.value))
    for one in READINGS:
        kept = measured(store, PAPER, one)
        for name in printed:
            text[f"{one.name}-{_dashed(name)}"] = percent(interval_of(kept[name]).mean if name in kept else None)
        for claim in declared:
            text[f"{one.name}-verdict-{claim.id}"] = judge(claim, kept, printed).word
    return text


def _evasion(store: Store) -> dict[str, str]:
    """`mnist-lenet5-hop-skip-jump-one-draw-naive-success-vote`, `mnist-lenet5-plain-boundary-scan-raw-success`, ..."""
    text: dict[str, str] = {}
    for dataset, network, attack in product(DATASETS, NETWORKS, ATTACKS):
        for answers, aware in [("none", False), *SEEN]:
            seen = {} if answers == "none" else {"answers": answers, "aware": aware}
            victim = "plain" if answers == "none" else "bayesian"
            kept = records(store, dataset, network, victim, Evasion, attack=attack, **seen)
            name = f"{dataset}-{network}-{attack}-{answers}-{'aware' if aware else 'naive'}"
            text |= _all(name, kept, OF_EVASION)
    for dataset, network, victim, attack in product(DATASETS, (*NETWORKS, "lenet5_coded"), VICTIMS, ATTACKS):
        for scale in ("raw", "unit"):
            kept = records(store, dataset, network, victim, Scan, attack=f"{attack}_scan", scale=scale)
            text |= _all(f"{dataset}-{network}-{victim}-{attack}-scan-{scale}", kept, OF_SCAN)
    return text


def _membership(store: Store) -> dict[str, str]:
    """`mnist-lenet5-plain-written-auc`, `mnist-lenet5-bayesian-sees-spread-auc`, `mnist-lenet5-plain-coded-tpr`, ..."""
    text: dict[str, str] = {}
    for dataset, network, victim in product(DATASETS, NETWORKS, VICTIMS):
        one = f"{dataset}-{network}-{victim}"
        for title, changes in HYPOTHESES.items():
            wanted = {"part": "target", **written(victim, **changes)}
            kept = records(store, dataset, network, victim, Membership, **wanted)
            text |= _all(f"{one}-{CHANGED[title]}", kept, OF_MEMBERSHIP)
        for title, changes in POSTERIORS.items() if victim == "bayesian" else []:
            wanted = {"part": "target", **written(victim, **changes)}
            kept = records(store, dataset, network, victim, Membership, **wanted)
            text |= _all(f"{one}-sees-{SEES[title]}", kept, OF_MEMBERSHIP)
        kept = records(store, dataset, network, victim, Membership, adversary="as_coded")
        text |= _all(f"{one}-coded", kept, OF_MEMBERSHIP)
    return text


def _all(name: str, kept: list[Record], measurements: list[str]) -> dict[str, str]:
    return {_dashed(f"{name}-{one}"): mean(kept, one) for one in measurements}


def _dashed(name: str) -> str:
    return name.replace("_", "-").replace("/", "-")


def percent(value: float | None) -> str:
    """A percentage as the prose writes it."""
    return NOT_RUN if value is None else f"{value:.1f} %"


def mean(records: list[Record], measurement: str) -> str:
    """The mean over seeds of one measurement, in percent unless it is a number of its own."""
    values = [record.measurements[measurement] for record in records if measurement in record.measurements]
    if not values:
        return NOT_RUN
    if measurement == "median_distance":
        return f"{fmean(values):.3f}"
    return f"{fmean(values):,.0f}" if measurement in PLAIN_NUMBERS else percent(fmean(values))
