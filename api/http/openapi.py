"""Shared parts of the OpenAPI document: problems by status and code, ids, keys and headers.

Each subject describes its own routes in its `openapi.py`.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from http import HTTPStatus
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from api.http.parameters import parameters_of
from api.http.problems import PROBLEM_TYPE, problem
from shared import errors as tree
from shared.errors import TroupeError, error_kinds

Answers = dict[int | str, dict[str, Any]]

_REF = "#/components/schemas/{model}"
FILE = {"type": "string", "format": "binary"}

# Errors of a body, and of a picture.
BODY_ERRORS = (tree.MalformedBody, tree.InvalidField, tree.BodyTooLarge, tree.UnsupportedMedia)
PICTURE_ERRORS = (tree.NotAPicture, tree.TruncatedPicture, tree.PictureTooLarge, tree.AnimatedPicture)

LOCATION = {"Location": {"description": "Its path on this server", "schema": {"type": "string"}}}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait before the next request", "schema": {"type": "integer"}}}
ETAG = {"ETag": {"description": "Changes with every visible change; for `If-None-Match`", "schema": {"type": "string"}}}
_REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true`: this is the recorded response to an earlier request with this `Idempotency-Key`",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_LIMITS = {
    "RateLimit-Policy": {
        "description": "The tenant's limits (IETF draft), if it has any",
        "schema": {"type": "string"},
        "example": '"requests";q=60;w=60, "units";q=5000;w=86400;qu="units"',
    },
    "RateLimit": {
        "description": "What remains (r), and the seconds until the limit is fully available again (t)",
        "schema": {"type": "string"},
        "example": '"requests";r=0;t=60, "units";r=4711;t=3600',
    },
}
_HEADERS: dict[int, dict[str, Any]] = {
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": {
            "description": "How to send the API key",
            "schema": {"type": "string"},
            "example": 'Bearer realm="troupe"',
        }
    },
    HTTPStatus.CONFLICT: RETRY_AFTER,
    HTTPStatus.TOO_MANY_REQUESTS: {**RETRY_AFTER, **_LIMITS},
    HTTPStatus.SERVICE_UNAVAILABLE: RETRY_AFTER,
}
_HEX32 = "[0-9a-f]{32}"
_IDS = {
    "job_id": ("Id of a job, from the response to its submission", f"^{_HEX32}$", "5f0c6f0e5d3b4a7e9d2f1c3b8a7e6d5c"),
    "batch_id": ("Id of a batch", f"^{_HEX32}$", "9b1f7b0e4c2a4d6f8e0a1b2c3d4e5f60"),
    "webhook_id": ("Id of a webhook", f"^{_HEX32}$", "9b2d6a0c4e8f4d53a1c7e0b5f2d86a94"),
    "delivery_id": (
        "Id of a delivery, from the webhook's deliveries",
        f"^{_HEX32}$",
        "4c1f0a9be2d7436f8a5b3e6d9c0f1a72",
    ),
    "photo_id": ("Id of a photo, from the response to its upload", "^[0-9a-f]{64}$", "0b54a5b4c5d0b4c2" * 4),
}
_KINDS = {kind.code: kind for kind in error_kinds()}


# Errors of any route while a server does not answer.
STORES = (tree.RecordsUnavailable, tree.BlobsUnavailable, tree.BlobsRefused, tree.BlobDamaged)


def ref(name: str) -> dict[str, str]:
    """A reference to this component of the document."""
    return {"$ref": _REF.format(model=name)}


def schemas_of(*models: type[BaseModel]) -> dict[str, Any]:
    """The schemas of these models, and of those that they refer to, by name."""
    _, found = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def json_body(model: type[BaseModel], example: object, *, required: bool = True) -> dict[str, Any]:
    """A request body in JSON, for `openapi_extra`. `schemas_of` must bring the model into the document."""
    content = {"application/json": {"schema": ref(model.__name__), "example": example}}
    return {"requestBody": {"required": required, "content": content}}


def with_problems(answers: Answers, *kinds: type[TroupeError]) -> Answers:
    """These responses of a route, and its problems."""
    return {**answers, **_problems(kind.code for kind in kinds)}


_FIELD_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "What is wrong with one field",
    "required": ["code", "message"],
    "properties": {
        "pointer": {"type": "string", "description": "RFC 6901 pointer into the body"},
        "parameter": {"type": "string", "description": "Name of a query parameter or header"},
        "line": {"type": "integer", "description": "Number of the line of a batch, from 1"},
        "code": {"type": "string"},
        "message": {"type": "string"},
    },
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "What went wrong (RFC 9457)",
    "required": ["type", "title", "status", "detail", "code", "retryable"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": [*_KINDS]},
        "retryable": {"type": "boolean", "description": "Whether sending the same request again can help"},
        "errors": {
            "type": "array",
            "items": ref("FieldProblem"),
        },
    },
}


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A key of your choice, 1 to 255 characters. Within 24 hours a second request with the same key and "
    "the same body returns the response to the first one, with `Idempotency-Replayed: true`. A request that failed "
    "(4xx or 5xx) does not use up its key.",
    "schema": {"type": "string", "pattern": '^"?[!#-~]{1,255}"?$'},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
_KEY_ERRORS = (tree.InvalidField, tree.IdempotencyMismatch, tree.IdempotencyRunning, tree.RecordsUnavailable)


def complete(
    document: dict[str, Any], routes: Iterable[BaseRoute], *, open_paths: Container[str], reads: Container[str]
) -> None:
    """Adds what holds for many routes: parameters, ids, `Idempotency-Key`, API keys, limits, and the code `internal`.

    open_paths need no key; methods in reads cost no units.
    """
    _add_parameters(document["paths"], routes)
    document["components"]["schemas"] |= {"Problem": _PROBLEM_SCHEMA, "FieldProblem": _FIELD_PROBLEM_SCHEMA}
    document["components"]["examples"] = {code: _example(kind) for code, kind in _KINDS.items()}
    document["components"]["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `troupe_..._...`; not needed where `TROUPE_AUTH` is off",
        }
    }
    # FastAPI documents its own validation errors, which no route raises here.
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if PROBLEM_TYPE not in operation["responses"].get("422", {}).get("content", {}):
                operation["responses"].pop("422", None)
            _add_ids(operation)
            if method == "post":
                operation.setdefault("parameters", []).append(_KEY)
                _add_problems(operation["responses"], *_KEY_ERRORS)
                _add_headers(operation["responses"], _REPLAYED)
            if path not in open_paths:
                operation["security"] = [{"key": []}]
                _add_problems(operation["responses"], tree.Unauthorized, tree.RecordsUnavailable)
                _add_problems(operation["responses"], tree.RateLimited)
                if method.upper() not in reads:
                    _add_problems(operation["responses"], tree.QuotaExceeded)
                _add_headers(operation["responses"], _LIMITS)
            _add_problems(operation["responses"], TroupeError)


def _add_parameters(paths: dict[str, Any], routes: Iterable[BaseRoute]) -> None:
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            described = [parameter.described() for parameter in parameters_of(route.endpoint)]
            for method in route.methods or ():
                operation = paths[route.path][method.lower()]
                if described:
                    operation["parameters"] = [*operation.get("parameters", ()), *described]


def _add_ids(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            words, pattern, example = _IDS[parameter["name"]]
            parameter |= {
                "description": words,
                "schema": {"type": "string", "pattern": pattern},
                "example": example,
            }


def _add_problems(answers: dict[str, Any], *kinds: type[TroupeError]) -> None:
    for status, answer in _problems(kind.code for kind in kinds).items():
        known = answers.get(str(status), {}).get("content", {}).get(PROBLEM_TYPE, {}).get("examples", {})
        new = answer["content"][PROBLEM_TYPE]["examples"]
        answers.update({str(status): _problem(int(status), list({**known, **new}))})


def _add_headers(answers: dict[str, Any], headers: dict[str, Any]) -> None:
    for status, answer in answers.items():
        if status.startswith("2"):
            answer["headers"] = {**answer.get("headers", {}), **headers}


def _problems(codes: Iterable[str]) -> Answers:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(int(_KINDS[code].status), []).append(code)
    return {status: _problem(status, found) for status, found in by_status.items()}


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    """The response of this status with one of these codes."""
    answer = {
        "description": "; ".join(f"`{code}`" for code in codes),
        "content": {
            PROBLEM_TYPE: {
                "schema": ref("Problem"),
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }
    return {**answer, "headers": _HEADERS[status]} if status in _HEADERS else answer


def _example(kind: type[TroupeError]) -> dict[str, Any]:
    value = json.loads(bytes(problem(kind, kind.meaning).body))
    return {"summary": kind.meaning, "value": value}


def description() -> str:
    """The introduction of the document: the states of a job and the table of codes."""
    rows = [
        f"| `{code}` | {kind.status.value} | {'yes' if kind.retryable else 'no'} | {kind.meaning} |"
        for code, kind in _KINDS.items()
    ]
    table = "\n".join(["| Code | Status | Retry | Meaning |", "|---|---|---|---|", *rows])
    return (
        "One scene, several people, one picture: `POST /v1/jobs`, then `GET` the job until it is `done`.\n\n"
        "States: `queued`, `running`, and the terminal states `succeeded`, `failed`, `canceled` and `expired`: "
        "a job in a terminal state never changes again.\n\n"
        "Photos are PNG, JPEG or WebP. The server turns them upright, removes their metadata and scales them down to "
        "at most 2048 pixels a side.\n\n"
        "Every error is `application/problem+json`. The `error` of a failed job has one of the same codes.\n\n"
        f"{table}\n"
    )
