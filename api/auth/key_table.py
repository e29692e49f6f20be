"""API keys as the operator sees them: create, list, disable, rotate. A change takes effect within a second.

A secret is shown once, when it is created: Redis keeps only its hash.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis

from api.auth.keys import Key, hashed, key_of, new_key_id, new_secret, token
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import RedisValue, redis_errors
from shared.tenant import check_tenant


class KeyTable:
    """All keys. Every method raises RecordsUnavailable; those that take an id raise NoSuchKey."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._redis = client
        self._prefix = settings.key_prefix

    def create(self, tenant: str) -> str:
        """The token of a new key for the tenant; it cannot be read again. Raises ValueError for an invalid name."""
        key_id, secret, now_s = new_key_id(), new_secret(), time.time()
        fields: dict[Any, RedisValue] = {"tenant": check_tenant(tenant), "secret": hashed(secret), "at": f"{now_s:.3f}"}
        with redis_errors(), self._redis.pipeline() as pipe:
            pipe.hset(keys.api_key_key(self._prefix, key_id), mapping=fields)
            pipe.zadd(keys.api_keys_key(self._prefix), {key_id: now_s})
            pipe.execute()
        return token(key_id, secret)

    def all(self) -> list[Key]:
        """Every key, the oldest first."""
        with redis_errors():
            ids = self._redis.zrange(keys.api_keys_key(self._prefix), 0, -1)
            return [key for key_id in ids if (key := self._get(str(key_id)))]

    def disable(self, key_id: str) -> Key:
        """The key, which is not accepted any more."""
        return self._change(key_id, lambda _: {"off": "1"})

    def rotate(self, key_id: str, grace_s: float) -> str:
        """The token with a new secret; the old secret is accepted for `grace_s` seconds more."""
        secret = new_secret()
        self._change(
            key_id,
            lambda key: {
                "secret": hashed(secret),
                "old": key.secret,
                "old_until": f"{time.time() + grace_s:.3f}",
            },
        )
        return token(key_id, secret)

    def _change(self, key_id: str, change: Callable[[Key], dict[Any, RedisValue]]) -> Key:
        name = keys.api_key_key(self._prefix, key_id)
        changed: list[Key] = []

        def write(pipe: redis.client.Pipeline) -> None:
            key = self._get(key_id, pipe)
            if key is None:
                message = f"there is no key {key_id[:40]!r}: `keys list` shows all keys"
                raise NoSuchKey(message)
            pipe.multi()
            pipe.hset(name, mapping=change(key))
            changed[:] = [key]

        with redis_errors():
            # If two operators rotate at once, the second repeats, with the secret of the first as the old one.
            self._redis.transaction(write, name)
        return changed[0]

    def _get(self, key_id: str, client: redis.Redis | None = None) -> Key | None:
        fields: Any = (client or self._redis).hgetall(keys.api_key_key(self._prefix, key_id))
        return key_of(key_id, fields)


class NoSuchKey(Exception):
    """No key has this id."""
