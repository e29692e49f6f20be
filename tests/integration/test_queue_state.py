"""How busy the service is, as each tenant may know it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.context import open_context
from shared.job import Lane
from shared.settings import Settings
from shared.stages import Stage
from shared.store.connection import connect_async
from shared.store.jobs.store import AsyncJobStore
from shared.store.queue.state import LaneState, QueueStates
from shared.store.queue.values import WorkerStatus
from tests.support.queue_records import Records


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    found = Records(settings=settings)
    yield found
    found.close()


def state(settings: Settings, tenant: str) -> dict[Lane, LaneState]:
    async def ask() -> list[LaneState]:
        async with connect_async(settings) as redis:
            return await QueueStates(redis, settings, AsyncJobStore(redis, settings)).of(tenant)

    return {one.lane: one for one in asyncio.run(ask())}


def worker(records: Records, slots: int) -> None:
    records.queue_store.heartbeat(WorkerStatus(name="worker", role="generation", slots=slots, bundle="mini"))
    records.queue_store.report_readiness("worker", ready=True)


def test_of_others_a_tenant_sees_only_how_long_they_take(records: Records, settings: Settings) -> None:
    worker(records, 2)
    # Two stages of half a second: one second a job of this size.
    done = records.submit(tenant="mine")
    records.queue_store.dispatch("test", 1)
    records.finish(done)
    for _ in range(10):
        records.submit(tenant="theirs", lane="batch")
    mine = [records.submit(tenant="mine") for _ in range(4)]
    records.queue_store.dispatch("test", 1)
    found = state(settings, "mine")
    assert (found["interactive"].depth, found["interactive"].running) == (3, 1)
    assert (found["batch"].depth, found["batch"].running) == (0, 0)
    assert found["interactive"].backlog_s == pytest.approx(1.5)
    assert found["batch"].backlog_s == pytest.approx(5)
    assert found["batch"].eta_s is None
    place = records.ask(lambda store: store.queue_place(mine[-1]))
    assert place is not None
    assert found["interactive"].eta_s == place.eta_s
    theirs = state(settings, "theirs")
    assert (theirs["batch"].depth, theirs["interactive"].depth, theirs["interactive"].running) == (10, 0, 0)
    assert theirs["interactive"].pictures_per_min == 0
    assert theirs["interactive"].backlog_s == found["interactive"].backlog_s


def test_the_backlog_is_a_number_even_when_no_worker_is_left(records: Records, settings: Settings) -> None:
    assert state(settings, "mine")["interactive"].backlog_s == 0
    records.finish(records.submit(tenant="mine"))
    for _ in range(3):
        records.submit(tenant="mine")
    assert state(settings, "mine")["interactive"].backlog_s == pytest.approx(3)


def test_a_backlog_that_nobody_can_measure_yet_is_unknown(records: Records, settings: Settings) -> None:
    records.submit(tenant="mine")
    assert state(settings, "mine")["interactive"].backlog_s is None


def test_pictures_a_minute_are_counted_for_their_tenant_and_decay(records: Records, settings: Settings) -> None:
    for _ in range(6):
        records.finish(records.submit(tenant="mine"))
    records.finish(records.submit(tenant="mine"), until=Stage.DETECT)
    assert state(settings, "mine")["interactive"].pictures_per_min == pytest.approx(6, rel=0.1)
    assert state(settings, "theirs")["interactive"].pictures_per_min == 0
    key = f"{settings.key_prefix}:throughput:interactive"
    rate, at = str(records.redis.hget(key, "mine")).split()
    records.redis.hset(key, "mine", f"{rate} {float(at) - 120}")
    assert state(settings, "mine")["interactive"].pictures_per_min < 1


def test_the_address_shows_it(records: Records, settings: Settings) -> None:
    records.finish(records.submit())
    records.submit()
    app: FastAPI = create_app(settings)

    async def ask() -> httpx.Response:
        async with open_context(settings) as context:
            app.state.context = context
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
                return await client.get("/v1/queue")

    answer = asyncio.run(ask())
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"lanes", "backlog_s"}
    assert set(body["lanes"]) == {"interactive", "batch"}
    assert body["lanes"]["interactive"]["depth"] == 1
    assert body["backlog_s"] == body["lanes"]["interactive"]["backlog_s"] == pytest.approx(1)
