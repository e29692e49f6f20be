"""Takes jobs back whose worker fell silent, and rings again for doorbells that got lost."""

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
    """One sweep of the whole fleet every `reap_every_s`; whose turn it is, is settled in Redis."""

    def __init__(self, app: Celery, fleet: QueueStore, settings: Settings) -> None:
        self._app = app
        self._fleet = fleet
        self._settings = settings

    def sweep(self) -> None:
        """Sweeps, if nobody did just now. Raises RecordsUnavailable."""
        if not self._fleet.is_turn_to_reap():
            return
        found = self._fleet.reap(self._waiting())
        for job_id in found.lost:
            log.warning("lease_ran_out", job_id=job_id)
        for doorbell in found.redispatched:
            log.warning("doorbell_lost", job_id=doorbell.job_id, stage=doorbell.stage.value)
            publish(self._app, self._settings, doorbell)

    def _waiting(self) -> list[QueueDepth]:
        try:
            return broker.messages_waiting(self._app, self._settings)
        except OperationalError as error:
            # Without the broker nothing can be rung, but leases must still be looked after.
            log.warning("queues_not_counted", error=str(error))
            return []
