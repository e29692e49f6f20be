"""The OpenAPI document: true to itself, and complete in its problems."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.app import create_app
from api.auth.middleware import OPEN_PATHS, READ_METHODS
from api.http.problems import PROBLEM_TYPE
from shared import errors as tree
from shared.errors import TroupeError, error_kinds
from shared.settings import Settings
from shared.webhook import Event

DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]
# What no address answers: nothing is there, or not with this method.
NOWHERE = {tree.RouteNotFound, tree.MethodNotAllowed}
# Kinds of errors: what is raised is always something below them.
KINDS = {tree.RequestError, tree.TransientError, tree.Interruption}
# What a job can fail with: it stands inside the job, which is itself answered with 200.
IN_JOBS = {
    tree.NoFace,
    tree.PhraseNotFound,
    tree.SamePerson,
    tree.NoTemplateFace,
    tree.UnsafeContent,
    tree.OutOfMemory,
    tree.WorkerLost,
    tree.BundleError,
}
# Between workers; a job that was canceled is no error.
AMONG_WORKERS = {tree.JobCanceled, tree.WorkerDraining, tree.LeaseLost, tree.CertificateUnusable}
VERBS = (
    "cancel",
    "check",
    "create",
    "delete",
    "download",
    "enable",
    "erase",
    "get",
    "list",
    "replay",
    "retry",
    "rotate",
    "submit",
    "test",
    "upload",
    "watch",
)
BODIES = {"post /v1/jobs", "post /v1/photos", "post /v1/batches", "post /v1/webhooks"}


def codes(operation: dict[str, Any]) -> set[tuple[str, str]]:
    """Status and code of every problem that the operation tells."""
    return {
        (status, code)
        for status, answer in operation["responses"].items()
        for code in answer.get("content", {}).get(PROBLEM_TYPE, {}).get("examples", ())
    }


def examples(node: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every example of the document with its schema: of bodies, answers, parameters, headers, and of values."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return
    schema, several = node.get("schema"), node.get("examples", ())
    if schema and "example" in node:
        yield place, schema, node["example"]
    if schema and several:
        for name, one in several.items():
            yield f"{place}/{name}", schema, DOCUMENT["components"]["examples"][one["$ref"].rsplit("/", 1)[1]]["value"]
    elif isinstance(several, list):
        for number, value in enumerate(several):
            yield f"{place}/{number}", {key: part for key, part in node.items() if key != "examples"}, value
    for name, below in node.items():
        if name not in {"example", "examples", "default"}:
            yield from examples(below, f"{place}/{name}")


def test_every_example_is_what_its_schema_asks() -> None:
    wrong = {}
    for place, schema, value in examples(DOCUMENT):
        whole = {"components": DOCUMENT["components"], "allOf": [schema]}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        if not validator.is_valid(value):
            wrong[place] = value
    assert not wrong


def test_jobs_batches_and_every_body_have_an_example() -> None:
    places = {place for place, _, _ in examples(DOCUMENT)}
    assert {f"/components/schemas/{name}/0" for name in ("JobView", "BatchView")} <= places
    for name in BODIES - {"post /v1/photos"}:
        method, path = name.split()
        assert f"/paths/{path}/{method}/requestBody/content/application/json" in places


def test_every_message_to_a_webhook_is_described_with_an_example() -> None:
    assert set(DOCUMENT["webhooks"]) == {*Event, "webhook.test"}
    places = {place for place, _, _ in examples(DOCUMENT)}
    for kind in DOCUMENT["webhooks"]:
        assert f"/webhooks/{kind}/post/requestBody/content/application/json" in places


@pytest.mark.parametrize("operation", [row[2] for row in OPERATIONS], ids=NAMES)
def test_nothing_hides_behind_any_other_answer(operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    assert all(status.isdigit() and len(status) == 3 for status in answers)
    assert any(status < "4" for status in answers)
    assert all(answer["description"] for answer in answers.values())
    assert all(parameter["description"] for parameter in operation.get("parameters", ()))
    statuses = {kind.code: str(kind.status.value) for kind in error_kinds()}
    assert all(statuses[code] == status for status, code in codes(operation))


def test_every_error_of_the_tree_is_in_the_document_or_never_an_answer() -> None:
    told = {code for _, _, operation in OPERATIONS for _, code in codes(operation)}
    left_out = NOWHERE | KINDS | IN_JOBS | AMONG_WORKERS
    assert told == {kind.code for kind in set(error_kinds()) - left_out}
    assert set(DOCUMENT["components"]["examples"]) == {kind.code for kind in error_kinds()}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_what_holds_for_every_address_of_a_kind_is_said_of_each(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    said, name = {code for _, code in codes(operation)}, f"{method} {path}"
    expected: set[type[TroupeError]] = {TroupeError}
    if path not in OPEN_PATHS:
        expected |= {tree.Unauthorized, tree.RecordsUnavailable, tree.RateLimited}
        if method.upper() not in READ_METHODS:
            expected |= {tree.QuotaExceeded}
    if method == "post":
        expected |= {tree.IdempotencyMismatch, tree.IdempotencyRunning, tree.InvalidField}
    if name in BODIES:
        expected |= {tree.MalformedBody, tree.InvalidField, tree.UnsupportedMedia}
    for room, kind in {
        "{job_id}": tree.JobNotFound,
        "{batch_id}": tree.BatchNotFound,
        "{webhook_id}": tree.WebhookNotFound,
        "{photo_id}": tree.PhotoNotFound,
        "{delivery_id}": tree.DeliveryNotFound,
    }.items():
        expected |= {kind} if room in path else set()
    if any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
        expected.add(tree.InvalidField)
    assert {kind.code for kind in expected} <= said
    assert ("security" in operation) == (path not in OPEN_PATHS)
    assert ("Idempotency-Key" in {one["name"] for one in operation.get("parameters", ())}) == (method == "post")


def test_every_operation_has_a_name_of_its_own_that_begins_with_a_verb() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(rf"({'|'.join(VERBS)})(_[a-z]+)+", name)] == []


def test_all_problems_are_one_component() -> None:
    schemas = {
        json.dumps(answer["content"][PROBLEM_TYPE]["schema"])
        for _, _, operation in OPERATIONS
        for answer in operation["responses"].values()
        if PROBLEM_TYPE in answer.get("content", {})
    }
    assert schemas == {'{"$ref": "#/components/schemas/Problem"}'}
