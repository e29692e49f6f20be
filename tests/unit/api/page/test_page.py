"""The page's words: what can go wrong in front of somebody is told in plain words, not in ours."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from shared.errors import error_kinds

WORDS = (Path(__file__).parents[4] / "api" / "page" / "words.js").read_text()


def keys_of(script: str, name: str) -> list[str]:
    """The keys of a constant object of a script, in their order, each as often as it is written."""
    body = re.search(rf"^(?:export )?const {name} = {{$(.*?)^}};$", script, re.MULTILINE | re.DOTALL)
    assert body is not None, name
    return re.findall(r"^  (\w+): ", body[1], re.MULTILINE)


def test_every_problem_that_somebody_at_the_page_can_meet_has_one_text() -> None:
    known = keys_of(WORDS, "PROBLEMS")
    assert [code for code, count in Counter(known).items() if count > 1] == []
    # Without an answer there is no code.
    assert set(known) - {"offline"} == {kind.code for kind in error_kinds() if kind.on_page}
