"""An API of its own for each module that asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import pytest

from tests.support.api_server import ApiServer, api_server
from tests.support.servers import fresh_settings


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    """What a module's API has other than the defaults: a module that needs any has a fixture of this name."""
    return {}


@pytest.fixture(scope="module")
def server(
    redis_url: str, s3_url: str, more_settings: Mapping[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    """The module's API, over records and a bucket of its own."""
    with api_server(fresh_settings(redis_url, s3_url, **more_settings), tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    """A client of it, without a key."""
    with server.client() as client:
        yield client
