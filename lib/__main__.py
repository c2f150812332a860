"""`python -m lib`: see `lib.command_line`."""

from __future__ import annotations

import sys

from lib.command_line import main

if __name__ == "__main__":
    sys.exit(main())
