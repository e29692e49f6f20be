"""The whole queue in numbers, all tenants together: for whoever watches over the service, not for its callers."""

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


class Waiting(_Value):
    """Jobs that wait for their turn, and since when the oldest of them does."""

    jobs: int
    oldest_s: float


class LaneTotals(_Value):
    """One lane. lines: of batches, that no job was made of yet. units: of all that waits, the lines too."""

    waiting: Mapping[TenantClass, Waiting]
    parked: int
    flight: int
    leases: int
    lines: int
    units: _Units


class Memory(_Value):
    """Bytes of the Redis of the records. max: 0 when it has no limit."""

    used: int
    max: int


class Totals(_Value):
    """The queue. paused: jobs between two tries; batches: those that are not over; speed: units a second and worker.

    late_s: how long ago a webhook delivery was due that nobody has taken. counts: see keys.py.
    """

    lanes: Mapping[Lane, LaneTotals]
    paused: int
    batches: int
    speed: _Units
    late_s: float
    counts: Mapping[str, int]
    memory: Memory

    def counted(self, what: str) -> dict[tuple[str, ...], int]:
        """What was counted under names that begin so, by the rest of the name."""
        names = {name: tuple(name.split(":")) for name in self.counts}
        return {words[1:]: self.counts[name] for name, words in names.items() if words[0] == what}


class QueueTotals:
    """The numbers behind an event loop."""

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings) -> None:
        self._redis = redis
        self._prefix = settings.key_prefix
        self._totals = redis.register_script(scripts.source("queue/totals"))

    async def read(self) -> Totals:
        """All of it, in one round trip. Raises RecordsUnavailable."""
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                await self._totals(args=[self._prefix], client=pipe)
                pipe.info("memory")
                text, memory = await pipe.execute()
        found = Memory(used=memory["used_memory"], max=memory.get("maxmemory", 0))
        return Totals.model_validate({**json.loads(text), "memory": found})
