"""What is installed with the client's extra alone."""

from __future__ import annotations

import tomllib
from typing import Any

from compose.processes import ROOT
from tests.support.bare_client import MISSING


def test_the_client_installs_nothing_of_the_server() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    packages: dict[str, dict[str, Any]] = {package["name"]: package for package in lock["package"]}
    troupe = packages["troupe"]
    found: set[str] = set()
    waiting = [one["name"] for one in troupe["dependencies"] + troupe["optional-dependencies"]["client"]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [one["name"] for one in packages[name].get("dependencies", ())]
    assert {"httpx", "pydantic", "rich", "typer"} <= found
    assert not found & {name.lower().replace("_", "-") for name in MISSING}
