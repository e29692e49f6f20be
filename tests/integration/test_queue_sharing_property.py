"""Whatever happens in whatever order: no result is made by two at once or twice, and nobody who waits is stranded."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from shared.job import Failure, Lane
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.jobs.finished import FinishedStage
from shared.store.queue.values import Claim, ClaimRejected, ResultClaim
from tests.support.queue_records import Records

OUTAGE = Failure(code="blobs_unavailable", message="S3 is away", retryable=True)
PLACES = 4
WHOLES = ("a", "b")
PARTS = ("x", "y", "z")


@dataclass
class Held:
    """A worker with a lease, as it knows itself; it may have lost the lease without hearing of it."""

    claim: Claim
    stage: Stage
    makes: tuple[str, ...] | None = None


@dataclass
class World:
    """What is stored, who works, and what each job needs: the digest of its results, the parts of its first one."""

    stored: set[str] = field(default_factory=set)
    held: dict[str, Held] = field(default_factory=dict)
    needs: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)


class Sharing(RuleBasedStateMachine):
    """Jobs that have results and parts of results in common, and everything that can happen to their makers."""

    records: ClassVar[Records]
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        own = self.records.settings.model_copy(update={"key_prefix": f"p{uuid.uuid4().hex[:12]}"})
        self.mine = Records(settings=own)
        self.world = World()

    def teardown(self) -> None:
        self._play_to_the_end()
        keys = list(self.mine.redis.scan_iter(f"{own}:*")) if (own := self.mine.settings.key_prefix) else []
        if keys:
            self.mine.redis.delete(*keys)
        self.mine.close()

    @rule(
        target=jobs,
        lane=st.sampled_from(("interactive", "batch")),
        whole=st.sampled_from(WHOLES),
        parts=st.lists(st.sampled_from(PARTS), unique=True),
    )
    def submit(self, lane: Lane, whole: str, parts: list[str]) -> str:
        job_id = self.mine.submit(lane=lane)
        self.world.needs[job_id] = (whole + "".join(parts), tuple(parts))
        return job_id

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        self.mine.cancel(job_id)

    @rule()
    def dispatch(self) -> None:
        self.mine.queue_store.dispatch("test", PLACES)

    @rule(job_id=jobs)
    def claim(self, job_id: str) -> None:
        # An old message reaches waiting jobs as well.
        stage = self.mine.jobs.get(job_id).stage or Stage.IDENTIFY
        claim = self.mine.jobs.claim(job_id, stage, worker="w", token=uuid.uuid4().hex)
        if not isinstance(claim, ClaimRejected):
            self.world.held[job_id] = Held(claim=claim, stage=stage)

    @rule(job_id=jobs, again=st.booleans())
    def acquire_result(self, job_id: str, *, again: bool) -> None:
        held = self.world.held.get(job_id)
        if held is not None and held.makes is None:
            self._want(job_id, held, again=again)

    @rule(job_id=jobs)
    def work(self, job_id: str) -> None:
        self._finish(job_id)

    @rule(job_id=jobs, word=st.sampled_from(("fail", "retry", "release", "canceled")))
    def stop(self, job_id: str, word: str) -> None:
        held = self.world.held.get(job_id)
        if held is None:
            return
        jobs, attempt = self.mine.jobs, held.claim.attempt
        if word == "fail":
            jobs.fail(job_id, attempt, OUTAGE)
        elif word == "retry":
            jobs.retry(job_id, attempt, OUTAGE, tries=2)
        elif word == "release":
            jobs.release(job_id, attempt)
        else:
            jobs.end_canceled(job_id, attempt)
        del self.world.held[job_id]

    @rule(job_id=jobs)
    def lose_the_executor(self, job_id: str) -> None:
        if self.mine.queue_store.lose_lease(job_id, "w"):
            self.world.held.pop(job_id, None)

    @rule(job_id=jobs)
    def let_the_lease_run_out(self, job_id: str) -> None:
        # The worker does not know, and may speak later.
        self.mine.run_out(job_id)
        self.mine.queue_store.reap([])

    @rule(job_id=jobs)
    def end_the_pause(self, job_id: str) -> None:
        self._end_the_pause(job_id)

    @invariant()
    def who_waits_has_somebody_who_works_for_them(self) -> None:
        prefix = self.mine.settings.key_prefix
        for job_id in self.world.needs:
            places = self.mine.where(job_id)
            over = self.mine.jobs.get(job_id).done
            assert len(places) == (0 if over else 1), places
            fields = self.mine.fields(job_id)
            if over:
                assert not {"owns", "waits"} & fields.keys()
            if places != ["waiting"]:
                continue
            result = fields["waits"]
            assert self.mine.redis.zscore(f"{prefix}:followers:{result}", job_id) is not None
            maker = self.mine.redis.get(f"{prefix}:owner:{result}")
            assert maker is not None
            makes = self.mine.fields(str(maker)).get("owns", "").split("\n")
            waits = self.mine.fields(str(maker)).get("waits")
            where = self.mine.where(str(maker))
            assert (where == ["leases"] and result in makes) or (where not in ([], ["waiting"]) and waits == result)

    @invariant()
    def each_result_has_one_maker(self) -> None:
        making = [
            result
            for job_id in self.world.needs
            if self.mine.where(job_id) == ["leases"]
            for result in self.mine.fields(job_id).get("owns", "").split("\n")
            if result
        ]
        assert len(making) == len(set(making))

    def _names(self, job_id: str, stage: Stage) -> tuple[str, Sequence[str]]:
        letter, parts = self.world.needs[job_id]
        return f"default/{stage.value}/{letter}", [f"default/{part}" for part in parts if stage is Stage.IDENTIFY]

    def _want(self, job_id: str, held: Held, *, again: bool) -> None:
        whole, parts = self._names(job_id, held.stage)
        if whole in self.world.stored:
            held.makes = ()
            return
        missing = [part for part in parts if part not in self.world.stored]
        result = self.mine.jobs.acquire_result(
            job_id,
            held.claim.attempt,
            worker="w",
            stage=held.stage,
            digest=self.world.needs[job_id][0],
            parts=[part.removeprefix("default/") for part in missing],
            again=again,
        )
        if result is ResultClaim.MAKE:
            held.makes = (whole, *missing)
        elif result is ResultClaim.MADE:
            assert self.world.stored & {whole, *missing}
        else:
            if result is ResultClaim.CANCELED:
                self.mine.jobs.end_canceled(job_id, held.claim.attempt)
            del self.world.held[job_id]

    def _finish(self, job_id: str) -> None:
        held = self.world.held.get(job_id)
        if held is None or held.makes is None:
            return
        # A worker that lost its lease stores its result all the same; that does no harm.
        self.world.stored.update(held.makes)
        self.mine.jobs.finish(
            job_id,
            held.claim.attempt,
            FinishedStage(
                stage=held.stage,
                digest=self.world.needs[job_id][0],
                seconds=0.1,
                picture="picture" if held.stage is STAGES[-1] else None,
                reused=not held.makes,
            ),
        )
        del self.world.held[job_id]

    def _end_the_pause(self, job_id: str) -> None:
        if self.mine.where(job_id) == ["delayed"]:
            self.mine.make_older("delayed", job_id, 100.0)

    def _play_to_the_end(self) -> None:
        """Workers that work: every job ends, and what is made is made once."""
        for job_id in self.world.needs:
            self.mine.run_out(job_id)
        self.world.held.clear()
        self.mine.queue_store.reap([])
        made: list[str] = []
        for _ in range(100 + 20 * len(self.world.needs)):
            left = [job_id for job_id in self.world.needs if not self.mine.jobs.get(job_id).done]
            if not left:
                break
            for job_id in left:
                self._end_the_pause(job_id)
            for message in self.mine.queue_store.dispatch("test", PLACES) or []:
                self._answer(message.job_id)
            for job_id in left:
                if self.mine.where(job_id) == ["dispatched"]:
                    self._answer(job_id)
            for job_id, held in list(self.world.held.items()):
                made.extend(held.makes or ())
                self._finish(job_id)
        else:
            pytest.fail(f"stranded: {[(job_id, self.mine.where(job_id)) for job_id in left]}")
        assert len(made) == len(set(made))

    def _answer(self, job_id: str) -> None:
        self.claim(job_id)
        held = self.world.held.get(job_id)
        if held is not None and held.makes is None:
            self._want(job_id, held, again=True)


@pytest.mark.timeout(600)
def test_in_any_order_of_events_work_is_shared_and_nobody_is_stranded(settings: Settings) -> None:
    Sharing.records = Records(settings=settings)
    try:
        run_state_machine_as_test(
            Sharing,
            settings=hypothesis_settings(
                max_examples=50,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
    finally:
        Sharing.records.close()
