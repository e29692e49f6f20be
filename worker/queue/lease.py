"""Holding a job: the lease is renewed while steps advance, and every step learns whether to go on."""

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

# A step asks Redis at most this often, so that tiny steps are not slowed down by it; less often while it is away.
_LOOK_EVERY_S = 0.05
_LOOK_AGAIN_S = 1.0
# A picture that emerges costs a small decoding: about 2 % of a second.
_SHOW_EVERY_S = 1.0

log = get_logger(__name__)


class Lease:
    """A context in which the job is ours. Give `on_step` to the stage.

    on_stall is called, from the renewing thread, when no step was made for `stall_s`: the stage hangs, and only the end
    of its process can free the device.
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
        # With the context of the task: what is logged there is about the same job and stage.
        keep = partial(copy_context().run, self._keep)
        self._thread = threading.Thread(target=keep, name=f"lease of {claim.job.id}", daemon=True)
        self._advanced_s = time.monotonic()
        self._look_at_s = self._written_s = self._shown_s = float("-inf")
        self._told = Renewal.GO_ON
        self._first: tuple[int, float] | None = None
        self._steps = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    @property
    def pace(self) -> tuple[int, float]:
        """Steps between the first that was told and the last, and the seconds from one to the other."""
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
        """Notes that the stage advances. Raises JobCancelled, WorkerDraining or LeaseLost when it must stop now.

        Gives a way to show the picture when somebody watches and has not been shown one for a second.
        """
        now_s = time.monotonic()
        self._advanced_s = now_s
        self._first, self._steps = self._first or (step, now_s), step
        if now_s >= self._look_at_s:
            write = now_s - self._written_s >= self._settings.progress_every_s
            heard = self._renew((step, steps) if write else None)
            self._look_at_s = time.monotonic() + (_LOOK_EVERY_S if heard else _LOOK_AGAIN_S)
            if heard and write:
                self._written_s = now_s
        self._obey()
        wanted = self._told is Renewal.PREVIEW and now_s - self._shown_s >= _SHOW_EVERY_S
        return partial(self._show, step) if wanted else None

    def _show(self, step: int, jpeg: bytes) -> None:
        self._shown_s = time.monotonic()
        try:
            self._jobs.put_preview(self._job_id, self._attempt, step=step, jpeg=jpeg)
        except RecordsUnavailable as error:
            # Nobody misses a preview.
            log.warning("preview_not_shown", error=error.message)

    def acquire_result(
        self, stage: Stage, digest: str, parts: Sequence[str] = (), *, again: bool = False
    ) -> ResultClaim:
        """Whether to make a result that is not stored: MAKE, MADE or WAIT. Raises as on_step does; also a first step.

        While Redis is away the work is done unasked: at worst it is done twice.
        """
        self._advanced_s = time.monotonic()
        try:
            wish = self._jobs.acquire_result(
                self._job_id, self._attempt, worker=self._worker, stage=stage, digest=digest, parts=parts, again=again
            )
        except RecordsUnavailable as error:
            log.warning("not_asked_who_makes_it", error=error.message)
            return ResultClaim.MAKE
        self._look_at_s = time.monotonic() + _LOOK_EVERY_S
        if wish not in {ResultClaim.MAKE, ResultClaim.MADE, ResultClaim.WAIT}:
            self._told = Renewal(wish.value)
            self._obey()
        return wish

    def _obey(self) -> None:
        if self._told is Renewal.CANCELED:
            message = "the person took the job back"
            raise JobCanceled(message)
        if self._told is Renewal.DRAINING:
            message = f"worker {self._worker} is going away"
            raise WorkerDraining(message)
        if self._told is Renewal.LOST:
            message = f"attempt {self._attempt} does not hold the job any more"
            raise LeaseLost(message)

    def _keep(self) -> None:
        while not self._over.wait(self._settings.renew_every_s):
            idle_s = time.monotonic() - self._advanced_s
            if idle_s > self._settings.stall_s:
                log.error("stage_stalled", idle_s=round(idle_s, 1))
                self._on_stall()
                return
            self._renew(None)

    def _renew(self, progress: tuple[int, int] | None) -> bool:
        try:
            self._told = self._jobs.renew(self._job_id, self._attempt, worker=self._worker, progress=progress)
        except RecordsUnavailable as error:
            # The work goes on: if the outage outlives the lease, a later renewal says so and finish has no effect.
            log.warning("lease_not_renewed", error=error.message)
            return False
        return True
