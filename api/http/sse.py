"""Server-sent events: the frames of a job's states, and a response that ends with the process."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from shared.telemetry.log import get_logger

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
