"""Limits of tenants, as the operator sets them; the scripts enforce them."""

from __future__ import annotations

from typing import Any

import redis

from shared.settings import Settings
from shared.store import keys, scripts
from shared.store.connection import redis_errors
from shared.tenant import TenantLimits, check_tenant


class Tenants:
    """Limits of tenants behind blocking calls. Every call may raise RecordsUnavailable."""

    def __init__(self, redis: redis.Redis, settings: Settings) -> None:
        self._redis = redis
        self._prefix = settings.key_prefix
        self._limit = scripts.Script(redis, self._prefix, "tenants/set_limits")

    def limits(self, tenant: str) -> TenantLimits:
        """The limits of the tenant: the defaults where nothing was set."""
        with redis_errors():
            found: Any = self._redis.hgetall(keys.tenant_key(self._prefix, check_tenant(tenant)))
        return TenantLimits.model_validate(found)

    def limit(self, tenant: str, limits: TenantLimits) -> None:
        """Sets all limits of the tenant; they hold from the next job on."""
        words = [word for name, value in limits for word in (name, "" if value is None else str(value))]
        with redis_errors():
            self._limit(tenant=check_tenant(tenant), values=words)
