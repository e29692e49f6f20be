"""Requeues jobs whose worker stopped renewing its lease, and republishes messages that got lost."""

from __future__ import annotations

from celery import Celery
from kombu.exceptions import OperationalError

from shared import broker
from shared.settings import Settings
from shared.store.queue.dispatch import QueueStore
from shared.store.queue.values import QueueDepth
from shared.telemetry.log import get_logger
from worker.queue.dispatcher import publish

log = get_logger(__name__)


class Reaper:
    """One sweep for all workers every `reap_every_s`; Redis decides which worker makes it."""

    def __init__(self, app: Celery, queue: QueueStore, settings: Settings) -> None:
        self._app = app
        self._queue = queue
        self._settings = settings

    def sweep(self) -> None:
        """Sweeps, unless another worker did a moment ago. Raises RecordsUnavailable."""
        if not self._queue.is_turn_to_reap():
            return
        found = self._queue.reap(self._waiting())
        for job_id in found.lost:
            log.warning("lease_expired", job_id=job_id)
        for job in found.redispatched:
            log.warning("message_lost", job_id=job.job_id, stage=job.stage.value)
            publish(self._app, self._settings, job)

    def _waiting(self) -> list[QueueDepth]:
        try:
            return broker.messages_waiting(self._app, self._settings)
        except OperationalError as error:
            # Nothing can be published without the broker, but leases still expire.
            log.warning("messages_not_counted", error=str(error))
            return []
