"""Batches for the batch feeder in a worker's supervisor: list the active ones, queue lines, take ended jobs, close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis

from shared.batch import Batch, BatchStatus, Cursor, Line, Log, job_id_of
from shared.job import Job, Status, encode_spec
from shared.settings import Settings
from shared.stages import STAGES
from shared.store import keys, scripts
from shared.store.batches.record import decode
from shared.store.connection import RedisValue, redis_errors
from shared.store.jobs import record
from shared.store.units import encode_units

_SCRIPTS = ("batches/feed", "batches/stop", "batches/write", "batches/close", "batches/drop", "jobs/compact")
_LOCK_S = 5.0
# Redis does nothing else in the meantime.
_COMPACTED_AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A chunk of a log that was written. last: name of the last chunk before it; jobs: ended jobs that are in it."""

    log: Log
    before: int
    last: str
    replaces: bool
    name: str
    jobs: int = 0


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Lines that end without a job: from where to where, as what, how many."""

    at: Cursor
    to: Cursor
    status: Status
    lines: int


class BatchStore:
    """Batches behind blocking calls. Every call may raise RecordsUnavailable.

    Every change names the state that the caller saw, and has no effect when the batch has another one.
    """

    def __init__(self, redis: redis.Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._prefix = settings.key_prefix
        self._scripts = scripts.load(redis, self._prefix, _SCRIPTS)

    def acquire_lock(self, name: str) -> bool:
        """Whether this worker is the batch feeder now. It keeps the lock by asking again within seconds."""
        key, lock_ms = keys.lock_key(self._prefix, "feed"), int(_LOCK_S * 1000)
        with redis_errors():
            holder = self._redis.set(key, name, nx=True, px=lock_ms, get=True)
            if holder == name:
                self._redis.set(key, name, px=lock_ms)
        return holder is None or holder == name

    def release_lock(self, name: str) -> None:
        """Releases the lock of a worker that stops: another one may feed at once."""
        key = keys.lock_key(self._prefix, "feed")
        with redis_errors():
            if self._redis.get(key) == name:
                self._redis.delete(key)

    def wait_for_notification(self, timeout_s: float) -> None:
        """Returns when a batch has changed, or when the time is over."""
        with redis_errors():
            self._redis.blpop([keys.notify_key(self._prefix, "feed")], timeout=timeout_s)

    def unfinished(self) -> list[Batch]:
        """All batches that are not over, the oldest first."""
        with redis_errors():
            ids: Any = self._redis.zrange(keys.active_batches_key(self._prefix), 0, -1)
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.time()
                for batch_id in ids:
                    pipe.hgetall(keys.batch_key(self._prefix, batch_id))
                (seconds, micros), *found = pipe.execute()
            gone = [batch_id for batch_id, fields in zip(ids, found, strict=True) if "tenant" not in fields]
            if gone:
                self._redis.zrem(keys.active_batches_key(self._prefix), *gone)
        now_s = seconds + micros / 1e6
        return [decode(one, fields, now_s) for one, fields in zip(ids, found, strict=True) if "tenant" in fields]

    def has_intake(self, batch_id: str) -> bool:
        """Whether the lines of a batch that is validating are still being read."""
        with redis_errors():
            return bool(self._redis.exists(keys.intake_key(self._prefix, batch_id)))

    def feed(self, batch: Batch, lines: Sequence[Line], to: Cursor) -> bool:
        """Queues the lines between the batch's cursor and `to`."""
        rows: list[RedisValue] = []
        for one in lines:
            job_id = job_id_of(batch.id, one.line, batch.round)
            fields = record.request_fields(one.spec, self._settings)
            rows += [job_id, one.line, one.custom_id, encode_units(record.units(one.spec)), encode_spec(one.spec)]
            rows += [len(fields), *fields]
        answer = self._run(
            "batches/feed",
            id=batch.id,
            source=batch.cursor.source,
            chunk=batch.cursor.chunk,
            at=batch.cursor.at,
            next_chunk=to.chunk,
            next_at=to.at,
            lines=rows,
        )
        return bool(answer)

    def stop(self, batch_id: str, why: Literal["canceled", "expired"]) -> None:
        """Queues nothing more and ends the jobs that are open."""
        self._run("batches/stop", id=batch_id, reason=why, expiry_s=self._settings.job_expiry_s, by="")

    def ended(self, batch: Batch, log: Log, most: int) -> list[tuple[str, Job | None]]:
        """Jobs that are over and not yet written to this log, in the order of their ends; None for an erased one."""
        with redis_errors():
            ids: Any = self._redis.lrange(keys.ended_key(self._prefix, batch.id, log), 0, most - 1)
            with self._redis.pipeline(transaction=False) as pipe:
                for job_id in ids:
                    pipe.hgetall(keys.job_key(self._prefix, job_id))
                found = pipe.execute()
        return [
            (job_id, record.decode(job_id, fields) if "spec" in fields else None)
            for job_id, fields in zip(ids, found, strict=True)
        ]

    def names(self, batch: Batch, log: Log) -> tuple[int, str]:
        """How many chunks a log has, and the name of the last one or ""."""
        key = keys.log_key(self._prefix, batch.id, log)
        with redis_errors(), self._redis.pipeline() as pipe:
            pipe.llen(key)
            pipe.lindex(key, -1)
            count, last = pipe.execute()
        return count, last or ""

    def write(self, batch: Batch, chunk: Chunk, skip: Skip | None = None) -> bool:
        """Notes that a chunk of a log is written, and the lines in it that were skipped."""
        skipped = (
            {}
            if skip is None
            else {
                "chunk": skip.at.chunk,
                "at": skip.at.at,
                "next_chunk": skip.to.chunk,
                "next_at": skip.to.at,
                "status": skip.status.value,
                "lines": skip.lines,
            }
        )
        answer = self._run(
            "batches/write",
            id=batch.id,
            log=chunk.log,
            before=chunk.before,
            last=chunk.last,
            replaces=chunk.replaces,
            name=chunk.name,
            jobs=chunk.jobs,
            **skipped,
        )
        return bool(answer)

    def compact(self, job_ids: Sequence[str]) -> None:
        """Makes the records of jobs small whose lines are written to a log."""
        for first in range(0, len(job_ids), _COMPACTED_AT_ONCE):
            ids = job_ids[first : first + _COMPACTED_AT_ONCE]
            self._run("jobs/compact", picture_stage=record.PICTURE_STAGE.value, stages=" ".join(STAGES), ids=ids)

    def close(self, batch_id: str) -> BatchStatus | None:
        """Takes one step towards the batch's end if it is due; gives the state then, None without such a batch."""
        status = self._run("batches/close", id=batch_id, expiry_s=self._settings.job_expiry_s)
        return BatchStatus(status) if status else None

    def drop(self, batch_id: str) -> None:
        """Deletes a batch whose lines did not all come."""
        self._run("batches/drop", id=batch_id)

    def _run(self, script: str, **values: Any) -> Any:
        with redis_errors():
            return self._scripts[script](**values)
