"""Sends waiting jobs to Celery, a few at a time. Every supervisor runs one; the one with the lock dispatches."""

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

_COUNT_SLOTS_EVERY_S = 1.0
# While all slots are taken, many new jobs must not keep the dispatcher busy: rounds that dispatch nothing are at least
# this far apart. The first round after a quiet time does not wait.
_IDLE_ROUND_S = 0.02

log = get_logger(__name__)


class Dispatcher:
    """Keeps `in_flight_factor` jobs a live slot in Celery: a job that waits outside is cheap to count and to cancel."""

    def __init__(self, app: Celery, queue: QueueStore, settings: Settings, name: str) -> None:
        self._app = app
        self._queue = queue
        self._settings = settings
        self._name = name
        self._places = 0
        self._counted_s = float("-inf")
        self._idle_s = float("-inf")

    def tick(self, stop: threading.Event) -> None:
        """Dispatches the jobs that there are places for, then waits for a notification. Raises RecordsUnavailable."""
        jobs = self._queue.dispatch(self._name, self._count_places())
        if jobs is None:
            stop.wait(self._settings.dispatch_every_s)
            return
        for job in jobs:
            publish(self._app, self._settings, job)
        if len(jobs) == MOST_AT_ONCE:
            return
        if not jobs:
            stop.wait(max(0.0, self._idle_s + _IDLE_ROUND_S - time.monotonic()))
            self._idle_s = time.monotonic()
        self._queue.wait_for_notification(self._settings.dispatch_every_s)

    def _count_places(self) -> int:
        now_s = time.monotonic()
        if now_s - self._counted_s > _COUNT_SLOTS_EVERY_S:
            self._places = math.ceil(self._queue.ready_slots() * self._settings.in_flight_factor)
            self._counted_s = now_s
        return self._places


def publish(app: Celery, settings: Settings, job: DispatchedJob) -> None:
    """Sends the message of a job. When the broker does not accept it, the reaper finds the job and sends it again."""
    try:
        broker.send_job(app, settings, job)
    except OperationalError as error:
        log.warning("job_not_published", job_id=job.job_id, error=str(error))
