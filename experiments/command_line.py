"""The command line: python -m experiments plan | run | status | show | verify | pack | unpack | gate | infer.

Exit status: 0 done, 1 some cell failed or differs, 2 a bad value, named in one line, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments import commands, papers
from experiments.gate import BASE
from lib.errors import BadValue


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
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was computed is recorded\n")
        return 130


def parser() -> Parser:
    """The commands and their options."""
    top = Parser(prog="python -m experiments", description="Compute, look at and check the runs.")
    named = top.add_subparsers(required=True, parser_class=Parser, metavar="COMMAND")

    def command(function: Callable[[argparse.Namespace], int], text: str, *, cells: bool = True) -> Parser:
        sub = named.add_parser(function.__name__, help=text, description=text)
        sub.set_defaults(command=function)
        if cells:
            sub.add_argument("--results", type=Path, default=None, help="folder of the records (default: results)")
            sub.add_argument("--paper", default=None, help=f"one of {', '.join(papers.NAMES)} (default: all)")
            sub.add_argument("--profile", default=None, help="smoke, reduced or paper (default: reduced and paper)")
            sub.add_argument("--only", action="append", default=[], metavar="FIELD=VALUE", help="only cells with this")
            sub.add_argument("--seeds", type=int, default=None, metavar="N", help="only seeds 0 to N-1")
            sub.add_argument("--seed", type=int, default=None, metavar="S", help="only this seed")
            sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting")
        return sub

    sub = command(commands.plan, "list the missing cells and what they cost, priced from recorded ones")
    sub.add_argument("--device", default="cpu", help="the device to price for: cpu or cuda, here or not (default: cpu)")
    sub = command(commands.run, "compute the missing cells")
    sub.add_argument(
        "--budget",
        type=float,
        default=None,
        metavar="SECONDS",
        help="start no cell that, by its price, would end later",
    )
    sub.add_argument("--all", action="store_true", help="recompute recorded cells too, with fresh training")
    _add_machine(sub)
    sub.add_argument("--jobs", type=int, default=1, metavar="N", help="cells computed at once (default: 1)")
    sub.add_argument("--dask", default=None, metavar="ADDRESS", help="compute on the Dask cluster with this scheduler")
    sub.add_argument("--slurm", default=None, metavar="PARTITION", help="compute on this Slurm partition, by submitit")
    sub = command(commands.pack, "write records into one small archive, to carry to another machine")
    sub.add_argument("archive", type=Path, metavar="OUT.tar.gz")
    sub = command(commands.unpack, "take records out of such an archive, if all of them are sound and new", cells=False)
    sub.add_argument("archive", type=Path, metavar="FILE.tar.gz")
    sub.add_argument("--results", type=Path, default=None, help="folder of the records (default: results)")
    command(commands.status, "recorded and missing cells, and which records today's code may not give again")
    command(commands.show, "print records as JSON")
    sub = command(commands.verify, "recompute a sample of the recorded cells, training included, and compare")
    sub.add_argument("--sample", type=int, default=1, metavar="N", help="how many (default: 1)")
    sub.add_argument("--draw", type=int, default=0, metavar="S", help="which sample: the seed of its draw (default: 0)")
    _add_machine(sub)
    sub = command(
        commands.gate, "compare what smoke cells measure with what the code of a base commit measures", cells=False
    )
    sub.add_argument(
        "--records", action="store_true", help="the commits of records instead: which of them give today's"
    )
    sub.add_argument("base", nargs="?", default=None, metavar="BASE", help=f"a commit (default: that in {BASE})")
    sub.add_argument("--paper", default=None, help=f"one of {', '.join(papers.NAMES)} (default: all)")
    sub.add_argument("--only", action="append", default=[], metavar="FIELD=VALUE", help="only cells with this")
    sub = command(commands.infer, "tell members from others by a network's saved answers to both", cells=False)
    sub.add_argument("file", type=Path, metavar="FILE.npz", help="member, nonmember, member_labels, nonmember_labels")
    return top


def _add_machine(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    sub.add_argument(
        "--threads", type=int, default=None, metavar="N", help="threads a cell (default: its share of the cores)"
    )
