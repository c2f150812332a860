"""Where a made-up record says it comes from: every fact that a record must have."""

from __future__ import annotations

from typing import Any

FACTS: dict[str, Any] = {
    "commit": "0123456789ab",
    "versions": {"python": "3.11.7", "torch": "2.11.0"},
    "device": "A processor",
    "threads": 1,
    "deterministic": True,
    "seconds": 1.0,
    "peak_memory_mib": 1000,
    "finished": "2026-11-22T01:27:22+00:00",
}


def facts(**changes: Any) -> dict[str, Any]:
    """The same with some of it changed or added."""
    return FACTS | changes
