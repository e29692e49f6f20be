"""The newest state of every watched job, read once for all its viewers.

A change only marks its job; one task reads all that are marked, in one round trip, and wakes their viewers. So a
burst of changes costs one read, and a reader that is slow finds the newest state and nothing piled up behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from shared.errors import RecordsUnavailable
from shared.job import Job, Status
from shared.store.jobs.events import end, go_on
from shared.store.jobs.store import AsyncJobStore
from shared.store.queue.values import QueuePlace
from shared.telemetry.log import get_logger

# A place in the queue changes without a change of the job that stands there.
_PLACES_EVERY_S = 2.0
_PAUSE_S = 0.5
# A worker stores previews for this long after a request; the request is repeated in time.
_SHOW_S = 30.0
_ASK_EVERY_S = 10.0
# Records decoded at once (about 10 ms): no other task runs in the meantime.
_AT_ONCE = 100

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """A job as it was read: None when there is none of this id any more. place: only while it is queued."""

    job: Job | None
    place: QueuePlace | None = None

    def same(self, other: Snapshot | None) -> bool:
        """Whether a reader that knows the other one would learn nothing."""
        if other is None:
            return False
        if self.job is None or other.job is None:
            return self.job is other.job
        return self.job.sequence == other.job.sequence and _shown(self.place) == _shown(other.place)


class Watch:
    """One reader of one job."""

    def __init__(self, watched: _Watched) -> None:
        self._watched = watched
        self._seen: Snapshot | None = None
        self._news = asyncio.Event()

    async def next(self) -> Snapshot | None:
        """The newest state, as soon as it is not the one given last. None when the process goes away."""
        while not self._watched.closed and (self._watched.newest is None or self._watched.newest is self._seen):
            self._news.clear()
            await self._news.wait()
        if self._watched.closed:
            return None
        self._seen = self._watched.newest
        return self._seen

    def wake(self) -> None:
        """There may be news."""
        self._news.set()


@dataclass(kw_only=True, eq=False)
class _Watched:
    newest: Snapshot | None = None
    closed: bool = False
    readers: set[Watch] = field(default_factory=set)
    shows: int = 0
    listening: ExitStack = field(default_factory=ExitStack)


class LiveJobs:
    """All watched jobs of a process. `start` makes no connection; `stop` ends every watch."""

    def __init__(self, jobs: AsyncJobStore) -> None:
        self._jobs = jobs
        self._watched: dict[str, _Watched] = {}
        self._marked: set[str] = set()
        self._news = asyncio.Event()
        self._asked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._count = 0

    @property
    def count(self) -> int:
        """How many watch."""
        return self._count

    def start(self) -> None:
        """Starts the tasks: one reads, one looks after places in the queue, one asks for previews."""
        self._tasks = [
            asyncio.create_task(go_on(self._read), name="live jobs"),
            asyncio.create_task(go_on(self._look_after_places), name="live places"),
            asyncio.create_task(go_on(self._ask_for_previews), name="live previews"),
        ]

    async def stop(self) -> None:
        """Ends every watch: `next` gives None from now on."""
        for watched in self._watched.values():
            watched.closed = True
            _wake(watched)
        tasks, self._tasks = self._tasks, []
        await asyncio.gather(*(end(task) for task in tasks))

    @contextmanager
    def counted(self) -> Iterator[None]:
        """One more who watches, whatever it is."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    @contextmanager
    def watch(self, job_id: str, *, show: bool = False) -> Iterator[Watch]:
        """A reader of the job's states, from the newest that is known on. show: its worker is to show the picture."""
        watched = self._watched.get(job_id)
        if watched is None:
            watched = self._watched[job_id] = _Watched(closed=not self._tasks)
            watched.listening.enter_context(self._jobs.events.listen(job_id, partial(self._mark, job_id)))
            self._mark(job_id)
        reader = Watch(watched)
        watched.readers.add(reader)
        watched.shows += show
        if show:
            self._asked.set()
        try:
            with self.counted():
                yield reader
        finally:
            watched.shows -= show
            watched.readers.discard(reader)
            if not watched.readers:
                watched.listening.close()
                self._watched.pop(job_id, None)

    def _mark(self, job_id: str) -> None:
        self._marked.add(job_id)
        self._news.set()

    async def _read(self) -> None:
        while True:
            await self._news.wait()
            taken = [self._marked.pop() for _ in range(min(len(self._marked), _AT_ONCE))]
            if not self._marked:
                self._news.clear()
            job_ids = [job_id for job_id in taken if job_id in self._watched]
            if not job_ids:
                continue
            try:
                await self._refresh(job_ids)
            except BaseException as error:
                # Else their watchers would wait for the next change, which may never come.
                for job_id in job_ids:
                    self._mark(job_id)
                if not isinstance(error, RecordsUnavailable):
                    raise
                log.warning("live_jobs_unavailable", error=error.message)
                await asyncio.sleep(_PAUSE_S)

    async def _refresh(self, job_ids: list[str]) -> None:
        jobs = await self._jobs.states(job_ids)
        queued = [job.id for job in jobs if job is not None and job.status is Status.QUEUED]
        places = dict(zip(queued, await self._jobs.queue_places(queued), strict=True)) if queued else {}
        for job_id, job in zip(job_ids, jobs, strict=True):
            watched = self._watched.get(job_id)
            if watched is not None:
                snapshot = Snapshot(job=job, place=places.get(job_id))
                if not snapshot.same(watched.newest):
                    watched.newest = snapshot
                    _wake(watched)

    async def _look_after_places(self) -> None:
        while True:
            await asyncio.sleep(_PLACES_EVERY_S)
            for job_id, watched in self._watched.items():
                newest = watched.newest
                if newest is not None and newest.job is not None and newest.job.status is Status.QUEUED:
                    self._mark(job_id)

    async def _ask_for_previews(self) -> None:
        """Asks for those that are new at once, and for all of them again and again."""
        loop = asyncio.get_running_loop()
        asked_s: dict[str, float] = {}
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), _ASK_EVERY_S)
            self._asked.clear()
            now_s = loop.time()
            wanted = [job_id for job_id, watched in self._watched.items() if watched.shows and _is_going_on(watched)]
            asked_s = {job_id: asked_s[job_id] for job_id in wanted if job_id in asked_s}
            for job_id in wanted:
                if now_s - asked_s.get(job_id, -_ASK_EVERY_S) >= _ASK_EVERY_S:
                    try:
                        await self._jobs.request_preview(job_id, for_s=_SHOW_S)
                    except RecordsUnavailable as error:
                        log.warning("preview_request_failed", error=error.message)
                        break
                    asked_s[job_id] = now_s


def _is_going_on(watched: _Watched) -> bool:
    newest = watched.newest
    return newest is None or (newest.job is not None and not newest.job.done)


def _wake(watched: _Watched) -> None:
    for reader in watched.readers:
        reader.wake()


def _shown(place: QueuePlace | None) -> tuple[int, int] | None:
    """The part of a place that matters to a viewer: not a change of the estimate by less than a second."""
    return None if place is None else (place.position, -1 if place.eta_s is None else round(place.eta_s))
