"""What callers hear while Redis or the S3 server is away, and that nothing is lost when the API itself goes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from compose.servers import HOST, free_port
from shared.settings import Settings
from tests.integration.test_batch_streams import make
from tests.support.api_server import ApiServer, api_server, png_bytes
from tests.support.servers import RedisServer, fresh_settings, redis_server

_PATIENCE_S = 20.0


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may kill."""
    with redis_server(tmp_path / "own") as server:
        yield server


@pytest.fixture
def own_settings(own_redis: RedisServer, s3_url: str) -> Settings:
    return fresh_settings(own_redis.url, s3_url)


def until(true: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + _PATIENCE_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        pause.wait(0.05)


def submit(client: httpx.Client) -> httpx.Response:
    form = {"prompt": "a man", "phrase": "the man"}
    return client.post("/v1/jobs", data=form, files={"photo": ("me.png", png_bytes())})


def checks(client: httpx.Client) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in client.get("/readyz").json()["checks"]}


def unavailable(answer: httpx.Response, code: str) -> bool:
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (503, code, True)
    assert int(answer.headers["retry-after"]) > 0
    assert HOST not in answer.text
    return True


def test_while_redis_is_away_everybody_hears_503_soon_and_afterwards_is_served(
    own_redis: RedisServer, own_settings: Settings, tmp_path: Path
) -> None:
    with api_server(own_settings, tmp_path) as server, server.client() as client:
        job = submit(client).json()
        own_redis.kill()
        began = time.monotonic()
        assert unavailable(client.get(f"/v1/jobs/{job['id']}"), "records_unavailable")
        assert unavailable(client.post(f"/v1/jobs/{job['id']}/cancel"), "records_unavailable")
        assert unavailable(submit(client), "records_unavailable")
        assert time.monotonic() - began < 5
        assert client.get("/healthz").status_code == 200
        assert checks(client) == {"redis": False, "s3": True, "detection": False, "generation": False}
        own_redis.start()
        until(lambda: checks(client)["redis"])
        assert submit(client).status_code == 202
        # The reader of changes is back as well: a long-poll hears of what happens after the outage.
        fresh = submit(client).json()
        player = threading.Timer(0.3, server.run_stages, [fresh["id"]])
        player.start()
        until(lambda: client.get(f"/v1/jobs/{fresh['id']}?wait=2").json()["done"])
        player.join()


def test_the_api_starts_while_redis_is_away(own_redis: RedisServer, own_settings: Settings, tmp_path: Path) -> None:
    own_redis.kill()
    with api_server(own_settings, tmp_path) as server, server.client() as client:
        assert unavailable(client.get(f"/v1/jobs/{'0' * 32}"), "records_unavailable")
        own_redis.start()
        until(lambda: client.get(f"/v1/jobs/{'0' * 32}").status_code == 404)
        job = submit(client).json()
        player = threading.Timer(0.3, server.run_stages, [job["id"]])
        player.start()
        until(lambda: client.get(f"/v1/jobs/{job['id']}?wait=2").json()["done"])
        player.join()


def test_while_the_s3_server_is_away_photos_hear_503_and_jobs_can_be_read(settings: Settings, tmp_path: Path) -> None:
    nobody = settings.model_copy(update={"s3_endpoint_url": f"http://{HOST}:{free_port()}"})
    with api_server(nobody, tmp_path) as server, server.client() as client:
        assert unavailable(client.post("/v1/photos", files={"photo": png_bytes()}), "blobs_unavailable")
        assert unavailable(submit(client), "blobs_unavailable")
        assert client.get(f"/v1/jobs/{'0' * 32}").status_code == 404
        assert checks(client)["s3"] is False


def test_jobs_outlive_the_api(settings: Settings, tmp_path: Path) -> None:
    with api_server(settings, tmp_path / "first") as server, server.client() as client:
        job = submit(client).json()
        server.running.process.kill()
        server.run_stages(job["id"])
    with api_server(settings, tmp_path / "second") as again, again.client() as client:
        assert client.get(f"/v1/jobs/{job['id']}").json()["status"] == "succeeded"


def test_the_api_goes_away_in_time_although_somebody_waits(settings: Settings, tmp_path: Path) -> None:
    with api_server(settings, tmp_path) as server, server.client() as client:
        job = submit(client).json()
        waits = threading.Thread(target=_wait_for, args=(server, job["id"]))
        waits.start()
        until(lambda: _connections(server) >= 1)
        began = time.monotonic()
        server.running.process.send_signal(signal.SIGTERM)
        server.running.process.wait(10)
        waits.join()
        assert time.monotonic() - began < 6


def test_who_waits_for_a_batch_is_answered_when_the_api_goes(settings: Settings, tmp_path: Path) -> None:
    with api_server(settings, tmp_path) as server, ThreadPoolExecutor(1) as pool:
        path = f"{server.url}/v1/batches/{make(server)}"
        tag = httpx.get(path).headers["etag"]
        until(lambda: _connections(server) == 0)
        answer = pool.submit(httpx.get, f"{path}?wait=30", headers={"If-None-Match": tag}, timeout=40)
        until(lambda: _connections(server) == 1)
        server.running.process.send_signal(signal.SIGTERM)
        assert answer.result().status_code == 304


def _wait_for(server: ApiServer, job_id: str) -> None:
    try:
        httpx.get(f"{server.url}/v1/jobs/{job_id}?wait=30", timeout=40)
    except httpx.TransportError:
        return


def _connections(server: ApiServer) -> int:
    """Established connections to the server's port, from the kernel's table."""
    port = f"{int(server.url.rsplit(':', 1)[1]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(1 for row in rows if row[1].endswith(f":{port}") and row[3] == "01")
