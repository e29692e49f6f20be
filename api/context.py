"""What every request needs, opened once at start: settings, the two stores, and room to decode pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Request

from api.auth.keys import KeyRing
from api.auth.read_limit import ReadLimit
from api.erasure import Eraser
from shared.batch_files import line_reader
from shared.blob_store import BlobStore
from shared.errors import BlobsRefused, BlobsUnavailable, RecordsUnavailable, TooManyStreams
from shared.limits import BundleLimits, limits_of
from shared.settings import Settings
from shared.store.batches.store import AsyncBatchStore
from shared.store.connection import connect, connect_async
from shared.store.jobs.erasure import Erasures
from shared.store.jobs.live import LiveJobs
from shared.store.jobs.store import AsyncJobStore
from shared.store.owner import BucketOwner
from shared.store.queue.state import QueueStates
from shared.store.queue.totals import QueueTotals
from shared.store.queue.workers import WorkerRegistry
from shared.store.tenants.audit import AuditLog
from shared.store.tenants.idempotency import IdempotencyStore
from shared.store.webhooks.store import WebhookStore
from shared.telemetry.log import get_logger

# A picture of 50 megapixels needs 150 MB while it is decoded: this many at once, the others wait their turn.
_DECODED_AT_ONCE = 4
# A form of many photos holds half a gigabyte of pixels from the first check until all are stored.
_FORMS_AT_ONCE = 3
# Checking the lines of a batch is all Python: a second thread would only take turns with the first.
_CHECKED_AT_ONCE = 1
_START_PAUSE_S = 1.0
_T = TypeVar("_T")
_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Context:
    """The API's side of the stores. One per process; routes find it with `context_of`.

    unpacking: held while a form's photos are in memory.
    """

    settings: Settings
    limits: BundleLimits
    jobs: AsyncJobStore
    batches: AsyncBatchStore
    responses: IdempotencyStore
    audit: AuditLog
    queue: QueueStates
    totals: QueueTotals
    worker_registry: WorkerRegistry
    keys: KeyRing
    read_limit: ReadLimit
    live: LiveJobs
    webhooks: WebhookStore
    blobs: BlobStore
    eraser: Eraser
    owner: BucketOwner
    decoding: CapacityLimiter
    unpacking: CapacityLimiter
    checking: CapacityLimiter

    async def decoded(self, read: Callable[[], _T]) -> _T:
        """Runs work on a picture in a thread, a bounded number at once."""
        return await run_sync(read, limiter=self.decoding)

    def check_streams(self) -> None:
        """Raises TooManyStreams when this process serves as many event streams as it may."""
        most = self.settings.max_streams
        if self.live.count >= most:
            message = f"{most} streams are open here; poll the job instead, or come back"
            raise TooManyStreams(message)

    async def checked(self, read: Callable[[], _T]) -> _T:
        """Runs work on the lines of a batch in a thread, one batch's at a time."""
        return await run_sync(read, limiter=self.checking)


def context_of(request: Request) -> Context:
    """The context of the app that serves this request."""
    context: Context = request.app.state.context
    return context


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[Context]:
    """Opens the stores and closes them again. Servers that do not answer yet are no reason not to start."""
    client = connect_async(settings)
    blobs = BlobStore(settings)
    blocking = connect(settings)
    owner = BucketOwner(blocking, settings, blobs)
    read_line = line_reader(blobs)
    jobs = AsyncJobStore(client, settings, read_line)
    live = LiveJobs(jobs)
    live.start()
    opening = asyncio.gather(
        _until_it_answers(jobs.start),
        _until_it_answers(lambda: asyncio.to_thread(blobs.ensure_bucket)),
    )
    batches, webhooks = AsyncBatchStore(client, settings, jobs.events), WebhookStore(client, settings)
    audit = AuditLog(client, settings)
    eraser = Eraser(
        audit=audit,
        records=Erasures(client, settings, read_line),
        batches=batches,
        webhooks=webhooks,
        blobs=blobs,
        owner=owner,
        settings=settings,
    )
    stop = asyncio.Event()
    sweeping = asyncio.create_task(eraser.run(stop))
    try:
        yield Context(
            settings=settings,
            limits=limits_of(settings.bundle, settings.allowed_loras),
            jobs=jobs,
            batches=batches,
            responses=IdempotencyStore(client, settings),
            audit=audit,
            queue=QueueStates(client, settings, jobs),
            totals=QueueTotals(client, settings),
            worker_registry=WorkerRegistry(client, settings),
            keys=KeyRing(client, settings),
            # Without keys there is only one tenant, so no tenant needs protection from another.
            read_limit=ReadLimit(settings.reads_per_s if settings.auth else 0, time.monotonic),
            live=live,
            webhooks=webhooks,
            blobs=blobs,
            eraser=eraser,
            owner=owner,
            decoding=CapacityLimiter(_DECODED_AT_ONCE),
            unpacking=CapacityLimiter(_FORMS_AT_ONCE),
            checking=CapacityLimiter(_CHECKED_AT_ONCE),
        )
    finally:
        stop.set()
        opening.cancel()
        sweeping.cancel()
        await asyncio.wait([opening])
        await asyncio.wait([sweeping])
        await live.stop()
        await jobs.stop()
        await client.aclose()
        blocking.close()


async def _until_it_answers(start: Callable[[], Awaitable[None]]) -> None:
    """Tries to start one store's part until its server is there."""
    while True:
        try:
            await start()
        except (RecordsUnavailable, BlobsUnavailable, BlobsRefused) as error:
            _log.warning("store_unavailable", code=error.code, detail=error.message)
        except Exception:  # noqa: BLE001 - a part that never starts would keep callers waiting for changes for ever
            _log.exception("store_not_started")
        else:
            return
        await asyncio.sleep(_START_PAUSE_S)
