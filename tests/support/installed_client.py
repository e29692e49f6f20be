"""The published client as a user has it: its wheel, installed into an environment that holds only its dependencies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compose.processes import ROOT

_PATIENCE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class InstalledClient:
    """wheel: the file; python, troupe: the environment's interpreter and the command."""

    wheel: Path
    python: Path
    troupe: Path

    def run(self, command: Sequence[str | Path], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in a folder, as a user would who knows nothing of this tree."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TROUPE_"))}
        return subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env={**clean, **environment},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )


def build_wheel(folder: Path) -> Path:
    """The client's wheel, built without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=_PATIENCE_S)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_client(folder: Path) -> InstalledClient:
    """Builds the wheel and installs it. Its dependencies are links to those of this environment: nothing is fetched."""
    wheel, environment = build_wheel(folder / "dist"), folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=_PATIENCE_S)
    python = environment / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    install = [str(uv), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel)]
    subprocess.run(install, check=True, timeout=_PATIENCE_S)
    (packages,) = environment.glob("lib/python*/site-packages")
    (metadata,) = packages.glob("troupe_client-*.dist-info")
    for found in dependencies(Distribution.at(metadata)).values():
        for entry in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            link = packages / entry
            if not link.exists():
                link.symlink_to(str(found.locate_file(entry)))
    return InstalledClient(wheel=wheel, python=python, troupe=environment / "bin" / "troupe")


def dependencies(wanted: Distribution) -> dict[str, Distribution]:
    """What a distribution needs, by name, with what that needs in turn."""
    found: dict[str, Distribution] = {}
    waiting: list[tuple[Distribution, frozenset[str]]] = [(wanted, frozenset())]
    while waiting:
        current, extras = waiting.pop()
        for line in current.requires or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                continue
            name = canonicalize_name(requirement.name)
            if name not in found or requirement.extras:
                found[name] = distribution(requirement.name)
                waiting.append((found[name], frozenset(requirement.extras) | {""}))
    return found
