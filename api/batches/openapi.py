"""Batches in the OpenAPI document: responses, request bodies, examples."""

from __future__ import annotations

import json
from typing import Any

from api.batches.lines import BatchLine
from api.batches.product import ProductBatch
from api.batches.schemas import BatchPageView, BatchView, ItemPageView, batch_body
from api.http.openapi import (
    BODY_ERRORS,
    ETAG,
    FILE,
    LOCATION,
    RETRY_AFTER,
    STORES,
    Answers,
    ref,
    schemas_of,
    with_problems,
)
from api.jobs.schemas import BatchEstimate
from shared import errors as tree
from shared.batch import Batch, BatchStatus, RateMark
from shared.batch_files import JSONL
from shared.job import Status

_LINE = (
    '{"custom_id": "beach-1", "prompt": "a man and a woman on the beach", "concepts": [{"phrase": "the man", '
    '"photos": ["0b54a5b4c5d0b4c2bd5b5d6bd1a0c8f7c6a4a5a9d4a7e6c1b2f3d4e5f6a7b8c9"]}], "sampling": {"seed": 7}}\n'
)
_PRODUCT = {
    "scenes": [{"name": "beach", "prompt": "a man on the beach"}, {"name": "market", "prompt": "a man at a market"}],
    "casts": [
        {
            "name": "ben",
            "concepts": [
                {
                    "phrase": "the man",
                    "photos": ["0b54a5b4c5d0b4c2bd5b5d6bd1a0c8f7c6a4a5a9d4a7e6c1b2f3d4e5f6a7b8c9"],
                }
            ],
        }
    ],
    "mode": "product",
}
_OUTCOME = (
    '{"line":1,"custom_id":"beach-1","job":"5f0c6f0e5d3b4a7e9d2f1c3b8a7e6d5c","status":"succeeded",'
    '"picture":"default/stages/personalize/.../picture.png","seed":7,'
    '"verification":{"min_identity":0.71,"faces":[{"concept":0,"identity":0.71,"face_box_px":[40.1,22.5,71.9,60.2]}],'
    '"swaps":[],"missing":[]},"tries":1}\n'
)

_EVENT = (
    'id: 12\nevent: batch\nretry: 2000\ndata: {"id": "9b1f7b0e4c2a4d6f8e0a1b2c3d4e5f60", "status": "running", '
    '"done": false, "lines": 1000, "counts": {"succeeded": 120}, "sequence": 12}\n\n'
)

_RUNNING = Batch(
    id="9b1f7b0e4c2a4d6f8e0a1b2c3d4e5f60",
    tenant="default",
    name="postcards",
    status=BatchStatus.RUNNING,
    sequence=12,
    good=999,
    invalid=1,
    open=64,
    running=2,
    over={Status.SUCCEEDED: 120},
    saved=230,
    stamps={BatchStatus.VALIDATING: 1767225600.0, BatchStatus.RUNNING: 1767225602.0},
    mark=RateMark(at_s=1767225842.0, over=60, succeeded=60),
    now_s=1767225962.0,
)
_AS_IT_IS = {"model": BatchView, "description": "The batch", "headers": ETAG}
_BATCH: Answers = {200: _AS_IT_IS}

MAKE_ANSWERS: Answers = with_problems(
    {
        202: {
            "model": BatchView,
            "description": "Running; `Location` is the batch's path",
            "headers": {**LOCATION, **RETRY_AFTER, **ETAG},
        },
        200: {"model": BatchEstimate, "description": "The estimate (`dry_run=true`)"},
    },
    *BODY_ERRORS,
    tree.BatchRefused,
    tree.BatchTooLarge,
    # The batch may be erased while its lines are read.
    tree.BatchNotFound,
    *STORES,
)
LOOK_ANSWERS: Answers = with_problems(
    {**_BATCH, 304: {"description": "The batch has not changed", "headers": ETAG}},
    tree.BatchNotFound,
    tree.InvalidField,
    tree.RecordsUnavailable,
)
LIST_ANSWERS: Answers = with_problems(
    {200: {"model": BatchPageView, "description": "One page"}}, tree.InvalidField, tree.RecordsUnavailable
)
ITEMS_ANSWERS: Answers = with_problems(
    {200: {"model": ItemPageView, "description": "One page"}}, tree.BatchNotFound, tree.InvalidField, *STORES
)
CANCEL_ANSWERS: Answers = with_problems(_BATCH, tree.BatchNotFound, tree.RecordsUnavailable)
ERASE_BATCH_ANSWERS: Answers = with_problems(
    {202: {"description": "The batch is erased; a running one as soon as it has stopped", "headers": RETRY_AFTER}},
    tree.BatchNotFound,
    tree.RecordsUnavailable,
)
RETRY_ANSWERS: Answers = with_problems(
    {202: {"model": BatchView, "description": "Running again", "headers": {**LOCATION, **ETAG}}},
    tree.BatchNotFound,
    tree.BatchNotOver,
    tree.NothingToRetry,
    tree.QuotaExceeded,
    *STORES,
)
FILE_ANSWERS: Answers = with_problems(
    {
        200: {
            "description": "Lines of JSON",
            "content": {JSONL: {"schema": FILE, "example": _OUTCOME}},
        }
    },
    tree.BatchNotFound,
    *STORES,
)
ZIP_ANSWERS: Answers = with_problems(
    {
        200: {
            "description": "The pictures",
            "content": {"application/zip": {"schema": FILE}},
        }
    },
    tree.BatchNotFound,
    tree.ZipTooLarge,
    *STORES,
)

_JSONL: dict[str, Any] = {"schema": {**FILE, "description": "Lines of JSON, each a `BatchLine`"}, "example": _LINE}

MAKE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/jsonl": _JSONL,
            "application/x-ndjson": _JSONL,
            "application/json": {"schema": ref("ProductBatch"), "example": _PRODUCT},
            "multipart/form-data": {"schema": ref("BatchForm")},
        },
    },
}


EVENTS_ANSWERS: Answers = with_problems(
    {
        200: {
            "description": "Events `batch`: `id` is the batch's `sequence`, `data` the batch as JSON",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EVENT}},
        },
        204: {"description": "The batch is done, and `Last-Event-ID` is its last state"},
    },
    tree.BatchNotFound,
    tree.TooManyStreams,
    tree.RecordsUnavailable,
)


COMPONENTS: dict[str, Any] = {
    **schemas_of(ProductBatch, BatchLine),
    "BatchForm": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {**FILE, "description": "Lines of JSON, each a `BatchLine`"}},
    },
}


def batch_example() -> Any:
    """A batch as the API sends it. FastAPI would drop fields that are null."""
    return json.loads(batch_body(_RUNNING))
