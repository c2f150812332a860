"""What each command of `python -m experiments` does: it takes the parsed options and returns the exit status.

0 means done, 1 that some cell failed or differs. A bad value raises `BadValue` before any work starts.
"""

import argparse
import json
import os
import sys
from collections import Counter
from concurrent.futures import Executor
from functools import cache
from typing import Any, get_args

import torch

from experiments import (
    answers,
    clusters,
    costs,
    equivalence,
    execution,
    executors,
    grid,
    packing,
    papers,
)
from experiments import coverage as counterparts
from experiments.address import parse
from experiments.judging import told
from experiments.records import Record, Store, key_of
from experiments.selection import label, select_all
from lib.errors import BadValue, check_choice, check_count, check_number
from lib.training import checkpoints

MOST = 1024  # jobs at once, or threads of a worker elsewhere


def cells_of(options: argparse.Namespace) -> list[Any]:
    """The cells that the options name, of all grids the most wanted first; with --seed S, only of that seed."""
    only = [*options.only, *([] if options.seed is None else [f"seed={options.seed}"])]
    return list(grid.worth(select_all(options.paper, options.profile, only, options.seeds, options.set)))


def _prices(store: Store, device: str) -> dict[str, costs.Prices]:
    """For each paper, what prices one of its cells on `device`."""
    return {name: costs.Prices(name, store.all(name), gpu=device.startswith("cuda")) for name in papers.NAMES}


def store_of(options: argparse.Namespace) -> Store:
    """The records to read: none where their folder is not there yet."""
    if options.results is not None and options.results.exists() and not options.results.is_dir():
        raise BadValue(f"--results {options.results}: expected a folder of records, got a file")
    return Store(options.results)


def plan(options: argparse.Namespace) -> int:
    """Print the missing cells with their prices, and what they come to by paper and by worth."""
    device = check_choice("--device", options.device or "cpu", ("cpu", "cuda"))
    store = store_of(options)
    price = _prices(store, device)
    speed = None if options.tflops is None else 1e12 * check_number("--tflops", options.tflops, low=1e-3)
    missing = {cell: price[cell.paper](cell) for cell in cells_of(options) if store.get(cell) is None}
    if speed is not None:
        missing |= {c: costs.by_arithmetic(c, speed) for c, known in missing.items() if known is None and c.RESUMES}
    for cell, seconds in missing.items():
        print(f"{key_of(cell)}  {label(cell):<75} {costs.duration(seconds):>9}")
    print(costs.forecast(list(missing.values())))
    if speed is not None:
        print(f"what was never computed on such a device is priced by its arithmetic, at {options.tflops:g} TFLOP/s")
    for names in ({cell: cell.paper for cell in missing}, grid.worth(missing)):
        print("\n".join(["", *grid.sums(missing, names)]))
    return 0


def run(options: argparse.Namespace) -> int:
    """Compute what is missing."""
    local = options.dask is None and options.slurm is None  # elsewhere, each worker knows its own devices
    store, device = store_of(options), options.device or "auto"
    jobs = check_count("--jobs", options.jobs, high=MOST)
    device = execution.check_device(device) if local else device
    threads = threads_of(options, jobs if local else None)
    if options.budget is not None:
        check_number("--budget", options.budget, low=0.0)
    cells = [cell for cell in cells_of(options) if options.all or store.get(cell) is None]
    if not cells:
        print("nothing to compute: every cell asked for is recorded")
        return 0
    executor = _executor(options, device, jobs)
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

    job = execution.Job(device, threads, checkpoints.default_cache(), fresh=options.all, progress=jobs == 1)
    with executor:
        report = execution.run(
            cells,
            store=store,
            executor=executor,
            job=job,
            workers=jobs,
            anew=options.all,
            budget=options.budget,
            price=lambda cell: price[cell.paper](cell),
            done=done,
            waits=cache(lambda count: print(f"{count} cells are computed by other processes", flush=True)),
        )
    print(report.words)
    if report.halted:
        print(f"stopped with {len(report.left)} cells left: {report.halted}", file=sys.stderr)
    return 1 if report.failed or report.halted else 0


def threads_of(options: argparse.Namespace, jobs: int | None) -> int | None:
    """What --threads asks for, or a job's share of the cores, at most OMP_NUM_THREADS; None where jobs run elsewhere."""
    cores = os.cpu_count() or 1
    if options.threads is None:
        return None if jobs is None else max(1, min(cores // jobs, torch.get_num_threads()))
    return check_count("--threads", options.threads, high=MOST if jobs is None else cores)


def _executor(options: argparse.Namespace, device: str, jobs: int) -> Executor:
    if options.dask is not None:
        return clusters.DaskCluster(jobs, options.dask, device=device)
    if options.slurm is not None:
        folder = checkpoints.default_cache() / "slurm"
        return clusters.SlurmJobs(jobs, folder, slurm_partition=options.slurm, timeout_min=600, gpus_per_node=1)
    return executors.local_processes(jobs)


def status(options: argparse.Namespace) -> int:
    """Print how many cells are recorded and missing; a line for each that is missing or that today's code may not give again."""
    store = store_of(options)
    counts: Counter[str] = Counter()
    known = {paper: equivalence.states(store, paper) for paper in papers.NAMES}
    for cell in cells_of(options):
        found = known[cell.paper].get(key_of(cell))
        word = "missing" if found is None else found.word
        counts[word] += 1
        if word not in ("equal by the gate", "verified"):
            print(f"{word:<13} {key_of(cell)}  {label(cell)}{f': {found.why}' if found else ''}")
    words = [*get_args(equivalence.Word), "missing"]
    print(f"{counts.total() - counts['missing']} recorded: " + ", ".join(f"{counts[word]} {word}" for word in words))
    return 0


def recorded(options: argparse.Namespace, store: Store) -> list[tuple[Any, Record]]:
    """The cells asked for that have a record, each with it."""
    return [(cell, record) for cell in cells_of(options) if (record := store.get(cell)) is not None]


def pack(options: argparse.Namespace) -> int:
    """Write the records of the cells asked for into an archive."""
    store = store_of(options)
    found = [record for _, record in recorded(options, store)]
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
        store, addresses = store_of(options), [parse(text, options.paper) for text in options.address]
        print("\n".join(line for address in addresses for line in told(store, address)))
        return 0
    print(json.dumps([vars(record) for _, record in recorded(options, store_of(options))], indent=1))
    return 0


def coverage(options: argparse.Namespace) -> int:
    """Print how many of the papers' numbers have a counterpart of ours, at which scale and on how many seeds."""
    print("\n".join(counterparts.told(store_of(options))))
    return 0


def infer(options: argparse.Namespace) -> int:
    """Print what thresholds tell of membership in a file of answers, as one JSON object."""
    print(json.dumps(answers.report(options.file), indent=1, allow_nan=False))
    return 0
