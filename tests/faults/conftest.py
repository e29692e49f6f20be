"""Worker processes for fault injection, with settings that shorten every wait and change nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.support.queue_harness import QueueHarness, queue_harness
from tests.support.servers import (
    ACCESS_KEY,
    SECRET_KEY,
    RedisServer,
    redis_server,
)

WORKERS = 2
# As in production, on a shorter clock: a lease of 4 s renewed each second, and a reaper that runs twice a second.
_QUICK = {
    "lease_s": 4.0,
    "renew_every_s": 1.0,
    "stall_s": 4.0,
    "reap_every_s": 0.5,
    "dispatch_every_s": 0.2,
    "retry_after_s": 0.2,
}


@dataclass(kw_only=True)
class SharedWorkers:
    """Two workers of all roles and the Redis that only they use."""

    harness: QueueHarness
    redis: RedisServer


@pytest.fixture
def harness(settings: Settings, tmp_path: Path) -> Iterator[QueueHarness]:
    """A queue that only this test uses, without workers."""
    with queue_harness(quick(settings), tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def _shared_workers(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedWorkers]:
    folder = tmp_path_factory.mktemp("workers")
    with redis_server(folder) as server:
        settings = Settings(
            redis_url=server.url,
            s3_endpoint_url=s3_url,
            s3_bucket="workers",
            s3_access_key=ACCESS_KEY,
            s3_secret_key=SECRET_KEY,
        )
        with queue_harness(quick(settings), folder) as made:
            yield SharedWorkers(harness=made, redis=server)


@pytest.fixture
def shared_workers(_shared_workers: SharedWorkers) -> SharedWorkers:
    """The shared workers, all ready and idle. Tests share them because a worker takes seconds to start."""
    made = _shared_workers.harness
    made.start_workers(*["all"] * (WORKERS - len(made.workers)))
    made.until("quiet", made.is_quiet)
    return _shared_workers


def quick(settings: Settings) -> Settings:
    """The same settings with short times."""
    return Settings.model_validate({**settings.model_dump(exclude_unset=True), **_QUICK})
