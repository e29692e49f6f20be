"""The messages to webhooks, as the `webhooks` of the OpenAPI document: one for each type of event."""

from __future__ import annotations

from typing import Any, Literal, Required

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from shared.job import Failure, Lane
from shared.webhook import Event

TEST = "webhook.test"
_ID = "5f0c6f0e5d3b4a7e9d2f1c3b8a7e6d5c"
_REF = "#/components/schemas/{model}"
_KINDS = {"job": "JobEnded", "batch": "BatchEnded", "webhook": "TestData"}


class JobEnded(TypedDict, total=False):
    """A job that has ended. If the data were larger than 16 kB, only `id` is sent."""

    id: Required[str]
    status: Literal["succeeded", "failed", "canceled", "expired"]
    lane: Lane
    batch: str | None
    line: int | None
    attempt: int
    error: Failure | None


class BatchEnded(TypedDict, total=False):
    """A batch that has ended, with the number of lines by status."""

    id: Required[str]
    status: Literal["succeeded", "partially_failed", "failed", "canceled", "expired"]
    succeeded: int
    failed: int
    canceled: int
    expired: int
    invalid: int


class TestData(TypedDict):
    """The id of the webhook that the test message was requested for."""

    id: str


_EXAMPLES: dict[str, dict[str, object]] = {
    "job": {"lane": "interactive", "batch": None, "line": None, "attempt": 5, "error": None},
    "batch": {"succeeded": 990, "failed": 9, "canceled": 0, "expired": 0, "invalid": 1},
    "webhook": {},
}
_ERROR = {"code": "no_face", "message": "no face was found in photo 1 of concept 1", "retryable": False}
_HEADERS = {
    "webhook-id": ("Id of the message, the same for every attempt and replay", "msg_2d1f0c7a9be4d7436f8a5b3e6d9c0f1a"),
    "webhook-timestamp": ("Time of this attempt, in seconds since the epoch", "1767225962"),
    "webhook-signature": (
        "`v1,` and the signature (Standard Webhooks), one for each valid secret",
        "v1,b2xkIHNlY3JldA==",
    ),
}
_ANSWERS = {
    "2XX": {
        "description": "Accepted. After any other status but 410 the message is retried for a day, after `Retry-After`"
    },
    "410": {"description": "The receiver is gone: the webhook is disabled"},
}


def message_schemas() -> dict[str, Any]:
    """The schemas of the data of messages, by name."""
    found = {
        kind.__name__: TypeAdapter(kind).json_schema(ref_template=_REF) for kind in (JobEnded, BatchEnded, TestData)
    }
    for schema in found.values():
        # Responses use the same referenced schemas, so the document already has them.
        schema.pop("$defs", None)
    return found


def messages() -> dict[str, Any]:
    """The `webhooks` of the document, by type of event."""
    return {kind: {"post": _message(kind)} for kind in [*Event, TEST]}


def _message(kind: str) -> dict[str, Any]:
    subject, _, state = kind.partition(".")
    data: dict[str, Any] = {"id": _ID, **({} if kind == TEST else {"status": state}), **_EXAMPLES[subject]}
    if kind == Event.JOB_FAILED:
        data["error"] = {**_ERROR, "stage": "identify"}
    schema = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": str(kind)},
            "timestamp": {"type": "string", "format": "date-time", "description": "Time of the event"},
            "data": {"$ref": _REF.format(model=_KINDS[subject])},
        },
    }
    example = {"type": str(kind), "timestamp": "2026-01-01T00:06:02.000Z", "data": data}
    return {
        "summary": "A test message" if kind == TEST else f"A {subject} has ended: {state.replace('_', ' ')}",
        "tags": ["messages to webhooks"],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": words,
                "schema": {"type": "string"},
                "example": shown,
            }
            for name, (words, shown) in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "responses": _ANSWERS,
    }
