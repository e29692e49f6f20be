"""The resources of an API process, opened once at startup: settings, stores, and limits of parallel work."""

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

# Decoding a picture of 50 megapixels takes 150 MB: this many at once.
_DECODED_AT_ONCE = 4
# A form with many photos holds half a gigabyte of pixels until all are stored.
_FORMS_AT_ONCE = 3
# Checking the lines of a batch is pure Python: a second thread would not run in parallel.
_CHECKED_AT_ONCE = 1
_START_PAUSE_S = 1.0
_T = TypeVar("_T")
_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Context:
    """The resources of this process; routes get it from `context_of`.

    decoding, unpacking, checking: limits of decoded pictures, forms in memory, and checked batches.
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
        """Runs work on a picture in a thread, within the limit."""
        return await run_sync(read, limiter=self.decoding)

    def check_streams(self) -> None:
        """Raises TooManyStreams if this process serves its largest number of event streams."""
        most = self.settings.max_streams
        if self.live.count >= most:
            message = f"this process already serves {most} event streams; retry later, or poll"
            raise TooManyStreams(message)

    async def checked(self, read: Callable[[], _T]) -> _T:
        """Runs work on the lines of a batch in a thread, within the limit."""
        return await run_sync(read, limiter=self.checking)


def context_of(request: Request) -> Context:
    """The context of the app that serves this request."""
    context: Context = request.app.state.context
    return context


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[Context]:
    """Opens the stores and closes them at the end. Does not wait for servers that do not answer yet."""
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
    """Retries the start of a store until its server answers."""
    while True:
        try:
            await start()
        except (RecordsUnavailable, BlobsUnavailable, BlobsRefused) as error:
            _log.warning("store_unavailable", code=error.code, detail=error.message)
        except Exception:  # noqa: BLE001 - without this retry callers would wait for changes for ever
            _log.exception("store_start_failed")
        else:
            return
        await asyncio.sleep(_START_PAUSE_S)
