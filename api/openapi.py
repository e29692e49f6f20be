"""What the OpenAPI document says beyond the routes' own words: bodies, examples, and the errors of each address."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from api.errors import PROBLEM_TYPE, error_rows
from api.views import MOST_LISTED, USUALLY_LISTED, JobPageView, JobView, PhotoView, QueueView, ReadyView
from shared import errors as tree
from shared.errors import TroupeError

Answers = dict[int | str, dict[str, Any]]

_PHOTO = "0b54a5b4c5d0b4c2bd5b5d6bd1a0c8f7c6a4a5a9d4a7e6c1b2f3d4e5f6a7b8c9"
_EXAMPLE = {
    "prompt": "a man and a woman on the beach",
    "concepts": [
        {"phrase": "the man", "photos": [_PHOTO]},
        {"phrase": "the woman", "photos": [_PHOTO[::-1]], "box_px": [64, 16, 120, 128]},
    ],
    "sampling": {"seed": 7, "steps": 20},
}

_EVENT = (
    "id: 7\nevent: job\nretry: 2000\n"
    'data: {"id": "5f0c6f0e5d3b4a7e9d2f1c3b8a7e6d5c", "status": "running", "done": false, "stage": "personalize", '
    '"progress": {"step": 5, "steps": 20, "fraction": 0.25}, "queue": null, "sequence": 7, "warnings": []}\n\n'
)

_FILE = {"type": "string", "format": "binary"}

_BODY_ERRORS = (tree.MalformedBody, tree.InvalidField, tree.BodyTooLarge, tree.UnsupportedMedia)
_PICTURE_ERRORS = (tree.NotAPicture, tree.TruncatedPicture, tree.PictureTooLarge, tree.AnimatedPicture)


def _problems(*kinds: type[TroupeError]) -> Answers:
    """One answer per status, with an example for each code it may carry."""
    answers: Answers = {}
    rows = {row.code: row for row in error_rows()}
    for kind in kinds:
        row = rows[kind.code]
        answer = answers.setdefault(row.status, {"description": "", "content": {PROBLEM_TYPE: {"examples": {}}}})
        answer["description"] = f"{answer['description']}; {row.code}".removeprefix("; ")
        answer["content"][PROBLEM_TYPE]["schema"] = {"$ref": "#/components/schemas/Problem"}
        example = {"status": row.status, "code": row.code, "title": row.meaning, "retryable": row.retryable}
        answer["content"][PROBLEM_TYPE]["examples"][row.code] = {"summary": row.meaning, "value": example}
    return answers


_ANY = {
    "description": "Any other problem",
    "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def with_problems(answers: Answers, *kinds: type[TroupeError]) -> Answers:
    """The answers of an address: these, and the problems that it may tell."""
    return {**answers, **_problems(*kinds), "default": _ANY}


SUBMIT_ANSWERS: Answers = {
    202: {"model": JobView, "description": "Queued; `Location` is the job's address"},
    200: {"model": JobView, "description": "Done in time (`Prefer: wait=n`)"},
    **_problems(
        *_BODY_ERRORS,
        tree.SizeNotAllowed,
        *_PICTURE_ERRORS,
        tree.UnknownPhoto,
        tree.RecordsUnavailable,
        tree.BlobsUnavailable,
    ),
    "default": _ANY,
}
JOB_ANSWERS: Answers = {
    200: {"model": JobView},
    304: {"description": "Not changed"},
    **_problems(tree.JobNotFound, tree.InvalidField, tree.RecordsUnavailable),
    "default": _ANY,
}
EVENTS_ANSWERS: Answers = {
    200: {
        "description": "Events `job`: `id` is the job's `sequence`, `data` the job as JSON, without its `spec`",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EVENT}},
    },
    204: {"description": "The job is over, and `Last-Event-ID` was its last state"},
    **_problems(tree.JobNotFound, tree.InvalidField, tree.TooManyStreams, tree.RecordsUnavailable),
    "default": _ANY,
}
CANCEL_ANSWERS: Answers = {
    200: {"model": JobView},
    **_problems(tree.JobNotFound, tree.RecordsUnavailable),
    "default": _ANY,
}
RETRY_ANSWERS: Answers = {
    **{status: answer for status, answer in SUBMIT_ANSWERS.items() if status in {202, 429}},
    **_problems(tree.JobNotFound, tree.NotOver, tree.UnknownPhoto, tree.RecordsUnavailable, tree.BlobsUnavailable),
    "default": _ANY,
}
PICTURE_ANSWERS: Answers = {
    307: {"description": "`Location` is a signed address of the picture"},
    **_problems(tree.JobNotFound, tree.NotReadyYet, tree.NoPicture, tree.RecordsUnavailable),
    "default": _ANY,
}
PREVIEW_ANSWERS: Answers = {
    200: {"description": "At most 256 pixels a side", "content": {"image/jpeg": {"schema": _FILE}}},
    **_problems(tree.JobNotFound, tree.NotReadyYet, tree.NoPicture, tree.RecordsUnavailable, tree.BlobsUnavailable),
    "default": _ANY,
}
PHOTO_ANSWERS: Answers = {
    201: {"model": PhotoView, "description": "Stored"},
    200: {"model": PhotoView, "description": "Was there already"},
    **_problems(*_BODY_ERRORS, *_PICTURE_ERRORS, tree.RecordsUnavailable, tree.BlobsUnavailable),
    "default": _ANY,
}
QUEUE_ANSWERS: Answers = {
    200: {"model": QueueView},
    **_problems(tree.RecordsUnavailable),
    "default": _ANY,
}
READY_ANSWERS: Answers = {
    200: {"model": ReadyView, "description": "Ready"},
    503: {"model": ReadyView, "description": "Not ready; the body says why"},
    "default": _ANY,
}

LIST_ANSWERS: Answers = {
    200: {"model": JobPageView, "description": "One page"},
    **_problems(tree.InvalidField, tree.RecordsUnavailable),
    "default": _ANY,
}

ERASE_JOB_ANSWERS: Answers = {
    204: {"description": "Gone"},
    202: {"description": "It runs, and goes when it stops"},
    **_problems(tree.JobNotFound, tree.RecordsUnavailable, tree.BlobsUnavailable),
    "default": _ANY,
}
ERASE_PHOTO_ANSWERS: Answers = {
    204: {"description": "Gone"},
    **_problems(tree.PhotoNotFound, tree.RecordsUnavailable, tree.BlobsUnavailable),
    "default": _ANY,
}
ERASE_TENANT_ANSWERS: Answers = {
    204: {"description": "All is gone"},
    202: {"description": "Some jobs ran, and go when they stop"},
    **_problems(tree.InvalidField, tree.RecordsUnavailable, tree.BlobsUnavailable),
    "default": _ANY,
}
ERASE_TENANT_PARAMETERS = {
    "parameters": [
        {
            "name": "confirm",
            "in": "query",
            "required": True,
            "description": "The tenant's name, so that nobody erases all by a slip",
            "schema": {"type": "string"},
            "example": "default",
        }
    ]
}
LIST_PARAMETERS = {
    "parameters": [
        {
            "name": "status",
            "in": "query",
            "description": "Only jobs in this status",
            "schema": {"$ref": "#/components/schemas/Status"},
        },
        {
            "name": "cursor",
            "in": "query",
            "description": "`next` of the page before",
            "schema": {"type": "string"},
        },
        {
            "name": "limit",
            "in": "query",
            "description": "At most so many jobs",
            "schema": {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": USUALLY_LISTED},
        },
    ]
}
LOOK_PARAMETERS = {
    "parameters": [
        {
            "name": "wait",
            "in": "query",
            "description": "Seconds to wait for a change (long-poll); at most what the server allows",
            "schema": {"type": "number", "minimum": 0, "default": 0},
        },
        {
            "name": "If-None-Match",
            "in": "header",
            "description": "ETag of the job as it is known: 304 while it has not changed",
            "schema": {"type": "string"},
        },
    ]
}

LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "Id of the last event that was received: it is not sent again",
    "schema": {"type": "string"},
}
EVENTS_PARAMETERS = {
    "parameters": [
        {
            "name": "previews",
            "in": "query",
            "description": "Addresses of small pictures in every event, and the picture as it emerges",
            "schema": {"type": "boolean", "default": False},
        },
        LAST_EVENT,
    ]
}

_LIMIT_HEADERS = {
    "Retry-After": {"description": "Seconds until it may be tried again", "schema": {"type": "integer"}},
    "RateLimit-Policy": {
        "description": "What the tenant may do (IETF draft); also with every other answer to a request that counts",
        "schema": {"type": "string"},
        "example": '"requests";q=60;w=60, "units";q=5000;w=86400;qu="units"',
    },
    "RateLimit": {
        "description": "What it has left: r, and t seconds until all of it is there again",
        "schema": {"type": "string"},
        "example": '"requests";r=0;t=60, "units";r=4711;t=3600',
    },
}

SUBMIT_BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": "Prefer",
            "in": "header",
            "description": "`wait=n`: answer when the job is done, or after n seconds (RFC 7240)",
            "schema": {"type": "string"},
            "example": "wait=30",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/JobSpec"}, "example": _EXAMPLE},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "description": "Either `job`, or the other fields. The i-th `photo` (file or id) belongs to the "
                    "i-th `phrase`; JSON may name files of the form in place of photo ids.",
                    "properties": {
                        "job": {"type": "string", "description": "The whole request as JSON"},
                        "prompt": {"type": "string"},
                        "negative_prompt": {"type": "string"},
                        "lane": {"type": "string"},
                        "sampling": {"type": "string", "description": "JSON"},
                        "concepts": {"type": "string", "description": "JSON"},
                        "phrase": {"type": "array", "items": {"type": "string"}},
                        "photo": {"type": "array", "items": _FILE},
                    },
                }
            },
        },
    },
}
PHOTO_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["photo"], "properties": {"photo": _FILE}}
            },
            "image/*": {"schema": _FILE},
        },
    }
}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "What went wrong (RFC 9457)",
    "required": ["type", "title", "status", "detail", "code", "retryable"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": [row.code for row in error_rows()]},
        "retryable": {"type": "boolean", "description": "Whether sending the same request again can help"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901, into the body"},
                    "parameter": {"type": "string", "description": "Name of a query parameter or header"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}


def add_keys(document: dict[str, Any]) -> None:
    """Says of every POST that it takes an `Idempotency-Key`, and what it answers then."""
    parameter = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A word of the caller's own, 1 to 255 characters: within 24 hours the same request with the "
        "same key is done once and gives the first answer again, marked `Idempotency-Replayed: true`. A request that "
        "was refused (4xx) or broke (5xx) leaves the key free.",
        "schema": {"type": "string", "pattern": '^"?[!#-~]{1,255}"?$'},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    }
    for operations in document["paths"].values():
        if operation := operations.get("post"):
            operation.setdefault("parameters", []).append(parameter)
            kinds = (tree.InvalidField, tree.IdempotencyMismatch, tree.IdempotencyRunning, tree.RecordsUnavailable)
            _add_problems(operation["responses"], _problems(*kinds))


def add_access(document: dict[str, Any], open_paths: Container[str], looks: Container[str]) -> None:
    """Says of every address that is not open that it takes an API key, and what it answers who may not (any more)."""
    document["components"]["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `troupe_..._...`; not asked for where `TROUPE_AUTH` is off",
        }
    }
    for path, operations in document["paths"].items():
        if path not in open_paths:
            for method, operation in operations.items():
                operation["security"] = [{"key": []}]
                _add_problems(operation["responses"], _problems(tree.Unauthorized, tree.RecordsUnavailable))
                if method.upper() not in looks:
                    limited = _problems(tree.RateLimited, tree.QuotaExceeded)
                    limited[429]["headers"] = _LIMIT_HEADERS
                    _add_problems(operation["responses"], limited)


def _add_problems(answers: dict[str, Any], more: Answers) -> None:
    for status, answer in more.items():
        known = answers.setdefault(str(int(status)), answer)
        for content, there in known.get("content", {}).items():
            there.get("examples", {}).update(answer["content"][content]["examples"])
        known["description"] = "; ".join(known["content"][PROBLEM_TYPE]["examples"])


def description() -> str:
    """The front page of the document: the states of a job and the table of codes."""
    rows = [
        f"| `{row.code}` | {row.status} | {'yes' if row.retryable else 'no'} | {row.meaning} |" for row in error_rows()
    ]
    table = "\n".join(["| Code | Status | Retry helps | Meaning |", "|---|---|---|---|", *rows])
    return (
        "One scene, a cast of people, one picture: `POST /v1/jobs`, then `GET` the job until it is `done`.\n\n"
        "States: `queued`, `running`, and the terminal ones `succeeded`, `failed`, `canceled`, `expired`; a job in a "
        "terminal state never changes again.\n\n"
        "Photos are PNG, JPEG or WebP; they are turned upright, stripped of metadata, and scaled down to at most 2048 "
        "pixels a side.\n\n"
        "Every error is `application/problem+json`. A job that fails says the code in its `error`.\n\n"
        f"{table}\n"
    )
