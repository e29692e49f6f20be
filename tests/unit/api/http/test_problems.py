"""The table of errors, and how problems are put in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.app import create_app
from api.http.openapi import description
from api.http.problems import (
    PROBLEM_TYPE,
    FieldError,
    pointer_to,
    problem,
)
from shared.errors import (
    InvalidField,
    JobCanceled,
    RecordsUnavailable,
    RequestError,
    TransientError,
    TroupeError,
    error_kinds,
)
from shared.settings import Settings

KINDS = tuple(error_kinds())


def test_every_error_has_its_own_code_and_a_meaning_and_a_row_in_the_document() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(codes) == len(set(codes))
    assert all(kind.meaning.endswith(".") and kind.meaning != kind.code for kind in KINDS)
    assert all(f"| `{code}` |" in description() for code in codes)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_an_error_whose_sender_can_correct_it_is_4xx_and_no_other_is(kind: type[TroupeError]) -> None:
    final = issubclass(kind, RequestError | JobCanceled)
    assert (400 <= kind.status < 500) == final


@pytest.mark.parametrize("kind", tuple(error_kinds(TransientError)))
def test_what_may_pass_is_503_with_retry_after(kind: type[TroupeError]) -> None:
    answer = problem(kind, "words")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert json.loads(bytes(answer.body))["retryable"] is True


def test_a_problem_says_what_rfc_9457_asks_and_our_code() -> None:
    wrong = FieldError(code="too_short", message="no concepts", pointer="/concepts")
    answer = problem(InvalidField, "one field is not valid", [wrong])
    assert answer.media_type == PROBLEM_TYPE
    assert json.loads(bytes(answer.body)) == {
        "type": "urn:troupe:problem:invalid_field",
        "title": "A field is missing, unknown or out of range.",
        "status": 422,
        "detail": "one field is not valid",
        "code": "invalid_field",
        "retryable": False,
        "errors": [{"pointer": "/concepts", "code": "too_short", "message": "no concepts"}],
    }


def test_a_waitable_problem_is_not_the_callers_fault() -> None:
    assert "errors" not in json.loads(bytes(problem(RecordsUnavailable, "down").body))


@given(steps=st.lists(st.one_of(st.text(max_size=100), st.integers(0, 99)), max_size=5))
def test_a_pointer_leads_back_to_where_it_came_from(steps: list[str | int]) -> None:
    pointer = pointer_to(*steps)
    read = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    assert read == [str(step) for step in steps]


@given(words=st.text(st.characters(codec=None), max_size=50))
def test_any_words_can_be_put_in_a_problem(words: str) -> None:
    fields = [FieldError(code="wrong", message=words, pointer=pointer_to(words))]
    assert json.loads(bytes(problem(InvalidField, words, fields).body))["detail"] == words


def test_the_document_describes_every_address_and_leads_nowhere_else() -> None:
    document = create_app(Settings()).openapi()
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    names = {part.split('"', 1)[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(schemas)
    assert "HTTPValidationError" not in schemas
    assert set(document["paths"]) == {
        "/v1/jobs",
        "/v1/jobs/{job_id}",
        "/v1/jobs/{job_id}/cancel",
        "/v1/jobs/{job_id}/retry",
        "/v1/jobs/{job_id}/events",
        "/v1/jobs/{job_id}/previews/template",
        "/v1/jobs/{job_id}/previews/masks",
        "/v1/jobs/{job_id}/previews/picture",
        "/v1/jobs/{job_id}/picture",
        "/v1/jobs/{job_id}/template",
        "/v1/jobs/{job_id}/masks",
        "/v1/photos",
        "/v1/batches",
        "/v1/batches/{batch_id}",
        "/v1/batches/{batch_id}/events",
        "/v1/batches/{batch_id}/items",
        "/v1/batches/{batch_id}/output",
        "/v1/batches/{batch_id}/errors",
        "/v1/batches/{batch_id}/manifest",
        "/v1/batches/{batch_id}/zip",
        "/v1/batches/{batch_id}/cancel",
        "/v1/batches/{batch_id}/retry_failed",
        "/v1/webhooks",
        "/v1/webhooks/{webhook_id}",
        "/v1/webhooks/{webhook_id}/rotate",
        "/v1/webhooks/{webhook_id}/enable",
        "/v1/webhooks/{webhook_id}/test",
        "/v1/webhooks/{webhook_id}/deliveries",
        "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
        "/v1/queue",
        "/v1/workers",
        "/v1/photos/uploads",
        "/v1/photos/{photo_id}",
        "/v1/tenant",
        "/v1/audit",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert set(schemas["Problem"]["properties"]["code"]["enum"]) == {kind.code for kind in KINDS}
