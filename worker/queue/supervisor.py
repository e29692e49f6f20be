"""The worker's parent process: it loads no model, outlives its child, and keeps the queue going."""

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
from worker.queue.executor import end_process, persist, worker_name
from worker.queue.reaper import Reaper
from worker.queue.stuck import StuckDetector

_BEAT_EVERY_S = 0.5
_PAUSE_S = 1.0
# At the worker's own queue, in the time after which it counts as deaf.
_LOOKS = 12

log = get_logger(__name__)


class Supervisor:
    """Four threads beside Celery's own loop: the pump, the feeder, the watch (signs of life, reaper), and the ears."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._settings = settings
        self._app = app
        redis = connect(settings)
        self._fleet = QueueStore(redis, settings)
        self._batches = BatchStore(redis, settings)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._draining = threading.Event()
        self._threads: list[threading.Thread] = []
        self._wake: Callable[[], None] = lambda: None
        self._name = ""

    def start(self, hostname: str, wake: Callable[[], None]) -> None:
        """Starts the threads. wake: makes Celery's loop look again whether it may take a message."""
        self._name = worker_name(hostname, os.getpid())
        self._wake = wake
        pump = Dispatcher(self._app, self._fleet, self._settings, self._name)
        feeder = BatchFeeder(self._batches, self._settings, self._name)
        reaper = Reaper(self._app, self._fleet, self._settings)
        ears = StuckDetector(self._app, self._fleet, self._settings, self._name)

        def watch() -> None:
            self._beat()
            reaper.sweep()
            self._stop.wait(_BEAT_EVERY_S)

        def hear() -> None:
            if ears.is_stuck(may_take=self.may_take()):
                log.error("worker_deaf", worker=self._name, seconds=self._settings.stuck_after_s)
                # Whoever looks after the process starts it anew; Celery could not even stop in order.
                end_process()
            self._stop.wait(self._settings.stuck_after_s / _LOOKS)

        ticks = {
            "watch": watch,
            "ears": hear,
            "pump": lambda: pump.tick(self._stop),
            "feeder": lambda: feeder.tick(self._stop),
        }
        for name, tick in ticks.items():
            thread = threading.Thread(target=self._loop, args=(name, tick), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def may_take(self) -> bool:
        """Whether Celery may take a message: the child has its models, and nobody asked this worker to go."""
        return self._ready.is_set() and not self._draining.is_set()

    def drain(self) -> None:
        """Says that this worker goes away: its job goes back to the queue at its next step."""
        self._draining.set()
        try:
            self._fleet.heartbeat(self._facts())
        except TransientError as error:
            log.warning("drain_not_told", error=error.message)

    def stop(self) -> None:
        """Ends the threads and leaves the fleet."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=_PAUSE_S + self._settings.dispatch_every_s)
        try:
            self._fleet.unregister(self._name)
            self._batches.release_lock(self._name)
        except TransientError as error:
            log.warning("leave_not_told", error=error.message)

    def executor_died(self, job_id: str, error: BaseException) -> None:
        """Gives back at once what a dead child held, counted against the job."""
        if not isinstance(error, WorkerLostError):
            return
        meters().executors_lost.inc()
        log.error("child_died", job_id=job_id, error=str(error))
        try:
            persist(lambda: self._fleet.lose_lease(job_id, self._name), for_s=_PAUSE_S)
        except TransientError as outage:
            # The lease runs out instead.
            log.warning("loss_not_told", job_id=job_id, error=outage.message)

    def _facts(self) -> WorkerStatus:
        settings = self._settings
        return WorkerStatus(
            name=self._name,
            role=settings.role,
            slots=1,
            bundle=settings.bundle,
            draining=self._draining.is_set(),
        )

    def _beat(self) -> None:
        said = self._fleet.heartbeat(self._facts())
        if said is None:
            # The child has not spoken yet, or an outage made Redis forget: then the child says it again.
            return
        if not said.ready:
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
                log.warning("thread_waits", thread=name, error=error.message)
                self._stop.wait(_PAUSE_S)
            except Exception:
                # A thread that ended would stop the whole fleet.
                log.exception("thread_broke", thread=name)
                self._stop.wait(_PAUSE_S)
