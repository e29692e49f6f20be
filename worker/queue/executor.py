"""The pool child: it alone holds the models."""

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
from worker.queue.attempts import Attempts
from worker.runner.assignment import AssignStage, Loaded, LoadStages

_PAUSE_S = 0.5
# How the device is, is told anew so often; a Redis that has forgotten what the child said learns it again then.
_REMIND_EVERY_S = 2.0
_REACH_EVERY_S = 2.0
_PACED_STAGES = 8
Answer = TypeVar("Answer")

log = logs.get_logger(__name__)


class Executor:
    """What a pool child works with. Loads nothing until it is opened, so the parent may hold one too.

    Attributes:
        name: the worker's name, the same in parent and child.
        stages: the loaded stages of the worker's role; empty when the bundle is broken.
        attempts: what is told of each.
    """

    def __init__(self, settings: Settings, load_stages: LoadStages) -> None:
        self.settings = settings
        self.name = ""
        self.stages: Mapping[Stage, AssignStage] = {}
        redis = connect(settings)
        self.jobs = JobStore(redis, settings)
        self.attempts = Attempts(settings)
        self._fleet = QueueStore(redis, settings)
        self._load_stages = load_stages
        self._said = Readiness(ready=False)
        self._loaded = Loaded(stages={})
        self._paces: deque[tuple[int, float]] = deque(maxlen=_PACED_STAGES)
        self._reminds = threading.Thread(target=self._remind, name="reminder", daemon=True)

    def open(self, hostname: str) -> None:
        """Loads the models of the role, warms them up and tells the fleet: ready, or why not; then it gets no jobs.

        What may pass is tried again, in threads: the child must hear when its worker stops.
        """
        self.name = worker_name(hostname, os.getppid())
        self.attempts.open()
        self._tell(ready=False, reason="loading")
        started_s = time.monotonic()
        try:
            self._loaded = self._load_stages(self.settings, self.settings.role)
            self._tell(ready=False, reason="warming up")
            self._loaded.warm_up()
            self.stages = self._loaded.stages
        except TransientError as error:
            # As a neighbour that still leaves the device. Half-loaded models go only with their process.
            pause_s = self.settings.lease_s
            log.error("bundle_not_loaded_yet", worker=self.name, reason=error.message, again_in_s=pause_s)  # noqa: TRY400
            self._tell(ready=False, reason=error.message)
            timer = threading.Timer(pause_s, end_process)
            timer.daemon = True
            timer.start()
        except BundleError as error:
            # Not a bug of ours, so without a traceback.
            log.error("bundle_unusable", worker=self.name, reason=error.message)  # noqa: TRY400
            self._tell(ready=False, reason=error.message)
        except Exception as error:
            log.exception("bundle_not_loaded", worker=self.name)
            self._tell(ready=False, reason=f"{type(error).__name__}: see the worker's log")
        else:
            log.info("bundle_loaded", worker=self.name, seconds=round(time.monotonic() - started_s, 2))
            threading.Thread(target=self._reach, name="reach", daemon=True).start()

    def give_up_where_the_device_did(self) -> None:
        """Ends this process when its device answers nobody in it any more: it would fail every job that it gets."""
        if not self._loaded.device_works():
            log.critical("device_does_not_answer", worker=self.name)
            end_process()

    def note_pace(self, steps: int, seconds: float) -> None:
        """Takes down how fast a stage denoised."""
        if steps > 0:
            self._paces.append((steps, seconds))

    def gauge(self) -> DeviceStatus:
        """The device as it is now, and the pace of the last stages."""
        paces = list(self._paces)
        seconds = sum(seconds for _, seconds in paces)
        pace = sum(steps for steps, _ in paces) / seconds if seconds else 0.0
        return self._loaded.device_status().model_copy(update={"steps_per_s": round(pace, 2)})

    def leave_until_reached(self, reason: str) -> None:
        """Takes no more jobs until the servers of the stages serve this worker: it would fail each of them."""
        self._tell(ready=False, reason=reason)
        threading.Thread(target=self._reach, name="reach", daemon=True).start()

    def _reach(self) -> None:
        """Says that it is ready once the servers of its stages answer. The models stay loaded meanwhile."""
        while True:
            try:
                self._loaded.connect()
            except (TransientError, BlobsRefused) as error:
                log.warning("stages_not_reached", worker=self.name, reason=error.message)
                self._tell(ready=False, reason=error.message)
            except Exception as error:
                log.exception("stages_not_reached", worker=self.name)
                self._tell(ready=False, reason=f"{type(error).__name__}: see the worker's log")
                return
            else:
                self._tell(ready=True, reason="")
                return
            time.sleep(_REACH_EVERY_S)

    def _tell(self, *, ready: bool, reason: str) -> None:
        """Says it once, and again whenever Redis has forgotten it: nobody else knows."""
        self._said = Readiness(ready=ready, reason=reason)
        persist(
            lambda: self._fleet.report_readiness(self.name, ready=ready, reason=reason, device=self.gauge()),
            for_s=float("inf"),
        )
        if not self._reminds.is_alive():
            self._reminds.start()

    def _remind(self) -> None:
        while True:
            time.sleep(_REMIND_EVERY_S)
            try:
                self._fleet.restore_readiness(self.name, self._said, self.gauge())
            except RecordsUnavailable as error:
                log.warning("reminder_not_told", worker=self.name, error=error.message)
            except Exception:
                # A device that broke says nothing of its memory; the next job finds out.
                log.exception("reminder_broke", worker=self.name)


def worker_name(hostname: str, parent_pid: int) -> str:
    """Name of a worker: Celery's node name alone may be shared by two workers of one machine."""
    return f"{hostname}.{parent_pid}"


def persist(tell: Callable[[], Answer], *, for_s: float) -> Answer:
    """What the call answers; tried again while Redis does not. Raises RecordsUnavailable when the time is over."""
    deadline_s = time.monotonic() + for_s
    while True:
        try:
            return tell()
        except RecordsUnavailable:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_PAUSE_S)


def end_process() -> None:
    """Ends this process at once, as when it hangs. Of a child's the parent sees it, and starts a fresh one."""
    os.kill(os.getpid(), signal.SIGKILL)
