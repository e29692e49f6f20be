"""The pictures of a job: redirects to signed URLs of the blob store, which serves the bytes.

A page in a browser cannot follow them: an `<img>` sends no key, and the page may not read bytes of another host. With
`Accept: image/png` the API sends the bytes itself.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.auth.audit_trail import REPEAT_S, AuditedRead, png_response, record_read
from api.auth.middleware import tenant_of
from api.context import context_of
from api.http.paths import JOBS
from api.jobs.openapi import PICTURE_ANSWERS, PREVIEW_ANSWERS
from api.jobs.routes import find
from api.photos.decode import small
from shared.blob_store import stage_key
from shared.errors import NoPicture, NotReadyYet
from shared.job import Job
from shared.stages import Stage
from shared.store.tenants.audit import Action

router = APIRouter(prefix=JOBS)

_WHOLE = "private, max-age=3600"
# Pictures that a stage leaves on the way to the final one.
_MADE_BY = {"template": Stage.RENDER, "masks": Stage.DETECT}


@router.get(
    "/{job_id}/picture",
    tags=["pictures"],
    status_code=307,
    response_class=RedirectResponse,
    responses=PICTURE_ANSWERS,
    summary="Get the final picture",
)
async def get_picture(request: Request, job_id: str) -> Response:
    """Redirects to the final picture (PNG), or sends it for `Accept: image/png`."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    key = job.picture or raise_no_picture(job, "picture", Stage.PERSONALIZE)
    return await png_response(request, context, key, picture_read(job, "picture"))


@router.get(
    "/{job_id}/template",
    tags=["pictures"],
    status_code=307,
    response_class=RedirectResponse,
    responses=PICTURE_ANSWERS,
    summary="Get the template",
)
async def get_template(request: Request, job_id: str) -> Response:
    """Redirects to the template (PNG), or sends it for `Accept: image/png`: the scene without identities."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    return await png_response(request, context, _stage_picture(job, "template"), picture_read(job, "template"))


@router.get(
    "/{job_id}/masks",
    tags=["pictures"],
    status_code=307,
    response_class=RedirectResponse,
    responses=PICTURE_ANSWERS,
    summary="Get the masks",
)
async def get_masks(request: Request, job_id: str) -> Response:
    """Redirects to the masks (PNG), or sends them for `Accept: image/png`: the pixels of each concept."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    return await png_response(request, context, _stage_picture(job, "masks"), picture_read(job, "masks"))


def picture_read(job: Job, name: str, *, once_s: int = 0) -> AuditedRead:
    """The audit entry for reading a picture of the job."""
    return AuditedRead(action=Action.PICTURE_READ, subject=job.id, detail=name, once_s=once_s)


def _stage_picture(job: Job, name: str) -> str:
    """Key of a picture that a stage left. Raises NotReadyYet or NoPicture."""
    stage = _MADE_BY[name]
    digest = job.outputs.get(stage) or raise_no_picture(job, name, stage)
    return stage_key(job.tenant, stage, digest, f"{name}.png")


def raise_no_picture(job: Job, what: str, made_by: Stage) -> NoReturn:
    """Raises NotReadyYet while the job may still make it, else NoPicture. made_by: the stage that makes it."""
    if job.spec.until.is_before(made_by):
        message = f"the job ends after {job.spec.until}: it has no {what}"
        raise NoPicture(message)
    if job.done:
        message = f"the job is {job.status} and has no {what}"
        raise NoPicture(message)
    message = f"the job is {job.status} and has no {what} yet"
    raise NotReadyYet(message)


@router.get(
    "/{job_id}/previews/template",
    tags=["events"],
    responses=PREVIEW_ANSWERS,
    response_class=Response,
    summary="Get a preview of the template",
)
async def get_template_preview(request: Request, job_id: str) -> Response:
    """A small template (JPEG): the scene without identities."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    return await _shrunk(request, _stage_picture(job, "template"), picture_read(job, "template"))


@router.get(
    "/{job_id}/previews/masks",
    tags=["events"],
    responses=PREVIEW_ANSWERS,
    response_class=Response,
    summary="Get a preview of the masks",
)
async def get_masks_preview(request: Request, job_id: str) -> Response:
    """Small masks (JPEG): the pixels of each concept."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    return await _shrunk(request, _stage_picture(job, "masks"), picture_read(job, "masks"))


@router.get(
    "/{job_id}/previews/picture",
    tags=["events"],
    responses=PREVIEW_ANSWERS,
    response_class=Response,
    summary="Get a preview of the picture",
)
async def get_picture_preview(request: Request, job_id: str) -> Response:
    """The unfinished picture (JPEG) while a client watches the job with previews, then the final picture, small."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    if job.picture:
        return await _shrunk(request, job.picture, picture_read(job, "picture"))
    emerging = await context.jobs.preview(job_id) or raise_no_picture(job, "picture", Stage.PERSONALIZE)
    await record_read(request, picture_read(job, "emerging", once_s=REPEAT_S))
    return Response(emerging, 200, {"Cache-Control": "no-store"}, "image/jpeg")


async def _shrunk(request: Request, key: str, reading: AuditedRead) -> Response:
    context = context_of(request)
    data = await asyncio.to_thread(context.blobs.get, key)
    if data is None:
        raise NoPicture("the picture is no longer stored")
    await record_read(request, reading)
    jpeg = await context.decoded(lambda: small(data))
    return Response(jpeg, 200, {"Cache-Control": _WHOLE}, "image/jpeg")
