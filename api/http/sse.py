"""Server-sent events: a response that ends when the process shuts down or the reader stops reading."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from shared.telemetry.log import get_logger

_KEEP_ALIVE_S = 15
# By then the buffers of the kernel and the server are full for a reader that reads nothing.
_STUCK_S = 30
# A browser that lost its stream reconnects after this time.
RETRY_MS = 2000
_KEEP_ALIVE = ServerSentEvent(comment="keep-alive", sep="\n")
log = get_logger(__name__)


class EventStream(EventSourceResponse):
    """A stream of frames, with a comment every 15 s of silence. Disconnects a reader that does not read."""

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        super().__init__(
            frames,
            ping=_KEEP_ALIVE_S,
            ping_message_factory=lambda: _KEEP_ALIVE,
            sep="\n",
            send_timeout=_STUCK_S,
            headers={"Cache-Control": "no-store"},
            # On shutdown the frames end by themselves; this keeps the library from cutting them.
            shutdown_grace_period=1,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the stream until it ends, or until the reader disconnects or stops reading."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("stream_reader_stuck", reason=f"nothing was read for {_STUCK_S} s")
