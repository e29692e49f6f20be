"""Live status of a batch over HTTP, as server-sent events."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.batches.stream import batch_frames
from api.batches.views import BATCHES
from api.context import context_of
from api.document.batches import EVENTS_ANSWERS
from api.document.jobs import LAST_EVENT
from api.routes.batches import find_batch
from api.streams import EventStream, check_room

router = APIRouter(prefix=BATCHES, tags=["events"])


@router.get(
    "/{batch_id}/events",
    status_code=200,
    response_class=Response,
    responses=EVENTS_ANSWERS,
    openapi_extra={"parameters": [LAST_EVENT]},
    summary="Watch a batch",
)
async def watch(request: Request, batch_id: str) -> Response:
    """The batch's state now, and when it has changed, at most twice a second, as events `batch`, until it is done.

    The id of an event is the batch's `sequence`; `Last-Event-ID` is understood as for a job.
    """
    context = context_of(request)
    batch = await find_batch(request, batch_id)
    known = request.headers.get("last-event-id", "")
    if batch.done and known == str(batch.sequence):
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    check_room(context)
    return EventStream(batch_frames(context, batch, known))
