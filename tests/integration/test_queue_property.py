"""Whatever happens in whatever order: a job ends once, has at most one picture, and a stale attempt changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from shared.job import Failure, Lane
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.jobs.finished import FinishedStage
from shared.store.queue.values import (
    Claim,
    ClaimRejected,
    Renewal,
    Report,
)
from tests.support.queue_records import Records


@pytest.fixture
def settings(settings_on_each_redis: Settings) -> Settings:
    """These are about scripts, which run on two servers."""
    return settings_on_each_redis


FAILURE = Failure(code="blobs_unavailable", message="S3 is away", retryable=True)
TERMINAL = ("succeeded", "failed", "canceled")
PLACES = 3
RedisValue = Callable[[Records, Claim, Stage], Report | Renewal]


def finish(records: Records, claim: Claim, stage: Stage) -> Report:
    # The attempt is in the digest and in the picture, so that a trace of a stale attempt would show.
    mine = f"{stage.value}-{claim.attempt}"
    return records.jobs.finish(
        claim.job.id, claim.attempt, FinishedStage(stage=stage, digest=mine, seconds=0.1, picture=mine)
    )


WORDS: dict[str, RedisValue] = {
    "finish": finish,
    "renew": lambda records, claim, _: records.jobs.renew(claim.job.id, claim.attempt, worker="w", progress=(1, 2)),
    "release": lambda records, claim, _: records.jobs.release(claim.job.id, claim.attempt),
    "retry": lambda records, claim, _: records.jobs.retry(claim.job.id, claim.attempt, FAILURE, tries=3),
    "fail": lambda records, claim, _: records.jobs.fail(claim.job.id, claim.attempt, FAILURE),
    "canceled": lambda records, claim, _: records.jobs.end_canceled(claim.job.id, claim.attempt),
}


@dataclass
class Seen:
    """What the test knows of a job: who may speak for it, what was finished, and how it ended."""

    live: int | None = None
    ended: dict[str, str] | None = None


class Queue(RuleBasedStateMachine):
    """Workers that are slow, dead, late and doubled, people who cancel jobs, dispatchers and reapers, in any order."""

    records: ClassVar[Records]
    jobs = Bundle("jobs")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        # Room of its own for every example: the keys of one are nothing to the next.
        own = self.records.settings.model_copy(update={"key_prefix": f"p{uuid.uuid4().hex[:12]}"})
        self.mine = Records(settings=own)
        self.seen: dict[str, Seen] = {}
        self.cap: int | None = None

    def teardown(self) -> None:
        keys = list(self.mine.redis.scan_iter(f"{self.mine.settings.key_prefix}:*"))
        if keys:
            self.mine.redis.delete(*keys)
        self.mine.close()

    @rule(target=jobs, lane=st.sampled_from(("interactive", "batch")))
    def submit(self, lane: Lane) -> str:
        job_id = self.mine.submit(lane=lane)
        self.seen[job_id] = Seen()
        return job_id

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        self.mine.cancel(job_id)

    @rule()
    def dispatch(self) -> None:
        self.mine.queue_store.dispatch("test", PLACES)

    @rule(cap=st.sampled_from((None, 1, 2)))
    def limit(self, cap: int | None) -> None:
        self.mine.limit("default", concurrency=cap)
        self.cap = cap

    @rule(target=claims, job_id=jobs, stage=st.sampled_from(STAGES), exact=st.booleans())
    def answer_a_message(self, job_id: str, stage: Stage, *, exact: bool) -> object:
        due = self.mine.jobs.get(job_id).stage or Stage.IDENTIFY
        stage = due if exact else stage
        claim = self.mine.jobs.claim(job_id, stage, worker="w", token=uuid.uuid4().hex)
        if isinstance(claim, ClaimRejected):
            return multiple()
        assert self.seen[job_id].live is None, "two hold the job at once"
        assert stage is due
        self.seen[job_id].live = claim.attempt
        return (claim, stage)

    @rule(held=claims, word=st.sampled_from(sorted(WORDS)))
    def speak(self, held: tuple[Claim, Stage], word: str) -> None:
        self._speak(held, word)

    @rule(held=consumes(claims))
    def finish_and_say_it_twice(self, held: tuple[Claim, Stage]) -> None:
        first = self._speak(held, "finish")
        before = self.mine.fields(held[0].job.id)
        again = WORDS["finish"](self.mine, *held)
        assert self.mine.fields(held[0].job.id) == before
        assert again in {first, Report.LOST}

    @rule(job_id=jobs)
    def lose_the_executor(self, job_id: str) -> None:
        if self.mine.queue_store.lose_lease(job_id, "w"):
            assert self.seen[job_id].live is not None
            self.seen[job_id].live = None

    @rule(job_id=jobs)
    def let_the_lease_run_out(self, job_id: str) -> None:
        self.mine.run_out(job_id)
        for lost in self.mine.queue_store.reap([]).lost:
            self.seen[lost].live = None

    @rule(job_id=jobs)
    def end_the_pause(self, job_id: str) -> None:
        if self.mine.where(job_id) == ["delayed"]:
            self.mine.make_older("delayed", job_id, 100.0)

    @invariant()
    def a_job_is_in_one_place_until_it_is_over_and_then_stays_as_it_is(self) -> None:
        for job_id, seen in self.seen.items():
            fields = self.mine.fields(job_id)
            if seen.ended is not None:
                assert fields == seen.ended
            elif fields.get("s") in TERMINAL:
                assert ("picture" in fields) == (fields["s"] == "succeeded")
                seen.ended, seen.live = fields, None
            else:
                assert "picture" not in fields
            places = self.mine.where(job_id)
            assert len(places) == (0 if seen.ended else 1), places
            assert (places == ["leases"]) == (seen.live is not None)

    @invariant()
    def the_load_is_what_waits(self) -> None:
        prefix = self.mine.settings.key_prefix
        for lane in ("interactive", "batch"):
            waits = self.mine.redis.zcard(f"{prefix}:ready:{lane}:default")
            assert int(self.mine.redis.hget(f"{prefix}:load", f"{lane}:jobs") or 0) == waits

    @invariant()
    def what_is_out_is_counted_and_who_waits_has_a_turn_or_stands_aside(self) -> None:
        redis, prefix, out = self.mine.redis, self.mine.settings.key_prefix, 0
        for lane in ("interactive", "batch"):
            flight, leases = (redis.zrange(f"{prefix}:{what}:{lane}", 0, -1) for what in ("dispatched", "leases"))
            assert redis.smembers(f"{prefix}:in_flight:{lane}:default") == {*flight, *leases}
            out += len(flight) + len(leases)
        for lane in ("interactive", "batch"):
            turn, aside = (redis.zscore(f"{prefix}:{what}:{lane}", "default") for what in ("schedule", "throttled"))
            assert turn is None or aside is None
            if redis.zcard(f"{prefix}:ready:{lane}:default"):
                assert turn is not None or (aside is not None and self.cap is not None and out >= self.cap)

    def _speak(self, held: tuple[Claim, Stage], word: str) -> Report | Renewal:
        claim, stage = held
        seen = self.seen[claim.job.id]
        before = self.mine.fields(claim.job.id)
        answer = WORDS[word](self.mine, claim, stage)
        after = self.mine.fields(claim.job.id)
        if seen.live != claim.attempt:
            said_before = word == "finish" and after.get(f"o:{stage.value}") == f"{stage.value}-{claim.attempt}"
            assert answer == "lost" or (answer == "done" and said_before)
            assert after == before
        elif word != "renew":
            seen.live = None
            assert answer != "lost"
        return answer


@pytest.mark.timeout(300)
def test_any_order_of_events_gives_each_job_one_end(settings: Settings) -> None:
    Queue.records = Records(settings=settings)
    try:
        run_state_machine_as_test(
            Queue,
            settings=hypothesis_settings(
                max_examples=100,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
    finally:
        Queue.records.close()
