"""A batch of whose start the answer got lost: it runs with all its lines, or it never was and cost nothing."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.batches.intake import BatchIntake, BatchOptions
from api.batches.lines import CheckedLine, ValidLine
from api.context import Context, open_context
from shared.batch import BatchStatus
from shared.errors import MalformedBody, QuotaExceeded, RecordsUnavailable
from shared.settings import Settings
from shared.store.tenants.charge import Charge
from shared.store.units import decode_units
from tests.integration.test_batch_records import TENANT, UNITS, Batches
from tests.support.api_server import api_server, png_bytes
from tests.support.lossy_redis import LossyRedis, lossy_redis
from tests.support.queue_records import spec_of

LINES = 3
JSONL = {"Content-Type": "application/jsonl"}
DAY_UNITS = 10_000


@pytest.fixture
def batches(settings: Settings) -> Iterator[Batches]:
    made = Batches(settings=settings)
    made.limit(TENANT, daily_units=DAY_UNITS)
    made.blobs.ensure_bucket()
    yield made
    made.close()


@pytest.fixture
def way(settings: Settings) -> Iterator[LossyRedis]:
    """The API's way to Redis."""
    with lossy_redis(settings, "batches/start", "batches/drop") as made:
        yield made


@pytest.fixture
def client(settings: Settings, way: LossyRedis, tmp_path: Path) -> Iterator[httpx.Client]:
    with api_server(settings.model_copy(update={"redis_url": way.url}), tmp_path) as server, server.client() as client:
        yield client


def make(client: httpx.Client, key: str) -> httpx.Response:
    photo = client.post("/v1/photos", files={"photo": ("photo.png", png_bytes(), "image/png")}).json()["id"]
    line = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [photo]}]}
    content = "\n".join(json.dumps({"custom_id": f"c{number}", **line}) for number in range(LINES))
    return client.post("/v1/batches", content=content, headers={**JSONL, "Idempotency-Key": key})


def take(batches: Batches, redis_url: str) -> str:
    """Takes in a batch as a process of the API does that reaches Redis over this address; gives its id."""
    batch_id = uuid.uuid4().hex

    async def lines() -> AsyncIterator[Sequence[CheckedLine]]:
        spec = spec_of("a scene", lane="batch")
        yield [ValidLine(number=number, custom_id=f"c{number}", spec=spec) for number in range(1, LINES + 1)]

    async def scene() -> None:
        async with open_context(batches.settings.model_copy(update={"redis_url": redis_url})) as context:
            await remembered(context)
            await BatchIntake(context, TENANT, batch_id, BatchOptions()).take(lines(), Charge(requests=0))

    asyncio.run(scene())
    return batch_id


async def remembered(context: Context) -> None:
    for concept in spec_of("a scene").concepts:
        for photo in concept.photos:
            await context.jobs.keep_photo(TENANT, photo)


def spent(batches: Batches) -> float:
    names = batches.redis.scan_iter(f"{batches.settings.key_prefix}:spent:{TENANT}:*")
    return decode_units(sum(int(batches.redis.get(name) or 0) for name in names))


def fed(batches: Batches, batch_id: str) -> int:
    """Lines of the batch that a feeder finds and queues."""
    batches.step(batch_id)
    return batches.batch(batch_id).open


def files(batches: Batches) -> list[str]:
    return [blob.key for blob in batches.blobs.listed(f"{TENANT}/batches/")]


def test_a_batch_of_whose_start_one_answer_got_lost_is_answered_and_keeps_its_lines(
    batches: Batches, way: LossyRedis, client: httpx.Client
) -> None:
    way.lose = ["batches/start"]
    answer = make(client, "mine")
    assert way.lose == []
    assert (answer.status_code, answer.json()["status"]) == (202, BatchStatus.RUNNING), answer.text
    assert fed(batches, answer.json()["id"]) == LINES


def test_a_batch_of_whose_start_every_answer_got_lost_has_its_lines_when_it_is_asked_for_again(
    batches: Batches, way: LossyRedis, client: httpx.Client
) -> None:
    way.lose = ["batches/start", "batches/start"]
    first = make(client, "mine")
    assert (first.status_code, first.json()["code"], way.lose) == (503, "records_unavailable", [])
    before = spent(batches)
    again: dict[str, Any] = make(client, "mine").json()
    assert again["status"] == BatchStatus.RUNNING
    assert fed(batches, again["id"]) == LINES
    assert spent(batches) == before


def test_a_batch_that_may_run_keeps_its_lines_when_it_cannot_be_dropped(batches: Batches, way: LossyRedis) -> None:
    way.lose = ["batches/start"] * 2 + ["batches/drop"] * 2
    with pytest.raises(RecordsUnavailable):
        take(batches, way.url)
    assert way.lose == []
    (batch,) = batches.store.unfinished()
    assert fed(batches, batch.id) == LINES


def test_units_of_a_batch_are_counted_once_however_often_its_start_was_asked_for(
    batches: Batches, way: LossyRedis
) -> None:
    way.lose = ["batches/start"]
    take(batches, way.url)
    assert spent(batches) == pytest.approx(LINES * UNITS)


def test_a_batch_that_was_given_up_costs_nothing_and_leaves_nothing(batches: Batches) -> None:
    """Its record went while its last lines came, as the feeder drops what nobody reads any more."""
    batch_id = uuid.uuid4().hex

    async def lines() -> AsyncIterator[Sequence[CheckedLine]]:
        yield [ValidLine(number=1, custom_id="c1", spec=spec_of("a scene", lane="batch"))]
        batches.store.drop(batch_id)

    async def scene() -> None:
        async with open_context(batches.settings) as context:
            await remembered(context)
            await BatchIntake(context, TENANT, batch_id, BatchOptions()).take(lines(), Charge(requests=0))

    with pytest.raises(MalformedBody):
        asyncio.run(scene())
    assert (spent(batches), files(batches)) == (0, [])


def test_a_batch_of_more_units_than_are_left_costs_nothing_and_leaves_nothing(batches: Batches) -> None:
    batches.limit(TENANT, daily_units=1)
    with pytest.raises(QuotaExceeded):
        take(batches, batches.settings.redis_url)
    assert (spent(batches), files(batches), batches.store.unfinished()) == (0, [], [])
