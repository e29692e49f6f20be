"""The Lua scripts: every change of a job's record is one of them, so it happens whole or not at all."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

# In this order: each may use the words of those before it.
WORDS = ("prelude", "noting", "telling", "ending", "sharing")
# Parts that only some need.
_MORE = {"queue": ("placeless",), "totals": ("placeless",)}


@cache
def source(name: str) -> str:
    """Source of one script, with the words that all know before it, and what more it needs."""
    folder = files("shared.job_store") / "scripts"
    return "".join((folder / f"{part}.lua").read_text() for part in (*WORDS, *_MORE.get(name, ()), name))
