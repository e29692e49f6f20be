"""What the documents tell people to open or run exists."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from compose.processes import ROOT

SUBJECTS = (
    "stage",
    "mask kind",
    "error code",
    "setting",
    "job option",
    "server route",
    "engine",
    "scheduler",
    "script",
    "metric",
    "page view",
)
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
DOCUMENTS = (
    CONTRIBUTING,
    ROOT / ".github" / "SECURITY.md",
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(
        path for room in ("api", "compose", "shared", "worker", "tests") for path in (ROOT / room).rglob("README.md")
    ),
)
TOP = ("api", "shared", "worker", "tests", "compose", ".github")
PATH = re.compile(rf"`((?:{'|'.join(map(re.escape, TOP))})/[\w./-]*|[\w-]+\.(?:md|yml|toml|lock))`")
# Made by compose/secrets.sh, and never part of the repository.
MADE = "compose/secrets/"
LINK = re.compile(r"\]\(([^)#:]+)(?:#([\w-]+))?\)")
COMMAND = re.compile(r"\./run (\w+)(?: (unit|integration|faults|e2e))?")
MODULE = re.compile(r"python -m ([\w.]+)")
# Programs of others that documents name.
FOREIGN = {"celery", "pytest"}
COMMANDS = set(re.findall(r"^([\w |-]+)\)", (ROOT / "run").read_text(), re.MULTILINE))


def known_commands() -> set[str]:
    return {word for line in COMMANDS for word in line.split(" | ")}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_contributing_has_a_section_for_everything_that_people_add(subject: str) -> None:
    assert re.search(rf"^## Add an? {subject}$", CONTRIBUTING.read_text(), re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_commands_and_modules_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text()
    places = (ROOT, document.parent)
    named = [path for path in PATH.findall(text) if not path.startswith(MADE)]
    assert [path for path in named if not any((place / path).exists() for place in places)] == []
    for command, folder in COMMAND.findall(text):
        assert command in known_commands(), command
        assert not folder or (ROOT / "tests" / folder).is_dir()
    modules = {module for module in MODULE.findall(text) if module not in FOREIGN}
    assert [module for module in modules if find_spec(module) is None] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for path, anchor in LINK.findall(document.read_text()):
        target = (document.parent / path).resolve()
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target.read_text()), f"{path}#{anchor}"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
