"""What the code of one checkout measures in given cells: the half of the gate that runs in that checkout.

    cd CHECKOUT && python PROBE.py CELLS.json OUT.json

`CELLS.json` is a list of settings, `OUT.json` a list of answers in the same order: measurements and curves without what is time,
and the version that the cell has in the checkout's own smoke grid, if it has the cell; or {"unknown": why}. A file on its own, so
that a checkout of any age can be asked: it needs of it `papers` (`get`, `revive`) and `execution` (`compute`, `Job`), in
`experiments` or, before there was one, in `lib`.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TIMES = "_seconds"  # how the names of measurements end that no two runs share


def answer(settings: Mapping[str, Any], room: str, cache: Path) -> dict[str, Any]:
    """What the code in package `room` measures in the cell of these settings."""
    papers, execution = import_module(f"{room}.papers"), import_module(f"{room}.execution")
    if settings["paper"] not in getattr(papers, "NAMES", [settings["paper"]]):
        return {"unknown": "no such paper"}
    cell = papers.revive(settings["paper"], settings)
    if cell is None:
        return {"unknown": "no experiment has these settings"}
    grid = papers.get(cell.paper).grid(cell.profile)
    versions = [own.version for own in grid if {**vars(own), "version": 0} == {**vars(cell), "version": 0}]
    result, _ = execution.compute(cell, execution.Job(device="cpu", threads=1, cache=cache))
    kept = {name: value for name, value in result.measurements.items() if not name.endswith(TIMES)}
    curves = {name: list(curve) for name, curve in result.curves.items()}
    return {"measurements": kept, "curves": curves, "version": max(versions, default=cell.version)}


def main(cells: Path, out: Path) -> None:
    """Answer for every cell, with one cache of trained networks."""
    sys.path.insert(0, str(Path.cwd()))
    room = "experiments" if find_spec("experiments") else "lib"
    with tempfile.TemporaryDirectory() as cache:
        answers = [answer(settings, room, Path(cache)) for settings in json.loads(cells.read_text())]
    out.write_text(json.dumps(answers))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
