"""Job records for the supervisors of workers: dispatch, recover what got lost, heartbeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis

from shared.errors import WorkerLost
from shared.job import Failure
from shared.settings import Settings
from shared.stages import Stage
from shared.store import keys, scripts
from shared.store.connection import RedisValue, redis_errors
from shared.store.queue.values import (
    DeviceStatus,
    DispatchedJob,
    QueueDepth,
    Readiness,
    Sweep,
    WorkerStatus,
)
from shared.store.queue.workers import Work, work_of

_SCRIPTS = ("queue/dispatch", "queue/reap", "jobs/lose_lease", "queue/unregister", "queue/running")
_LOCK_S = 5.0
_BEAT_EXPIRY_S = 10.0
# A message reaches a waiting worker in milliseconds; this leaves time for a slow start of an executor.
_REDISPATCH_AFTER_S = 10.0
# Jobs dispatched at once: Redis does nothing else in the meantime.
MOST_AT_ONCE = 200


class QueueStore:
    """The queue, shared by all supervisors. Threads may share it. Every call may raise RecordsUnavailable."""

    def __init__(self, redis: redis.Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._prefix = settings.key_prefix
        self._scripts = scripts.load(redis, self._prefix, _SCRIPTS)

    def dispatch(self, name: str, places: int) -> list[DispatchedJob] | None:
        """The next jobs, marked as dispatched. None when another worker has the lock."""
        answer = self._run(
            "queue/dispatch",
            dispatcher=name,
            lock_s=_LOCK_S,
            places=places,
            aging_s=self._settings.aging_s,
            most=MOST_AT_ONCE,
        )
        return _dispatched(answer[1:]) if int(answer[0]) else None

    def wait_for_notification(self, timeout_s: float) -> None:
        """Returns when there may be jobs to dispatch, or when the time is over."""
        with redis_errors():
            self._redis.blpop([keys.notify_key(self._prefix, "dispatch")], timeout=timeout_s)

    def is_turn_to_reap(self) -> bool:
        """Whether no worker has reaped for `reap_every_s`; the caller that gets true must reap now."""
        pause_ms = max(1, int(self._settings.reap_every_s * 900))
        with redis_errors():
            return bool(self._redis.set(keys.lock_key(self._prefix, "reap"), 1, nx=True, px=pause_ms))

    def reap(self, waiting: Sequence[QueueDepth]) -> Sweep:
        """Takes back jobs whose lease ended and finds messages that got lost.

        waiting: depth of every stage's queue; without it lost messages are not looked for.
        """
        settings = self._settings
        answer = self._run(
            "queue/reap",
            max_losses=settings.max_losses,
            expiry_s=settings.job_expiry_s,
            error=_lost(settings.max_losses),
            redispatch_after_s=_REDISPATCH_AFTER_S,
            aging_s=settings.aging_s,
            queues=[value for one in waiting for value in (one.stage.value, one.queue, one.messages)],
        )
        lost = int(answer[0])
        return Sweep(lost=tuple(answer[1 : 1 + lost]), redispatched=tuple(_dispatched(answer[1 + lost :])))

    def lose_lease(self, job_id: str, worker: str) -> bool:
        """Takes the job back from a worker whose executor died. False when the executor did not hold it."""
        settings = self._settings
        answer = self._run(
            "jobs/lose_lease",
            id=job_id,
            worker=worker,
            max_losses=settings.max_losses,
            expiry_s=settings.job_expiry_s,
            error=_lost(settings.max_losses),
        )
        return bool(answer)

    def running(self) -> list[Work]:
        """The running jobs of all workers."""
        return work_of(self._run("queue/running"))

    def heartbeat(self, status: WorkerStatus) -> Readiness | None:
        """A heartbeat. Gives the executor's last `report_readiness`; None when Redis does not have it."""
        mapping: dict[str, RedisValue] = {
            "name": status.name,
            "role": status.role,
            "slots": status.slots,
            "bundle": status.bundle,
            "draining": int(status.draining),
        }
        ready, reason = self._write(status.name, mapping)
        return None if ready is None else Readiness(ready=ready == "1", reason=reason or "")

    def report_readiness(self, name: str, *, ready: bool, reason: str = "", device: DeviceStatus | None = None) -> None:
        """An executor reports whether its models are loaded, and why not, and the status of its device."""
        self._write(name, {"ready": int(ready), "reason": reason, **_fields(device)})

    def restore_readiness(self, name: str, said: Readiness, device: DeviceStatus | None = None) -> None:
        """Writes the status of the executor's device, and its last readiness into a Redis that has lost it.

        It is not a heartbeat of the worker.
        """
        key = keys.worker_key(self._prefix, name)
        with redis_errors(), self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "ready", int(said.ready))
            pipe.hsetnx(key, "reason", said.reason)
            if device is not None:
                pipe.hset(key, mapping=_fields(device))
            # The supervisor's next heartbeat prolongs it.
            pipe.expire(key, int(_BEAT_EXPIRY_S), nx=True)
            pipe.execute()

    def unregister(self, name: str) -> None:
        """The worker is gone; if it was the dispatcher, another one may dispatch at once."""
        self._run("queue/unregister", worker=name)

    def ready_slots(self) -> int:
        """Slots of all workers that can take jobs."""
        with redis_errors(), self._redis.pipeline(transaction=False) as pipe:
            for name in self._live():
                pipe.hmget(keys.worker_key(self._prefix, name), "slots", "ready", "draining")
            found = pipe.execute()
        return sum(int(slots) for slots, ready, draining in found if slots and ready == "1" and draining != "1")

    def workers(self) -> list[WorkerStatus]:
        """Live workers."""
        with redis_errors(), self._redis.pipeline(transaction=False) as pipe:
            for name in self._live():
                pipe.hgetall(keys.worker_key(self._prefix, name))
            found = pipe.execute()
        return [WorkerStatus.model_validate(fields) for fields in found if "role" in fields]

    def _live(self) -> Sequence[str]:
        """Names of the live workers."""
        seconds, _ = self._redis.time()
        names: Any = self._redis.zrangebyscore(keys.workers_key(self._prefix), seconds, "+inf")
        return [str(name) for name in names]

    def _write(self, name: str, mapping: Mapping[Any, RedisValue]) -> tuple[str | None, str | None]:
        """Writes a status with a new expiry; gives the fields `ready` and `reason` as they are then."""
        key = keys.worker_key(self._prefix, name)
        with redis_errors():
            seconds, _ = self._redis.time()
            with self._redis.pipeline() as pipe:
                pipe.zadd(keys.workers_key(self._prefix), {name: seconds + _BEAT_EXPIRY_S})
                pipe.hset(key, mapping=mapping)
                pipe.expire(key, int(_BEAT_EXPIRY_S))
                pipe.hmget(key, "ready", "reason")
                ready, reason = pipe.execute()[-1]
        return ready, reason

    def _run(self, script: str, **values: Any) -> Any:
        with redis_errors():
            return self._scripts[script](**values)


def _fields(device: DeviceStatus | None) -> Mapping[Any, RedisValue]:
    return {} if device is None else device.model_dump()


def _lost(most: int) -> str:
    """Why a job fails that lost too many workers, as its record holds it."""
    message = f"the worker died {most} times while it worked on this job"
    return Failure(code=WorkerLost.code, message=message, retryable=WorkerLost.retryable).model_dump_json()


def _dispatched(flat: Sequence[str]) -> list[DispatchedJob]:
    triples = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    return [
        DispatchedJob(job_id=job_id, stage=Stage(stage), has_priority=first == "1") for job_id, stage, first in triples
    ]
