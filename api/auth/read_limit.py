"""The limit of reads (GET) of a tenant. Each process counts by itself, because a read must not cost a round trip.

With several API processes the limit holds for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

_WINDOW_S = 10
# A tenant without reads in this time has its full limit again.
_MOST_TENANTS = 10_000


class ReadCount(NamedTuple):
    """A counted read. wait_s: seconds until the next one is accepted, 0 if this one is; headers: raw, to send."""

    wait_s: int
    headers: tuple[tuple[bytes, bytes], ...]


class ReadLimit:
    """One leaky bucket for each tenant (the generic cell rate algorithm, as in `lib/core.lua`)."""

    def __init__(self, per_s: int, clock: Callable[[], float]) -> None:
        self._quota = per_s * _WINDOW_S
        self._policy = (b"ratelimit-policy", b'"reads";q=%d;w=%d' % (self._quota, _WINDOW_S))
        self._clock = clock
        self._empty_s: dict[str, float] = {}

    @property
    def is_enabled(self) -> bool:
        """Whether reads are limited."""
        return self._quota > 0

    def count(self, tenant: str) -> ReadCount:
        """Counts a read of the tenant, unless the limit is reached."""
        now_s = self._clock()
        empty_s = max(now_s, self._empty_s.get(tenant, 0.0))
        after_s = empty_s + _WINDOW_S / self._quota
        over_s = after_s - now_s - _WINDOW_S
        wait_s = math.ceil(over_s) if over_s > 1e-6 else 0
        if not wait_s:
            if len(self._empty_s) >= _MOST_TENANTS:
                self._empty_s = {name: one_s for name, one_s in self._empty_s.items() if one_s > now_s}
            self._empty_s[tenant] = empty_s = after_s
        left = int((_WINDOW_S - (empty_s - now_s)) * self._quota / _WINDOW_S + 1e-6)
        told = b'"reads";r=%d;t=%d' % (left, math.ceil(empty_s - now_s))
        return ReadCount(wait_s, (self._policy, (b"ratelimit", told)))
