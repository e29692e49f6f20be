"""Live status over HTTP: a job's states as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache

from fastapi import APIRouter, Request, Response

from api.auth.middleware import tenant_of
from api.context import Context, context_of
from api.http.parameters import LAST_EVENT_ID, flag, takes
from api.http.paths import JOBS
from api.http.sse import RETRY_MS, EventStream
from api.jobs.openapi import EVENTS_ANSWERS
from api.jobs.routes import find
from api.jobs.schemas import news_body
from shared.job import Job
from shared.store.jobs.live import Snapshot

router = APIRouter(prefix=JOBS, tags=["events"])
_PREVIEWS = flag(
    "previews",
    "Add URLs of small pictures to every event, and of the unfinished picture where the server does not check pictures "
    "first",
)


@router.get(
    "/{job_id}/events",
    status_code=200,
    response_class=Response,
    responses=EVENTS_ANSWERS,
    summary="Watch a job",
)
@takes(previews=_PREVIEWS, known=LAST_EVENT_ID)
async def watch_job(request: Request, job_id: str, *, previews: bool, known: str) -> Response:
    """The job's state now, and again whenever it changes, as events `job`; the stream ends with the job.

    The id of an event is the job's `sequence`. With `Last-Event-ID` the first state is left out if it is that one, and
    204 says that it was the last. States may be left out, the last one never is. `previews=true` adds addresses of
    small pictures: the template, the masks, and the picture as it emerges, which is drawn only while somebody asks.
    """
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    if job.done and known == str(job.sequence):
        # A browser asks again and again, until it hears this (HTML, section 9.2.3).
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    context.check_streams()
    return EventStream(job_frames(context, job, known, previews=previews))


async def job_frames(context: Context, job: Job, known: str, *, previews: bool) -> AsyncIterator[bytes]:
    """A frame a state, from the one after `known` (a Last-Event-ID, or "") to the last one.

    job: as it was found for this request. previews: with addresses of small pictures.
    A state that is followed by another before it is sent is left out.
    """
    if known != str(job.sequence):
        known = ""
    with context.live.watch(job.id, show=previews) as watch:
        while (snapshot := await watch.next()) is not None and snapshot.job is not None:
            sequence = snapshot.job.sequence
            # What others watched may have been read before this job was.
            if sequence >= job.sequence and known != str(sequence):
                yield job_frame(snapshot, previews=previews)
                known = ""
            if snapshot.job.done:
                return


@lru_cache(maxsize=256)
def job_frame(snapshot: Snapshot, *, previews: bool) -> bytes:
    """One state as an event; made once for all who watch the job."""
    if snapshot.job is None:
        return b""
    body = news_body(snapshot.job, snapshot.place, previews=previews)
    return b"id: %d\nevent: job\nretry: %d\ndata: %s\n\n" % (snapshot.job.sequence, RETRY_MS, body)
