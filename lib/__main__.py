"""The command line: python -m lib plan | run | status | show | verify | chapter | book."""

from __future__ import annotations

import sys

from lib.commands import main

if __name__ == "__main__":
    sys.exit(main())
