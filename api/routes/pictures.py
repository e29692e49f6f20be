"""The pictures of a job: redirects to signed addresses of the blob store, which serves the bytes itself."""

from __future__ import annotations

from typing import NoReturn

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from api.access import tenant_of
from api.context import context_of
from api.document.jobs import PICTURE_ANSWERS
from api.routes.jobs import find
from api.views import JOBS
from shared.blob_store import stage_key
from shared.errors import NoPicture, NotReadyYet
from shared.job import Job, Stage
from shared.orders import STAGES

router = APIRouter(prefix=JOBS, tags=["pictures"], default_response_class=RedirectResponse)


@router.get(
    "/{job_id}/picture",
    status_code=307,
    response_class=RedirectResponse,
    responses=PICTURE_ANSWERS,
    summary="The final picture",
)
async def picture(request: Request, job_id: str) -> RedirectResponse:
    """Redirects to the picture (PNG)."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    return _redirect(context.blobs.url(job.picture or absent(job, "picture", Stage.PERSONALIZE)))


@router.get(
    "/{job_id}/template",
    status_code=307,
    response_class=RedirectResponse,
    responses=PICTURE_ANSWERS,
    summary="The scene without identities",
)
async def template(request: Request, job_id: str) -> RedirectResponse:
    """Redirects to the template (PNG): the scene before anybody was put in."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    digest = job.outputs.get(Stage.RENDER) or absent(job, "template", Stage.RENDER)
    return _redirect(context.blobs.url(stage_key(job.tenant, Stage.RENDER, digest, "template.png")))


@router.get(
    "/{job_id}/masks",
    status_code=307,
    response_class=RedirectResponse,
    responses=PICTURE_ANSWERS,
    summary="Who is where",
)
async def masks(request: Request, job_id: str) -> RedirectResponse:
    """Redirects to the masks (PNG): which pixels of the template belong to which concept."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    digest = job.outputs.get(Stage.DETECT) or absent(job, "masks", Stage.DETECT)
    return _redirect(context.blobs.url(stage_key(job.tenant, Stage.DETECT, digest, "masks.png")))


def _redirect(address: str) -> RedirectResponse:
    # The signature in the address expires, so the redirect itself must not be kept.
    return RedirectResponse(address, 307, {"Cache-Control": "no-store"})


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
