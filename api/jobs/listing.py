"""The tenant's jobs, page by page."""

from __future__ import annotations

import base64
import binascii
import json
import re

from fastapi import APIRouter, Request, Response

from api.auth.middleware import tenant_of
from api.context import context_of
from api.http.parameters import LIMIT, choice, cursor, takes
from api.http.paths import JOBS
from api.jobs.openapi import LIST_ANSWERS
from api.jobs.schemas import job_body
from shared.job import Status
from shared.store.queue.values import ListCursor

router = APIRouter(prefix=JOBS, tags=["jobs"])

_CURSOR = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?):([0-9a-f]{32})")


def cursor_of(place: ListCursor) -> str:
    """The place as an opaque word for callers."""
    return base64.urlsafe_b64encode(f"{place.at}:{place.job_id}".encode()).decode().rstrip("=")


def _place_of(text: str) -> ListCursor | None:
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    found = _CURSOR.fullmatch(plain)
    return None if found is None else ListCursor(at=found[1], job_id=found[2])


_STATUS = choice("status", Status, "Only jobs in this status", component="Status")
_AFTER = cursor(_place_of)


@router.get("", responses=LIST_ANSWERS, summary="List jobs")
@takes(status=_STATUS, after=_AFTER, limit=LIMIT)
async def list_jobs(request: Request, *, status: Status | None, after: ListCursor | None, limit: int) -> Response:
    """The tenant's jobs, newest first, without the jobs of batches.

    New jobs appear before the first page and do not shift the others. A page may have fewer jobs than `limit`: more
    follow while `next` is not null.
    """
    context = context_of(request)
    found = await context.jobs.page(tenant=tenant_of(request), limit=limit, status=status, after=after)
    jobs = b",".join(job_body(job, None) for job in found.jobs)
    following = json.dumps(None if found.next is None else cursor_of(found.next)).encode()
    return Response(b'{"jobs":[%s],"next":%s}' % (jobs, following), media_type="application/json")
