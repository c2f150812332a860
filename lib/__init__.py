"""Robust, Private, Uncertain: victims that answer at random, attacks on their predictions and on their training sets."""

from __future__ import annotations

__version__ = "0.1.0"
