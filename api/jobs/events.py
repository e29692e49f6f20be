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
    """Streams the job's state now and after every change, as events `job`, until the job is done.

    The id of an event is the job's `sequence`. With `Last-Event-ID` the stream skips that state, or answers 204 if it
    was the last one. Intermediate states may be skipped, the last one never is. `previews=true` adds URLs of small
    pictures: the template, the masks and the unfinished picture, which is drawn only while a client watches.
    """
    context = context_of(request)
    job = await find(context, tenant_of(request), job_id)
    if job.done and known == str(job.sequence):
        # Only this keeps a browser from reconnecting (HTML, section 9.2.3).
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    context.check_streams()
    return EventStream(job_frames(context, job, known, previews=previews))


async def job_frames(context: Context, job: Job, known: str, *, previews: bool) -> AsyncIterator[bytes]:
    """One frame for each state, from the one after `known` (a Last-Event-ID, or "") to the last one.

    job: as read for this request. previews: with URLs of small pictures.
    A state is skipped when the next one exists before it is sent.
    """
    if known != str(job.sequence):
        known = ""
    with context.live.watch(job.id, show=previews) as watch:
        while (snapshot := await watch.next()) is not None and snapshot.job is not None:
            sequence = snapshot.job.sequence
            # A snapshot shared with other watchers may be older than this job.
            if sequence >= job.sequence and known != str(sequence):
                yield job_frame(snapshot, previews=previews)
                known = ""
            if snapshot.job.done:
                return


@lru_cache(maxsize=256)
def job_frame(snapshot: Snapshot, *, previews: bool) -> bytes:
    """One state as an event; encoded once for all watchers of the job."""
    if snapshot.job is None:
        return b""
    body = news_body(snapshot.job, snapshot.place, previews=previews)
    return b"id: %d\nevent: job\nretry: %d\ndata: %s\n\n" % (snapshot.job.sequence, RETRY_MS, body)
