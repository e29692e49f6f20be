"""The records of jobs from every side: of the API, a supervisor and an executor, on a real server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import redis

from shared.job import Concept, Job, JobSpec, Lane
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store import keys
from shared.store.connection import connect, connect_async
from shared.store.jobs.finished import FinishedStage
from shared.store.jobs.leases import JobStore
from shared.store.jobs.store import AsyncJobStore
from shared.store.queue.dispatch import QueueStore
from shared.store.queue.values import Claim, ClaimRejected
from shared.store.tenants.limits import Tenants
from shared.tenant import TenantLimits

T = TypeVar("T")


@dataclass(kw_only=True)
class Records:
    """Every store of one prefix. Time is not waited for: `run_out` and `make_older` change what Redis has noted."""

    settings: Settings

    @cached_property
    def redis(self) -> redis.Redis:
        return connect(self.settings)

    @cached_property
    def jobs(self) -> JobStore:
        return JobStore(self.redis, self.settings)

    @cached_property
    def queue_store(self) -> QueueStore:
        return QueueStore(self.redis, self.settings)

    @cached_property
    def _runner(self) -> asyncio.Runner:
        return asyncio.Runner()

    @cached_property
    def _async_redis(self) -> Any:
        return connect_async(self.settings)

    def ask(self, question: Callable[[AsyncJobStore], Awaitable[T]]) -> T:
        """Asks the API's side of the records."""

        async def asked() -> T:
            return await question(AsyncJobStore(self._async_redis, self.settings))

        return self._runner.run(asked())

    def submit(
        self,
        prompt: str = "a man and a woman on the beach",
        *,
        lane: Lane = "interactive",
        tenant: str = "default",
        steps: int | None = None,
        **options: object,
    ) -> str:
        """Queues a job; gives its id. options: more fields of its spec."""
        job_id = uuid.uuid4().hex
        spec = spec_of(prompt, lane=lane, steps=steps, **options)
        self.ask(lambda store: store.submit(job_id, spec, tenant=tenant))
        return job_id

    def limit(self, tenant: str, **limits: float | None) -> None:
        """Sets what a tenant may have."""
        Tenants(self.redis, self.settings).limit(tenant, TenantLimits.model_validate(limits))

    def cancel(self, job_id: str, *, tenant: str = "default") -> Job | None:
        return self.ask(lambda store: store.cancel(job_id, tenant=tenant))

    def claim(self, job_id: str, stage: Stage = Stage.IDENTIFY, *, worker: str = "worker", token: str = "") -> Claim:
        """The lease on a job; fails when there is none."""
        claim = self.jobs.claim(job_id, stage, worker=worker, token=token or uuid.uuid4().hex)
        assert not isinstance(claim, ClaimRejected), claim
        return claim

    def claimed(self, prompt: str = "a man and a woman on the beach", *, worker: str = "worker") -> Claim:
        """A new job that was dispatched and claimed."""
        job_id = self.submit(prompt)
        self.queue_store.dispatch("test", 100)
        return self.claim(job_id, worker=worker)

    def finish(self, job_id: str, *, until: Stage = STAGES[-1]) -> Job:
        """Plays a job that was dispatched through its stages; gives it as it is then."""
        due = self.jobs.get(job_id).stage or Stage.IDENTIFY
        for stage in STAGES[STAGES.index(due) : STAGES.index(until) + 1]:
            claim = self.claim(job_id, stage)
            picture = f"jobs/{job_id}/{claim.attempt}/picture.png" if stage is STAGES[-1] else None
            self.jobs.finish(
                job_id,
                claim.attempt,
                FinishedStage(stage=stage, digest=f"d-{stage.value}", seconds=0.5, picture=picture),
            )
        return self.jobs.get(job_id)

    def run_out(self, job_id: str) -> None:
        """The job's lease is over, as if its holder had been silent for long."""
        self.redis.zadd(self.set_of("leases", self.jobs.get(job_id).lane), {job_id: 1}, xx=True)

    def make_older(self, what: str, job_id: str, by_s: float) -> None:
        """The job has been in this set (flight, later or ready) for longer."""
        job = self.jobs.get(job_id)
        name = self.set_of(what, job.lane)
        self.redis.zincrby(f"{name}:{job.tenant}" if what == "ready" else name, -by_s, job_id)

    def set_of(self, what: str, lane: Lane = "interactive") -> str:
        """Key of a set: ready (without its tenant), flight, leases or later."""
        prefix = self.settings.key_prefix
        return f"{prefix}:delayed" if what == "delayed" else f"{prefix}:{what}:{lane}"

    def where(self, job_id: str, tenant: str = "default") -> list[str]:
        """The sets that hold the job."""
        lanes: tuple[Lane, ...] = ("interactive", "batch")
        names = [f"{self.set_of('ready', lane)}:{tenant}" for lane in lanes]
        names += [self.set_of(what, lane) for what in ("dispatched", "leases", "waiting") for lane in lanes] + [
            self.set_of("delayed")
        ]
        held = [name for name in names if self.redis.zscore(name, job_id) is not None]
        return [name.removeprefix(f"{self.settings.key_prefix}:").split(":")[0] for name in held]

    def fields(self, job_id: str) -> dict[str, str]:
        """The record as Redis has it."""
        found: Any = self.redis.hgetall(keys.job_key(self.settings.key_prefix, job_id))
        return dict(found)

    def close(self) -> None:
        """Closes the connections."""
        self._runner.run(self._async_redis.aclose())
        self._runner.close()
        self.redis.close()


def spec_of(prompt: str, *, lane: Lane = "interactive", steps: int | None = None, **options: object) -> JobSpec:
    """A request for two people."""
    people = [Concept(phrase=phrase, photos=("0" * 64,)) for phrase in ("the man", "the woman")]
    values = {"prompt": prompt, "concepts": people, "lane": lane, "sampling": {"steps": steps}}
    return JobSpec.model_validate(values | options)
