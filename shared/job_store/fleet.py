"""Job records as the parents of the workers see them: hand out, look for what got lost, give signs of life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from shared.errors import WorkerLost
from shared.job import Failure, Stage
from shared.job_store import keys, scripts
from shared.job_store.connection import redis_errors
from shared.job_store.facts import Ring, Sweep, WorkerFacts
from shared.settings import Settings

_SCRIPTS = ("pump", "reap", "lose")
_LOCK_S = 5.0
_BEAT_EXPIRY_S = 10.0
# A doorbell reaches a waiting worker in milliseconds; this leaves room for a slow start of a child.
_RING_AFTER_S = 10.0


class Fleet:
    """What the parents share. Safe to use from several threads. Every call may raise RecordsUnavailable."""

    def __init__(self, redis: redis.Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._prefix = settings.key_prefix
        self._scripts = {name: redis.register_script(scripts.source(name)) for name in _SCRIPTS}

    def hand_out(self, pumper: str, places: int) -> list[Ring] | None:
        """Jobs whose turn it is, marked as handed to Celery. None when another pumper has the lock."""
        answer = self._run("pump", pumper, _LOCK_S, places, self._settings.aging_s)
        return _rings(answer[1:]) if int(answer[0]) else None

    def wait_for_bell(self, timeout_s: float) -> None:
        """Returns when there may be something to hand out, or when the time is over."""
        with redis_errors():
            self._redis.blpop([keys.bell_key(self._prefix)], timeout=timeout_s)

    def reap(self, empty: Sequence[Stage]) -> Sweep:
        """Takes back jobs whose lease is over and finds doorbells that got lost.

        empty: the stages whose Celery queue holds no message.
        """
        settings = self._settings
        values = (settings.max_losses, settings.job_expiry_s, _lost(settings.max_losses), _RING_AFTER_S, settings.aging_s)
        mine, *rest = self._run("reap", settings.reap_every_s * 0.9, *values, *[stage.value for stage in empty])
        if not int(mine):
            return Sweep(mine=False)
        lost = int(rest[0])
        return Sweep(mine=True, lost=tuple(rest[1 : 1 + lost]), rings=tuple(_rings(rest[1 + lost :])))

    def lose(self, job_id: str, worker: str) -> bool:
        """Takes the job back from a worker whose child died under it. False when the job was not the child's any more."""
        most = self._settings.max_losses
        return bool(self._run("lose", job_id, worker, most, self._settings.job_expiry_s, _lost(most)))

    def beat(self, facts: WorkerFacts) -> None:
        """A sign of life. Readiness is the child's to say: `say_ready`."""
        name = facts.name
        mapping = {
            "name": name,
            "role": facts.role,
            "slots": facts.slots,
            "bundle": facts.bundle,
            "draining": int(facts.draining),
        }
        self._write(name, mapping)

    def say_ready(self, name: str, *, ready: bool, reason: str = "") -> None:
        """A child says whether its models are loaded, and why not."""
        self._write(name, {"ready": int(ready), "reason": reason})

    def is_ready(self, name: str) -> bool:
        """Whether the worker's child has its models loaded."""
        with redis_errors():
            return self._redis.hget(keys.worker_key(self._prefix, name), "ready") == "1"

    def leave(self, name: str) -> None:
        """The worker is gone."""
        with redis_errors(), self._redis.pipeline(transaction=False) as pipe:
            pipe.zrem(keys.workers_key(self._prefix), name)
            pipe.delete(keys.worker_key(self._prefix, name))
            pipe.execute()

    def ready_slots(self) -> int:
        """Slots of all workers that can take jobs."""
        with redis_errors():
            seconds, _ = self._redis.time()
            names = self._redis.zrangebyscore(keys.workers_key(self._prefix), seconds, "+inf")
            with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.hmget(keys.worker_key(self._prefix, name), "slots", "ready", "draining")
                found = pipe.execute()
        return sum(int(slots) for slots, ready, draining in found if slots and ready == "1" and draining != "1")

    def _write(self, name: str, mapping: dict[str, Any]) -> None:
        with redis_errors():
            seconds, _ = self._redis.time()
            with self._redis.pipeline() as pipe:
                pipe.zadd(keys.workers_key(self._prefix), {name: seconds + _BEAT_EXPIRY_S})
                pipe.hset(keys.worker_key(self._prefix, name), mapping=mapping)
                pipe.expire(keys.worker_key(self._prefix, name), int(_BEAT_EXPIRY_S))
                pipe.execute()

    def _run(self, name: str, *values: object) -> Any:
        with redis_errors():
            return self._scripts[name](args=[self._prefix, *values])


def _lost(most: int) -> str:
    """Why a job fails that lost too many workers, as its record holds it."""
    message = f"the worker died {most} times while it worked on this job"
    return Failure(code=WorkerLost.code, message=message, retryable=WorkerLost.retryable).model_dump_json()


def _rings(flat: Sequence[str]) -> list[Ring]:
    triples = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    return [Ring(job_id=job_id, stage=Stage(stage), first=first == "1") for job_id, stage, first in triples]
