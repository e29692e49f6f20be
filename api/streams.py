"""Server-sent events: the frames of a job's states, and a response that ends with the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from api.context import Context
from api.views import news_body
from shared.errors import TooManyStreams
from shared.job import Job
from shared.job_store import Snapshot
from shared.log import get_logger

_KEEP_ALIVE_S = 15
# What the kernel and the server hold for a reader that reads nothing is full by then, and stays so.
_STUCK_S = 30
# A browser that lost its stream waits this long before it asks again.
RETRY_MS = 2000
_KEEP_ALIVE = ServerSentEvent(comment="keep-alive", sep="\n")
log = get_logger(__name__)


class EventStream(EventSourceResponse):
    """Frames as they come, a comment every 15 s without one. A reader that does not read is let go of."""

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        super().__init__(
            frames,
            ping=_KEEP_ALIVE_S,
            ping_message_factory=lambda: _KEEP_ALIVE,
            sep="\n",
            send_timeout=_STUCK_S,
            headers={"Cache-Control": "no-store"},
            # When the server goes away the frames end by themselves; the library, which would cut them, waits for it.
            shutdown_grace_period=1,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the stream until it ends, the reader leaves, or does not read any more."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("stream_let_go", reason=f"nothing was read for {_STUCK_S} s")


def check_room(context: Context) -> None:
    """Raises TooManyStreams when this process serves as many streams as it may."""
    most = context.settings.max_streams
    if context.live.count >= most:
        message = f"{most} streams are open here; poll the job instead, or come back"
        raise TooManyStreams(message)


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
