"""`python -m report book | chapter`: the site, or one executed notebook.

Exit status: 0 done, 1 a chapter or the build failed, 2 a bad value, named in one line, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence

from experiments import papers
from experiments.command_line import Parser, obey, place, word
from report import execution, site
from report.place import OURS, BuildFailed


def chapter(options: argparse.Namespace) -> int:
    """Execute one notebook."""
    execution.execute(options.name, options.output, execution.check_given(options.p))
    print(f"executed notebook: {options.output}")
    return 0


def book(options: argparse.Namespace) -> int:
    """Build the site and say where it is."""
    smoke = options.profile == "smoke"
    folder = options.output or OURS / ("smoke" if smoke else "")
    compute = "all" if smoke else "never"
    print(f"the book: {site.build(folder, profile=options.profile, compute=compute, pdf=options.pdf)}")
    return 0


def parser() -> Parser:
    """Both commands and their options."""
    top = Parser(prog="python -m report", description="Build the book from the run records.")
    named = top.add_subparsers(required=True, parser_class=Parser, metavar="COMMAND")
    sub = named.add_parser("chapter", help="execute a chapter's notebook with parameters, by papermill")
    sub.set_defaults(command=chapter)
    sub.add_argument("name", type=word, metavar="CHAPTER", help=f"one of {', '.join(papers.NAMES)}")
    sub.add_argument("output", type=place, metavar="OUTPUT.ipynb", help="where the executed notebook goes")
    sub.add_argument(
        "-p", type=word, action="append", default=[], metavar="NAME=VALUE", help="a parameter of the notebook"
    )
    sub = named.add_parser("book", help="execute the chapters and build the site, strictly")
    sub.set_defaults(command=book)
    sub.add_argument(
        "--profile", type=word, default="paper", help="smoke also computes that profile's cells (default: paper)"
    )
    sub.add_argument("--pdf", action="store_true", help="print it to one PDF as well, by headless Chromium")
    sub.add_argument("--output", type=place, help="folder to build in, empty or of an earlier build (default: _build)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        return obey(parser(), arguments)
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
