"""The worker's parent process: it loads no model, outlives its child, and keeps the queue going."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from celery import Celery
from celery.exceptions import WorkerLostError

from shared.errors import TransientError
from shared.job_store import Fleet, WorkerFacts, connect
from shared.log import get_logger
from shared.settings import Settings
from worker.child import persist, worker_name
from worker.pump import Pump
from worker.reaper import Reaper

_BEAT_EVERY_S = 0.5
_PAUSE_S = 1.0

log = get_logger(__name__)


class Parent:
    """Two threads beside Celery's own loop: the pump, and the watch (signs of life, reaper).

    Attributes:
        open: set while the child can work; Celery takes no message while it is not.
    """

    def __init__(self, app: Celery, settings: Settings) -> None:
        self.open = threading.Event()
        self._settings = settings
        self._app = app
        self._fleet = Fleet(connect(settings), settings)
        self._stop = threading.Event()
        self._draining = threading.Event()
        self._threads: list[threading.Thread] = []
        self._wake: Callable[[], None] = lambda: None
        self._name = ""

    def start(self, hostname: str, wake: Callable[[], None]) -> None:
        """Starts both threads. wake: makes Celery's loop look again whether it may take a message."""
        self._name = worker_name(hostname, os.getpid())
        self._wake = wake
        pump = Pump(self._app, self._fleet, self._settings, self._name)
        reaper = Reaper(self._app, self._fleet, self._settings)

        def watch() -> None:
            self._beat()
            reaper.sweep()
            self._stop.wait(_BEAT_EVERY_S)

        for name, tick in (("watch", watch), ("pump", lambda: pump.tick(self._stop))):
            thread = threading.Thread(target=self._loop, args=(name, tick), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def drain(self) -> None:
        """Says that this worker goes away: its job goes back to the queue at its next step."""
        self._draining.set()
        self.open.clear()
        try:
            self._say()
        except TransientError as error:
            log.warning("drain_not_told", error=error.message)

    def stop(self) -> None:
        """Ends the threads and leaves the fleet."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=_PAUSE_S + self._settings.pump_every_s)
        try:
            self._fleet.leave(self._name)
        except TransientError as error:
            log.warning("leave_not_told", error=error.message)

    def child_died(self, job_id: str, error: BaseException) -> None:
        """Gives back at once what a dead child held, counted against the job."""
        if not isinstance(error, WorkerLostError):
            return
        log.error("child_died", job_id=job_id, error=str(error))
        try:
            persist(lambda: self._fleet.lose(job_id, self._name), for_s=_PAUSE_S)
        except TransientError as outage:
            # The lease runs out instead.
            log.warning("loss_not_told", job_id=job_id, error=outage.message)

    def _say(self) -> None:
        settings = self._settings
        facts = WorkerFacts(
            name=self._name,
            role=settings.role,
            slots=1,
            bundle=settings.bundle,
            # What the child said last, for a Redis that forgot it.
            ready=self.open.is_set(),
            draining=self._draining.is_set(),
        )
        self._fleet.beat(facts)

    def _beat(self) -> None:
        self._say()
        ready = self._fleet.is_ready(self._name) and not self._draining.is_set()
        if ready and not self.open.is_set():
            self.open.set()
            self._wake()
        elif not ready:
            self.open.clear()

    def _loop(self, name: str, tick: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                tick()
            except TransientError as error:
                log.warning("thread_waits", thread=name, error=error.message)
                self._stop.wait(_PAUSE_S)
            except Exception:  # noqa: BLE001 - a thread that ended silently would stop the whole fleet
                log.exception("thread_broke", thread=name)
                self._stop.wait(_PAUSE_S)
