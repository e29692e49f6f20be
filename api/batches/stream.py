"""The frames of a batch's states, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from api.batches.views import batch_body
from api.context import Context
from api.streams import RETRY_MS
from shared.batch import Batch
from shared.errors import RecordsUnavailable
from shared.log import get_logger

# A batch may change a hundred times a second.
_EVERY_S = 0.5
log = get_logger(__name__)


async def batch_frames(context: Context, batch: Batch, known: str) -> AsyncIterator[bytes]:
    """A frame a state, at most twice a second, from the one after `known` to the one in which the batch is done."""
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
    """The batch now; as it was while Redis is away, whose reader wakes everybody again and again."""
    try:
        return await context.batches.get(batch.tenant, batch.id)
    except RecordsUnavailable as error:
        log.warning("batch_unavailable", error=error.message)
        return batch
