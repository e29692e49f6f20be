"""Jobs in the OpenAPI document: responses, request bodies, examples."""

from __future__ import annotations

import json
from typing import Any

from api.http.openapi import (
    BODY_ERRORS,
    ETAG,
    FILE,
    LOCATION,
    PICTURE_ERRORS,
    RETRY_AFTER,
    STORES,
    ref,
    with_problems,
)
from api.jobs.forms import form_schema
from api.jobs.schemas import (
    JobEstimate,
    JobPageView,
    JobView,
    job_body,
)
from api.photos.openapi import PNG
from shared import errors as tree
from shared.job import Job, JobSpec, Progress, Status
from shared.stages import Stage
from shared.verification import ConceptRegion, PhotoFaces

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


_JOB = Job(
    id="5f0c6f0e5d3b4a7e9d2f1c3b8a7e6d5c",
    spec=JobSpec.model_validate(_EXAMPLE),
    status=Status.RUNNING,
    stage=Stage.PERSONALIZE,
    progress=Progress(step=5, steps=20),
    lane="interactive",
    tenant="default",
    attempt=4,
    sequence=7,
    created_at=1767225600.0,
    started_at=1767225601.5,
    timings={Stage.IDENTIFY: 0.2, Stage.RENDER: 3.1, Stage.DETECT: 0.4},
    outputs={Stage.RENDER: "", Stage.DETECT: ""},
    faces=(
        (PhotoFaces(found=1, box_px=(41.5, 30.2, 88.0, 95.1)),),
        (PhotoFaces(found=2, box_px=(8.0, 9.5, 44.1, 60.0)),),
    ),
    regions=(
        ConceptRegion(box_px=(12.0, 20.5, 60.0, 128.0), score=0.6312),
        ConceptRegion(box_px=(64.0, 16.0, 120.0, 128.0), score=1.0),
    ),
)

_QUEUED: dict[str, Any] = {
    "model": JobView,
    "description": "Queued; `Location` is the job's path",
    "headers": {**LOCATION, **RETRY_AFTER, **ETAG},
}
_WAITED = {"Preference-Applied": {"description": "The part of `Prefer` that was applied", "schema": {"type": "string"}}}
_AS_IT_IS: dict[str, Any] = {"model": JobView, "description": "The job", "headers": ETAG}

SUBMIT_ANSWERS = with_problems(
    {
        202: {**_QUEUED, "headers": {**_QUEUED["headers"], **_WAITED}},
        200: {
            "model": JobView | JobEstimate,
            "description": "The finished job (`Prefer: wait=n`), or the estimate (`dry_run=true`)",
            "headers": {**ETAG, **_WAITED},
        },
    },
    *BODY_ERRORS,
    tree.SizeNotAllowed,
    tree.NoWorkerForSize,
    *PICTURE_ERRORS,
    tree.UnknownPhoto,
    tree.ConsentRequired,
    # The job may be erased during the wait.
    tree.JobNotFound,
    *STORES,
)
JOB_ANSWERS = with_problems(
    {200: _AS_IT_IS, 304: {"description": "The job has not changed", "headers": ETAG}},
    tree.JobNotFound,
    tree.InvalidField,
    *STORES,
)
EVENTS_ANSWERS = with_problems(
    {
        200: {
            "description": "Events `job`: `id` is the job's `sequence`, `data` the job as JSON, without its `spec`",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EVENT}},
        },
        204: {"description": "The job is done, and `Last-Event-ID` is its last state"},
    },
    tree.JobNotFound,
    tree.InvalidField,
    tree.TooManyStreams,
    *STORES,
)
CANCEL_ANSWERS = with_problems({200: _AS_IT_IS}, tree.JobNotFound, *STORES)
RETRY_ANSWERS = with_problems(
    {202: _QUEUED},
    tree.JobNotFound,
    tree.NotOver,
    tree.InvalidField,
    tree.SizeNotAllowed,
    tree.NoWorkerForSize,
    tree.UnknownPhoto,
    *STORES,
)
PICTURE_ANSWERS = with_problems(
    PNG,
    tree.JobNotFound,
    tree.NotReadyYet,
    tree.NoPicture,
    *STORES,
)
PREVIEW_ANSWERS = with_problems(
    {200: {"description": "A JPEG of at most 256 pixels a side", "content": {"image/jpeg": {"schema": FILE}}}},
    tree.JobNotFound,
    tree.NotReadyYet,
    tree.NoPicture,
    *STORES,
)
LIST_ANSWERS = with_problems(
    {200: {"model": JobPageView, "description": "One page"}}, tree.InvalidField, tree.RecordsUnavailable
)
ERASE_JOB_ANSWERS = with_problems(
    {204: {"description": "Erased"}, 202: {"description": "Running; erased when it stops", "headers": RETRY_AFTER}},
    tree.JobNotFound,
    *STORES,
)
SUBMIT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": ref("JobSpec"), "example": _EXAMPLE},
            "multipart/form-data": {
                "schema": ref("JobForm"),
                "example": {"prompt": "a man on the beach", "phrase": ["the man"], "photo": [_PHOTO]},
            },
        },
    },
}


COMPONENTS = {"JobForm": form_schema()}


def job_example() -> Any:
    """A job as the API sends it. FastAPI would drop fields that are null."""
    return json.loads(job_body(_JOB, None))
