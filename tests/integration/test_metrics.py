"""The figures of the API: of the queue as it is, of its own answers, and of stores that do not answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from compose.servers import HOST, free_port
from shared.job import Failure
from shared.settings import Settings
from shared.store.queue.values import DeviceStatus, WorkerStatus
from tests.integration.test_local_stack import eventually
from tests.support.api_server import ApiServer, api_server
from tests.support.queue_records import Records
from tests.support.scrape import scrape
from tests.support.servers import redis_server


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    found = Records(settings=settings.model_copy(update={"auth": True}))
    yield found
    found.close()


@pytest.fixture
def server(records: Records, tmp_path: Path) -> Iterator[ApiServer]:
    settings = Settings.model_validate({**records.settings.model_dump(exclude_unset=True), "auth": True})
    with api_server(settings, tmp_path) as running:
        yield running


def test_the_queue_is_told_in_figures_without_a_key_and_without_a_name(records: Records, server: ApiServer) -> None:
    records.limit("payer-of-much", weight=3)
    for role, ready in (("generation", True), ("detection", False)):
        records.queue_store.heartbeat(WorkerStatus(name=role, role=role, slots=1, bundle="mini"))
        gauge = DeviceStatus(device="a GPU", memory_mb=80_000, free_mb=30_000, steps_per_s=21.5) if ready else None
        records.queue_store.report_readiness(
            role, ready=ready, reason="" if ready else "its bundle is broken", device=gauge
        )
    done = records.submit(tenant="payer-of-much")
    records.queue_store.dispatch("test", 1)
    records.finish(done)
    failed = records.submit()
    records.queue_store.dispatch("test", 1)
    claim = records.claim(failed)
    records.jobs.fail(failed, claim.attempt, Failure(code="no_face", message="none", retryable=False))
    for tenant in ("default", "payer-of-much", "payer-of-much"):
        records.submit(tenant=tenant, lane="batch")
    held = records.submit()
    records.queue_store.dispatch("test", 1)
    records.claim(held)

    figures = scrape(server.url)
    assert figures.of("troupe_jobs_ready", lane="batch", tenant_class="heavy") == 2
    assert figures.of("troupe_jobs_ready", lane="batch", tenant_class="usual") == 1
    assert figures.of("troupe_jobs_ready", lane="interactive") == 0
    assert 0 < figures.of("troupe_jobs_ready_oldest_seconds", tenant_class="heavy") < 60
    assert figures.of("troupe_leases", lane="interactive") == 1
    # Two stages of half a second for each of three jobs.
    assert figures.of("troupe_backlog_seconds", lane="batch") == pytest.approx(3)
    assert figures.of("troupe_jobs_ended_total", lane="interactive", status="succeeded") == 1
    assert figures.of("troupe_jobs_failed_total", code="no_face") == 1
    assert figures.of("troupe_stages_done_total", stage="render", how="made") == 1
    assert figures.of("troupe_workers", role="generation", state="ready") == 1
    assert figures.of("troupe_workers", role="detection", state="broken") == 1
    assert figures.of("troupe_gpu_memory_bytes", worker="generation", kind="free") == 3e10
    assert figures.of("troupe_steps_per_second", worker="generation") == 21.5
    assert figures.of("troupe_redis_memory_bytes", kind="used") > 1e6
    assert figures.of("troupe_redis_up") == 1
    assert "payer" not in str(figures)

    with server.client() as client:
        assert client.get("/v1/queue").status_code == 401
    assert scrape(server.url).of("troupe_http_requests_total", route="none", status="401") == 1
    assert scrape(server.url).of("troupe_http_requests_total", route="/metrics", status="200") >= 2


def test_a_lost_worker_is_counted(records: Records, server: ApiServer) -> None:
    records.run_out(records.claimed().job.id)
    records.queue_store.reap([])
    assert scrape(server.url).of("troupe_leases_lost_total", stage="identify") == 1


def test_without_redis_the_rest_is_told(settings: Settings, tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        changed = {"redis_url": redis.url}
        own = Settings.model_validate({**settings.model_dump(exclude_unset=True), **changed})
        with api_server(own, tmp_path) as server:
            assert scrape(server.url).of("troupe_redis_up") == 1
            redis.kill()
            assert eventually(lambda: scrape(server.url).of("troupe_redis_up") == 0, within_s=20)
            figures = scrape(server.url)
            assert figures.of("troupe_redis_errors_total") > 0
            assert "troupe_jobs_ready" not in figures.names()
            redis.start()


def test_a_port_of_its_own_serves_it_instead_and_off_is_off(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    for name, changed in (("own", {"metrics_port": port}), ("off", {"metrics": False, "metrics_port": port})):
        own = Settings.model_validate({**settings.model_dump(exclude_unset=True), **changed})
        with api_server(own, tmp_path / name) as server, server.client() as client:
            assert client.get("/metrics").status_code == 404
            assert "/metrics" not in client.get("/openapi.json").json()["paths"]
            if name == "own":
                figures = scrape(f"http://{HOST}:{port}")
                assert figures.of("troupe_redis_up") == 1
                assert figures.of("troupe_http_requests_total", route="none", status="404") == 1
            else:
                with pytest.raises(httpx.ConnectError):
                    scrape(f"http://{HOST}:{port}")
