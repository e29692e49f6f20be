"""The pictures of a job: redirects to signed addresses of the blob store, which serves the bytes itself.

A page in a browser cannot follow them: an `<img>` carries no key, and another host's bytes are not the page's to read.
It asks with `Accept: image/png` and gets the bytes from here.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.access import tenant_of
from api.context import Context, context_of
from api.document.jobs import PICTURE_ANSWERS
from api.reads import Reading, note_reading
from api.routes.jobs import find
from api.views import JOBS
from shared.blob_store import stage_key
from shared.errors import NoPicture, NotReadyYet
from shared.job import Job, Stage
from shared.job_store import Action
from shared.orders import STAGES

router = APIRouter(prefix=JOBS, tags=["pictures"], default_response_class=RedirectResponse)

_PNG = "image/png"


@router.get(
    "/{job_id}/picture",
    status_code=307,
    response_class=RedirectResponse,
    responses=PICTURE_ANSWERS,
    summary="The final picture",
)
async def picture(request: Request, job_id: str) -> Response:
    """Redirects to the picture (PNG); sends it itself to whom asks with `Accept: image/png`."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    key = job.picture or absent(job, "picture", Stage.PERSONALIZE)
    return await png_answer(request, context, key, reading_of(job, "picture"))


@router.get(
    "/{job_id}/template",
    status_code=307,
    response_class=RedirectResponse,
    responses=PICTURE_ANSWERS,
    summary="The scene without identities",
)
async def template(request: Request, job_id: str) -> Response:
    """Redirects to the template (PNG), or sends it itself: the scene before anybody was put in."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    digest = job.outputs.get(Stage.RENDER) or absent(job, "template", Stage.RENDER)
    key = stage_key(job.tenant, Stage.RENDER, digest, "template.png")
    return await png_answer(request, context, key, reading_of(job, "template"))


@router.get(
    "/{job_id}/masks",
    status_code=307,
    response_class=RedirectResponse,
    responses=PICTURE_ANSWERS,
    summary="Who is where",
)
async def masks(request: Request, job_id: str) -> Response:
    """Redirects to the masks (PNG), or sends them itself: which pixels of the template belong to which concept."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    digest = job.outputs.get(Stage.DETECT) or absent(job, "masks", Stage.DETECT)
    key = stage_key(job.tenant, Stage.DETECT, digest, "masks.png")
    return await png_answer(request, context, key, reading_of(job, "masks"))


async def png_answer(request: Request, context: Context, key: str, reading: Reading) -> Response:
    """A redirect to the stored PNG of this key, or its bytes where the request says `Accept: image/png`.

    Raises NoPicture when the bytes are no longer stored, RecordsUnavailable or BlobsUnavailable.
    """
    if request.headers.get("accept") != _PNG:
        await note_reading(request, reading)
        # The signature in the address expires, so the redirect itself must not be kept.
        return RedirectResponse(context.blobs.url(key), 307, {"Cache-Control": "no-store", "Vary": "Accept"})
    data = await asyncio.to_thread(context.blobs.get, key)
    if data is None:
        raise NoPicture("the picture is no longer stored")
    await note_reading(request, reading)
    return Response(data, 200, {"Cache-Control": "private, max-age=3600", "Vary": "Accept"}, _PNG)


def reading_of(job: Job, name: str, *, once_s: int = 0) -> Reading:
    """Somebody reads a picture of the job."""
    return Reading(action=Action.PICTURE_READ, subject=job.id, detail=name, once_s=once_s)


def absent(job: Job, what: str, made_by: Stage) -> NoReturn:
    """Raises NoPicture, or NotReadyYet while there may still be one. made_by: the stage that leaves it."""
    if STAGES.index(job.spec.until) < STAGES.index(made_by):
        message = f"the job ends after {job.spec.until}: it has no {what}"
        raise NoPicture(message)
    if job.done:
        message = f"the job is {job.status} and has no {what}"
        raise NoPicture(message)
    message = f"the job is {job.status} and has no {what} yet"
    raise NotReadyYet(message)
