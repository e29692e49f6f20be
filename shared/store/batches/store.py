"""Batches for the API: create, read, wait, list, cancel, retry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import redis.asyncio

from shared.batch import Batch, Log
from shared.job import Job, Status
from shared.settings import Settings
from shared.store import keys, scripts
from shared.store.batches.record import decode
from shared.store.connection import redis_errors
from shared.store.jobs import record
from shared.store.jobs.erasure import Erasing
from shared.store.jobs.events import EventReader
from shared.store.tenants.audit import recorded_by
from shared.store.tenants.charge import Charge
from shared.store.units import encode_units

_SCRIPTS = ("batches/open", "batches/start", "batches/drop", "batches/stop", "batches/retry", "batches/erase")
# The reader of the lines renews the intake this often, or the batch feeder drops the batch.
INTAKE_S = 120


@dataclass(frozen=True, kw_only=True)
class Page:
    """Batches, the newest first. next: where the next page begins, None at the end."""

    batches: tuple[Batch, ...]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Lines to retry: where they are stored, their last states, their units, and the rest of the errors log."""

    source: str
    chunks: int
    counts: Mapping[Status, int]
    units: float
    errors: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class OpenJob:
    """A job of a batch that is not over."""

    id: str
    line: int
    custom_id: str
    status: Status


class AsyncBatchStore:
    """Batches behind an event loop. Every call may raise RecordsUnavailable. events: the process's one reader.

    by: id of the key that asks, for the audit log; empty without one.
    """

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings, events: EventReader) -> None:
        self._redis = redis
        self._settings = settings
        self._prefix = settings.key_prefix
        self._events = events
        self._scripts = scripts.load(redis, self._prefix, _SCRIPTS)

    async def open(self, batch_id: str, *, tenant: str, name: str, expires_after_s: int | None) -> bool:
        """Makes the record of a batch whose lines are about to be read. False when the batch runs already."""
        made = await self._run(
            "batches/open",
            id=batch_id,
            tenant=tenant,
            name=name,
            expires_after_s=expires_after_s,
            intake_s=INTAKE_S,
        )
        return bool(made)

    async def renew_intake(self, batch_id: str) -> bool:
        """Renews the intake of a batch whose lines are being read. False when the batch was dropped in the meantime."""
        with redis_errors():
            return bool(await self._redis.set(keys.intake_key(self._prefix, batch_id), 1, ex=INTAKE_S, xx=True))

    async def start(
        self,
        batch_id: str,
        *,
        source: str,
        chunks: int,
        good: int,
        invalid: int,
        units: float,
        errors: Sequence[str],
        charge: Charge | None = None,
    ) -> bool:
        """All lines are read: the batch runs. False when it was dropped in the meantime.

        With a charge the batch counts against the tenant's limits, and only if it runs. Raises RateLimited or
        QuotaExceeded.
        """
        answer = await self._run(
            "batches/start",
            id=batch_id,
            source=source,
            chunks=chunks,
            good=good,
            bad=invalid,
            units=encode_units(units),
            errors=errors,
            **self._counted(charge),
        )
        return _noted(answer, charge)

    async def drop(self, batch_id: str) -> bool:
        """Deletes a batch that has not started. False, and nothing changes, when it runs: then it needs its lines."""
        return bool(await self._run("batches/drop", id=batch_id))

    async def get(self, tenant: str, batch_id: str) -> Batch | None:
        """The tenant's batch of this id, or None."""
        found = await self._read([batch_id])
        return found[0] if found and found[0].tenant == tenant and not _is_gone(found[0]) else None

    async def wait(self, tenant: str, batch_id: str, *, after: int, timeout_s: float) -> Batch | None:
        """The batch once its sequence is above `after` or it is done, or as it is when the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        with self._events.changes(batch_id) as changed:
            while True:
                changed.clear()
                batch = await self.get(tenant, batch_id)
                left_s = deadline - loop.time()
                if batch is None or batch.done or batch.sequence > after or left_s <= 0 or self._events.stopped:
                    return batch
                try:
                    await asyncio.wait_for(changed.wait(), left_s)
                except TimeoutError:
                    return await self.get(tenant, batch_id)

    async def page(self, tenant: str, *, after: str | None, limit: int) -> Page:
        """The tenant's batches after this one (`next` of the page before), at most `limit`."""
        key = keys.batches_key(self._prefix, tenant)
        score, _, last = (after or "").partition("-")
        start = float(score) if score else "+inf"
        with redis_errors():
            # Batches of one microsecond are as good as none, so a few more than asked for cover them.
            rows: Any = await self._redis.zrevrangebyscore(key, start, "-inf", start=0, num=limit + 8, withscores=True)
        ids = [str(name) for name, _ in rows]
        if last in ids:
            rows = rows[ids.index(last) + 1 :]
        rows = rows[: limit + 1]
        shown = [str(name) for name, _ in rows[:limit]]
        batches = await self._read(shown)
        gone = set(shown) - {batch.id for batch in batches}
        if gone:
            with redis_errors():
                await self._redis.zrem(key, *gone)
        following = f"{rows[limit - 1][1]:.6f}-{shown[-1]}" if len(rows) > limit else None
        return Page(batches=tuple(batch for batch in batches if not _is_gone(batch)), next=following)

    async def cancel(self, tenant: str, batch_id: str, by: str = "") -> Batch | None:
        """Queues no more lines and cancels open jobs; a batch that is over stays as it is. None without one."""
        await self._stop(batch_id, tenant, by)
        return await self.get(tenant, batch_id)

    async def stop_all(self, tenant: str) -> None:
        """Cancels every batch of the tenant."""
        for batch_id in await self._ids(tenant):
            await self._stop(batch_id, tenant)

    async def forget_all(self, tenant: str) -> None:
        """Deletes every record of the tenant's batches. Its jobs are erased already, so no record is written again."""
        for batch_id in await self._ids(tenant):
            await self.forget(tenant, batch_id)

    async def forget(self, tenant: str, batch_id: str) -> None:
        """Deletes the batch's record; its jobs and files are deleted already."""
        logs = get_args(Log)
        of_logs = [name(self._prefix, batch_id, log) for name in (keys.ended_key, keys.log_key) for log in logs]
        own = [name(self._prefix, batch_id) for name in (keys.batch_key, keys.intake_key, keys.open_key)]
        with redis_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(*own, *of_logs)
                pipe.zrem(keys.active_batches_key(self._prefix), batch_id)
                pipe.zrem(keys.kept_batches_key(self._prefix), batch_id)
                pipe.zrem(keys.batches_key(self._prefix, tenant), batch_id)
                await pipe.execute()

    async def erase(self, tenant: str, batch_id: str, by: str = "") -> Erasing:
        """Erases the tenant's batch: now if it is over, else as soon as it is; one that runs is canceled."""
        answer = Erasing(
            await self._run("batches/erase", id=batch_id, tenant=tenant, by=recorded_by(by, self._settings))
        )
        if answer is Erasing.RUNNING:
            await self._stop(batch_id, tenant)
        return answer

    async def due(self, most: int) -> list[Batch]:
        """Batches that are over and due to be erased; from now on their lines cannot be retried."""
        with redis_errors():
            seconds, _ = await self._redis.time()
            key = keys.kept_batches_key(self._prefix)
            ids: Any = await self._redis.zrangebyscore(key, "-inf", seconds, start=0, num=most)
        going = [one for one in ids if await self._run("batches/erase", id=one, by="") == Erasing.OVER]
        return await self._read(going)

    async def unknown(self, ids: Sequence[str]) -> set[str]:
        """The ids that belong to no batch."""
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for batch_id in ids:
                    pipe.exists(keys.batch_key(self._prefix, batch_id))
                found = await pipe.execute()
        return {batch_id for batch_id, known in zip(ids, found, strict=True) if not known}

    async def _ids(self, tenant: str) -> list[str]:
        with redis_errors():
            found: Any = await self._redis.zrange(keys.batches_key(self._prefix, tenant), 0, -1)
        return list(found)

    async def retry(self, batch: Batch, lines: Retry, charge: Charge | None = None) -> bool:
        """Runs a batch that is over again, for these lines. False when another request was faster.

        With a charge, lines that had begun count against the tenant's limits. Raises RateLimited or QuotaExceeded,
        and then nothing has changed.
        """
        counts = {
            status.value: lines.counts.get(status, 0) for status in (Status.FAILED, Status.CANCELED, Status.EXPIRED)
        }
        answer = await self._run(
            "batches/retry",
            id=batch.id,
            round=batch.round,
            source=lines.source,
            chunks=lines.chunks,
            units=encode_units(lines.units),
            errors=lines.errors,
            **counts,
            **self._counted(charge),
        )
        return _noted(answer, charge)

    async def names(self, batch: Batch, log: Log) -> list[str]:
        """Names of the chunks of a log."""
        with redis_errors():
            return [str(name) for name in await self._redis.lrange(keys.log_key(self._prefix, batch.id, log), 0, -1)]

    async def ended(self, batch: Batch, log: Log) -> tuple[list[str], list[Job]]:
        """Names of the chunks of a log, and the jobs that come after them, as both were at one moment."""
        while True:
            with redis_errors():
                async with self._redis.pipeline(transaction=True) as pipe:
                    pipe.lrange(keys.log_key(self._prefix, batch.id, log), 0, -1)
                    pipe.lrange(keys.ended_key(self._prefix, batch.id, log), 0, -1)
                    names, ids = await pipe.execute()
                async with self._redis.pipeline(transaction=False) as pipe:
                    for job_id in ids:
                        pipe.hgetall(keys.job_key(self._prefix, job_id))
                    found = await pipe.execute()
            if not any(record.line_source(fields) for fields in found):
                jobs = [record.decode(one, fields) for one, fields in zip(ids, found, strict=True) if "spec" in fields]
                return list(names), jobs
            # Written into the log in between: it has a chunk now that tells of them.

    async def open_jobs(self, batch: Batch) -> list[OpenJob]:
        """The batch's jobs that are queued or running, in the order of their lines."""
        with redis_errors():
            ids: Any = await self._redis.smembers(keys.open_key(self._prefix, batch.id))
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in ids:
                    pipe.hmget(keys.job_key(self._prefix, job_id), "line", "custom", "s")
                found = await pipe.execute()
        jobs = [
            OpenJob(id=str(job_id), line=int(line), custom_id=custom_id, status=Status(status or Status.QUEUED))
            for job_id, (line, custom_id, status) in zip(ids, found, strict=True)
            if line
        ]
        return sorted(jobs, key=lambda job: job.line)

    def _counted(self, charge: Charge | None) -> dict[str, int | str | None]:
        """What a script counts a request as, and who asks."""
        if charge is None:
            return {"requests": None, "by": ""}
        return {"requests": charge.requests, "by": recorded_by(charge.by, self._settings)}

    async def _stop(self, batch_id: str, tenant: str, by: str = "") -> None:
        asked_by = recorded_by(by, self._settings)
        expiry_s = self._settings.job_expiry_s
        await self._run("batches/stop", id=batch_id, tenant=tenant, reason="canceled", expiry_s=expiry_s, by=asked_by)

    async def _read(self, ids: Sequence[str]) -> list[Batch]:
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.time()
                for batch_id in ids:
                    pipe.hgetall(keys.batch_key(self._prefix, batch_id))
                (seconds, micros), *found = await pipe.execute()
        now_s = seconds + micros / 1e6
        return [decode(one, fields, now_s) for one, fields in zip(ids, found, strict=True) if "tenant" in fields]

    async def _run(self, script: str, **values: Any) -> Any:
        with redis_errors():
            return await self._scripts[script](**values)


def _noted(answer: Sequence[Any], charge: Charge | None) -> bool:
    """Whether a script did what it was asked for; the charge records what it counted, and raises as it does."""
    done, *charged = answer
    if charge is not None and charged:
        charge.record(charged)
    return bool(done)


def _is_gone(batch: Batch) -> bool:
    """Whether the batch is being erased and no longer visible."""
    return batch.pending_delete and batch.done
