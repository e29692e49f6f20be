"""Small pictures of a job, as its events name them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from api.access import tenant_of
from api.context import Context, context_of
from api.document.jobs import PREVIEW_ANSWERS
from api.pictures import small
from api.routes.jobs import find
from api.routes.pictures import absent
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
    return await _shrunk(context, stage_key(job.tenant, Stage.RENDER, digest, "template.png"))


@router.get("/masks", responses=PREVIEW_ANSWERS, response_class=Response, summary="The masks, small")
async def masks(request: Request, job_id: str) -> Response:
    """Which pixels belong to which concept (JPEG)."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    digest = job.outputs.get(Stage.DETECT) or absent(job, "masks", Stage.DETECT)
    return await _shrunk(context, stage_key(job.tenant, Stage.DETECT, digest, "masks.png"))


@router.get("/picture", responses=PREVIEW_ANSWERS, response_class=Response, summary="The picture, as it emerges")
async def picture(request: Request, job_id: str) -> Response:
    """The picture as it emerges (JPEG), while somebody watches the job with previews; then the final one, small."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    if job.picture:
        return await _shrunk(context, job.picture)
    emerging = await context.jobs.preview(job_id)
    return Response(
        emerging or absent(job, "picture", Stage.PERSONALIZE), 200, {"Cache-Control": "no-store"}, "image/jpeg"
    )


async def _shrunk(context: Context, key: str) -> Response:
    data = await asyncio.to_thread(context.blobs.get, key)
    if data is None:
        raise NoPicture("the picture is no longer stored")
    jpeg = await context.decoded(lambda: small(data))
    return Response(jpeg, 200, {"Cache-Control": _WHOLE}, "image/jpeg")
