"""Workers to disturb, and settings that make waiting short without changing what happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.support.queue_rig import Rig, rig
from tests.support.servers import (
    ACCESS_KEY,
    SECRET_KEY,
    RedisServer,
    redis_server,
)

CREW = 2
# As in production, only sooner: a lease of 4 s that is renewed every second, and a reaper that looks twice a second.
_QUICK = {
    "lease_s": 4.0,
    "renew_every_s": 1.0,
    "stall_s": 4.0,
    "reap_every_s": 0.5,
    "dispatch_every_s": 0.2,
    "retry_after_s": 0.2,
}


@dataclass(kw_only=True)
class WorkerRegistry:
    """Two workers of all roles and the Redis that only they use."""

    rig: Rig
    redis: RedisServer


@pytest.fixture
def stand(settings: Settings, tmp_path: Path) -> Iterator[Rig]:
    """A rig of this test's own, without workers."""
    with rig(quick(settings), tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def _crew(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerRegistry]:
    folder = tmp_path_factory.mktemp("crew")
    with redis_server(folder) as server:
        settings = Settings(
            redis_url=server.url,
            s3_endpoint_url=s3_url,
            s3_bucket="crew",
            s3_access_key=ACCESS_KEY,
            s3_secret_key=SECRET_KEY,
        )
        with rig(quick(settings), folder) as made:
            yield WorkerRegistry(rig=made, redis=server)


@pytest.fixture
def crew(_crew: WorkerRegistry) -> WorkerRegistry:
    """The crew that all tests share, because a worker takes seconds to start: complete, ready and idle at the start."""
    made = _crew.rig
    made.start_workers(*["all"] * (CREW - len(made.workers)))
    made.until("quiet", made.is_quiet)
    return _crew


def quick(settings: Settings) -> Settings:
    """The same settings with short times."""
    return Settings.model_validate({**settings.model_dump(exclude_unset=True), **_QUICK})
