"""Erasing over HTTP: a job, a photo, a batch, or all that a tenant has."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api import queries
from api.access import key_of, tenant_of
from api.batches.views import BATCHES
from api.context import context_of
from api.document.batches import ERASE_BATCH_ANSWERS
from api.document.jobs import ERASE_JOB_ANSWERS, ERASE_TENANT_ANSWERS, ERASE_TENANT_PARAMETERS
from api.document.photos import ERASE_PHOTO_ANSWERS
from api.routes.batches import check_batch_id
from api.routes.jobs import check_id
from api.views import JOBS
from shared.errors import BatchNotFound, JobNotFound, PhotoNotFound
from shared.job_store import Erasing

router = APIRouter()

_LATER = {"Retry-After": "2"}


@router.delete(JOBS + "/{job_id}", status_code=204, responses=ERASE_JOB_ANSWERS, tags=["jobs"], summary="Erase a job")
async def erase_job(request: Request, job_id: str) -> Response:
    """Its record, its pictures and its stage results, but for those that other jobs of yours have.

    A job that runs is canceled and erased when it stops: 202 until then, 404 after.
    """
    check_id(job_id)
    answer = await context_of(request).eraser.erase_job(job_id, tenant_of(request), key_of(request))
    if answer is Erasing.NONE:
        raise JobNotFound("there is no job of this id; records of finished jobs expire")
    return Response(status_code=202, headers=_LATER) if answer is Erasing.RUNNING else Response(status_code=204)


@router.delete(
    "/v1/photos/{photo_id}", status_code=204, responses=ERASE_PHOTO_ANSWERS, tags=["photos"], summary="Erase a photo"
)
async def erase_photo(request: Request, photo_id: str) -> Response:
    """The photo and the embeddings of its faces. Jobs that still need it fail; pictures made with it stay.

    The photo itself goes at once. 202 where its faces were in many casts: they go by themselves, 404 after.
    """
    eraser, tenant, key = context_of(request).eraser, tenant_of(request), key_of(request)
    answer = await eraser.erase_photo(photo_id, tenant, key) if photo_id.isalnum() else Erasing.NONE
    if answer is Erasing.NONE:
        raise PhotoNotFound("there is no photo of this id; photos expire")
    return Response(status_code=202, headers=_LATER) if answer is Erasing.RUNNING else Response(status_code=204)


@router.delete(
    BATCHES + "/{batch_id}",
    status_code=202,
    response_class=Response,
    responses=ERASE_BATCH_ANSWERS,
    tags=["batches"],
    summary="Erase a batch",
)
async def erase_batch(request: Request, batch_id: str) -> Response:
    """Its lines, its files, and its jobs with their pictures, but for what other jobs of yours have.

    A batch that runs is taken back first. It is not found any more once it is over; its files go in the seconds after.
    """
    check_batch_id(batch_id)
    batches, tenant, key = context_of(request).batches, tenant_of(request), key_of(request)
    if await batches.erase(tenant, batch_id, key) is Erasing.NONE:
        raise BatchNotFound("there is no batch of this id; records of finished batches expire")
    return Response(status_code=202, headers=_LATER)


@router.delete(
    "/v1/tenant",
    status_code=204,
    responses=ERASE_TENANT_ANSWERS,
    openapi_extra=ERASE_TENANT_PARAMETERS,
    tags=["tenant"],
    summary="Erase all of yours",
)
async def erase_tenant(request: Request) -> Response:
    """Every job, picture, stage result, photo and embedding of the caller's tenant, and what comes while it goes.

    Its audit log stays until its time is over, with ids only: what uploads said of consent goes with the rest.
    `confirm` must be the tenant's name. 202 while jobs that ran have not stopped yet: it goes on by itself.
    """
    tenant = tenant_of(request)
    if queries.text(request, "confirm") != tenant:
        raise queries.wrong("confirm", "not_confirmed", f"to erase all there is, say confirm={tenant}")
    gone = await context_of(request).eraser.erase_tenant(tenant, key_of(request))
    return Response(status_code=204) if gone else Response(status_code=202, headers=_LATER)
