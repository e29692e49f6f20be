"""Redis that refuses writes because its disk is full: everybody is told so and waits, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.stages import Stage
from tests.faults.conftest import SharedWorkers
from tests.support.api_server import api_server, png_bytes
from tests.support.queue_harness import QueueHarness


@contextmanager
def full_disk(shared_workers: SharedWorkers) -> Iterator[None]:
    """Snapshots are asked for and fail, upon which the server refuses every write."""
    client = shared_workers.harness.redis
    client.config_set("save", "1 1")
    # Where the snapshot belongs, a folder stands.
    place = client.config_get("dir", "dbfilename")
    dump = Path(str(place["dir"]), str(place["dbfilename"]))
    dump.mkdir()
    try:
        shared_workers.harness.until(
            "a failed snapshot", lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err"
        )
        yield
    finally:
        dump.rmdir()
        client.config_set("save", "")


def test_jobs_wait_while_redis_refuses_writes_and_go_on_afterwards(
    shared_workers: SharedWorkers, tmp_path: Path
) -> None:
    harness = shared_workers.harness
    running = harness.submit("render=wait")
    harness.wait_for_run(running, Stage.RENDER)
    with api_server(harness.settings, tmp_path / "api") as api, api.client() as person:
        photo = person.post("/v1/photos", files={"photo": ("one.png", png_bytes(), "image/png")}).json()["id"]
        people = [{"phrase": phrase, "photos": [photo]} for phrase in ("the man", "the woman")]
        spec = {"prompt": "nothing special", "concepts": people, "sampling": {"width_px": 128, "height_px": 128}}
        with full_disk(shared_workers):
            refused = person.post("/v1/jobs", json=spec)
            ready = person.get("/readyz")
            harness.until("everybody's notice", lambda: {"batch-feeder", "heartbeat"} <= threads_that_heard(harness))
            harness.until("Celery's notice", lambda: pauses(harness, "MISCONF"))
            harness.unblock(running)
        queued = person.post("/v1/jobs", json=spec).json()["id"]
        harness.check_one_picture(queued)
    assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (
        503,
        "records_unavailable",
        True,
    )
    [redis] = [check for check in ready.json()["checks"] if check["name"] == "redis"]
    assert (ready.status_code, redis["ok"]) == (503, False)
    assert "MISCONF" in redis["detail"]
    harness.check_one_picture(running)
    check_workers_lived(harness)


def test_a_redis_that_answers_and_takes_no_writes_is_asked_less_and_less_often(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    # As a primary that is cut off from its replicas.
    harness.redis.config_set("min-replicas-to-write", 1)
    try:
        harness.until("longer pauses", lambda: max(pauses(harness, "NOREPLICAS"), default=0) >= 2)
    finally:
        harness.redis.config_set("min-replicas-to-write", 0)
    harness.check_one_picture(harness.submit())
    check_workers_lived(harness)


def test_a_worker_whose_redis_has_a_full_memory_goes_on_once_there_is_room(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    running = harness.submit("render=wait")
    harness.wait_for_run(running, Stage.RENDER)
    harness.redis.config_set("maxmemory", 1)
    try:
        harness.unblock(running)
        harness.until("a refusal", lambda: any("OOM" in str(line.get("error")) for line in harness.log_lines()))
    finally:
        harness.redis.config_set("maxmemory", 0)
    harness.check_one_picture(running)
    check_workers_lived(harness)


def check_workers_lived(harness: QueueHarness) -> None:
    assert all(worker.process.poll() is None for worker in harness.workers)


def pauses(harness: QueueHarness, refusal: str) -> list[float]:
    """How long the workers' consumers waited before they connected again because of this refusal."""
    lines = [line for line in harness.log_lines() if line["event"] == "broker_unavailable"]
    return [float(str(line["again_in_s"])) for line in lines if refusal in str(line["error"])]


def threads_that_heard(harness: QueueHarness) -> set[object]:
    """Threads of the workers that said so."""
    return {line.get("thread") for line in harness.log_lines() if "MISCONF" in str(line.get("error"))}
