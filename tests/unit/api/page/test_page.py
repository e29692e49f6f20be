"""The page's words: what can go wrong in front of somebody is told in plain words, not in ours."""

from __future__ import annotations

import re
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


def test_every_problem_that_somebody_at_the_page_can_meet_has_words() -> None:
    known = set(re.findall(r"^  ([a-z_]+): \[", WORDS, re.MULTILINE))
    assert {row.code for row in error_rows()} - NEVER_MET <= known
