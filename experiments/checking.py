"""What the commands do that check records.

`verify` recomputes some, `gate` asks whether the code still gives them, `history` whether somebody changed them.

Exit status as in `commands`.
"""

import argparse
import random
import sys
from collections import Counter
from typing import get_args

from experiments import costs, equivalence, execution, papers, provenance, verification
from experiments import gate as behaviour
from experiments import history as past
from experiments.commands import cells_of, recorded, store_of, threads_of
from experiments.records import Store
from experiments.selection import label
from lib.errors import BadValue, check_count


def verify(options: argparse.Namespace) -> int:
    """Recompute a random sample of the recorded cells, compare all that was measured with the record, and keep what came out."""
    store, device = store_of(options), execution.check_device(options.device or "auto")
    # Without the cache: a check must not replace the weights that other cells were measured on.
    threads = threads_of(options, 1)
    job = execution.Job(device=device, threads=threads, cache=None, fresh=True, progress=True)
    known = recorded(options, store)
    if len(known) < check_count("--sample", options.sample):
        raise BadValue(f"--sample: expected at most {len(known)}, the number of recorded cells, got {options.sample}")
    sample = random.Random(options.draw).sample(known, options.sample)
    store.check()
    execution.check_data([cell for cell, _ in sample])
    differing = 0
    for cell, record in sample:
        print(f"{record.key}  {label(cell)}  took {costs.duration(costs.cost(record))}", flush=True)
        result, source = execution.compute(cell, job)
        tolerances = papers.get(cell.paper).TOLERANCES
        compared = verification.compare(record, result, source, tolerances)
        for found in compared:
            if found.name in tolerances or not found.agrees:
                numbers = f"{found.recorded:9.3f} recorded {found.now:9.3f} now"
                print(f"    {found.name:<32} {numbers}   {found.words}", flush=True)
        same = sum(found.now == found.recorded for found in compared)
        print(f"    of {len(compared)} measurements and curves {same} are the same", flush=True)
        verification.keep(store, record, verification.Check(compared, source))
        differing += sum(not found.agrees for found in compared)
    print(f"{len(sample)} cells verified, {differing} measurements differ")
    return 1 if differing else 0


def history(options: argparse.Namespace) -> int:
    """Print the records that were replaced or removed and have no note of why, or add that note."""
    found = past.unexplained(past.ROOT)
    if options.why is None:
        for one in found:
            print(f"replaced without a note: {one}")
    elif options.why.strip() and found:
        past.note(found, options.why, past.ROOT)
    else:
        raise BadValue(f"--why: expected a reason for replaced records, got {options.why!r} and {len(found)} records")
    left = past.unexplained(past.ROOT)
    print(f"{len(past.replaced(past.ROOT))} records were replaced, {len(left)} of them without a note in {past.NOTES}")
    return 1 if left else 0


def gate(options: argparse.Namespace) -> int:
    """Compare what today's code measures in smoke cells with what that of a base commit measures."""
    try:
        if options.records:
            return _gate_records(Store())
        options.profile, options.seed, options.seeds, options.set = "smoke", None, None, []
        cells, base = cells_of(options), options.base or behaviour.default_base()
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
            behaviour.check_own(commit)
            outcomes = behaviour.compare(list(cells.values()), commit)
            pairs = [
                equivalence.Pair(
                    commit=commit,
                    kind=kind,
                    equal=None if found.word == "new" else found.word == "equal",
                    why=found.why,
                )
                for kind, found in zip(cells, outcomes, strict=True)
            ]
            equivalence.keep(store, paper, pairs, measured=measured)
            print(f"{commit}: {sum(pair.equal is True for pair in pairs)} of {len(pairs)} kinds of {paper} are equal")
    return 0
