"""The running jobs of the workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from shared.job import Progress
from shared.settings import Settings
from shared.stages import Stage
from shared.store import scripts
from shared.store.connection import redis_errors

_WORDS = 6


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job under a lease. worker: the name of its holder."""

    worker: str
    job_id: str
    tenant: str
    stage: Stage
    progress: Progress


class WorkerRegistry:
    """The running jobs behind an event loop."""

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings) -> None:
        self._running = scripts.Script(redis, settings.key_prefix, "queue/running")

    async def running(self) -> list[Work]:
        """The running jobs of all workers. Raises RecordsUnavailable."""
        with redis_errors():
            flat = await self._running()
        return work_of(flat)


def work_of(flat: Sequence[Any]) -> list[Work]:
    """The answer of queue/running.lua as values."""
    return [_work(*row) for row in zip(*[iter(flat)] * _WORDS, strict=True)]


def _work(holder: str, job_id: str, tenant: str, stage: str, step: Any, steps: Any) -> Work:
    return Work(
        worker=holder.partition("/")[0],
        job_id=job_id,
        tenant=tenant,
        stage=Stage(stage),
        progress=Progress(step=int(step), steps=int(steps)),
    )
