"""Another Redis server takes over: the API finds it by itself, and says what is so while there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.api_server import ApiServer, api_server, png_bytes
from tests.support.replication import Pair, port_of, redis_pair
from tests.support.servers import fresh_settings
from tests.support.switch import Switch, tcp_switch

# From a promotion to the next write.
_BACK_S = 30.0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with redis_pair(tmp_path) as made:
        yield made


@pytest.fixture
def switch(pair: Pair) -> Iterator[Switch]:
    with tcp_switch(port_of(pair.primary)) as made:
        yield made


@pytest.fixture
def api(switch: Switch, s3_url: str, tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(fresh_settings(switch.url, s3_url), tmp_path) as running:
        running.announce_workers()
        yield running


def until(true: Callable[[], bool], within_s: float = _BACK_S) -> float:
    """Waits; gives how long it took."""
    began, pause = time.monotonic(), threading.Event()
    while not true():
        assert time.monotonic() - began < within_s, f"it did not become true within {within_s:g} s"
        pause.wait(0.05)
    return time.monotonic() - began


def submit(client: httpx.Client) -> httpx.Response:
    form = {"prompt": "a man", "phrase": "the man"}
    return client.post("/v1/jobs", data=form, files={"photo": ("me.png", png_bytes())})


def redis_check(client: httpx.Client) -> dict[str, object]:
    checks: list[dict[str, object]] = client.get("/readyz").json()["checks"]
    return next(check for check in checks if check["name"] == "redis")


def test_writes_go_on_at_the_server_that_took_over(pair: Pair, switch: Switch, api: ApiServer) -> None:
    with api.client() as client:
        before = submit(client).json()["id"]
        pair.promote()
        switch.target = port_of(pair.primary)
        # Connections to the old server are open still: it reads well, and refuses every write.
        until(lambda: submit(client).status_code == 202)
        after = submit(client).json()["id"]
        assert redis_check(client)["ok"]
        assert client.get(f"/v1/jobs/{before}").status_code == 200
        # The reader of changes has moved as well.
        player = threading.Timer(0.3, api.run_stages, [after])
        player.start()
        until(lambda: client.get(f"/v1/jobs/{after}?wait=2").json()["done"])
        player.join()


def test_a_demoted_server_is_not_ready_and_is_not_read(pair: Pair, switch: Switch, api: ApiServer) -> None:
    with api.client() as client:
        job = submit(client).json()["id"]
        pair.promote()
        # Nothing leads to the new server yet.
        until(lambda: not redis_check(client)["ok"])
        assert "replica" in str(redis_check(client)["detail"])
        until(lambda: client.get(f"/v1/jobs/{job}").status_code == 503)
        refused = submit(client)
        assert (refused.status_code, refused.json()["code"]) == (503, "records_unavailable")
        switch.target = port_of(pair.primary)
        until(lambda: client.get(f"/v1/jobs/{job}").status_code == 200)
        until(lambda: bool(redis_check(client)["ok"]))
