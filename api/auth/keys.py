"""API keys: what a caller shows, what is kept of it, and who stands behind it.

A key is shown once, as `troupe_{id}_{secret}`. Its secret is 256 random bits, so a plain sha256 of it is
enough to keep: there is nothing that could be guessed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from shared.errors import Unauthorized
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import redis_errors

# How old the word of Redis on a key may be: a look at a job must not cost a round trip more.
_AGE_S = 1.0
# Ids that somebody made up are remembered as well; this bounds what they cost.
_MOST_SEEN = 10_000
_TOKEN = re.compile(r"troupe_([0-9a-f]{16})_([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key as it is kept. old: the secret before the last rotation, good until old_until_s. Secrets are hashes."""

    id: str
    tenant: str
    made_s: float
    secret: str
    old: str = ""
    old_until_s: float = 0.0
    disabled: bool = False

    def opens(self, secret: str) -> bool:
        """Whether this is the key's secret, or the one before while that is still good. In constant time."""
        given, now_s = hashed(secret), time.time()
        is_new = hmac.compare_digest(given, self.secret)
        is_old = hmac.compare_digest(given, self.old) and now_s < self.old_until_s
        return (is_new or is_old) and not self.disabled


def new_key_id() -> str:
    """An id that no key has."""
    return secrets.token_hex(8)


def new_secret() -> str:
    """A secret that nobody can guess."""
    return secrets.token_hex(32)


def hashed(secret: str) -> str:
    """What is kept of a secret: its sha256 (hex)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def token(key_id: str, secret: str) -> str:
    """The token that a caller sends as `Authorization: Bearer ...`."""
    return f"troupe_{key_id}_{secret}"


def key_of(key_id: str, fields: Mapping[str, str]) -> Key | None:
    """A key from its fields in Redis; None when there are none."""
    if "secret" not in fields:
        return None
    return Key(
        id=key_id,
        tenant=fields["tenant"],
        made_s=float(fields["at"]),
        secret=fields["secret"],
        old=fields.get("old", ""),
        old_until_s=float(fields.get("old_until", 0)),
        disabled="off" in fields,
    )


class KeyRing:
    """The keys in one API process, cached for a second."""

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings) -> None:
        self._redis = redis
        self._prefix = settings.key_prefix
        self._seen: dict[str, tuple[float, asyncio.Task[Key | None]]] = {}

    async def key_of(self, shown: str) -> Key:
        """The key of this token. Raises Unauthorized or RecordsUnavailable."""
        match = _TOKEN.fullmatch(shown)
        key = await self._key(match[1]) if match else None
        if match is None or key is None or not key.opens(match[2]):
            raise Unauthorized("invalid API key: unknown, disabled or rotated")
        return key

    async def _key(self, key_id: str) -> Key | None:
        now_s = asyncio.get_running_loop().time()
        seen = self._seen.get(key_id)
        if seen is None or now_s - seen[0] > _AGE_S or _failed(seen[1]):
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            # One read, however many requests with this key arrive at once.
            seen = self._seen[key_id] = (now_s, asyncio.create_task(self._ask(key_id)))
        # Shielded: a caller that disconnects must not cancel the read for the others.
        return seen[1].result() if seen[1].done() else await asyncio.shield(seen[1])

    async def _ask(self, key_id: str) -> Key | None:
        with redis_errors():
            fields: Any = await self._redis.hgetall(keys.api_key_key(self._prefix, key_id))
        return key_of(key_id, fields)


def _failed(task: asyncio.Task[Key | None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
