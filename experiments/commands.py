"""What each command of `python -m experiments` does: it takes the parsed options and returns the exit status.

0 means done, 1 that some cell failed or differs. A bad value raises `BadValue` before any work starts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from concurrent.futures import Executor
from typing import Any, get_args

from experiments import costs, equivalence, execution, executors, grid, packing, papers, provenance, verification
from experiments import coverage as counterparts
from experiments import gate as behaviour
from experiments.address import parse
from experiments.judging import told
from experiments.records import Record, Store, key_of
from experiments.selection import label, select_all
from lib import membership
from lib.errors import BadValue, check_choice, check_count, check_number
from lib.training import checkpoints

MOST = 1024  # jobs at once, or threads of a worker elsewhere


def _cells(options: argparse.Namespace) -> list[Any]:
    """The cells that the options name, of all grids the most wanted first; with --seed S, only of that seed."""
    only = [*options.only, *([] if options.seed is None else [f"seed={options.seed}"])]
    return list(grid.worth(select_all(options.paper, options.profile, only, options.seeds, options.set)))


def _prices(store: Store, device: str) -> dict[str, costs.Prices]:
    """For each paper, what prices one of its cells on `device`."""
    return {name: costs.Prices(name, store.all(name), gpu=device.startswith("cuda")) for name in papers.NAMES}


def _store(options: argparse.Namespace) -> Store:
    """The records to read: none where their folder is not there yet."""
    if options.results is not None and options.results.exists() and not options.results.is_dir():
        raise BadValue(f"--results {options.results}: expected a folder of records, got a file")
    return Store(options.results)


def plan(options: argparse.Namespace) -> int:
    """Print the missing cells with their prices, and what they come to by paper and by worth."""
    device = check_choice("--device", options.device or "cpu", ("cpu", "cuda"))
    store = _store(options)
    price = _prices(store, device)
    missing = {cell: price[cell.paper](cell) for cell in _cells(options) if store.get(cell) is None}
    for cell, seconds in missing.items():
        print(f"{key_of(cell)}  {label(cell):<75} {costs.duration(seconds):>9}")
    print(costs.forecast(list(missing.values())))
    for names in ({cell: cell.paper for cell in missing}, grid.worth(missing)):
        print("\n".join(["", *grid.sums(missing, names)]))
    return 0


def run(options: argparse.Namespace) -> int:
    """Compute what is missing."""
    local = options.dask is None and options.slurm is None  # elsewhere, each worker knows its own devices
    store, device = _store(options), options.device or "auto"
    jobs = check_count("--jobs", options.jobs, high=MOST)
    device = execution.check_device(device) if local else device
    threads = _threads(options, jobs if local else None)
    if options.budget is not None:
        check_number("--budget", options.budget, low=0.0)
    cells = [cell for cell in _cells(options) if options.all or store.get(cell) is None]
    if not cells:
        print("nothing to compute: every cell asked for is recorded")
        return 0
    executor, cache = _executor(options, device, jobs), checkpoints.default_cache()
    store.check()
    if local:
        execution.check_data(cells)
    price = _prices(store, "cuda" if options.slurm and device == "auto" else device)  # Slurm is asked for GPUs

    def done(cell: Any, outcome: Record | BaseException) -> None:
        if isinstance(outcome, Record):
            price[cell.paper].add(outcome)  # the first cells on a new kind of device price the others
            print(f"{outcome.key}  {label(cell)}  {costs.duration(costs.cost(outcome))}", flush=True)
        else:
            print(f"FAILED    {label(cell)}: {type(outcome).__name__}: {outcome}", file=sys.stderr, flush=True)

    with executor:
        report = execution.run(
            cells,
            store=store,
            executor=executor,
            job=execution.Job(device=device, threads=threads, cache=cache, fresh=options.all, progress=jobs == 1),
            workers=jobs,
            budget=options.budget,
            price=lambda cell: price[cell.paper](cell),
            done=done,
        )
    print(f"{len(report.done)} computed, {len(report.failed)} failed, {len(report.over_budget)} left for lack of time")
    if report.halted:
        print(f"stopped with {len(report.left)} cells left: {report.halted}", file=sys.stderr)
    return 1 if report.failed or report.halted else 0


def _threads(options: argparse.Namespace, jobs: int | None) -> int | None:
    """What --threads asks for, or else the share of the cores that a job has; None where jobs run elsewhere."""
    cores = os.cpu_count() or 1
    if options.threads is None:
        return None if jobs is None else max(1, cores // jobs)
    return check_count("--threads", options.threads, high=MOST if jobs is None else cores)


def _executor(options: argparse.Namespace, device: str, jobs: int) -> Executor:
    if options.dask is not None:
        return executors.DaskCluster(jobs, options.dask, device=device)
    if options.slurm is not None:
        folder = checkpoints.default_cache() / "slurm"
        return executors.SlurmJobs(jobs, folder, slurm_partition=options.slurm, timeout_min=600, gpus_per_node=1)
    return executors.local_processes(jobs)


def status(options: argparse.Namespace) -> int:
    """Print how many cells are recorded and missing; a line for each that is missing or that today's code may not give again."""
    store = _store(options)
    counts: Counter[str] = Counter()
    known = {paper: equivalence.states(store, paper) for paper in papers.NAMES}
    for cell in _cells(options):
        found = known[cell.paper].get(key_of(cell))
        word = "missing" if found is None else found.word
        counts[word] += 1
        if word not in ("equal by the gate", "verified"):
            print(f"{word:<13} {key_of(cell)}  {label(cell)}{f': {found.why}' if found else ''}")
    words = [*get_args(equivalence.Word), "missing"]
    print(f"{counts.total() - counts['missing']} recorded: " + ", ".join(f"{counts[word]} {word}" for word in words))
    return 0


def _recorded(options: argparse.Namespace, store: Store) -> list[tuple[Any, Record]]:
    """The cells asked for that have a record, each with it."""
    return [(cell, record) for cell in _cells(options) if (record := store.get(cell)) is not None]


def pack(options: argparse.Namespace) -> int:
    """Write the records of the cells asked for into an archive."""
    store = _store(options)
    found = [record for _, record in _recorded(options, store)]
    print(f"{packing.pack(found, store, options.archive)} records packed into {options.archive}")
    return 0


def unpack(options: argparse.Namespace) -> int:
    """Take the records out of an archive."""
    store = Store(options.results)
    store.check()
    new, known = packing.unpack(options.archive, store)
    print(f"{new} records added, {known} were there already")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the records of the cells asked for as a JSON list, or numbers by their addresses, with intervals and records."""
    if options.address:
        store, addresses = _store(options), [parse(text, options.paper) for text in options.address]
        print("\n".join(line for address in addresses for line in told(store, address)))
        return 0
    print(json.dumps([vars(record) for _, record in _recorded(options, _store(options))], indent=1))
    return 0


def coverage(options: argparse.Namespace) -> int:
    """Print how many of the papers' numbers have a counterpart of ours, at which scale and on how many seeds."""
    print("\n".join(counterparts.told(_store(options))))
    return 0


def verify(options: argparse.Namespace) -> int:
    """Recompute a random sample of the recorded cells, compare each measurement with the record, and keep what came out."""
    store, device = _store(options), execution.check_device(options.device or "auto")
    # Without the cache: a check must not replace the weights that other cells were measured on.
    threads = _threads(options, 1)
    job = execution.Job(device=device, threads=threads, cache=None, fresh=True, progress=True)
    known = _recorded(options, store)
    if len(known) < check_count("--sample", options.sample):
        raise BadValue(f"--sample: expected at most {len(known)}, the number of recorded cells, got {options.sample}")
    sample = random.Random(options.draw).sample(known, options.sample)
    execution.check_data([cell for cell, _ in sample])
    differing = 0
    for cell, record in sample:
        print(f"{record.key}  {label(cell)}  took {costs.duration(costs.cost(record))}", flush=True)
        result, source = execution.compute(cell, job)
        compared = verification.compare(record, result, papers.get(cell.paper).TOLERANCES)
        for found in compared:
            numbers = f"{found.recorded:9.3f} recorded {found.now:9.3f} now"
            print(f"    {found.name:<32} {numbers}   {found.words}", flush=True)
        verification.keep(store, record, verification.Check(compared, source))
        differing += sum(not found.agrees for found in compared)
    print(f"{len(sample)} cells verified, {differing} measurements differ")
    return 1 if differing else 0


def infer(options: argparse.Namespace) -> int:
    """Print what thresholds tell of membership in a file of answers, as one JSON object."""
    print(json.dumps(membership.report(options.file), indent=1, allow_nan=False))
    return 0


def gate(options: argparse.Namespace) -> int:
    """Compare what today's code measures in smoke cells with what that of a base commit measures."""
    try:
        if options.records:
            return _gate_records(Store())
        options.profile, options.seed, options.seeds, options.set = "smoke", None, None, []
        cells, base = _cells(options), options.base or behaviour.default_base()
        outcomes = behaviour.compare(cells, base)
    except behaviour.GateFailed as error:
        print(error, file=sys.stderr)
        return 1
    for found in outcomes:
        if found.word != "equal":
            print(f"{found.word:<8} {label(found.cell)}: {found.why}")
    counts = Counter(found.word for found in outcomes)
    told = ", ".join(f"{counts[word]} {word}" for word in get_args(behaviour.Word))
    print(f"{len(outcomes)} smoke cells since {base[:12]}: {told}")
    return 1 if counts["changed"] else 0


def _gate_records(store: Store) -> int:
    """Measure the commits and kinds of records that `results/equivalence` has not got, and keep what comes out."""
    facts = provenance.describe(device="cpu", seconds=0.0, processor_seconds=0.0)
    measured = {"processor": facts["device"], "torch": facts["versions"]["torch"], "measured": facts["finished"][:10]}
    for paper in papers.NAMES:
        for commit, cells in equivalence.unknown(store, paper).items():
            outcomes = behaviour.compare(list(cells.values()), commit)
            pairs = [
                equivalence.Pair(commit, kind, None if found.word == "new" else found.word == "equal", found.why)
                for kind, found in zip(cells, outcomes, strict=True)
            ]
            equivalence.keep(store, paper, pairs, measured=measured)
            print(f"{commit}: {sum(pair.equal is True for pair in pairs)} of {len(pairs)} kinds of {paper} are equal")
    return 0
