"""The Lua scripts: every change of a record is one of them, so it happens as a whole or not at all.

A script names the libraries that it needs in its first lines, `--- @include lib/core`; a library does the same.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r"^--- @include (\S+)\n", re.MULTILINE)


@cache
def source(name: str) -> str:
    """Source of one script with all that it includes, each library once and before whatever needs it."""
    parts: dict[str, str] = {}
    _collect(name, parts)
    return "".join(parts.values())


def _collect(name: str, parts: dict[str, str]) -> None:
    text = (files("shared.store") / "lua" / f"{name}.lua").read_text()
    for included in _INCLUDE.findall(text):
        if included not in parts:
            _collect(included, parts)
    parts[name] = _INCLUDE.sub("", text)
