"""The page's words: what can go wrong in front of somebody is told in plain words, not in ours."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from api.http.problems import error_rows

WORDS = (Path(__file__).parents[4] / "api" / "page" / "words.js").read_text()
# What the page never asks for, or deals with by itself.
NEVER_MET = {
    "address_not_allowed",
    "batch_not_over",
    "batch_refused",
    "batch_too_large",
    "body_too_large",
    "canceled",
    "delivery_not_found",
    "draining",
    "idempotency_mismatch",
    "idempotency_running",
    "interrupted",
    "invalid_request",
    "lease_lost",
    "malformed_body",
    "method_not_allowed",
    "not_over",
    "route_not_found",
    "too_many_webhooks",
    "unknown_upload",
    "unsupported_media",
    "webhook_disabled",
    "webhook_not_found",
}


def keys_of(script: str, name: str) -> list[str]:
    """The keys of a constant object of a script, in their order, each as often as it is written."""
    body = re.search(rf"^(?:export )?const {name} = {{$(.*?)^}};$", script, re.MULTILINE | re.DOTALL)
    assert body is not None, name
    return re.findall(r"^  (\w+): ", body[1], re.MULTILINE)


def test_every_problem_that_somebody_at_the_page_can_meet_has_one_text() -> None:
    known = keys_of(WORDS, "PROBLEMS")
    assert [code for code, count in Counter(known).items() if count > 1] == []
    assert {row.code for row in error_rows()} - NEVER_MET <= set(known)
