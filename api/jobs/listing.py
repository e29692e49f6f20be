"""The caller's jobs, page by page."""

from __future__ import annotations

import base64
import binascii
import json
import re

from fastapi import APIRouter, Request, Response

from api.auth.middleware import tenant_of
from api.context import context_of
from api.http import parameters
from api.http.paths import JOBS
from api.jobs.openapi import LIST_ANSWERS, LIST_PARAMETERS
from api.jobs.schemas import job_body
from shared.job import Status
from shared.store.queue.values import ListCursor

router = APIRouter(prefix=JOBS, tags=["jobs"])

_MARK = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?):([0-9a-f]{32})")


@router.get("", responses=LIST_ANSWERS, openapi_extra=LIST_PARAMETERS, summary="List jobs")
async def page(request: Request) -> Response:
    """The caller's jobs, the newest first, without the lines of batches: those are with their batch.

    Jobs that come meanwhile stand before the first page and move no other. A page may hold fewer jobs than `limit`:
    there are more as long as `next` is given.
    """
    context = context_of(request)
    status = parameters.choice(request, "status", Status)
    found = await context.jobs.page(
        tenant=tenant_of(request),
        limit=parameters.limit(request),
        status=None if status is None else Status(status),
        after=_mark(request),
    )
    jobs = b",".join(job_body(job, None) for job in found.jobs)
    following = json.dumps(None if found.next is None else cursor_of(found.next)).encode()
    return Response(b'{"jobs":[%s],"next":%s}' % (jobs, following), media_type="application/json")


def cursor_of(mark: ListCursor) -> str:
    """The place as callers see it: a word that means nothing to them."""
    return base64.urlsafe_b64encode(f"{mark.at}:{mark.job_id}".encode()).decode().rstrip("=")


def _mark(request: Request) -> ListCursor | None:
    cursor = parameters.text(request, "cursor")
    if cursor is None:
        return None
    try:
        plain = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        plain = ""
    if (found := _MARK.fullmatch(plain)) is None:
        raise parameters.wrong("cursor", "not_a_cursor", "cursor must be the `next` of the page before")
    return ListCursor(at=found[1], job_id=found[2])
