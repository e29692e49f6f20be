"""The queue as a tenant may see it: its own jobs as numbers, those of others only as time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis.asyncio

from shared.job import Lane
from shared.settings import Settings
from shared.store import scripts
from shared.store.connection import redis_errors
from shared.store.jobs.store import AsyncJobStore
from shared.store.units import encode_units

_WORDS = 7


@dataclass(frozen=True, kw_only=True)
class LaneState:
    """One lane. depth, running, pictures_per_min and eta_s are the tenant's own; backlog_s is everybody's.

    Queued work is jobs that are queued or wait for a result, and lines of batches that have no job yet.
    eta_s: until the tenant's queued work is done; None without any, or when unknown.
    backlog_s: time that the ready workers (at least one) need for all queued work; None before the first measurement.
    """

    lane: Lane
    depth: int
    running: int
    pictures_per_min: float
    eta_s: float | None
    backlog_s: float | None


class QueueStates:
    """The states of the queue behind an event loop."""

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings, jobs: AsyncJobStore) -> None:
        self._jobs = jobs
        self._queue = scripts.Script(redis, settings.key_prefix, "queue/tenant_state")

    async def of(self, tenant: str) -> list[LaneState]:
        """Every lane as this tenant may see it. Raises RecordsUnavailable."""
        slots = max(1, await self._jobs.slots())
        with redis_errors():
            speed, cap, *flat = await self._queue(tenant=tenant)
        rows = list(zip(*[iter(flat)] * _WORDS, strict=True))
        own_slots = min(slots, int(cap)) if cap else slots
        return [await self._lane(row, float(speed or 0) * slots, float(speed or 0) * own_slots) for row in rows]

    async def eta_s(self, tenant: str, lane: Lane, units: float) -> float | None:
        """Seconds until so much more work would be done, if all that waits now came first; None if unknown.

        Raises RecordsUnavailable.
        """
        slots = max(1, await self._jobs.slots())
        with redis_errors():
            speed, cap, *flat = await self._queue(tenant=tenant)
        if not speed:
            return None
        rows = zip(*[iter(flat)] * _WORDS, strict=True)
        # The interactive lane goes before the batch lane.
        ahead = sum(max(0.0, float(row[-1])) for row in rows if row[0] in ("interactive", lane))
        own_slots = min(slots, int(cap)) if cap else slots
        micro_units = encode_units(units)
        return max((ahead + micro_units) / slots, micro_units / own_slots) / float(speed)

    async def _lane(self, row: Any, units_per_s: float, own_units_per_s: float) -> LaneState:
        """units_per_s: of all workers; own_units_per_s: of as many as the tenant's cap leaves it."""
        lane, depth, running, per_s, last, after, units = row
        place = await self._jobs.queue_place(last) if last else None
        eta_s = None if place is None else place.eta_s
        if float(after) > 0 and (place is None or eta_s is not None):
            eta_s = (eta_s or 0.0) + float(after) / own_units_per_s if own_units_per_s else None
        waits = max(0.0, float(units))
        return LaneState(
            lane=lane,
            depth=depth,
            running=running,
            pictures_per_min=round(float(per_s) * 60, 2),
            eta_s=eta_s,
            backlog_s=waits / units_per_s if units_per_s else (None if waits else 0.0),
        )
