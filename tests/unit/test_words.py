"""Words that this project gave up for the field's own stay out of the product, its tests and its documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.processes import ROOT

# Pattern -> the word to use. A pattern matches a whole word in any case, also as a part of a snake_case name.
GIVEN_UP = {
    "abroad": "in flight",
    "anew": "again",
    "crew": "worker registry",
    "deaf": "stuck",
    "doorbells?": "message",
    "ears?": "stuck detector",
    "engrav(e|ed|es|ing)": "embed",
    "exposition": "metrics",
    "fad(e|ed|es|ing)": "pending face delete",
    "fleets?": "workers, or installation",
    "hand(s|ed|ing)? out": "dispatch",
    "lean": "quantized",
    "let(s|ting)? go": "release",
    "notar(y|ies)": "C2PA signer",
    "pens?": "keypoint style",
    "pump(s|ed|er|ers|ing)?": "dispatcher",
    "put(s|ting)? back": "requeue",
    "r(ing|ings|ung|ang)": "notify, send",
    "sightings?": "detections",
    "so long": "the limit",
    "stray(s|ing)?": "orphan",
    "studio": "form",
    "thereby": "(leave it out)",
    "turned away": "rejected",
    "weigh(s|ed|ing)?": "estimate",
    "whereabouts?": "regions",
    "whoever": "a noun",
    "wish(es)?": "request",
    "worn": "applied",
}
# Where such a word means something else.
ALLOWED = {
    "CHANGELOG.md": dict.fromkeys(("deaf", "doorbell", "lean", "pump"), "an old name in the table of renamed ones"),
    "compose/README.md": {"fleet": "name of that stored object"},
    "shared/blob_store/keys.py": {"fleet": "name of a stored object: the installation that owns the bucket"},
    "shared/store/keys.py": {"fleet": "name of the key with the id of that installation"},
    "shared/store/owner.py": {"fleet": "name of the field with that id in the stored object"},
    "tests/integration/test_erasure.py": {"fleet": "name of that key"},
    "worker/mini/identity.py": {"ear": "a part of a drawn face"},
    "worker/mini/person.py": {"ear": "a part of a drawn face", "lean": "the slope of drawn eyebrows"},
    "worker/mini/train/faces_recogniser.py": {"ear": "a part of a drawn face"},
}
SUFFIXES = {".py", ".lua", ".js", ".css", ".html", ".md", ".yml", ".yaml", ".sh", ".toml", ".Dockerfile", ""}
ROOMS = ("api", "shared", "compose", "worker", "tests", ".github")
TOP = ("README.md", "CHANGELOG.md", "docker-compose.yml", "pyproject.toml", "run")


def texts() -> Iterator[tuple[str, str]]:
    """Name and text of every file that the test reads: all but this one."""
    inside = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*")) if path.is_file())
    for path in (*(ROOT / name for name in TOP), *inside):
        if path == Path(__file__):
            continue
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts and "secrets" not in path.parts:
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def found_in(text: str, pattern: str) -> set[str]:
    return {match[0].lower() for match in re.finditer(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", text, re.IGNORECASE)}


@pytest.mark.parametrize("pattern", GIVEN_UP)
def test_a_word_that_was_given_up_does_not_come_back(pattern: str) -> None:
    found = {name: words for name, text in texts() if (words := found_in(text, pattern) - set(ALLOWED.get(name, {})))}
    assert found == {}, f"write {GIVEN_UP[pattern]!r} instead"


def test_exceptions_are_still_needed() -> None:
    known = dict(texts())
    unused = [(name, word) for name, words in ALLOWED.items() for word in words if not found_in(known[name], word)]
    assert unused == []


def test_words_are_found_in_names_and_sentences(tmp_path: Path) -> None:
    text = tmp_path / "a.py"
    text.write_text("pump_every_s = 1  # Whoever rings; a batch_feeder, and string")
    assert found_in(text.read_text(), "pump(s|ed)?") == {"pump"}
    assert found_in(text.read_text(), "whoever") == {"whoever"}
    assert found_in(text.read_text(), "r(ing|ings)") == {"rings"}
