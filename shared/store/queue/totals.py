"""The whole queue in numbers, all tenants together: for operators, not for tenants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

import redis.asyncio
from pydantic import BaseModel, BeforeValidator, ConfigDict

from shared.job import Lane
from shared.settings import Settings
from shared.store import scripts
from shared.store.connection import redis_errors
from shared.store.units import decode_units

TenantClass = Literal["light", "usual", "heavy"]
"""A tenant's weight: under 1, 1, over 1. Names of tenants would be too many."""
TENANT_CLASSES: tuple[TenantClass, ...] = ("light", "usual", "heavy")


_Units = Annotated[float, BeforeValidator(decode_units)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Ready(_Value):
    """Jobs in ready sets, and how long the oldest of them has been there."""

    jobs: int
    oldest_s: float


class LaneTotals(_Value):
    """One lane. lines: of batches, that have no job yet. units: of all queued work, the lines too."""

    ready: Mapping[TenantClass, Ready]
    waiting: int
    dispatched: int
    leases: int
    lines: int
    units: _Units


class Memory(_Value):
    """Bytes of the Redis of the records. max: 0 when it has no limit."""

    used: int
    max: int


class Totals(_Value):
    """The queue. delayed: jobs that pause before a retry; batches: those that are not over.

    speed: units a second of one worker. late_s: how long ago a webhook delivery was due that no worker has taken.
    counts: see keys.py.
    """

    lanes: Mapping[Lane, LaneTotals]
    delayed: int
    batches: int
    speed: _Units
    late_s: float
    counts: Mapping[str, int]
    memory: Memory

    def counted(self, what: str) -> dict[tuple[str, ...], int]:
        """Counts whose names begin with this word, by the rest of the name."""
        names = {name: tuple(name.split(":")) for name in self.counts}
        return {words[1:]: self.counts[name] for name, words in names.items() if words[0] == what}


class QueueTotals:
    """The numbers behind an event loop."""

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings) -> None:
        self._redis = redis
        self._totals = scripts.Script(redis, settings.key_prefix, "queue/totals")

    async def read(self) -> Totals:
        """All of it, in one round trip. Raises RecordsUnavailable."""
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                await self._totals(client=pipe)
                pipe.info("memory")
                text, memory = await pipe.execute(raise_on_error=False)
            if isinstance(text, Exception):
                raise text
        if isinstance(memory, Exception):
            # A managed server or an access list may keep it back.
            memory = {}
        found = Memory(used=memory.get("used_memory", 0), max=memory.get("maxmemory", 0))
        return Totals.model_validate({**json.loads(text), "memory": found})
