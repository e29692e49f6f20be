"""A queue with real worker processes, and the means to inject faults."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from compose.processes import Processes, Program, Running
from shared.blob_store import BlobStore
from shared.broker import WORKER_ARGS
from shared.job import Job
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.queue.values import WorkerStatus
from tests.support.api_server import environment_of
from tests.support.queue_records import Records

# Generous: a loaded machine of two cores may take ten times as long as an idle one.
PATIENCE_S = 90.0
# Polling takes CPU time from the processes under test, so the pause between two checks grows.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _GROWTH = 0.01, 0.2, 1.25
_GRACE_S = 20.0
CELERY = (sys.executable, "-m", "celery")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a stage of a job."""

    stage: Stage
    attempt: int
    pid: int


@dataclass(kw_only=True)
class QueueHarness(Records):
    """Workers with the stages of tests/support/fault_stages.py. Stages and tests exchange files in `folder`."""

    processes: Processes
    folder: Path
    workers: list[Running] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)

    @cached_property
    def blobs(self) -> BlobStore:
        return BlobStore(self.settings)

    def start_worker(
        self,
        role: str = "all",
        *,
        celery: Sequence[str] = CELERY,
        app: str = "tests.support.fault_app",
        **changed: object,
    ) -> Running:
        """Starts a worker and does not wait for it. changed: settings that only this worker has."""
        settings = self.settings.model_copy(update=changed)
        number = len(self.logs)
        program = Program(
            name=f"{role}-{number}",
            command=[*celery, "-A", app, "worker", *WORKER_ARGS],
            environment={**environment_of(settings), "TROUPE_ROLE": role},
            grace_s=_GRACE_S,
        )
        worker = self.processes.start(program)
        self.workers.append(worker)
        self.logs.append(worker.log)
        return worker

    def start_workers(self, *roles: str) -> list[Running]:
        """Starts a worker for each role and waits until all workers are ready."""
        started = [self.start_worker(role) for role in roles]
        self.until("workers ready", lambda: len(self.ready()) == len(self.workers))
        return started

    def worker_of(self, run: Run) -> Running:
        """The worker whose executor did this run."""
        parent = int(Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()[1])
        return next(worker for worker in self.workers if worker.pid == parent)

    def kill_worker(self, worker: Running) -> None:
        """Sends SIGKILL to a worker and its executors, as if its machine failed."""
        os.killpg(worker.pid, signal.SIGKILL)
        self._gone(worker)

    def stop_worker(self, worker: Running) -> None:
        """Sends SIGTERM and waits until the worker exits by itself. Fails if it does not."""
        worker.ask_to_stop()
        self.until("the worker's end", lambda: worker.process.poll() is not None)
        self._gone(worker)

    def ready(self) -> list[WorkerStatus]:
        """The running workers that accept jobs, without those that were killed and that Redis still lists."""
        pids = {str(worker.pid) for worker in self.workers}
        ours = [facts for facts in self.ask(lambda store: store.workers()) if facts.name.rpartition(".")[2] in pids]
        return [facts for facts in ours if facts.ready and not facts.draining]

    def unblock(self, job_id: str) -> None:
        """Ends the wait of the job's stages."""
        (self.folder / f"{job_id}.go").touch()

    def runs(self, job_id: str) -> list[Run]:
        """The job's runs, in the order of their attempts."""
        found = [path.name.split(".")[1:] for path in self.folder.glob(f"{job_id}.*.*.*")]
        runs = [Run(stage=Stage(stage), attempt=int(attempt), pid=int(pid)) for stage, attempt, pid in found]
        return sorted(runs, key=lambda run: run.attempt)

    def wait_for_run(self, job_id: str, stage: Stage, *, attempt: int = 0, timeout_s: float = PATIENCE_S) -> Run:
        """The job's first run of this stage with at least this attempt."""

        def found() -> Run | None:
            return next((run for run in self.runs(job_id) if run.stage is stage and run.attempt >= attempt), None)

        return self.until(f"{stage.value} of {job_id}", found, timeout_s=timeout_s)

    def wait_until_done(self, job_id: str, *, timeout_s: float = PATIENCE_S) -> Job:
        """The job, once it is in a final state."""

        def over() -> Job | None:
            job = self.jobs.get(job_id)
            return job if job.done else None

        return self.until(f"the end of {job_id}", over, timeout_s=timeout_s)

    def until(self, what: str, found: Callable[[], T | None], *, timeout_s: float = PATIENCE_S) -> T:
        """The first true value of found(). Fails after timeout_s with the end of the workers' logs."""
        deadline, pause_s = time.monotonic() + timeout_s, _FIRST_PAUSE_S
        while not (answer := found()):
            if time.monotonic() > deadline:
                message = f"no {what} after {timeout_s:.0f} s\n" + "\n".join(self._tail(log) for log in self.logs)
                raise AssertionError(message)
            time.sleep(pause_s)
            pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)
        return answer

    def check_one_picture(self, job_id: str) -> Job:
        """Fails unless the job succeeds with exactly one final picture, and stays unchanged once the queue is idle."""
        job = self.wait_until_done(job_id)
        assert job.status == "succeeded", job
        assert job.picture is not None
        assert self.blobs.get(job.picture) == f"the picture of {job_id}".encode()
        self.until("quiet", self.is_quiet)
        assert self.jobs.get(job_id) == job
        ends = [line for line in self.log_lines() if line.get("job_id") == job_id and line.get("ending") == "done"]
        finals = [line for line in ends if line["stage"] == STAGES[-1].value]
        assert len(finals) == 1, finals
        return job

    def is_quiet(self) -> bool:
        """Whether no job runs or waits, in the records and in Celery."""
        prefix = self.settings.key_prefix
        sets = [f"{prefix}:{what}:{lane}" for what in ("dispatched", "leases") for lane in ("interactive", "batch")]
        celery = [key for key in self.redis.scan_iter(f"{prefix}:celery:{prefix}.*") if self.redis.type(key) == "list"]
        return not any(self.redis.exists(key) for key in [*sets, *celery])

    def log_lines(self) -> list[dict[str, object]]:
        """All log lines of all workers."""
        texts = [line for log in self.logs for line in log.read_text(errors="replace").splitlines()]
        return [json.loads(text) for text in texts if text.startswith("{")]

    def cut_connections(self) -> int:
        """Closes every other connection to the Redis server. Returns their number."""
        return int(self.redis.client_kill_filter(_type="normal", skipme=True)) + int(
            self.redis.client_kill_filter(_type="pubsub", skipme=True)
        )

    def _gone(self, worker: Running) -> None:
        self.workers.remove(worker)
        self.processes.stop(worker)

    def _tail(self, log: Path) -> str:
        return f"{log}:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-25:])


@contextmanager
def queue_harness(settings: Settings, folder: Path) -> Iterator[QueueHarness]:
    """A queue without workers. Leaving the context stops all workers."""
    notes = folder / "notes"
    notes.mkdir(parents=True, exist_ok=True)
    settings = Settings.model_validate({**settings.model_dump(exclude_unset=True), "bundle_folder": str(notes)})
    with Processes(folder / "logs") as processes:
        made = QueueHarness(settings=settings, processes=processes, folder=notes)
        made.blobs.ensure_bucket()
        try:
            yield made
        finally:
            processes.stop(*made.workers)
            made.close()
