"""How to cite the book: `CITATION.cff` as BibTeX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from experiments.records import ROOT

# The second pair of braces keeps the comma of a name from parting it.
ENTRY = """```bibtex
@software{{replication,
  author  = {{{{{authors}}}}},
  title   = {{{title}}},
  version = {{{version}}},
  year    = {{{year}}},
  url     = {{{url}}}
}}
```"""


def bibtex(config: Mapping[str, Any]) -> str:
    """The entry as Markdown; year and address are those of the book's settings."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    authors = " and ".join(author["name"] for author in cited["authors"])
    return ENTRY.format_map(
        {**cited, "authors": authors, "year": config["copyright"], "url": config["repository"]["url"]}
    )
