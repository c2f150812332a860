"""The command line: python -m experiments plan | run | status | show | coverage | verify | history | pack | unpack |
gate | infer.

Exit status: 0 done, 1 some cell failed or differs, 2 a bad value, named in one line, 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments import checking, commands, papers
from experiments.gate import BASE
from lib.errors import BadValue


def word(given: str) -> str:
    """The value of an option.

    Raises:
        ArgumentTypeError: an empty one, which a shell makes of a variable that is not set.
    """
    if not given.strip():
        raise argparse.ArgumentTypeError(f"expected a value, got {given!r}; is a variable of the shell not set?")
    return given


def place(given: str) -> Path:
    """The same as a path."""
    return Path(word(given))


OPTIONS: dict[str, dict[str, Any]] = {
    "--results": {"type": place, "help": "folder of the records (default: results)"},
    "--paper": {"help": f"one of {', '.join(papers.NAMES)} (default: all)"},
    "--profile": {"help": "smoke, reduced or paper (default: reduced and paper)"},
    "--only": {
        "type": word,
        "action": "append",
        "default": [],
        "metavar": "FIELD=VALUE",
        "help": "only cells with this",
    },
    "--seeds": {"type": int, "metavar": "N", "help": "only seeds 0 to N-1"},
    "--seed": {"type": int, "metavar": "S", "help": "only this seed"},
    "--set": {"type": word, "action": "append", "default": [], "metavar": "FIELD=VALUE", "help": "change a setting"},
    "--device": {"help": "auto, cpu or cuda (default: auto; what plan prices for, here or not: cpu)"},
    "--threads": {
        "type": int,
        "metavar": "N",
        "help": "threads a cell (default: its share of the cores, or OMP_NUM_THREADS)",
    },
    "--budget": {"type": float, "metavar": "SECONDS", "help": "start no cell that, by its price, would end later"},
    "--tflops": {"type": float, "metavar": "T", "help": "price what has none by its arithmetic at this speed"},
    "--all": {"action": "store_true", "help": "recompute recorded cells too, with fresh training"},
    "--jobs": {"type": int, "default": 1, "metavar": "N", "help": "cells computed at once (default: 1)"},
    "--dask": {"metavar": "ADDRESS", "help": "compute on the Dask cluster with this scheduler"},
    "--slurm": {"metavar": "PARTITION", "help": "compute on this Slurm partition, by submitit"},
    "--sample": {"type": int, "default": 1, "metavar": "N", "help": "how many (default: 1)"},
    "--draw": {"type": int, "default": 0, "metavar": "S", "help": "which sample: the seed of its draw (default: 0)"},
    "--records": {"action": "store_true", "help": "the commits of records instead: which of them give today's"},
    "--why": {"metavar": "REASON", "help": "add a note with this reason for those that have none"},
    "address": {"nargs": "*", "metavar": "ADDRESS", "help": "such as harakeh:text:mnist/cw/epistemic/fooling_rate"},
    "archive": {"type": place, "metavar": "RECORDS.tar.gz"},
    "base": {"nargs": "?", "metavar": "BASE", "help": f"a commit (default: that in {BASE})"},
    "file": {
        "type": place,
        "metavar": "FILE.npz",
        "help": "member (n, k), member_labels (n,), of s shadow models member_shadows (s, n, k), member_shadows_in (s, n), "
        "and the same of nonmember",
    },
}
CELLS = "--results --paper --profile --only --seeds --seed --set"
MACHINE = "--device --threads"
COMMANDS: list[tuple[Callable[[argparse.Namespace], int], str, str]] = [
    (
        commands.plan,
        f"{CELLS} --device --tflops",
        "list the missing cells and what they cost, priced from recorded ones",
    ),
    (commands.run, f"{CELLS} {MACHINE} --budget --all --jobs --dask --slurm", "compute the missing cells"),
    (commands.pack, f"{CELLS} archive", "write records into one small archive, to carry to another machine"),
    (commands.unpack, "archive --results", "take records out of such an archive, if all of them are sound and new"),
    (commands.status, CELLS, "recorded and missing cells, and which records today's code may not give again"),
    (commands.show, f"{CELLS} address", "print records as JSON, or numbers by their addresses"),
    (
        commands.coverage,
        "--results",
        "how many of the papers' numbers have a counterpart, at which scale, on how many seeds",
    ),
    (checking.verify, f"{CELLS} {MACHINE} --sample --draw", "recompute a sample of the recorded cells and compare"),
    (
        checking.gate,
        "base --paper --only --records",
        "compare what smoke cells measure now and by the code of a commit",
    ),
    (checking.history, "--why", "which committed records were replaced without a note of why"),
    (commands.infer, "file", "tell members from others by a network's saved answers to both"),
]


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line."""

    def error(self, message: str) -> Any:
        """Print one line and exit with 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return obey(parser(), arguments)


def obey(known: Parser, arguments: Sequence[str] | None) -> int:
    """Run the one of the `known` commands that the arguments name; returns the exit status."""
    options = known.parse_args(arguments)
    try:
        status = int(options.command(options))
        sys.stdout.flush()
        return status
    except BadValue as error:
        sys.stderr.write(f"{known.prog}: {error}\n")
        return 2
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a folder that cannot be written
        sys.stderr.write(f"{known.prog}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was computed is recorded\n")
        return 130


def parser() -> Parser:
    """The commands and their options."""
    top = Parser(prog="python -m experiments", description="Compute, look at and check the runs.")
    named = top.add_subparsers(required=True, parser_class=Parser, metavar="COMMAND")
    for function, options, text in COMMANDS:
        sub = named.add_parser(function.__name__, help=text, description=text)
        sub.set_defaults(command=function)
        for name in options.split():
            settings = OPTIONS[name]
            sub.add_argument(name, **settings if "action" in settings else {"type": word} | settings)
    return top
