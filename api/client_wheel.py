"""The files of the published package `troupe_client`, gathered from `api/client`, `api/cli` and `shared`.

Hatchling calls this when a wheel is built (pyproject.toml). The client shares its job model and its errors with the
server, which keeps one copy of each in `shared/`; the wheel needs them inside one package, so that it fits beside any
other project's `api.py` or `shared/`. A module goes into the wheel when the client or the command imports it. Its text
is unchanged but for imports among these modules, which become relative.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "troupe_client"
# Folders of the tree, and where their modules lie in the package.
_PLACES = {"api.client": (), "api.cli": ("cli",), "shared": ()}
_ENTRIES = ("api.client", "api.cli", "api.cli.app")
_OTHERS = frozenset({"api", "compose", "shared", "tests", "worker"})


class ClientWheel(BuildHookInterface[Any]):
    """Hands the gathered files to hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Writes the files to a temporary folder and names each one."""
        # Hatchling reads them after this call, and it offers no call after that for the target `editable`.
        folder = Path(tempfile.mkdtemp(prefix="troupe-client-"))
        for name, text in package_files(Path(self.root)).items():
            source = folder / name
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(text)
            build_data["force_include"][str(source)] = f"{PACKAGE}/{name}"


def package_files(root: Path) -> dict[str, str]:
    """The package's files: path inside the package to text.

    Raises ValueError when the client imports a module of the server, or two modules would have the same path.
    """
    texts: dict[str, str] = {}
    files = {"py.typed": ""}
    waiting = list(_ENTRIES)
    while waiting:
        module = waiting.pop()
        if module in texts:
            continue
        path = _path_of(root, module)
        is_package = path.name == "__init__.py"
        name = "/".join((*_target(module), path.name) if is_package else (*_target(module)[:-1], path.name))
        if name in files:
            message = f"{name} would be two modules of {PACKAGE}; one of them is {module}"
            raise ValueError(message)
        texts[module] = path.read_text()
        files[name] = _with_relative_imports(texts[module], module, is_package=is_package)
        waiting += _imported(root, texts[module], module)
    return files


def _imported(root: Path, text: str, module: str) -> Iterator[str]:
    """Modules of this tree that the text imports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import) and any(one.name.partition(".")[0] in _OTHERS for one in node.names):
            message = f"{module} line {node.lineno}: write `from ... import`, which can be made relative"
            raise ValueError(message)
        if not isinstance(node, ast.ImportFrom) or (node.module or "").partition(".")[0] not in _OTHERS:
            continue
        name = node.module or ""
        inside = [f"{name}.{one.name}" for one in node.names if _is_module(root, f"{name}.{one.name}")]
        if not _is_for_clients(name):
            message = f"{module} line {node.lineno} imports {name}, which is not for clients"
            raise ValueError(message)
        # The package `shared` itself is empty; of the others, their own text may be meant.
        yield from inside if name == "shared" else (name, *inside)


def _with_relative_imports(text: str, module: str, *, is_package: bool) -> str:
    lines = text.splitlines(keepends=True)
    here = _target(module) if is_package else _target(module)[:-1]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and _is_for_clients(node.module):
            there = _target(node.module)
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(here, there, strict=False)))
            relative = "." * (len(here) - same + 1) + ".".join(there[same:])
            place = node.lineno - 1
            lines[place] = re.sub(rf"from {re.escape(node.module)} import", f"from {relative} import", lines[place])
    return "".join(lines)


def _is_for_clients(module: str) -> bool:
    return any(module == folder or module.startswith(f"{folder}.") for folder in _PLACES)


def _target(module: str) -> tuple[str, ...]:
    """The module's path inside the package, as words."""
    for folder, place in _PLACES.items():
        if module == folder or module.startswith(f"{folder}."):
            rest = module.removeprefix(folder).strip(".")
            return (*place, *rest.split(".")) if rest else place
    message = f"{module} is not for clients"
    raise ValueError(message)


def _is_module(root: Path, module: str) -> bool:
    path = root.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _path_of(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
