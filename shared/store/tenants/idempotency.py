"""Recorded responses of requests with an Idempotency-Key, so that a repeated request runs once."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from shared.settings import Settings
from shared.store import scripts
from shared.store.connection import RedisValue, redis_errors

# A holder that has not asked again within this time has died with its process.
LEASE_S = 30.0
KEEP_S = 86_400


@dataclass(frozen=True, kw_only=True)
class RecordedResponse:
    """One answer as it went out. headers: without those that the server adds by itself."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The answer of the first request, and the fingerprint of that request; empty when its body did not matter."""

    fingerprint: str
    answer: RecordedResponse


@dataclass(frozen=True, kw_only=True)
class Turn:
    """This request is the one that runs. seed: random (hex), and the same for the next request if this one dies."""

    seed: str


class IdempotencyStore:
    """The responses of the last day by name. Every call is one trip to Redis and may raise RecordsUnavailable."""

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings) -> None:
        self._once = scripts.Script(redis, settings.key_prefix, "tenants/begin_request")
        self._settle = scripts.Script(redis, settings.key_prefix, "tenants/end_request")

    async def ask(self, name: str, holder: str) -> Turn | Recorded | None:
        """A turn, or the recorded response, or None while another request of this name runs.

        A holder that asks again keeps its turn for another LEASE_S.
        """
        what, *rest = await self._run(self._once, name=name, holder=holder, lease_s=LEASE_S, keep_s=KEEP_S)
        if what == "running":
            return None
        return Turn(seed=rest[0]) if what == "work" else Recorded(fingerprint=rest[0], answer=_decoded(rest[1]))

    async def keep(self, name: str, holder: str, kept: Recorded) -> None:
        """Records the holder's response for a day."""
        await self._run(
            self._settle,
            name=name,
            holder=holder,
            action="record",
            keep_s=KEEP_S,
            fingerprint=kept.fingerprint,
            response=_encoded(kept.answer),
        )

    async def free(self, name: str, holder: str) -> None:
        """The holder stopped early: the next request of this name runs at once, with the same seed."""
        await self._run(self._settle, name=name, holder=holder, action="free")

    async def forget(self, name: str, holder: str) -> None:
        """The holder created nothing: the name is as if it had never been used."""
        await self._run(self._settle, name=name, holder=holder, action="forget")

    async def _run(self, script: scripts.Script, **values: RedisValue) -> Any:
        with redis_errors():
            return await script(**values)


def _encoded(answer: RecordedResponse) -> str:
    # Half the size: a day's answers lie beside the jobs themselves. Text, because the client decodes what it reads.
    plain = json.dumps([answer.status, answer.headers, answer.body.decode("latin-1")])
    return base64.b64encode(zlib.compress(plain.encode())).decode()


def _decoded(text: str) -> RecordedResponse:
    status, headers, body = json.loads(zlib.decompress(base64.b64decode(text)))
    return RecordedResponse(
        status=status, headers=tuple((name, value) for name, value in headers), body=body.encode("latin-1")
    )
