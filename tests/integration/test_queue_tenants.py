"""Whose turn it is: weights, caps, and what a tenant is given while others wait as well."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared.job import Lane
from shared.settings import Settings
from shared.stages import Stage
from shared.store.jobs import record
from shared.store.queue.values import ClaimRejected, WorkerStatus
from shared.store.units import encode_units
from tests.support.queue_records import Records, spec_of

LANES: tuple[Lane, ...] = ("interactive", "batch")


@pytest.fixture
def settings(settings_on_each_redis: Settings) -> Settings:
    """These are about scripts, which run on two servers."""
    return settings_on_each_redis


TENANTS = ("a", "b", "c")
WEIGHTS = (0.5, 1.0, 2.0, 3.0)
STEPS = (1, 10, 40, 150)


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    found = Records(settings=settings)
    yield found
    found.close()


def handed_out(records: Records, places: int) -> list[str]:
    return [message.job_id for message in records.queue_store.dispatch("test", places) or []]


def tenants_of(records: Records, job_ids: list[str]) -> Counter[str]:
    return Counter(records.jobs.get(job_id).tenant for job_id in job_ids)


def test_a_tenant_of_twice_the_weight_gets_twice_the_work(records: Records) -> None:
    records.limit("heavy", weight=2)
    for _ in range(20):
        for tenant in ("heavy", "light"):
            records.submit(tenant=tenant)
    assert tenants_of(records, handed_out(records, 15)) == {"heavy": 10, "light": 5}


def test_a_new_weight_holds_from_the_next_turn_on(records: Records) -> None:
    for _ in range(20):
        for tenant in TENANTS[:2]:
            records.submit(tenant=tenant)
    assert tenants_of(records, handed_out(records, 6)) == {"a": 3, "b": 3}
    records.limit("a", weight=3)
    assert tenants_of(records, handed_out(records, 18)) == {"a": 9, "b": 3}


def test_the_smallest_weight_is_served_too(records: Records) -> None:
    records.limit("tiny", weight=0.1)
    records.limit("large", weight=3)
    for _ in range(60):
        for tenant in ("tiny", "large", "usual"):
            records.submit(tenant=tenant)
    # Of 4.1 of weight a tenth: one of 41.
    assert tenants_of(records, handed_out(records, 83))["tiny"] >= 2


@pytest.mark.parametrize("lane", LANES)
def test_a_tenant_at_its_cap_stands_aside_and_nobody_waits_behind_it(records: Records, lane: Lane) -> None:
    records.limit("capped", concurrency=2)
    for _ in range(5):
        records.submit(tenant="capped", lane=lane)
    behind = [records.submit(tenant="other", lane=lane) for _ in range(3)]
    out = handed_out(records, 100)
    assert tenants_of(records, out) == {"capped": 2, "other": 3}
    assert set(behind) < set(out)


def test_a_cap_is_over_both_lanes(records: Records) -> None:
    records.limit("capped", concurrency=3)
    for lane in LANES:
        for _ in range(2):
            records.submit(tenant="capped", lane=lane)
    assert len(handed_out(records, 100)) == 3


def test_a_job_that_ends_makes_room_for_the_next(records: Records) -> None:
    records.limit("capped", concurrency=1)
    mine = [records.submit(tenant="capped") for _ in range(4)]
    assert handed_out(records, 100) == mine[:1]
    for stage in (Stage.IDENTIFY, Stage.RENDER):
        # Between its stages it is still at work.
        records.finish(mine[0], until=stage)
        assert handed_out(records, 100) == []
    records.finish(mine[0])
    assert handed_out(records, 100) == mine[1:2]
    records.cancel(mine[1], tenant="capped")
    assert handed_out(records, 100) == mine[2:3]
    records.jobs.release(mine[2], records.claim(mine[2]).attempt)
    assert handed_out(records, 100) == mine[2:3]
    records.claim(mine[2])
    records.run_out(mine[2])
    records.queue_store.reap([])
    assert handed_out(records, 100) == mine[2:3]


def test_a_cap_that_is_lifted_makes_room_at_once(records: Records) -> None:
    records.limit("capped", concurrency=1)
    mine = [records.submit(tenant="capped") for _ in range(4)]
    assert handed_out(records, 100) == mine[:1]
    records.limit("capped", concurrency=2)
    assert handed_out(records, 100) == mine[1:2]
    records.limit("capped")
    assert handed_out(records, 100) == mine[2:]


def test_an_old_message_does_not_lift_a_tenant_over_its_cap(records: Records) -> None:
    records.limit("capped", concurrency=1)
    first, second = [records.submit(tenant="capped") for _ in range(2)]
    assert handed_out(records, 100) == [first]
    assert records.jobs.claim(second, Stage.IDENTIFY, worker="w", token="t") is ClaimRejected.HELD
    assert records.where(second, "capped") == ["ready"]


def test_a_tenant_at_its_cap_saves_nothing_while_it_stands_aside(records: Records) -> None:
    records.limit("capped", concurrency=1)
    mine = [records.submit(tenant="capped") for _ in range(20)]
    for _ in range(40):
        records.submit(tenant="other")
    handed_out(records, 20)
    records.limit("capped")
    assert tenants_of(records, handed_out(records, 40))["capped"] in (10, 11)
    assert records.where(mine[-1], "capped") == ["ready"]


def test_what_waits_is_still_counted_when_everybody_stands_aside(records: Records) -> None:
    records.limit("capped", concurrency=1)
    for _ in range(3):
        records.submit(tenant="capped")
    handed_out(records, 100)
    assert handed_out(records, 100) == []
    assert records.redis.hget(f"{records.settings.key_prefix}:load", "interactive:jobs") == "2"


def test_a_cap_makes_the_wait_longer(records: Records) -> None:
    facts = WorkerStatus(name="generation@test", role="generation", slots=4, bundle="mini", ready=False)
    records.queue_store.heartbeat(facts)
    records.queue_store.report_readiness(facts.name, ready=True)
    records.redis.set(f"{records.settings.key_prefix}:speed", encode_units(1))
    mine = [records.submit(tenant="capped") for _ in range(4)]
    without = records.ask(lambda store: store.queue_place(mine[-1]))
    records.limit("capped", concurrency=1)
    one_by_one = records.ask(lambda store: store.queue_place(mine[-1]))
    assert without is not None
    assert one_by_one is not None
    assert one_by_one.eta_s == pytest.approx(4 * (without.eta_s or 0))


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weights=st.tuples(*[st.sampled_from(WEIGHTS)] * len(TENANTS)),
    moves=st.lists(
        st.one_of(st.none(), st.tuples(st.sampled_from(TENANTS), st.sampled_from(STEPS))), min_size=20, max_size=60
    ),
)
def test_while_two_wait_each_has_its_share_to_within_one_job(
    settings: Settings, weights: tuple[float, ...], moves: list[tuple[str, int] | None]
) -> None:
    """Moves: a tenant submits a job of so many steps, or (None) one job is dispatched, in any order."""
    own = settings.model_copy(update={"key_prefix": f"p{uuid.uuid4().hex[:12]}"})
    with closing(Records(settings=own)) as records:
        weight = dict(zip(TENANTS, weights, strict=True))
        for tenant in TENANTS:
            records.limit(tenant, weight=weight[tenant])
        units, waiting, served = {}, Counter[str](), 0
        # Of each pair: what each was given since both wait.
        given_units: dict[tuple[str, str], dict[str, float]] = {pair: {} for pair in itertools.combinations(TENANTS, 2)}
        for move in [*moves, *[None] * len(moves)]:
            if move is not None:
                tenant, steps = move
                job_id = records.submit(tenant=tenant, steps=steps)
                units[job_id] = record.units(spec_of("a beach", steps=steps))
                waiting[tenant] += 1
                continue
            both = [pair for pair in given_units if all(waiting[tenant] for tenant in pair)]
            for pair in given_units.keys() - both:
                given_units[pair] = {}
            for job_id in handed_out(records, served + 1):
                tenant = records.jobs.get(job_id).tenant
                served += 1
                waiting[tenant] -= 1
                for pair in both:
                    given_units[pair][tenant] = given_units[pair].get(tenant, 0.0) + units[job_id]
                    one, two = (given_units[pair].get(name, 0.0) for name in pair)
                    share = (one + two) * weight[pair[0]] / (weight[pair[0]] + weight[pair[1]])
                    assert abs(one - share) <= max(units.values()) + 1e-6
        assert not +waiting
