"""Small pictures of a job, as its events name them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from api.access import tenant_of
from api.context import context_of
from api.document.jobs import PREVIEW_ANSWERS
from api.pictures import small
from api.reads import AGAIN_S, Reading, note_reading
from api.routes.jobs import find
from api.routes.pictures import absent, reading_of
from api.views import JOBS
from shared.blob_store import stage_key
from shared.errors import NoPicture
from shared.job import Stage

router = APIRouter(prefix=f"{JOBS}/{{job_id}}/previews", tags=["events"])

_WHOLE = "private, max-age=3600"


@router.get("/template", responses=PREVIEW_ANSWERS, response_class=Response, summary="The template, small")
async def template(request: Request, job_id: str) -> Response:
    """The scene before anybody was put in (JPEG)."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    digest = job.outputs.get(Stage.RENDER) or absent(job, "template", Stage.RENDER)
    key = stage_key(job.tenant, Stage.RENDER, digest, "template.png")
    return await _shrunk(request, key, reading_of(job, "template"))


@router.get("/masks", responses=PREVIEW_ANSWERS, response_class=Response, summary="The masks, small")
async def masks(request: Request, job_id: str) -> Response:
    """Which pixels belong to which concept (JPEG)."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    digest = job.outputs.get(Stage.DETECT) or absent(job, "masks", Stage.DETECT)
    key = stage_key(job.tenant, Stage.DETECT, digest, "masks.png")
    return await _shrunk(request, key, reading_of(job, "masks"))


@router.get("/picture", responses=PREVIEW_ANSWERS, response_class=Response, summary="The picture, as it emerges")
async def picture(request: Request, job_id: str) -> Response:
    """The picture as it emerges (JPEG), while somebody watches the job with previews; then the final one, small."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    if job.picture:
        return await _shrunk(request, job.picture, reading_of(job, "picture"))
    emerging = await context.jobs.preview(job_id) or absent(job, "picture", Stage.PERSONALIZE)
    await note_reading(request, reading_of(job, "emerging", once_s=AGAIN_S))
    return Response(emerging, 200, {"Cache-Control": "no-store"}, "image/jpeg")


async def _shrunk(request: Request, key: str, reading: Reading) -> Response:
    context = context_of(request)
    data = await asyncio.to_thread(context.blobs.get, key)
    if data is None:
        raise NoPicture("the picture is no longer stored")
    await note_reading(request, reading)
    jpeg = await context.decoded(lambda: small(data))
    return Response(jpeg, 200, {"Cache-Control": _WHOLE}, "image/jpeg")
