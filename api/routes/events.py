"""Live status over HTTP: a job's states as server-sent events."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api import queries
from api.access import tenant_of
from api.context import context_of
from api.document.jobs import EVENTS_ANSWERS, EVENTS_PARAMETERS
from api.routes.jobs import find
from api.streams import EventStream, check_room, job_frames
from api.views import JOBS

router = APIRouter(prefix=JOBS, tags=["events"])


@router.get(
    "/{job_id}/events",
    status_code=200,
    response_class=Response,
    responses=EVENTS_ANSWERS,
    openapi_extra=EVENTS_PARAMETERS,
    summary="Watch a job",
)
async def watch(request: Request, job_id: str) -> Response:
    """The job's state now, and again whenever it changes, as events `job`; the stream ends with the job.

    The id of an event is the job's `sequence`. With `Last-Event-ID` the first state is left out if it is that one, and
    204 says that it was the last. States may be left out, the last one never is. `previews=true` adds addresses of
    small pictures: the template, the masks, and the picture as it emerges, which is drawn only while somebody asks.
    """
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    previews = queries.flag(request, "previews") if request.scope["query_string"] else False
    known = request.headers.get("last-event-id", "")
    if job.done and known == str(job.sequence):
        # A browser asks again and again, until it hears this (HTML, section 9.2.3).
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    check_room(context)
    return EventStream(job_frames(context, job, known, previews=previews))
