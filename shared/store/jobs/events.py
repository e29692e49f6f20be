"""One reader of the stream of changes for a whole process, however many requests wait for a job."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

import redis.asyncio

from shared.errors import RecordsUnavailable
from shared.store import keys
from shared.store.connection import redis_errors
from shared.telemetry.log import get_logger

# Shorter than a client waits for an answer.
_BLOCK_MS = 4_000
_PAUSE_S = 0.5
_AT_ONCE = 1_000

log = get_logger(__name__)


class EventReader:
    """Wakes the tasks that wait for a job when its sequence has risen.

    Attributes:
        stopped: no more events are read, so waits end.
    """

    def __init__(self, redis: redis.asyncio.Redis, prefix: str) -> None:
        self._redis = redis
        self._stream = keys.events_key(prefix)
        self._listening: dict[str, set[Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._last = "0-0"
        self.stopped = False

    async def start(self) -> None:
        """Starts reading at the newest event. Raises RecordsUnavailable."""
        if self._task is None:
            self._last = await self._newest()
            self._task = asyncio.create_task(go_on(self._read), name="job events")

    async def stop(self) -> None:
        """Stops reading and wakes everybody."""
        self.stopped = True
        task, self._task = self._task, None
        if task is not None:
            await end(task)
        self._wake_all()

    @contextlib.contextmanager
    def listen(self, job_id: str, wake: Callable[[], None]) -> Iterator[None]:
        """Calls `wake` whenever the job has changed, and when it may have; at most once a change of it."""
        self._listening.setdefault(job_id, set()).add(wake)
        try:
            yield
        finally:
            listeners = self._listening[job_id]
            listeners.discard(wake)
            if not listeners:
                del self._listening[job_id]

    @contextlib.contextmanager
    def changes(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job changes; the waiting task clears it."""
        event = asyncio.Event()
        with self.listen(job_id, event.set):
            yield event

    async def _newest(self) -> str:
        with redis_errors():
            newest = await self._redis.xrevrange(self._stream, count=1)
        return str(newest[0][0]) if newest else "0-0"

    async def _read(self) -> None:
        while True:
            try:
                with redis_errors():
                    streams = await self._redis.xread({self._stream: self._last}, count=_AT_ONCE, block=_BLOCK_MS)
                for _, entries in _streams(streams):
                    for entry_id, fields in entries:
                        self._last = entry_id
                        for wake in self._listening.get(fields["j"], ()):
                            wake()
            except Exception as error:
                # The place in the stream is kept, but a Redis that came back empty has none: let everybody look.
                self._wake_all()
                if not isinstance(error, RecordsUnavailable):
                    raise
                log.warning("events_unavailable", error=error.message)
                await asyncio.sleep(_PAUSE_S)

    def _wake_all(self) -> None:
        for listeners in self._listening.values():
            for wake in listeners:
                wake()


async def go_on(work: Callable[[], Awaitable[None]]) -> None:
    """Does what never ends, and again after a pause when it broke: those who wait for it would wait for ever."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("background_task_failed")
        await asyncio.sleep(_PAUSE_S)


async def end(task: asyncio.Task[None]) -> None:
    """Cancels a task that talks to Redis, and returns when it has ended."""
    while not task.done():
        # Again, because a cancel that meets the end of a read gets lost in the client.
        task.cancel()
        await asyncio.wait({task}, timeout=_PAUSE_S)


def _streams(reply: object) -> list[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """The reply of XREAD as (stream, entries) pairs: RESP3 gives a mapping of lists of lists, RESP2 a list of pairs."""
    if not reply:
        return []
    if isinstance(reply, dict):
        return [(name, [entry for page in pages for entry in page]) for name, pages in reply.items()]
    if isinstance(reply, list):
        return reply
    message = f"XREAD answered {type(reply).__name__}"
    raise TypeError(message)
