"""The measured numbers and verdicts that the Song chapter's sentences quote, by the name they are glued under."""

from __future__ import annotations

from statistics import fmean

from experiments.papers import song
from experiments.papers.song import METHODS, Targeted
from experiments.papers.song.rows import DATASETS, READINGS, TRAININGS, records
from experiments.records import Record, Store
from report.papers.song_fit import fit_prose
from report.papers.song_inference import ADVERSARIES, printed_gap_attack
from report.papers.song_pages import INPUTS, PAPER, QUANTITIES, best_method, by_loss, kept, suspects
from report.prose import dashed, mean, percent, readings
from report.tables import NOT_RUN

BRIGHTNESS = ("dark_test_accuracy", "light_test_accuracy")
BEYOND = ("auc", "advantage", "tpr_at_1pct", "tpr_at_01pct")


def prose(store: Store) -> dict[str, str]:
    """Every name and its text; what has no record says "not run"."""
    return {
        **readings(store, PAPER, READINGS),
        **_thresholds(store),
        **_suspects(store),
        **_budgets(store),
        **_targeted(store),
        **fit_prose(store),
    }


def _thresholds(store: Store) -> dict[str, str]:
    """`cifar10-robust-honest-benign`, `yale-natural-gap-of-accuracies`, `yale-natural-seeds`, ...: of the scale that has records.

    And `paper-cifar10-robust-gap-adversarial`, ...: what the gap attack has by the paper's own numbers.
    """
    text: dict[str, str] = {}
    for dataset in DATASETS:
        for training in TRAININGS:
            found = kept(store, dataset, training)
            names = [f"{name}_{inputs}" for name in (*ADVERSARIES, *BEYOND) for inputs in INPUTS]
            one = f"{dataset}-{training}"
            text[dashed(f"{one}-seeds")] = str(len(found)) if found else NOT_RUN
            for inputs in INPUTS:
                text[f"paper-{dashed(one)}-gap-{inputs}"] = percent(printed_gap_attack(dataset, training, inputs))
            text |= {dashed(f"{one}-{name}"): mean(found, name) for name in (*names, *QUANTITIES)}
            other = by_loss(store, dataset, training)[1]["cross_entropy"]
            text |= {dashed(f"{one}-cross-entropy-{name}"): mean(other, name) for name in QUANTITIES}
            text[dashed(f"{one}-cross-entropy-seeds")] = str(len(other)) if other else NOT_RUN
            # Of benign images, so of either attack's record; the oldest have none.
            seen = {r.config["seed"]: r for r in (*found, *other) if BRIGHTNESS[0] in r.measurements}
            text |= {dashed(f"{one}-{name}"): mean(seen.values(), name) for name in BRIGHTNESS}
            text[dashed(f"{one}-best-test-accuracy")] = _best(found)
            gaps = [r.measurements["train_accuracy"] - r.measurements["test_accuracy"] for r in found]
            text[dashed(f"{one}-gap-of-accuracies")] = f"{fmean(gaps):.1f} points" if gaps else NOT_RUN
    return text


def _suspects(store: Store) -> dict[str, str]:
    """`suspect-no-decay-test-accuracy`, `suspect-float32-best-test-accuracy`, ...: of the natural Yale Face victim of seed 0."""
    text: dict[str, str] = {}
    for name, cell in zip(("no-decay", "float32", "code-split"), suspects().values(), strict=True):
        found = [record] if (record := store.get(cell)) is not None else []
        for one in ("test_accuracy", *BRIGHTNESS):
            text[dashed(f"suspect-{name}-{one}")] = mean(found, one)
        text[f"suspect-{name}-best-test-accuracy"] = _best(found)
    return text


def _best(found: list[Record]) -> str:
    """The highest test accuracy that was observed while each victim trained, on average."""
    best = [max(trace) for r in found if (trace := r.curves.get("trace_test_accuracy"))]
    return percent(fmean(best)) if best else NOT_RUN


def _budgets(store: Store) -> dict[str, str]:
    """`fashion-mnist-quarter-inference-benign`, ...: at `reduced`, of victims trained with a part of the budget."""
    found: dict[str, list[Record]] = {}
    for cell in song.other_budgets("reduced"):
        part = "quarter" if cell.train_epsilon < cell.epsilon / 3 else "half"
        of_part = found.setdefault(f"{cell.dataset}-{part}", [])
        of_part += [record] if (record := store.get(cell)) is not None else []
    names = [f"inference_{inputs}" for inputs in INPUTS]
    return {dashed(f"{part}-{name}"): mean(measured, name) for part, measured in found.items() for name in names}


def _targeted(store: Store) -> dict[str, str]:
    """`targeted-reduced-model-benign`, ...: Table 2 averaged over the classes; `best-method`."""
    text = {"best-method": best_method(store)}
    for one in READINGS:
        found = records(store, one.profile, "cifar10", "robust", Targeted)
        logs = [f"{method}_log" for method in METHODS if method.startswith("model")]
        text |= {dashed(f"targeted-{one.name}-{name}"): mean(found, name) for name in (*METHODS, *logs)}
    return text
