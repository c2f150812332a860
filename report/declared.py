"""What the pages say and how it looks, as data: the TOML files of this folder."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def declared(name: str) -> Any:
    """The file `name` as dictionaries and lists, which are not to be changed."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))
