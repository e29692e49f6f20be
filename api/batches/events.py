"""The states of a batch as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response

from api.batches.openapi import EVENTS_ANSWERS
from api.batches.routes import find_batch
from api.batches.schemas import batch_body
from api.context import Context, context_of
from api.http.parameters import LAST_EVENT_ID, takes
from api.http.paths import BATCHES
from api.http.sse import RETRY_MS, EventStream
from shared.batch import Batch
from shared.errors import RecordsUnavailable
from shared.telemetry.log import get_logger

# A batch may change a hundred times a second.
_EVERY_S = 0.5

log = get_logger(__name__)
router = APIRouter(prefix=BATCHES, tags=["events"])


@router.get(
    "/{batch_id}/events",
    status_code=200,
    response_class=Response,
    responses=EVENTS_ANSWERS,
    summary="Watch a batch",
)
@takes(known=LAST_EVENT_ID)
async def watch_batch(request: Request, batch_id: str, *, known: str) -> Response:
    """Streams the state now and after changes, at most twice a second, as events `batch`, until the batch is done.

    The id of an event is the batch's `sequence`; `Last-Event-ID` works as for a job.
    """
    context = context_of(request)
    batch = await find_batch(request, batch_id)
    if batch.done and known == str(batch.sequence):
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    context.check_streams()
    return EventStream(batch_frames(context, batch, known))


async def batch_frames(context: Context, batch: Batch, known: str) -> AsyncIterator[bytes]:
    """One frame for each state, at most two a second, from the one after `known` until the batch is done."""
    events = context.jobs.events
    found: Batch | None = batch
    with context.live.counted(), events.changes(batch.id) as changed:
        while found is not None:
            if known != str(found.sequence):
                known = str(found.sequence)
                yield b"id: %d\nevent: batch\nretry: %d\ndata: %s\n\n" % (found.sequence, RETRY_MS, batch_body(found))
            if found.done:
                return
            await changed.wait()
            if events.stopped:
                return
            await asyncio.sleep(_EVERY_S)
            changed.clear()
            found = await _read(context, found)


async def _read(context: Context, batch: Batch) -> Batch | None:
    """The current batch, or the given one while Redis does not answer; the event reader wakes this stream again."""
    try:
        return await context.batches.get(batch.tenant, batch.id)
    except RecordsUnavailable as error:
        log.warning("batch_read_failed", error=error.message)
        return batch
