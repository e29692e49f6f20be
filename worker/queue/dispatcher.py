"""Hands waiting jobs to Celery, a few at a time. Every worker's parent has one; whoever holds the lock pumps."""

from __future__ import annotations

import math
import threading
import time

from celery import Celery
from kombu.exceptions import OperationalError

from shared import broker
from shared.settings import Settings
from shared.store.queue.dispatch import MOST_AT_ONCE, QueueStore
from shared.store.queue.values import DispatchedJob
from shared.telemetry.log import get_logger

_FACTS_AGE_S = 1.0
# While every place is taken, a flood of new jobs must not keep the pump spinning: looks that find nothing to do are
# at least this far apart. A look after a quiet time waits for nothing.
_IDLE_LOOK_S = 0.02

log = get_logger(__name__)


class Dispatcher:
    """Keeps `in_flight_factor` jobs a live slot in Celery: a job that waits outside is cheap to count and to cancel."""

    def __init__(self, app: Celery, fleet: QueueStore, settings: Settings, name: str) -> None:
        self._app = app
        self._fleet = fleet
        self._settings = settings
        self._name = name
        self._places = 0
        self._counted_s = float("-inf")
        self._idle_s = float("-inf")

    def tick(self, stop: threading.Event) -> None:
        """Hands out what there is room for, then waits for the bell. Raises RecordsUnavailable."""
        rings = self._fleet.dispatch(self._name, self._count_places())
        if rings is None:
            stop.wait(self._settings.dispatch_every_s)
            return
        for doorbell in rings:
            publish(self._app, self._settings, doorbell)
        if len(rings) == MOST_AT_ONCE:
            return
        if not rings:
            stop.wait(max(0.0, self._idle_s + _IDLE_LOOK_S - time.monotonic()))
            self._idle_s = time.monotonic()
        self._fleet.wait_for_notification(self._settings.dispatch_every_s)

    def _count_places(self) -> int:
        now_s = time.monotonic()
        if now_s - self._counted_s > _FACTS_AGE_S:
            self._places = math.ceil(self._fleet.ready_slots() * self._settings.in_flight_factor)
            self._counted_s = now_s
        return self._places


def publish(app: Celery, settings: Settings, doorbell: DispatchedJob) -> None:
    """Rings; a doorbell that the broker did not take is found by the reaper and rung again."""
    try:
        broker.send_job(app, settings, doorbell)
    except OperationalError as error:
        log.warning("doorbell_not_published", job_id=doorbell.job_id, error=str(error))
