"""Job records for the API: submit, read, wait, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio
from redis.client import NEVER_DECODE

from shared.batch import ReadLine
from shared.errors import RecordsUnavailable
from shared.job import Job, JobSpec, Progress, Status, encode_spec
from shared.settings import Settings
from shared.store import keys, scripts
from shared.store.connection import check_primary, redis_errors
from shared.store.jobs import record
from shared.store.jobs.events import EventReader
from shared.store.queue.values import (
    JobPage,
    ListCursor,
    QueuePlace,
    WorkerStatus,
)
from shared.store.tenants.audit import recorded_by
from shared.store.tenants.charge import Charge
from shared.store.units import encode_units
from shared.telemetry.context import traceparent
from shared.tenant import DEFAULT_TENANT

_STATUS_AGE_S = 1.0
# Jobs that one page may scan: Redis does nothing else in the meantime.
_MAX_LISTED = 1000


class AsyncJobStore:
    """Job records behind an event loop. `start` before `wait`, `stop` at the end; both are cheap.

    Attributes:
        events: the one reader of changes of this process.
    """

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings, read_line: ReadLine = record.no_lines) -> None:
        if not redis.get_connection_kwargs().get("decode_responses"):
            message = "the Redis client must decode responses: make it with connect_async"
            raise ValueError(message)
        self._redis = redis
        self._read_line = read_line
        self._settings = settings
        self._prefix = settings.key_prefix
        self.events = EventReader(redis, self._prefix)
        self._submit = scripts.Script(redis, self._prefix, "jobs/submit")
        self._admit = scripts.Script(redis, self._prefix, "tenants/admit")
        self._largest = scripts.Script(redis, self._prefix, "queue/largest_pixels")
        self._cancel = scripts.Script(redis, self._prefix, "jobs/cancel")
        self._keep_photo = scripts.Script(redis, self._prefix, "photos/keep")
        self._list = scripts.Script(redis, self._prefix, "jobs/list")
        self._request_preview = scripts.Script(redis, self._prefix, "jobs/request_preview")
        self._place = scripts.Script(redis, self._prefix, "queue/position")
        self._seen: tuple[float, list[WorkerStatus]] | None = None

    async def start(self) -> None:
        """Starts the one reader of events. Raises RecordsUnavailable."""
        await self.events.start()

    async def stop(self) -> None:
        """Stops the reader and ends all waits."""
        await self.events.stop()

    async def ping(self) -> None:
        """Raises RecordsUnavailable unless a Redis that takes writes answers."""
        await check_primary(self._redis)

    async def submit(
        self,
        job_id: str,
        spec: JobSpec,
        *,
        tenant: str = DEFAULT_TENANT,
        charge: Charge | None = None,
        retry_of: str | None = None,
    ) -> Job:
        """Queues the job in one step. The same id again changes nothing and gives the job that is there.

        With a charge the job counts against the tenant's limits. Raises NoWorkerForSize, RateLimited, QuotaExceeded
        or RecordsUnavailable.
        """
        more = record.request_fields(spec, self._settings)
        if (trace := traceparent.get()) is not None:
            more += ["trace", trace]
        made, *rest = await self._run(
            self._submit,
            id=job_id,
            lane=spec.lane,
            tenant=tenant,
            units=encode_units(record.units(spec)),
            spec=encode_spec(spec),
            requests=None if charge is None else charge.requests,
            pixels=record.pixels(spec),
            by="" if charge is None else recorded_by(charge.by, self._settings),
            retry_of=retry_of,
            fields=more,
        )
        if made:
            at, *charged = rest
            if charged:
                (charge or Charge()).record(charged)
            return Job(
                id=job_id,
                spec=spec,
                status=Status.QUEUED,
                stage=None,
                progress=Progress(),
                lane=spec.lane,
                tenant=tenant,
                attempt=0,
                sequence=1,
                retry_of=retry_of,
                created_at=float(at),
            )
        job = await self.get(job_id)
        if job is None:
            message = f"the record of job {job_id} went away while it was read"
            raise RecordsUnavailable(message)
        return job

    async def admit(self, tenant: str, charge: Charge, *, units: float = 0.0, pixels: int = 0) -> None:
        """Counts a request, and units if it needs some, against the tenant's limits: all or nothing.

        pixels: of the picture that it is about. Raises NoWorkerForSize, RateLimited, QuotaExceeded or
        RecordsUnavailable.
        """
        answer = await self._run(
            self._admit, tenant=tenant, requests=charge.requests, units=encode_units(units), pixels=pixels
        )
        charge.record(answer)

    async def largest_pixels(self) -> int | None:
        """Pixels of the largest picture that a live worker draws, as `submit` refuses by it. None: any may be served.

        Raises RecordsUnavailable.
        """
        most: int | None = await self._run(self._largest)
        return most

    async def get(self, job_id: str) -> Job | None:
        """The job, or None when there is none of this id (any more).

        Raises RecordsUnavailable, or BlobsUnavailable for a finished job of a batch.
        """
        with redis_errors():
            fields: Any = await self._redis.hgetall(keys.job_key(self._prefix, job_id))
        return await self._decoded(job_id, fields)

    async def states(self, job_ids: Sequence[str]) -> list[Job | None]:
        """The jobs of these ids, in one round trip; a placeholder replaces the spec of a finished line.

        Raises RecordsUnavailable.
        """
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in job_ids:
                    pipe.hgetall(keys.job_key(self._prefix, job_id))
                records: list[dict[str, str]] = await pipe.execute()
        pairs = zip(job_ids, records, strict=True)
        return [record.decode_state(job_id, fields) if "tenant" in fields else None for job_id, fields in pairs]

    async def page(
        self, *, tenant: str, limit: int, status: Status | None = None, after: ListCursor | None = None
    ) -> JobPage:
        """A tenant's jobs in this status (any when None), the newest first; those of batches are with their batch.

        May hold fewer than `limit` although there are more: a page scans a limited number. Raises RecordsUnavailable.
        """
        at, last, *flat = await self._run(
            self._list,
            tenant=tenant,
            status=status and status.value,
            limit=limit,
            max_scanned=_MAX_LISTED,
            after_at=after and after.at,
            after_id=after and after.job_id,
        )
        records = zip(flat[::2], flat[1::2], strict=True)
        jobs = tuple(record.decode(job_id, record.pairs(fields)) for job_id, fields in records)
        return JobPage(jobs=jobs, next=ListCursor(at=at, job_id=last) if last else None)

    async def wait(self, job_id: str, *, after: int, timeout_s: float) -> Job | None:
        """The job once its sequence is above `after` or it is done, or as it is when the time is over.

        The time is over as well when this process goes away.
        Raises RecordsUnavailable.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        with self.events.changes(job_id) as changed:
            while True:
                changed.clear()
                job = await self.get(job_id)
                left_s = deadline - loop.time()
                if job is None or job.done or job.sequence > after or left_s <= 0 or self.events.stopped:
                    return job
                try:
                    await asyncio.wait_for(changed.wait(), left_s)
                except TimeoutError:
                    return await self.get(job_id)

    async def cancel(self, job_id: str, *, tenant: str = DEFAULT_TENANT, by: str = "") -> Job | None:
        """Cancels the job: at once when no worker holds it, else at its next step. by: id of the key that asks.

        None when the tenant has no such job. A job that is over stays as it is. Raises RecordsUnavailable.
        """
        asked_by = recorded_by(by, self._settings)
        expiry_s = self._settings.job_expiry_s
        found = await self._run(self._cancel, id=job_id, expiry_s=expiry_s, tenant=tenant, by=asked_by)
        return await self.get(job_id) if found else None

    async def request_preview(self, job_id: str, *, for_s: float) -> None:
        """Requests previews of the job from its worker for this long. Raises RecordsUnavailable."""
        await self._run(self._request_preview, id=job_id, seconds=for_s)

    async def preview(self, job_id: str) -> bytes | None:
        """The picture as it emerges (JPEG), if there is one now. Raises RecordsUnavailable."""
        with redis_errors():
            # Bytes of a picture are no text to decode.
            found: bytes | None = await self._redis.execute_command(
                "GET", keys.preview_key(self._prefix, job_id), **{NEVER_DECODE: True}
            )
        return found

    async def queue_place(self, job_id: str) -> QueuePlace | None:
        """Where a queued job stands; None for any other. Raises RecordsUnavailable."""
        return self._placed(await self._run(self._place, id=job_id), await self.slots())

    async def queue_places(self, job_ids: Sequence[str]) -> list[QueuePlace | None]:
        """Where each of these jobs stands, in one round trip. Raises RecordsUnavailable."""
        slots = await self.slots()
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in job_ids:
                    await self._place(id=job_id, client=pipe)
                return [self._placed(found, slots) for found in await pipe.execute()]

    async def slots(self) -> int:
        """Slots that draw pictures, of workers that are ready. Raises RecordsUnavailable."""
        return sum(
            status.slots for status in await self._recent_workers() if status.ready and status.role != "detection"
        )

    async def keep_photo(
        self, tenant: str, photo_id: str, by: str = "", consent: str = "", *, known: bool = False
    ) -> bool:
        """Records that a tenant's photo is stored, for as long as photos are kept, and the consent given with it.

        known: only if it is recorded already. False when not, or when its bytes are being deleted: then nothing
        changes. Raises RecordsUnavailable.
        """
        expiry_s, asked_by = self._settings.photo_expiry_s, recorded_by(by, self._settings)
        kept = await self._run(
            self._keep_photo,
            tenant=tenant,
            photo=photo_id,
            expiry_s=expiry_s,
            by=asked_by,
            consent=consent,
            known=known,
        )
        return bool(kept)

    async def consent(self, tenant: str, photo_id: str) -> str | None:
        """The consent given with a tenant's photo, "" for none; None when there is no such photo.

        Raises RecordsUnavailable.
        """
        with redis_errors():
            found: Any = await self._redis.get(keys.photo_key(self._prefix, tenant, photo_id))
        return None if found is None else str(found)[1:]

    async def unknown_photos(self, tenant: str, ids: Sequence[str]) -> set[str]:
        """Those of the ids that no stored photo of the tenant has. Raises RecordsUnavailable."""
        if not ids:
            return set()
        with redis_errors():
            found = await self._redis.mget([keys.photo_key(self._prefix, tenant, photo_id) for photo_id in ids])
        return {photo_id for photo_id, value in zip(ids, found, strict=True) if value is None}

    async def workers(self) -> list[WorkerStatus]:
        """Live workers. Raises RecordsUnavailable."""
        with redis_errors():
            seconds, _ = await self._redis.time()
            names: Any = await self._redis.zrangebyscore(keys.workers_key(self._prefix), seconds, "+inf")
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.hgetall(keys.worker_key(self._prefix, name))
                status = await pipe.execute()
        return [WorkerStatus.model_validate(fields) for fields in status if "role" in fields]

    async def _decoded(self, job_id: str, fields: Mapping[str, str]) -> Job | None:
        whole = fields if "spec" in fields else await record.whole(fields, self._read_line)
        return None if whole is None else record.decode(job_id, whole)

    @staticmethod
    def _placed(found: Any, slots: int) -> QueuePlace | None:
        """The answer of queue/position.lua as a value."""
        if not found:
            return None
        lane, position, units, speed, own_units, cap = found
        eta_s = float(units) / (float(speed) * slots) if speed and slots else None
        if eta_s is not None and cap:
            eta_s = max(eta_s, float(own_units) / (float(speed) * min(slots, int(cap))))
        return QueuePlace(lane=lane, position=position, eta_s=eta_s)

    async def _recent_workers(self) -> list[WorkerStatus]:
        """The workers as of at most a second ago: every read of a queued job needs them."""
        now_s = asyncio.get_running_loop().time()
        if self._seen is None or now_s - self._seen[0] > _STATUS_AGE_S:
            self._seen = (now_s, await self.workers())
        return self._seen[1]

    async def _run(self, script: scripts.Script, **values: Any) -> Any:
        with redis_errors():
            return await script(**values)
