"""Jobs over HTTP: submit, read (with long-poll), cancel."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from fastapi import APIRouter, Request, Response

from api.auth.middleware import charge_of, key_of, tenant_of
from api.context import Context, context_of
from api.erasure import RETRY_LATER
from api.http.bodies import media_type, read_body, read_form
from api.http.etags import etag, is_current
from api.http.parameters import DRY_RUN, IF_NONE_MATCH, WAIT, Parameter, takes
from api.http.paths import JOBS
from api.http.problems import parse_json
from api.idempotency import new_id
from api.jobs.estimate import estimate_job
from api.jobs.forms import read_job_form
from api.jobs.intake import accept_job, spec_of_value
from api.jobs.openapi import CANCEL_ANSWERS, ERASE_JOB_ANSWERS, JOB_ANSWERS, RETRY_ANSWERS, SUBMIT_ANSWERS, SUBMIT_BODY
from api.jobs.schemas import job_body, job_path
from api.photos.decode import Photo
from shared.errors import JobNotFound, NotOver, UnsupportedMedia
from shared.job import MAX_CONCEPTS, MAX_PHOTOS, Job, JobSpec, Status
from shared.store.jobs.erasure import Erasing

router = APIRouter(prefix=JOBS, tags=["jobs"])

JSON = "application/json"
_T = TypeVar("_T")
_POLL_AFTER_S = 1
_JOB_ID = re.compile(r"[0-9a-f]{32}")
_PREFER_WAIT = re.compile(r"(?:^|[\s,;])wait\s*=\s*\"?(\d{1,9})\"?\s*(?:$|[,;])", re.IGNORECASE)


def _preferred_wait(text: str) -> int | None:
    # RFC 7240: a preference that cannot be read is ignored.
    found = _PREFER_WAIT.search(text)
    return None if found is None else int(found[1])


_PREFER = Parameter(
    name="Prefer",
    description="`wait=n`: answer when the job is done, or after n seconds (RFC 7240)",
    parse=_preferred_wait,
    default=None,
    place="header",
    example="wait=30",
    is_list=True,
)


@router.post("", status_code=202, responses=SUBMIT_ANSWERS, openapi_extra=SUBMIT_BODY, summary="Submit a job")
@takes(dry_run=DRY_RUN, prefer_wait_s=_PREFER)
async def submit_job(request: Request, *, dry_run: bool, prefer_wait_s: int | None) -> Response:
    """Queues one picture. With `Prefer: wait=n` the response is 200 with the job, if it is done within n seconds."""
    context, tenant, charge = context_of(request), tenant_of(request), charge_of(request)
    if dry_run:
        return await _taken(request, context, partial(estimate_job, context, tenant, charge))
    accept = partial(accept_job, context, tenant, job_id=new_id(request), charge=charge)
    job = await _taken(request, context, accept)
    if prefer_wait_s is None:
        return await _answer(context, job, 202)
    wait_s = min(prefer_wait_s, context.settings.max_wait_s)
    request.scope["waits"] = True
    # No sequence is larger than this one: only the end of the job wakes the wait.
    job = _there(await context.jobs.wait(job.id, after=sys.maxsize, timeout_s=wait_s))
    answer = await _answer(context, job, 200 if job.done else 202)
    answer.headers["Preference-Applied"] = f"wait={prefer_wait_s}"
    return answer


@router.get("/{job_id}", responses=JOB_ANSWERS, summary="Get a job")
@takes(wait_s=WAIT, tags=IF_NONE_MATCH)
async def get_job(request: Request, job_id: str, *, wait_s: float, tags: str | None) -> Response:
    """The current state; with `wait`, the next one. With `If-None-Match`, 304 if the job has not changed."""
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    if wait_s and not job.done and (tags is None or is_current(tags, job.sequence)):
        request.scope["waits"] = True
        timeout_s = min(wait_s, context.settings.max_wait_s)
        job = _there(await context.jobs.wait(job_id, after=job.sequence, timeout_s=timeout_s))
    if tags is not None and is_current(tags, job.sequence):
        return Response(status_code=304, headers={"ETag": etag(job.sequence), "Cache-Control": "private, no-cache"})
    return await _answer(context, job, 200)


@router.post("/{job_id}/cancel", responses=CANCEL_ANSWERS, summary="Cancel a job")
async def cancel_job(request: Request, job_id: str) -> Response:
    """Cancels a queued job at once and a running one at its next step. A job that is done does not change."""
    context, tenant, key = context_of(request), tenant_of(request), key_of(request)
    check_id(job_id)
    return await _answer(context, _there(await context.jobs.cancel(job_id, tenant=tenant, by=key)), 200)


@router.post("/{job_id}/retry", status_code=202, responses=RETRY_ANSWERS, summary="Retry a job")
async def retry_job(request: Request, job_id: str) -> Response:
    """Queues a new job with the spec of one that failed, was canceled or expired. Its `retry_of` names the old one."""
    context, tenant = context_of(request), tenant_of(request)
    old = await find(context, tenant, job_id)
    if not old.done or old.status is Status.SUCCEEDED:
        raise NotOver(f"the job is {old.status}: only a job that failed, was canceled or expired can be retried")
    new, charge = new_id(request), charge_of(request)
    job = await accept_job(context, tenant, old.spec, job_id=new, charge=charge, retry_of=job_id)
    return await _answer(context, job, 202)


async def find(context: Context, tenant: str, job_id: str) -> Job:
    """The tenant's job with this id. Raises JobNotFound, also for another tenant's job, or RecordsUnavailable."""
    check_id(job_id)
    job = await context.jobs.get(job_id)
    return _there(job if job is not None and job.tenant == tenant else None)


def check_id(job_id: str) -> None:
    """Raises JobNotFound for a malformed id, without a call to Redis."""
    if not _JOB_ID.fullmatch(job_id):
        raise JobNotFound("no job has this id: ids are 32 hexadecimal digits")


async def _taken(
    request: Request, context: Context, take: Callable[[JobSpec, Mapping[str, Photo]], Awaitable[_T]]
) -> _T:
    """The result of `take` for the spec of the request and the photos in it, by id."""
    settings = context.settings
    match media_type(request):
        case "application/json":
            spec = parse_json(JobSpec, await read_body(request, limit_bytes=settings.max_body_bytes))
            return await take(spec, {})
        case "multipart/form-data":
            photos = MAX_CONCEPTS * MAX_PHOTOS
            limit_bytes = settings.max_body_bytes + MAX_CONCEPTS * settings.max_photo_bytes
            async with read_form(request, limit_bytes=limit_bytes, max_files=photos) as form, context.unpacking:
                made = await read_job_form(form, context)
                return await take(spec_of_value(made.value), made.photos)
        case other:
            message = (
                f"send a job as application/json or multipart/form-data, not as {other[:80] or 'a body without a type'}"
            )
            raise UnsupportedMedia(message)


async def _answer(context: Context, job: Job, status: int) -> Response:
    place = await context.jobs.queue_place(job.id) if job.status is Status.QUEUED and status != 202 else None
    headers = {"ETag": etag(job.sequence), "Cache-Control": "private, no-cache"}
    if status == 202:
        headers |= {"Location": job_path(job.id), "Retry-After": str(_POLL_AFTER_S)}
    return Response(job_body(job, place), status, headers, JSON)


def _there(job: Job | None) -> Job:
    if job is None:
        raise JobNotFound("no job has this id; records of finished jobs expire")
    return job


@router.delete("/{job_id}", status_code=204, responses=ERASE_JOB_ANSWERS, summary="Erase a job")
async def erase_job(request: Request, job_id: str) -> Response:
    """Erases the record, the pictures and the stage results, except results that other jobs of the tenant share.

    A running job is canceled first and erased when it stops: 202 until then, 404 afterwards.
    """
    check_id(job_id)
    answer = await context_of(request).eraser.erase_job(job_id, tenant_of(request), key_of(request))
    if answer is Erasing.NONE:
        raise JobNotFound("no job has this id; records of finished jobs expire")
    return Response(status_code=202, headers=RETRY_LATER) if answer is Erasing.RUNNING else Response(status_code=204)
