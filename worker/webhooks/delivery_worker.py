"""Sends a message for each due delivery, and makes the deliveries of received messages."""

from __future__ import annotations

import asyncio
import secrets
import threading

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from shared import broker
from shared.errors import RecordsUnavailable
from shared.settings import Settings
from shared.store.webhooks.deliveries import DeliveryLease, DeliveryStore
from shared.telemetry.log import get_logger
from shared.telemetry.metrics import meters
from worker.queue.executor import retry_until_recorded
from worker.webhooks.sender import Reply, Sender

_PAUSE_S = 1.0
# Looks that find nothing are at least this far apart; one after a quiet time waits for nothing.
_IDLE_LOOK_S = 0.02
_FACTOR = 4.0
_LONGEST_PAUSE_S = 8 * 3600.0
_JITTER = 0.2
# For how long an outcome is held until Redis takes it; afterwards the lease runs out, and it is delivered again.
_SETTLE_S = 10.0

log = get_logger(__name__)


class DeliveryWorker:
    """One a process. `deliver` is called by many threads at once, `tick` by one."""

    def __init__(self, app: Celery, deliveries: DeliveryStore, settings: Settings, post: Sender) -> None:
        self._app = app
        self._deliveries = deliveries
        self._settings = settings
        self._post = post
        self._lock = threading.Lock()
        self._freed = threading.Event()
        self._busy = 0

    def run(self, stop: threading.Event) -> None:
        """Looks for due deliveries until it is told to stop."""
        while not stop.is_set():
            try:
                self.tick(stop)
            except RecordsUnavailable as error:
                log.warning("desk_waits", error=error.message)
                stop.wait(_PAUSE_S)
            except Exception:
                # A closed delivery worker would hold every message back.
                log.exception("desk_broke")
                stop.wait(_PAUSE_S)

    def tick(self, stop: threading.Event) -> None:
        """Sends messages for due deliveries, up to the free slots, then waits. Raises RecordsUnavailable."""
        self._freed.clear()
        room = self._settings.webhook_slots - self._busy
        if room <= 0:
            self._freed.wait(_PAUSE_S)
            return
        found = self._deliveries.collect(room)
        for delivery_id in found.ids:
            self._publish(delivery_id)
        if not found.ids:
            stop.wait(_IDLE_LOOK_S)
            next_s = _PAUSE_S if found.next_s is None else found.next_s
            self._deliveries.wait_for_notification(min(_PAUSE_S, max(_IDLE_LOOK_S, next_s)))

    def deliver(self, delivery_id: str) -> None:
        """Makes a delivery, unless another process makes it or it has ended."""
        with self._lock:
            self._busy += 1
        try:
            with structlog.contextvars.bound_contextvars(delivery_id=delivery_id):
                self._make(delivery_id)
        finally:
            with self._lock:
                self._busy -= 1
            self._freed.set()

    def _make(self, delivery_id: str) -> None:
        try:
            delivery_lease = self._deliveries.claim(delivery_id, token=secrets.token_hex(8))
        except RecordsUnavailable as error:
            # The message is used up; its delivery is due again soon.
            log.warning("claim_failed", error=error.message)
            return
        if delivery_lease is None:
            log.info("delivery_skipped")
            return
        asyncio.run(self._deliver(delivery_lease))

    async def _deliver(self, delivery_lease: DeliveryLease) -> None:
        reply = await self._post.send(delivery_lease.webhook, delivery_lease.delivery)
        meters().deliveries.labels(reply.attempt.outcome.value).inc()
        meters().delivery_seconds.observe(reply.attempt.seconds or 0.0)
        status = self._settle(delivery_lease, reply)
        log.info(
            "delivery_made",
            webhook_id=delivery_lease.webhook.id,
            kind=delivery_lease.delivery.kind,
            attempt=delivery_lease.attempt,
            outcome=reply.attempt.outcome.value,
            http_status=reply.attempt.http_status,
            seconds=reply.attempt.seconds,
            status=status,
        )

    def _settle(self, delivery_lease: DeliveryLease, reply: Reply) -> str:
        pause = pause_s(delivery_lease.tries, first_s=self._settings.webhook_retry_s)
        try:
            return retry_until_recorded(
                lambda: self._deliveries.settle(delivery_lease, reply.attempt, pause_s=pause, asked_s=reply.asked_s),
                for_s=_SETTLE_S,
            )
        except RecordsUnavailable as error:
            log.warning("outcome_not_told", error=error.message)
            return "unknown"

    def _publish(self, delivery_id: str) -> None:
        try:
            broker.notify_delivery(self._app, self._settings, delivery_id)
        except OperationalError as error:
            # Nobody claims it, so it is due again soon.
            log.warning("message_not_published", delivery_id=delivery_id, error=str(error))


def pause_s(tries: int, *, first_s: float) -> float:
    """Seconds until the next try after so many: 5, 20, 80 ... up to eight hours, a fifth more or less by chance."""
    pause = min(first_s * _FACTOR ** min(tries - 1, 20), _LONGEST_PAUSE_S)
    return pause * secrets.SystemRandom().uniform(1 - _JITTER, 1 + _JITTER)
