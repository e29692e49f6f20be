"""The lease on a job: renewed while the stage makes steps; every step learns whether to go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Self

from shared.errors import JobCanceled, LeaseLost, RecordsUnavailable, WorkerDraining
from shared.settings import Settings
from shared.stages import Stage
from shared.store.jobs.leases import JobStore
from shared.store.queue.values import Claim, Renewal, ResultClaim
from shared.telemetry.log import get_logger
from worker.runner.assignment import Show

# A step asks Redis at most this often, so that short steps stay fast; less often during an outage.
_RENEW_EVERY_S = 0.05
_RENEW_IN_OUTAGE_EVERY_S = 1.0
# Decoding a small preview takes about 20 ms.
_PREVIEW_EVERY_S = 1.0

log = get_logger(__name__)


class Lease:
    """A context in which this worker holds the job. Pass `on_step` to the stage.

    on_stall: called from the renewing thread when the stage made no step for `stall_s`: it hangs, and only the end of
    its process frees the device.
    """

    def __init__(
        self, jobs: JobStore, claim: Claim, *, worker: str, settings: Settings, on_stall: Callable[[], None]
    ) -> None:
        self._jobs = jobs
        self._job_id = claim.job.id
        self._attempt = claim.attempt
        self._worker = worker
        self._settings = settings
        self._on_stall = on_stall
        self._over = threading.Event()
        # With the context of the task, so that log lines of the thread name the same job and stage.
        renew = partial(copy_context().run, self._renew_forever)
        self._thread = threading.Thread(target=renew, name=f"lease of {claim.job.id}", daemon=True)
        self._advanced_s = time.monotonic()
        self._renew_at_s = self._written_s = self._shown_s = float("-inf")
        self._answer = Renewal.GO_ON
        self._first: tuple[int, float] | None = None
        self._steps = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    @property
    def pace(self) -> tuple[int, float]:
        """Number of steps since the first, and the seconds that they took."""
        if self._first is None:
            return 0, 0.0
        step, since_s = self._first
        return self._steps - step, self._advanced_s - since_s

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def on_step(self, step: int, steps: int) -> Show | None:
        """Records a step of the stage. Raises JobCanceled, WorkerDraining or LeaseLost when it must stop now.

        Returns a function that shows a preview when a client watches the job and the last preview is a second old.
        """
        now_s = time.monotonic()
        self._advanced_s = now_s
        self._first, self._steps = self._first or (step, now_s), step
        if now_s >= self._renew_at_s:
            write = now_s - self._written_s >= self._settings.progress_every_s
            renewed = self._renew((step, steps) if write else None)
            self._renew_at_s = time.monotonic() + (_RENEW_EVERY_S if renewed else _RENEW_IN_OUTAGE_EVERY_S)
            if renewed and write:
                self._written_s = now_s
        self._stop_if_told()
        wanted = self._answer is Renewal.PREVIEW and now_s - self._shown_s >= _PREVIEW_EVERY_S
        return partial(self._show, step) if wanted else None

    def _show(self, step: int, jpeg: bytes) -> None:
        self._shown_s = time.monotonic()
        try:
            self._jobs.put_preview(self._job_id, self._attempt, step=step, jpeg=jpeg)
        except RecordsUnavailable as error:
            # The next preview follows soon.
            log.warning("preview_not_stored", error=error.message)

    def acquire_result(
        self, stage: Stage, digest: str, parts: Sequence[str] = (), *, again: bool = False
    ) -> ResultClaim:
        """Whether to make a result that is not stored: MAKE, MADE or WAIT. It is a step, and raises as on_step does.

        During an outage of Redis the answer is MAKE: at worst two workers make the same result.
        """
        self._advanced_s = time.monotonic()
        try:
            claim = self._jobs.acquire_result(
                self._job_id, self._attempt, worker=self._worker, stage=stage, digest=digest, parts=parts, again=again
            )
        except RecordsUnavailable as error:
            log.warning("result_not_claimed", error=error.message)
            return ResultClaim.MAKE
        self._renew_at_s = time.monotonic() + _RENEW_EVERY_S
        if claim not in {ResultClaim.MAKE, ResultClaim.MADE, ResultClaim.WAIT}:
            self._answer = Renewal(claim.value)
            self._stop_if_told()
        return claim

    def _stop_if_told(self) -> None:
        if self._answer is Renewal.CANCELED:
            message = "the job was canceled"
            raise JobCanceled(message)
        if self._answer is Renewal.DRAINING:
            message = f"worker {self._worker} is draining"
            raise WorkerDraining(message)
        if self._answer is Renewal.LOST:
            message = f"attempt {self._attempt} no longer holds the job"
            raise LeaseLost(message)

    def _renew_forever(self) -> None:
        while not self._over.wait(self._settings.renew_every_s):
            idle_s = time.monotonic() - self._advanced_s
            if idle_s > self._settings.stall_s:
                log.error("stage_stalled", idle_s=round(idle_s, 1))
                self._on_stall()
                return
            self._renew(None)

    def _renew(self, progress: tuple[int, int] | None) -> bool:
        try:
            self._answer = self._jobs.renew(self._job_id, self._attempt, worker=self._worker, progress=progress)
        except RecordsUnavailable as error:
            # The stage goes on. If the lease expires in the outage, a later renewal tells, and finish has no effect.
            log.warning("lease_not_renewed", error=error.message)
            return False
        return True
