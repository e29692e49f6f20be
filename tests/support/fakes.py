"""Fakes for the stores in unit tests of the queue: they return configured answers and record calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from celery import Celery

from shared.errors import RecordsUnavailable
from shared.job import Concept, Failure, Job, JobSpec, Progress, Status
from shared.settings import Role, Settings
from shared.stages import Stage
from shared.store.jobs.leases import JobStore
from shared.store.queue.dispatch import QueueStore
from shared.store.queue.values import (
    Claim,
    ClaimRejected,
    DispatchedJob,
    QueueDepth,
    Renewal,
    Report,
    ResultClaim,
    Sweep,
)
from worker.app import create_app
from worker.queue.attempts import AttemptTelemetry
from worker.queue.executor import Executor
from worker.runner.assignment import AssignStage, Loaded

ATTEMPT = 3
QUICK = Settings(broker_url="memory://", lease_s=0.2, renew_every_s=0.01, stall_s=30.0, progress_every_s=30.0)


def job(stage: Stage = Stage.RENDER, until: Stage = Stage.VERIFY) -> Job:
    people = (Concept(phrase="the man", photos=("0" * 64,)),)
    return Job(
        id="a job",
        spec=JobSpec(prompt="a man", concepts=people, until=until),
        status=Status.RUNNING,
        stage=stage,
        progress=Progress(),
        lane="interactive",
        tenant="default",
        attempt=ATTEMPT,
        sequence=2,
        created_at=0.0,
    )


@dataclass
class FakeJobStore:
    """The executor's view of job records. outages: number of calls that fail first."""

    answer: Claim | ClaimRejected = field(default_factory=lambda: Claim(job=job(), attempt=ATTEMPT))
    renewal: Renewal = Renewal.GO_ON
    ending: Report = Report.DONE
    result_claims: list[ResultClaim] = field(default_factory=list)
    outages: int = 0
    said: list[str] = field(default_factory=list)
    failure: Failure | None = None
    progress: list[tuple[int, int]] = field(default_factory=list)

    def claim(self, job_id: str, stage: Stage, *, worker: str, token: str) -> Claim | ClaimRejected:
        self._say("claim")
        return self.answer

    def acquire_result(self, job_id: str, attempt: int, **_: object) -> ResultClaim:
        self._say("want")
        return self.result_claims.pop(0) if self.result_claims else ResultClaim.MAKE

    def renew(self, job_id: str, attempt: int, *, worker: str, progress: tuple[int, int] | None = None) -> Renewal:
        self._say("renew")
        if progress:
            self.progress.append(progress)
        return self.renewal

    def put_preview(self, job_id: str, attempt: int, *, step: int, jpeg: bytes) -> Report:
        self._say(f"show {step}")
        return Report.DONE

    def finish(self, job_id: str, attempt: int, stage: Stage, **_: object) -> Report:
        self._say("finish")
        return self.ending

    def fail(self, job_id: str, attempt: int, failure: Failure, **_: object) -> Report:
        self._say("fail")
        self.failure = failure
        return Report.DONE

    def end_canceled(self, job_id: str, attempt: int) -> Report:
        self._say("canceled")
        return Report.DONE

    def release(self, job_id: str, attempt: int) -> Report:
        self._say("release")
        return Report.DONE

    def retry(self, job_id: str, attempt: int, failure: Failure, *, tries: int) -> Report:
        self._say(f"retry {tries}")
        self.failure = failure
        return Report.DONE

    @property
    def words(self) -> list[str]:
        """The recorded calls, without renewals."""
        return [word for word in self.said if word not in {"renew", "want"}]

    def _say(self, word: str) -> None:
        if self.outages > 0:
            self.outages -= 1
            message = "Redis does not answer"
            raise RecordsUnavailable(message)
        self.said.append(word)


@dataclass
class FakeQueueStore:
    """The supervisors' view of the queue."""

    dispatched: list[DispatchedJob] | None = field(default_factory=list)
    slots: int = 2
    turn: bool = True
    found: Sweep = field(default_factory=Sweep)
    asked_for: list[int] = field(default_factory=list)
    waited: int = 0
    counted: list[QueueDepth] | None = None

    def ready_slots(self) -> int:
        return self.slots

    def dispatch(self, dispatcher: str, places: int) -> list[DispatchedJob] | None:
        self.asked_for.append(places)
        return self.dispatched

    def wait_for_notification(self, timeout_s: float) -> None:
        self.waited += 1

    def is_turn_to_reap(self) -> bool:
        return self.turn

    def reap(self, waiting: list[QueueDepth]) -> Sweep:
        self.counted = waiting
        return self.found


@dataclass
class FakeExecutor:
    """An executor with its models loaded."""

    jobs: FakeJobStore
    stages: Mapping[Stage, AssignStage]
    settings: Settings = QUICK
    name: str = "worker"
    attempts: AttemptTelemetry = field(default_factory=lambda: AttemptTelemetry(QUICK))
    paces: list[tuple[int, float]] = field(default_factory=list)
    asked: int = 0
    left: list[str] = field(default_factory=list)

    def pause_until_connected(self, reason: str) -> None:
        self.left.append(reason)

    def end_if_device_failed(self) -> None:
        self.asked += 1

    def note_pace(self, steps: int, seconds: float) -> None:
        self.paces.append((steps, seconds))


def store(jobs: FakeJobStore) -> JobStore:
    return cast("JobStore", jobs)


def queue_store(fake: FakeQueueStore) -> QueueStore:
    return cast("QueueStore", fake)


def executor(jobs: FakeJobStore, stages: Mapping[Stage, AssignStage]) -> Executor:
    return cast("Executor", FakeExecutor(jobs, stages))


def no_stages(settings: Settings, role: Role) -> Loaded:
    return Loaded(stages={})


def app(prefix: str) -> tuple[Celery, Settings]:
    """A Celery app with in-memory queues of this prefix."""
    settings = QUICK.model_copy(update={"key_prefix": prefix})
    return create_app(settings, no_stages), settings
