"""Webhooks and their deliveries from both sides: the API's, and of those who deliver, on a real server."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from shared.job import Job
from shared.store.webhooks.deliveries import DeliveryLease, DeliveryStore
from shared.store.webhooks.store import WebhookStore
from shared.webhook import Attempt, Delivery, Event, Outcome
from tests.support.queue_records import Records

T = TypeVar("T")
URL = "https://receiver.test/hook"
SECRET = "whsec_c2VjcmV0LW9mLW5vLXZhbHVlLWF0LWFsbA=="


@dataclass(kw_only=True)
class WebhookRecords(Records):
    """The records of jobs with those of webhooks."""

    @cached_property
    def deliveries(self) -> DeliveryStore:
        return DeliveryStore(self.redis, self.settings)

    def webhooks(self, question: Callable[[WebhookStore], Awaitable[T]]) -> T:
        """Asks the API's side."""

        async def asked() -> T:
            return await question(WebhookStore(self._async_redis, self.settings))

        return self._runner.run(asked())

    def add_webhook(self, tenant: str = "default", *, events: Sequence[Event] = (), url: str = URL) -> str:
        """A new webhook; gives its id."""
        webhook_id = uuid.uuid4().hex
        assert self.webhooks(lambda store: store.add(webhook_id, tenant, url=url, events=events, secret=SECRET))
        return webhook_id

    def end_a_job(self, tenant: str = "default") -> str:
        """A job that ends as canceled; gives its id."""
        job_id = self.submit(tenant=tenant)
        self.ask(lambda store: store.cancel(job_id, tenant=tenant))
        return job_id

    def finish_a_job(self) -> Job:
        """A job that succeeds."""
        job_id = self.submit()
        self.queue_store.dispatch("test", 100)
        return self.finish(job_id)

    def log_of(self, webhook_id: str) -> list[Delivery]:
        """What was told to a webhook, the newest first."""
        return self.webhooks(lambda store: store.deliveries(webhook_id, after=None, limit=100))[0]

    def collect(self, most: int = 100) -> list[str]:
        """Ids of the deliveries that are due, taken to be made."""
        return list(self.deliveries.collect(most).ids)

    def claimed_delivery(self, delivery_id: str) -> DeliveryLease:
        """The lease on a delivery; fails when there is none."""
        delivery_lease = self.deliveries.claim(delivery_id, token=uuid.uuid4().hex)
        assert delivery_lease is not None
        return delivery_lease

    def attempt(
        self,
        delivery_id: str,
        outcome: Outcome = Outcome.ACCEPTED,
        *,
        pause_s: float = 5.0,
        asked_s: float | None = None,
    ) -> str:
        """Makes a delivery that was collected, with this outcome; gives its status then."""
        delivery_lease = self.claimed_delivery(delivery_id)
        return self.deliveries.settle(
            delivery_lease, Attempt(at=1.0, outcome=outcome, seconds=0.1), pause_s=pause_s, asked_s=asked_s
        )

    def make_due(self, webhook_id: str) -> None:
        """Time passes: what waits for its next try is due."""
        prefix = self.settings.key_prefix
        ids: Any = self.redis.zrange(f"{prefix}:due:{webhook_id}", 0, -1)
        for delivery_id in ids:
            self.redis.zadd(f"{prefix}:due:{webhook_id}", {delivery_id: 1})
        self.redis.zadd(f"{prefix}:webhook_schedule", {webhook_id: 1})

    def end_leases(self, webhook_id: str) -> None:
        """Time passes: the lease of the process that makes the deliveries has expired."""
        prefix = self.settings.key_prefix
        ids: Any = self.redis.zrange(f"{prefix}:delivering:{webhook_id}", 0, -1)
        for delivery_id in ids:
            self.redis.zadd(f"{prefix}:delivering:{webhook_id}", {delivery_id: 1})
        self.redis.zadd(f"{prefix}:webhook_schedule", {webhook_id: 1})
