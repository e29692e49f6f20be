"""Deliveries for the delivery workers: collect the due ones, claim one, report its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from shared.settings import Settings
from shared.store import keys, scripts
from shared.store.connection import redis_errors
from shared.store.jobs.record import pairs
from shared.store.webhooks import record
from shared.webhook import Attempt, Delivery, Outcome, Webhook

_SCRIPTS = ("webhooks/collect", "webhooks/claim", "webhooks/settle")
# A message reaches a free worker in milliseconds. A delivery that is not claimed within this time is dispatched again.
_CLAIM_WITHIN_S = 10.0
# What a lease lasts beyond the longest that a request may take: it is not renewed.
_SLACK_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Collected:
    """Due deliveries. next_s: seconds until there may be more, None when nothing waits."""

    ids: tuple[str, ...]
    next_s: float | None


@dataclass(frozen=True, kw_only=True)
class DeliveryLease:
    """A lease on a delivery. attempt is the fencing token; tries counts since the message came or was replayed."""

    delivery: Delivery
    webhook: Webhook
    attempt: int
    tries: int


class DeliveryStore:
    """Deliveries behind blocking calls; safe to share between threads. Every call may raise RecordsUnavailable."""

    def __init__(self, redis: redis.Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._prefix = settings.key_prefix
        self._scripts = scripts.load(redis, self._prefix, _SCRIPTS)

    def collect(self, most: int) -> Collected:
        """Takes at most `most` due deliveries; the caller must dispatch each."""
        next_s, *ids = self._run(
            "webhooks/collect", most=most, max_dispatched=self._settings.webhook_slots, claim_within_s=_CLAIM_WITHIN_S
        )
        return Collected(ids=tuple(ids), next_s=float(next_s) if next_s else None)

    def wait_for_notification(self, timeout_s: float) -> None:
        """Returns when something may be due, or when the time is over."""
        with redis_errors():
            self._redis.blpop([keys.notify_key(self._prefix, "deliver")], timeout=timeout_s)

    def claim(self, delivery_id: str, *, token: str) -> DeliveryLease | None:
        """The lease on a delivery that was collected, or None when it is over, gone or held.

        token: unique to this call, so that asking twice, because an answer got lost, gives the same claim.
        """
        answer = self._run(
            "webhooks/claim", id=delivery_id, holder=token, lease_s=self._settings.webhook_timeout_s + _SLACK_S
        )
        if answer is None:
            return None
        fields, of_webhook, now_s = pairs(answer[0]), pairs(answer[1]), float(answer[2])
        return DeliveryLease(
            delivery=record.decode_delivery(delivery_id, fields),
            webhook=record.decode_webhook(fields["webhook"], of_webhook, now_s=now_s),
            attempt=int(fields["n"]),
            tries=int(fields["tries"]),
        )

    def settle(self, delivery_lease: DeliveryLease, attempt: Attempt, *, pause_s: float, asked_s: float | None) -> str:
        """Records the attempt. Gives the delivery's status then, or `lost` when the lease was lost before.

        pause_s: until the next try. asked_s: seconds for which the receiver asked to be left alone.
        """
        became = {Outcome.ACCEPTED: "delivered", Outcome.GONE: "gone"}.get(attempt.outcome, "again")
        give_up_s = self._settings.webhook_give_up_s
        status = self._run(
            "webhooks/settle",
            id=delivery_lease.delivery.id,
            attempt=delivery_lease.attempt,
            result=became,
            report=attempt.model_dump_json(exclude_none=True),
            pause_s=pause_s,
            give_up_s=give_up_s,
            retry_after_s=None if asked_s is None else min(asked_s, give_up_s),
        )
        return str(status)

    def _run(self, script: str, **values: Any) -> Any:
        with redis_errors():
            return self._scripts[script](**values)
