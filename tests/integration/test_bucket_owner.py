"""The bucket belongs to one installation: a Redis that knows nothing of its blobs erases none of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from api.context import open_context
from compose.processes import ROOT
from shared.blob_store import BlobStore, photo_key, stage_key
from shared.settings import Settings
from shared.stages import Stage
from shared.startup import check_servers
from shared.store.connection import connect, connect_async
from shared.store.jobs.erasure import Erasures
from tests.support.api_server import api_server, environment_of
from tests.support.scrape import scrape
from tests.support.servers import RedisServer, redis_server

T = TypeVar("T")

# Every blob is older than that.
ANY_AGE_S = -5.0


@pytest.fixture
def emptied(settings: Settings, tmp_path: Path) -> Iterator[tuple[Settings, RedisServer]]:
    """Settings of an installation with pictures and photos in its bucket, and its Redis, which has come back empty."""
    with redis_server(tmp_path / "redis") as server:
        own = settings.model_copy(update={"redis_url": server.url, "sweep_every_s": 0.5})
        assert not any(problem.fatal for problem in check_servers(own, BlobStore(own)))
        fill(own)
        with connect(own) as redis:
            redis.flushall()
        yield own, server


def fill(settings: Settings) -> set[str]:
    """Pictures and photos that no record names any more."""
    blobs = BlobStore(settings)
    keys = [stage_key("someone", stage, uuid.uuid4().hex, "output.json") for stage in Stage]
    keys += [photo_key("someone", uuid.uuid4().hex * 2) for _ in range(3)]
    for key in keys:
        blobs.put(key, b"{}", "application/json")
    return set(keys)


def there(settings: Settings) -> set[str]:
    return {blob.key for blob in BlobStore(settings).listed("")}


def collect(settings: Settings) -> int:
    """Collects orphans as the API does."""

    async def scene() -> int:
        async with open_context(settings) as context:
            return await context.eraser.collect(older_than_s=ANY_AGE_S)

    return asyncio.run(scene())


def records(settings: Settings, *words: str) -> str:
    """The operator's command."""
    command = [sys.executable, "-m", "api.records", *words]
    environment = {**os.environ, **environment_of(settings)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_redis_that_came_back_empty_erases_nothing(emptied: tuple[Settings, RedisServer]) -> None:
    settings, _ = emptied
    before = there(settings)
    assert collect(settings) == 0
    assert there(settings) == before


def test_an_installation_under_another_key_prefix_erases_nothing_of_the_first(settings: Settings) -> None:
    check_servers(settings, BlobStore(settings))
    before = fill(settings)
    other = settings.model_copy(update={"key_prefix": f"{settings.key_prefix}b"})
    assert collect(other) == 0
    assert there(settings) == before
    assert collect(settings) == len(before)


def test_a_new_installation_does_not_take_a_bucket_with_blobs_of_somebody(settings: Settings) -> None:
    BlobStore(settings).ensure_bucket()
    before = fill(settings)
    assert collect(settings) == 0
    assert there(settings) == before


def test_an_installation_from_before_there_were_markers_keeps_its_bucket(settings: Settings) -> None:
    BlobStore(settings).ensure_bucket()
    fill(settings)
    with connect(settings) as redis:
        redis.hset(f"{settings.key_prefix}:counts", "ended:interactive:succeeded", 1)
    assert collect(settings) == 8
    assert there(settings) == set()


class EmptiedMeanwhile(Erasures):
    """Records that go in the moment when they are asked which results no job has."""

    async def unreferenced(self, results: Sequence[str]) -> list[str]:
        with connect(self._settings) as redis:
            redis.delete(*redis.scan_iter(f"{self._prefix}:*"))
        return await super().unreferenced(results)


def test_a_redis_that_is_emptied_while_orphans_are_looked_for_erases_no_more(settings: Settings) -> None:
    check_servers(settings, BlobStore(settings))
    before = fill(settings)

    async def scene() -> int:
        async with open_context(settings) as context, connect_async(settings) as redis:
            eraser = replace(context.eraser, records=EmptiedMeanwhile(redis, settings))
            return await eraser.collect(older_than_s=ANY_AGE_S)

    assert asyncio.run(scene()) == 0
    assert there(settings) == before


def test_readyz_metrics_and_log_say_that_nothing_is_collected_until_an_operator_adopts(
    emptied: tuple[Settings, RedisServer], tmp_path: Path
) -> None:
    settings, _ = emptied
    assert "whose records are not in this Redis" in records(settings, "show")
    with api_server(settings, tmp_path / "first") as api, api.client() as asking:
        api.announce_workers()
        warning = eventually(lambda: [one for one in ready(asking)["warnings"] if "belongs to an installation" in one])
        assert "until an operator decides" in warning[0]
        assert ready(asking)["ready"] is True
        assert scrape(api.url).of("troupe_bucket_owned") == 0.0
        assert '"bucket_not_owned"' in api.running.log.read_text()
        assert "belongs to the installation of this Redis" in records(settings, "adopt")
    assert collect(settings) == 8


def test_a_bucket_that_was_given_up_can_be_adopted_by_another_installation(settings: Settings) -> None:
    check_servers(settings, BlobStore(settings))
    before = fill(settings)
    assert "gave bucket" in records(settings, "forget")
    assert collect(settings) == 0
    assert there(settings) == before
    other = settings.model_copy(update={"key_prefix": f"{settings.key_prefix}b"})
    assert "belongs to the installation" in records(other, "adopt")
    assert "gave bucket" in records(settings, "show")
    assert collect(other) == len(before)


def ready(asking: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = asking.get("/readyz").json()
    return found


def eventually(found: Callable[[], T]) -> T:
    """What is found once it is there."""
    deadline = time.monotonic() + 30.0
    while not (there := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return there
