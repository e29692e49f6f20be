"""Dispatching, reaping and heartbeats: what the supervisors of the workers do together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared import broker
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.queue.dispatch import MOST_AT_ONCE
from shared.store.queue.values import (
    DeviceStatus,
    DispatchedJob,
    QueueDepth,
    Readiness,
    WorkerStatus,
)
from tests.support.fault_stages import load_stages
from tests.support.queue_records import Records
from worker.app import create_app

LONG_S = 60.0


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    made = Records(settings=settings)
    yield made
    made.close()


def facts(name: str = "worker", *, role: str = "all", draining: bool = False) -> WorkerStatus:
    return WorkerStatus(name=name, role=role, slots=1, bundle="mini", draining=draining)


def waiting(detection: int = 0, generation: int = 0) -> list[QueueDepth]:
    counts = {"detection": detection, "generation": generation}
    return [QueueDepth(stage=stage, queue=stage.info.queue, messages=counts[stage.info.queue]) for stage in STAGES]


def handed_out(records: Records, places: int = 100) -> list[str]:
    return [message.job_id for message in records.queue_store.dispatch("test", places) or []]


# Dispatching


def test_jobs_are_handed_out_in_the_order_they_came(records: Records) -> None:
    ids = [records.submit() for _ in range(5)]
    assert handed_out(records) == ids
    assert all(records.where(job_id) == ["dispatched"] for job_id in ids)


def test_no_more_jobs_are_handed_out_than_there_are_places(records: Records) -> None:
    ids = [records.submit() for _ in range(5)]
    assert handed_out(records, 2) == ids[:2]
    assert handed_out(records, 2) == []
    records.claim(ids[0])
    assert handed_out(records, 2) == []
    records.finish(ids[1])
    assert handed_out(records, 2) == [ids[2]]


def test_a_job_between_two_stages_keeps_its_place(records: Records) -> None:
    first, _ = records.submit(), records.submit()
    assert handed_out(records, 1) == [first]
    records.finish(first, until=Stage.RENDER)
    assert handed_out(records, 1) == []


def test_a_flood_is_handed_out_in_portions(records: Records) -> None:
    ids = [records.submit() for _ in range(MOST_AT_ONCE + 1)]
    assert handed_out(records, 10_000) == ids[:MOST_AT_ONCE]
    assert handed_out(records, 10_000) == ids[MOST_AT_ONCE:]


def test_interactive_jobs_go_before_the_batch_lane(records: Records) -> None:
    batch = records.submit(lane="batch")
    interactive = records.submit()
    assert records.queue_store.dispatch("test", 2) == [
        DispatchedJob(job_id=interactive, stage=Stage.IDENTIFY, has_priority=True),
        DispatchedJob(job_id=batch, stage=Stage.IDENTIFY, has_priority=False),
    ]


def test_a_full_batch_lane_leaves_interactive_jobs_all_their_places(records: Records) -> None:
    for _ in range(4):
        records.submit(lane="batch")
    assert len(handed_out(records, 2)) == 2
    interactive = records.submit()
    assert handed_out(records, 2) == [interactive]


def test_a_batch_job_that_waited_long_gets_a_place_beside_interactive_ones(records: Records) -> None:
    for _ in range(10):
        records.submit()
    old, _ = records.submit(lane="batch"), records.submit(lane="batch")
    assert old not in handed_out(records, 5)
    records.make_older("ready", old, records.settings.aging_s + 1)
    assert records.queue_store.dispatch("test", 5) == [
        DispatchedJob(job_id=old, stage=Stage.IDENTIFY, has_priority=True)
    ]
    assert handed_out(records, 5) == []


def test_tenants_take_turns(records: Records) -> None:
    greedy = [records.submit(tenant="greedy") for _ in range(6)]
    modest = [records.submit(tenant="modest") for _ in range(2)]
    order = handed_out(records, 4)
    assert set(order[:2]) == {greedy[0], modest[0]}
    assert set(order[2:]) == {greedy[1], modest[1]}


def test_tenants_take_turns_by_the_size_of_their_jobs(records: Records) -> None:
    large = [records.submit(tenant="large", steps=40) for _ in range(4)]
    small = [records.submit(tenant="small", steps=10) for _ in range(16)]
    order = handed_out(records, 10)
    assert sum(job_id in large for job_id in order) == 2
    assert sum(job_id in small for job_id in order) == 8


def test_a_tenant_that_comes_late_owes_nothing_and_has_saved_nothing(records: Records) -> None:
    old = [records.submit(tenant="old") for _ in range(20)]
    assert handed_out(records, 10) == old[:10]
    new = [records.submit(tenant="new") for _ in range(10)]
    order = handed_out(records, 14)
    # One more than its share at most: the one that is just being served.
    assert sum(job_id in new for job_id in order) in (2, 3)


def test_only_one_hands_out_at_a_time(records: Records) -> None:
    records.submit()
    assert records.queue_store.dispatch("first", 0) == []
    assert records.queue_store.dispatch("second", 100) is None
    assert len(records.queue_store.dispatch("first", 100) or []) == 1


def test_a_dispatcher_that_leaves_lets_the_next_one_dispatch_at_once(records: Records) -> None:
    records.queue_store.dispatch("first", 0)
    records.queue_store.unregister("second")
    assert records.queue_store.dispatch("second", 0) is None
    records.queue_store.unregister("first")
    assert records.queue_store.dispatch("second", 0) == []


def test_the_dispatch_lock_expires_with_a_dispatcher_that_died(records: Records) -> None:
    records.queue_store.dispatch("first", 0)
    assert 0 < records.redis.pttl(f"{records.settings.key_prefix}:lock:dispatch") <= 5_000


def test_a_notification_wakes_the_dispatcher_for_a_new_job(records: Records) -> None:
    records.queue_store.dispatch("test", 0)
    records.submit()
    records.submit()
    assert records.redis.llen(f"{records.settings.key_prefix}:notify:dispatch") == 1
    records.queue_store.wait_for_notification(5.0)
    assert records.redis.llen(f"{records.settings.key_prefix}:notify:dispatch") == 0


def test_a_record_that_went_away_does_not_stop_the_dispatcher(records: Records) -> None:
    gone, there = records.submit(), records.submit()
    records.redis.delete(f"{records.settings.key_prefix}:job:{gone}")
    assert handed_out(records) == [there]


# Reaping


def test_a_lease_that_ran_out_puts_the_job_back_to_the_front(records: Records) -> None:
    claim = records.claimed()
    newer = records.submit()
    records.run_out(claim.job.id)
    assert records.queue_store.reap([]).lost == (claim.job.id,)
    assert handed_out(records) == [claim.job.id, newer]
    assert records.claim(claim.job.id).attempt == claim.attempt + 1


def test_a_live_lease_is_left_alone(records: Records) -> None:
    claim = records.claimed()
    assert records.queue_store.reap([]).lost == ()
    assert records.where(claim.job.id) == ["leases"]


def test_a_job_that_lost_too_many_leases_fails(records: Records) -> None:
    job_id = records.submit()
    for _ in range(records.settings.max_losses):
        records.claim(job_id)
        records.run_out(job_id)
        records.queue_store.reap([])
    job = records.jobs.get(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "worker_lost"


def test_a_canceled_job_whose_lease_ran_out_is_canceled(records: Records) -> None:
    claim = records.claimed()
    records.cancel(claim.job.id)
    records.run_out(claim.job.id)
    records.queue_store.reap([])
    assert records.jobs.get(claim.job.id).status == "canceled"


def test_a_lease_on_a_record_that_went_away_is_forgotten(records: Records) -> None:
    claim = records.claimed()
    records.run_out(claim.job.id)
    records.redis.delete(f"{records.settings.key_prefix}:job:{claim.job.id}")
    assert records.queue_store.reap([]).lost == ()
    assert records.redis.zcard(records.set_of("leases")) == 0


def test_a_lost_message_is_sent_again(records: Records) -> None:
    job_id = records.submit()
    handed_out(records)
    records.make_older("dispatched", job_id, LONG_S)
    message = DispatchedJob(job_id=job_id, stage=Stage.IDENTIFY, has_priority=True)
    assert records.queue_store.reap(waiting()).redispatched == (message,)
    assert records.queue_store.reap(waiting()).redispatched == ()


def test_a_message_that_was_sent_just_now_is_not_sent_again(records: Records) -> None:
    records.submit()
    handed_out(records)
    assert records.queue_store.reap(waiting()).redispatched == ()


def test_a_message_that_is_still_in_its_queue_is_not_sent_again(records: Records) -> None:
    job_id = records.submit()
    handed_out(records)
    records.make_older("dispatched", job_id, LONG_S)
    assert records.queue_store.reap(waiting(detection=1)).redispatched == ()


def test_a_message_that_got_lost_among_others_is_sent_again(records: Records) -> None:
    ids = [records.submit() for _ in range(3)]
    handed_out(records)
    for age_s, job_id in zip((50.0, LONG_S, 0.0), ids, strict=True):
        records.make_older("dispatched", job_id, age_s)
    dispatched = records.queue_store.reap(waiting(detection=2, generation=5)).redispatched
    assert [message.job_id for message in dispatched] == [ids[1]]


def test_a_job_whose_chain_broke_off_is_sent_at_the_stage_that_is_due(records: Records) -> None:
    job_id = records.submit(lane="batch")
    records.finish(job_id, until=Stage.IDENTIFY)
    records.make_older("dispatched", job_id, LONG_S)
    message = DispatchedJob(job_id=job_id, stage=Stage.RENDER, has_priority=False)
    assert records.queue_store.reap(waiting(detection=3)).redispatched == (message,)


def test_a_batch_job_that_waited_long_in_celery_is_sent_as_the_first(records: Records) -> None:
    job_id = records.submit(lane="batch")
    handed_out(records)
    records.make_older("dispatched", job_id, records.settings.aging_s + 1)
    message = DispatchedJob(job_id=job_id, stage=Stage.IDENTIFY, has_priority=True)
    assert records.queue_store.reap(waiting(detection=9)).redispatched == (message,)


def test_without_the_broker_leases_are_looked_after_and_nothing_is_sent(records: Records) -> None:
    claim, waits = records.claimed(), records.submit()
    handed_out(records)
    records.make_older("dispatched", waits, LONG_S)
    records.run_out(claim.job.id)
    sweep = records.queue_store.reap([])
    assert (sweep.lost, sweep.redispatched) == ((claim.job.id,), ())


def test_workers_sweep_once_in_a_while_however_many_ask(records: Records) -> None:
    assert [records.queue_store.is_turn_to_reap() for _ in range(3)] == [True, False, False]
    left_ms = records.redis.pttl(f"{records.settings.key_prefix}:lock:reap")
    assert 0 < left_ms <= records.settings.reap_every_s * 1000


def test_messages_are_counted_in_every_queue(settings: Settings) -> None:
    app = create_app(settings, load_stages)
    assert not any(one.messages for one in broker.messages_waiting(app, settings))
    for stage, first in ((Stage.RENDER, True), (Stage.RENDER, False), (Stage.DETECT, False)):
        broker.send_job(app, settings, DispatchedJob(job_id="0" * 32, stage=stage, has_priority=first))
    counts = {one.stage: one.messages for one in broker.messages_waiting(app, settings)}
    assert counts == {Stage.IDENTIFY: 1, Stage.RENDER: 2, Stage.DETECT: 1, Stage.PERSONALIZE: 2, Stage.VERIFY: 1}
    app.close()


# Signs of life


def test_a_worker_is_ready_when_its_executor_has_said_so(records: Records) -> None:
    assert records.queue_store.heartbeat(facts()) is None
    assert records.queue_store.ready_slots() == 0
    records.queue_store.report_readiness("worker", ready=False, reason="loading")
    assert records.queue_store.heartbeat(facts()) == Readiness(ready=False, reason="loading")
    assert records.queue_store.ready_slots() == 0
    records.queue_store.report_readiness("worker", ready=True)
    assert records.queue_store.heartbeat(facts()) == Readiness(ready=True)
    assert records.queue_store.ready_slots() == 1


def test_a_worker_that_drains_takes_no_jobs(records: Records) -> None:
    records.queue_store.report_readiness("worker", ready=True)
    records.queue_store.heartbeat(facts(draining=True))
    assert records.queue_store.ready_slots() == 0


def test_a_worker_that_left_is_no_longer_counted(records: Records) -> None:
    records.queue_store.report_readiness("worker", ready=True)
    records.queue_store.heartbeat(facts())
    records.queue_store.unregister("worker")
    assert records.queue_store.ready_slots() == 0
    assert records.ask(lambda store: store.workers()) == []


def test_a_worker_that_is_silent_for_long_is_no_longer_counted(records: Records) -> None:
    records.queue_store.report_readiness("worker", ready=True)
    records.queue_store.heartbeat(facts())
    records.redis.zincrby(f"{records.settings.key_prefix}:workers", -LONG_S, "worker")
    assert records.queue_store.ready_slots() == 0
    assert records.ask(lambda store: store.workers()) == []


def test_redis_can_be_reminded_of_what_an_executor_said(records: Records) -> None:
    records.queue_store.report_readiness("worker", ready=True)
    records.redis.delete(f"{records.settings.key_prefix}:worker:worker")
    assert records.queue_store.heartbeat(facts()) is None
    records.queue_store.restore_readiness("worker", Readiness(ready=True))
    assert records.queue_store.heartbeat(facts()) == Readiness(ready=True)


def test_a_reminder_is_no_sign_of_life(records: Records) -> None:
    records.queue_store.restore_readiness("worker", Readiness(ready=True))
    assert records.queue_store.ready_slots() == 0
    assert 0 < records.redis.ttl(f"{records.settings.key_prefix}:worker:worker") <= 10


def test_an_executor_that_spoke_in_the_meantime_is_not_talked_over(records: Records) -> None:
    records.queue_store.report_readiness("worker", ready=True)
    records.queue_store.restore_readiness("worker", Readiness(ready=False, reason="loading"))
    assert records.queue_store.heartbeat(facts()) == Readiness(ready=True)


def test_the_api_sees_what_workers_say(records: Records) -> None:
    records.queue_store.report_readiness("worker", ready=False, reason="unet: truncated")
    records.queue_store.heartbeat(facts(role="generation"))
    (seen,) = records.ask(lambda store: store.workers())
    assert (seen.role, seen.bundle, seen.ready, seen.reason) == ("generation", "mini", False, "unet: truncated")


def test_the_api_sees_the_device_as_it_is_now(records: Records) -> None:
    gauge = DeviceStatus(device="a card", memory_mb=24_000, free_mb=9_000, max_pixels=1_048_576)
    records.queue_store.report_readiness("worker", ready=True, device=gauge)
    records.queue_store.restore_readiness(
        "worker", Readiness(ready=True), gauge.model_copy(update={"free_mb": 8_000, "steps_per_s": 2.5})
    )
    records.queue_store.heartbeat(facts())
    (seen,) = records.ask(lambda store: store.workers())
    assert (seen.device, seen.memory_mb, seen.free_mb, seen.max_pixels) == ("a card", 24_000, 8_000, 1_048_576)
    assert seen.steps_per_s == 2.5
    fields = records.redis.hgetall(f"{records.settings.key_prefix}:worker:worker")
    assert sum(len(name) + len(value) for name, value in fields.items()) < 256
