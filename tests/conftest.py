"""Fixtures for everybody: settings without the person's environment, and real servers with room of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# One thread a process, in the processes that tests start as well: small networks gain nothing from a second one, and
# threads that wait for each other on a busy machine make a step a hundred times slower. Before anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from shared.settings import Settings
from tests.support.parallel import order, process_count
from tests.support.servers import (
    RedisServer,
    fresh_settings,
    redis_server,
    s3_server,
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process a CPU for whole folders, none beside this one for a few tests."""
    return process_count(config.args, config.option.keyword)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules first; within a module the order stays."""
    items.sort(key=lambda item: order(item.path, Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--redis redis-server` runs every test that needs a Redis on the program of this name."""
    parser.addoption("--redis", default="", help="Redis server program to test on, instead of the embedded one")


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    """Tests, and the processes they start, must not see the TROUPE_ variables of the shell that runs them."""
    outside = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("TROUPE_")}
    yield
    os.environ.update(outside)


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[RedisServer]:
    """The session's Redis-compatible server. A test that kills its server must start one of its own."""
    with redis_server(tmp_path_factory.mktemp("redis"), pytestconfig.getoption("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_process: RedisServer) -> str:
    """Address of the session's Redis-compatible server; keys are kept apart by `settings.key_prefix`."""
    return redis_process.url


@pytest.fixture(scope="session")
def system_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of the machine's own Redis, which is older than the embedded one (7.0 in Debian 12)."""
    with redis_server(tmp_path_factory.mktemp("system-redis"), "redis-server") as server:
        yield server.url


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the session's S3 server; blobs are kept apart by `settings.s3_bucket`."""
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture
def settings(redis_url: str, s3_url: str) -> Settings:
    """Settings for the real servers, with a key prefix and a bucket that only this test has."""
    return fresh_settings(redis_url, s3_url)


@pytest.fixture(params=["redis_url", "system_redis_url"], ids=["embedded", "system"])
def settings_on_each_redis(request: pytest.FixtureRequest, s3_url: str) -> Settings:
    """Settings as `settings` gives, once for the embedded Redis and once for the machine's own.

    A module whose tests are about scripts names it as its `settings`.
    """
    return fresh_settings(request.getfixturevalue(request.param), s3_url)
