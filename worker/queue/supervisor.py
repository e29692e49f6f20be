"""The supervisor process of a worker: it loads no model, survives its executor, and keeps the queue moving."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from celery import Celery
from celery.exceptions import WorkerLostError

from shared.errors import BlobsRefused, TransientError
from shared.settings import Settings
from shared.store.batches.feed import BatchStore
from shared.store.connection import connect
from shared.store.queue.dispatch import QueueStore
from shared.store.queue.values import WorkerStatus
from shared.telemetry.log import get_logger
from shared.telemetry.metrics import meters
from worker.queue.batch_feeder import BatchFeeder
from worker.queue.dispatcher import Dispatcher
from worker.queue.executor import kill_process, retry_until_recorded, worker_name
from worker.queue.reaper import Reaper
from worker.queue.stuck import StuckDetector

_HEARTBEAT_EVERY_S = 0.5
_PAUSE_S = 1.0
# Checks of the stuck detector within `stuck_after_s`.
_STUCK_CHECKS = 12

log = get_logger(__name__)


class Supervisor:
    """Runs four threads beside Celery's own loop: dispatcher, batch feeder, heartbeat with reaper, stuck detector."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._settings = settings
        self._app = app
        redis = connect(settings)
        self._queue = QueueStore(redis, settings)
        self._batches = BatchStore(redis, settings)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._draining = threading.Event()
        self._threads: list[threading.Thread] = []
        self._wake: Callable[[], None] = lambda: None
        self._name = ""

    def start(self, hostname: str, wake: Callable[[], None]) -> None:
        """Starts the threads. wake: makes Celery's loop check again whether it may take a message."""
        self._name = worker_name(hostname, os.getpid())
        self._wake = wake
        dispatcher = Dispatcher(self._app, self._queue, self._settings, self._name)
        feeder = BatchFeeder(self._batches, self._settings, self._name)
        reaper = Reaper(self._app, self._queue, self._settings)
        detector = StuckDetector(self._app, self._queue, self._settings, self._name)

        def heartbeat() -> None:
            self._heartbeat()
            reaper.sweep()
            self._stop.wait(_HEARTBEAT_EVERY_S)

        def detect_stuck() -> None:
            if detector.is_stuck(may_take=self.may_take()):
                log.error("worker_stuck", worker=self._name, seconds=self._settings.stuck_after_s)
                # The service manager restarts the process. A stuck Celery cannot shut down in order.
                kill_process()
            self._stop.wait(self._settings.stuck_after_s / _STUCK_CHECKS)

        ticks = {
            "heartbeat": heartbeat,
            "stuck-detector": detect_stuck,
            "dispatcher": lambda: dispatcher.tick(self._stop),
            "batch-feeder": lambda: feeder.tick(self._stop),
        }
        for name, tick in ticks.items():
            thread = threading.Thread(target=self._loop, args=(name, tick), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def may_take(self) -> bool:
        """Whether Celery may take a message: the executor has loaded its models and the worker does not drain."""
        return self._ready.is_set() and not self._draining.is_set()

    def drain(self) -> None:
        """Announces that this worker stops; its job goes back to the queue at the next step."""
        self._draining.set()
        try:
            self._queue.heartbeat(self._status())
        except TransientError as error:
            log.warning("drain_not_recorded", error=error.message)

    def stop(self) -> None:
        """Stops the threads and removes the worker from the registry."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=_PAUSE_S + self._settings.dispatch_every_s)
        try:
            self._queue.unregister(self._name)
            self._batches.release_lock(self._name)
        except TransientError as error:
            log.warning("leave_not_recorded", error=error.message)

    def executor_died(self, job_id: str, error: BaseException) -> None:
        """Requeues the job of a dead executor at once; it counts against the job."""
        if not isinstance(error, WorkerLostError):
            return
        meters().executors_lost.inc()
        log.error("executor_died", job_id=job_id, error=str(error))
        try:
            retry_until_recorded(lambda: self._queue.lose_lease(job_id, self._name), for_s=_PAUSE_S)
        except TransientError as outage:
            # The lease expires instead.
            log.warning("loss_not_recorded", job_id=job_id, error=outage.message)

    def _status(self) -> WorkerStatus:
        settings = self._settings
        return WorkerStatus(
            name=self._name,
            role=settings.role,
            slots=1,
            bundle=settings.bundle,
            draining=self._draining.is_set(),
        )

    def _heartbeat(self) -> None:
        readiness = self._queue.heartbeat(self._status())
        if readiness is None:
            # The executor has not reported yet, or Redis lost its report in an outage: the executor repeats it.
            return
        if not readiness.ready:
            self._ready.clear()
        elif not self._ready.is_set():
            self._ready.set()
            if not self._draining.is_set():
                self._wake()

    def _loop(self, name: str, tick: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                tick()
            except (TransientError, BlobsRefused) as error:
                log.warning("thread_retries", thread=name, error=error.message)
                self._stop.wait(_PAUSE_S)
            except Exception:
                # If this thread ended, jobs of all workers might wait for ever.
                log.exception("thread_failed", thread=name)
                self._stop.wait(_PAUSE_S)
