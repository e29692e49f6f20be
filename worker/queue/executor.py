"""The executor process of a worker: the only one that holds models."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeVar

from shared.errors import BlobsRefused, BundleError, RecordsUnavailable, TransientError
from shared.settings import Settings
from shared.stages import Stage
from shared.store.connection import connect
from shared.store.jobs.leases import JobStore
from shared.store.queue.dispatch import QueueStore
from shared.store.queue.values import DeviceStatus, Readiness
from shared.telemetry import log as logs
from worker.queue.attempts import AttemptTelemetry
from worker.runner.assignment import AssignStage, Loaded, LoadStages

_PAUSE_S = 0.5
# How often the device status is reported. A Redis that lost the report gets it again by then.
_REPORT_EVERY_S = 2.0
_CONNECT_EVERY_S = 2.0
_PACED_STAGES = 8
Answer = TypeVar("Answer")

log = logs.get_logger(__name__)


class Executor:
    """Stages and stores of an executor process. Loads nothing until `open`, so the supervisor may hold one, too.

    Attributes:
        name: the worker's name, the same in supervisor and executor.
        stages: the loaded stages of the worker's role; empty when the bundle is broken.
        attempts: metrics and traces of every attempt.
    """

    def __init__(self, settings: Settings, load_stages: LoadStages) -> None:
        self.settings = settings
        self.name = ""
        self.stages: Mapping[Stage, AssignStage] = {}
        redis = connect(settings)
        self.jobs = JobStore(redis, settings)
        self.attempts = AttemptTelemetry(settings)
        self._queue = QueueStore(redis, settings)
        self._load_stages = load_stages
        self._readiness = Readiness(ready=False)
        self._loaded = Loaded(stages={})
        self._paces: deque[tuple[int, float]] = deque(maxlen=_PACED_STAGES)
        self._reporter = threading.Thread(target=self._report_forever, name="reporter", daemon=True)

    def open(self, hostname: str) -> None:
        """Loads the models of the role, warms them up and reports ready, or the reason why not; then no job comes.

        Transient errors are retried in threads: meanwhile the executor must react when its worker stops.
        """
        self.name = worker_name(hostname, os.getppid())
        self.attempts.open()
        self._report(ready=False, reason="loading")
        started_s = time.monotonic()
        try:
            self._loaded = self._load_stages(self.settings, self.settings.role)
            self._report(ready=False, reason="warming up")
            self._loaded.warm_up()
            self.stages = self._loaded.stages
        except TransientError as error:
            # As when another process still uses the device. Only the end of the process frees half-loaded models.
            pause_s = self.settings.lease_s
            log.error("bundle_load_postponed", worker=self.name, reason=error.message, again_in_s=pause_s)  # noqa: TRY400
            self._report(ready=False, reason=error.message)
            timer = threading.Timer(pause_s, kill_process)
            timer.daemon = True
            timer.start()
        except BundleError as error:
            # Not a bug in Troupe, so without a traceback.
            log.error("bundle_unusable", worker=self.name, reason=error.message)  # noqa: TRY400
            self._report(ready=False, reason=error.message)
        except Exception as error:
            log.exception("bundle_load_failed", worker=self.name)
            self._report(ready=False, reason=f"{type(error).__name__}: see the worker's log")
        else:
            log.info("bundle_loaded", worker=self.name, seconds=round(time.monotonic() - started_s, 2))
            threading.Thread(target=self._connect, name="connect", daemon=True).start()

    def end_if_device_failed(self) -> None:
        """Ends this process when its device no longer computes: every further job would fail in it."""
        if not self._loaded.device_works():
            log.critical("device_failed", worker=self.name)
            kill_process()

    def note_pace(self, steps: int, seconds: float) -> None:
        """Records how fast a stage denoised."""
        if steps > 0:
            self._paces.append((steps, seconds))

    def device_status(self) -> DeviceStatus:
        """The device now, and the pace of the last stages."""
        paces = list(self._paces)
        seconds = sum(seconds for _, seconds in paces)
        pace = sum(steps for steps, _ in paces) / seconds if seconds else 0.0
        return self._loaded.device_status().model_copy(update={"steps_per_s": round(pace, 2)})

    def pause_until_connected(self, reason: str) -> None:
        """Takes no more jobs until the servers of the stages accept this worker: each of them would fail."""
        self._report(ready=False, reason=reason)
        threading.Thread(target=self._connect, name="connect", daemon=True).start()

    def _connect(self) -> None:
        """Reports ready once the servers that the stages need answer. The models stay loaded meanwhile."""
        while True:
            try:
                self._loaded.connect()
            except (TransientError, BlobsRefused) as error:
                log.warning("servers_not_reached", worker=self.name, reason=error.message)
                self._report(ready=False, reason=error.message)
            except Exception as error:
                log.exception("servers_not_reached", worker=self.name)
                self._report(ready=False, reason=f"{type(error).__name__}: see the worker's log")
                return
            else:
                self._report(ready=True, reason="")
                return
            time.sleep(_CONNECT_EVERY_S)

    def _report(self, *, ready: bool, reason: str) -> None:
        """Reports once now, and again from a thread: no other process could restore a report that Redis lost."""
        self._readiness = Readiness(ready=ready, reason=reason)
        retry_until_recorded(
            lambda: self._queue.report_readiness(self.name, ready=ready, reason=reason, device=self.device_status()),
            for_s=float("inf"),
        )
        if not self._reporter.is_alive():
            self._reporter.start()

    def _report_forever(self) -> None:
        while True:
            time.sleep(_REPORT_EVERY_S)
            try:
                self._queue.restore_readiness(self.name, self._readiness, self.device_status())
            except RecordsUnavailable as error:
                log.warning("status_not_recorded", worker=self.name, error=error.message)
            except Exception:
                # A failed device cannot tell its memory; the next job detects the failure.
                log.exception("status_failed", worker=self.name)


def worker_name(hostname: str, supervisor_pid: int) -> str:
    """Name of a worker. Celery's node name alone is not enough: two workers of one machine may share it."""
    return f"{hostname}.{supervisor_pid}"


def retry_until_recorded(call: Callable[[], Answer], *, for_s: float) -> Answer:
    """The result of a call to Redis, retried during an outage. Raises RecordsUnavailable after this time."""
    deadline_s = time.monotonic() + for_s
    while True:
        try:
            return call()
        except RecordsUnavailable:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_PAUSE_S)


def kill_process() -> None:
    """Kills this process at once, even if it hangs. The supervisor of a killed executor starts a new one."""
    os.kill(os.getpid(), signal.SIGKILL)
