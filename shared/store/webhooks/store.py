"""Webhooks for the API: create, list, rotate, test, read the log, replay."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import redis.asyncio

from shared.settings import Settings
from shared.store import keys, scripts
from shared.store.connection import redis_errors
from shared.store.webhooks import record
from shared.webhook import MAX_WEBHOOKS, Delivery, Event, Webhook

_SCRIPTS = ("webhooks/add", "webhooks/drop", "webhooks/rotate", "webhooks/enable", "webhooks/test", "webhooks/replay")
OFF = "off"


class WebhookStore:
    """A tenant's webhooks behind an event loop. Every call may raise RecordsUnavailable.

    Every call names the tenant: webhooks of another tenant are not found.
    """

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings) -> None:
        self._redis = redis
        self._prefix = settings.key_prefix
        self._scripts = scripts.load(redis, self._prefix, _SCRIPTS)

    async def add(self, webhook_id: str, tenant: str, *, url: str, events: Sequence[Event], secret: str) -> bool:
        """Creates a webhook. False when the tenant has too many."""
        created_at = await self._run(
            "webhooks/add",
            id=webhook_id,
            tenant=tenant,
            max_webhooks=MAX_WEBHOOKS,
            url=url,
            events=record.encode_events(events),
            secret=secret,
        )
        return created_at is not None

    async def get(self, tenant: str, webhook_id: str) -> Webhook | None:
        """The tenant's webhook, or None."""
        with redis_errors():
            fields: Any = await self._redis.hgetall(keys.webhook_key(self._prefix, webhook_id))
        if fields.get("tenant") != tenant:
            return None
        return record.decode_webhook(webhook_id, fields, now_s=time.time())

    async def all_of(self, tenant: str) -> list[Webhook]:
        """All of the tenant's webhooks, the oldest first."""
        with redis_errors():
            ids: Any = await self._redis.zrange(keys.webhooks_key(self._prefix, tenant), 0, -1)
        found = [await self.get(tenant, webhook_id) for webhook_id in ids]
        return [webhook for webhook in found if webhook is not None]

    async def drop(self, tenant: str, webhook_id: str) -> bool:
        """Deletes a webhook and its deliveries. False when there is none."""
        return bool(await self._run("webhooks/drop", id=webhook_id, tenant=tenant))

    async def rotate(self, tenant: str, webhook_id: str, *, secret: str, old_valid_s: float) -> bool:
        """Gives it a new secret; the old one signs as well for `old_valid_s`. False when there is no such webhook."""
        ends = await self._run("webhooks/rotate", id=webhook_id, tenant=tenant, secret=secret, old_valid_s=old_valid_s)
        return ends is not None

    async def enable(self, tenant: str, webhook_id: str) -> bool:
        """Enables it again; waiting deliveries are sent. False when there is no such webhook."""
        return bool(await self._run("webhooks/enable", id=webhook_id, tenant=tenant))

    async def test(self, tenant: str, webhook_id: str) -> str | None:
        """Sends it a test message. The delivery's id, OFF when the webhook is disabled, None when there is none."""
        found: str | None = await self._run("webhooks/test", id=webhook_id, tenant=tenant)
        return found

    async def replay(self, tenant: str, webhook_id: str, delivery_id: str) -> str | None:
        """Sends the same message again. OFF when the webhook is disabled, None when there is no such delivery."""
        found: str | None = await self._run("webhooks/replay", id=delivery_id, webhook=webhook_id, tenant=tenant)
        return found

    async def delivery(self, webhook_id: str, delivery_id: str) -> Delivery | None:
        """One delivery of a webhook; the caller has checked its tenant."""
        found = await self._read(webhook_id, [delivery_id])
        return found[0] if found and found[0].webhook == webhook_id else None

    async def deliveries(self, webhook_id: str, *, after: str | None, limit: int) -> tuple[list[Delivery], str | None]:
        """Deliveries of a webhook, the newest first, and where the next page begins; the caller has checked its tenant.

        after: the id that the page before gave. One that was forgotten meanwhile had nothing after it.
        """
        key = keys.deliveries_key(self._prefix, webhook_id)
        with redis_errors():
            # Typed for more than it answers here.
            rank: Any = -1 if after is None else await self._redis.zrevrank(key, after)
            ids: Any = [] if rank is None else await self._redis.zrevrange(key, rank + 1, rank + limit)
        return await self._read(webhook_id, ids), ids[-1] if len(ids) == limit else None

    async def _read(self, webhook_id: str, ids: Sequence[str]) -> list[Delivery]:
        if not ids:
            return []
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zmscore(keys.due_key(self._prefix, webhook_id), list(ids))
                for delivery_id in ids:
                    pipe.hgetall(keys.delivery_key(self._prefix, delivery_id))
                due, *records = await pipe.execute()
        return [
            record.decode_delivery(delivery_id, fields, due_at=at)
            for delivery_id, fields, at in zip(ids, records, due, strict=True)
            if "webhook" in fields
        ]

    async def _run(self, script: str, **values: Any) -> Any:
        with redis_errors():
            return await self._scripts[script](**values)
