"""Redis that refuses writes because its disk is full: everybody is told so and waits, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.stages import Stage
from tests.faults.conftest import WorkerRegistry
from tests.support.api_server import api_server, png_bytes
from tests.support.queue_rig import Rig


@contextmanager
def full_disk(crew: WorkerRegistry) -> Iterator[None]:
    """Snapshots are asked for and fail, upon which the server refuses every write."""
    client = crew.rig.redis
    client.config_set("save", "1 1")
    # Where the snapshot belongs, a folder stands.
    place = client.config_get("dir", "dbfilename")
    dump = Path(str(place["dir"]), str(place["dbfilename"]))
    dump.mkdir()
    try:
        crew.rig.until("a failed snapshot", lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        yield
    finally:
        dump.rmdir()
        client.config_set("save", "")


def test_jobs_wait_while_redis_refuses_writes_and_go_on_afterwards(crew: WorkerRegistry, tmp_path: Path) -> None:
    stand = crew.rig
    running = stand.submit("render=wait")
    stand.wait_for_run(running, Stage.RENDER)
    with api_server(stand.settings, tmp_path / "api") as api, api.client() as person:
        photo = person.post("/v1/photos", files={"photo": ("one.png", png_bytes(), "image/png")}).json()["id"]
        people = [{"phrase": phrase, "photos": [photo]} for phrase in ("the man", "the woman")]
        spec = {"prompt": "nothing special", "concepts": people, "sampling": {"width_px": 128, "height_px": 128}}
        with full_disk(crew):
            refused = person.post("/v1/jobs", json=spec)
            ready = person.get("/readyz")
            stand.until("everybody's notice", lambda: {"feeder", "watch"} <= threads_that_heard(stand))
            stand.until("Celery's notice", lambda: pauses(stand, "MISCONF"))
            stand.let_go(running)
        queued = person.post("/v1/jobs", json=spec).json()["id"]
        stand.check_one_picture(queued)
    assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (
        503,
        "records_unavailable",
        True,
    )
    [redis] = [check for check in ready.json()["checks"] if check["name"] == "redis"]
    assert (ready.status_code, redis["ok"]) == (503, False)
    assert "MISCONF" in redis["detail"]
    stand.check_one_picture(running)
    check_workers_lived(stand)


def test_a_redis_that_answers_and_takes_no_writes_is_asked_less_and_less_often(crew: WorkerRegistry) -> None:
    stand = crew.rig
    # As a primary that is cut off from its replicas.
    stand.redis.config_set("min-replicas-to-write", 1)
    try:
        stand.until("longer pauses", lambda: max(pauses(stand, "NOREPLICAS"), default=0) >= 2)
    finally:
        stand.redis.config_set("min-replicas-to-write", 0)
    stand.check_one_picture(stand.submit())
    check_workers_lived(stand)


def test_a_worker_whose_redis_has_a_full_memory_goes_on_once_there_is_room(crew: WorkerRegistry) -> None:
    stand = crew.rig
    running = stand.submit("render=wait")
    stand.wait_for_run(running, Stage.RENDER)
    stand.redis.config_set("maxmemory", 1)
    try:
        stand.let_go(running)
        stand.until("a refusal", lambda: any("OOM" in str(line.get("error")) for line in stand.log_lines()))
    finally:
        stand.redis.config_set("maxmemory", 0)
    stand.check_one_picture(running)
    check_workers_lived(stand)


def check_workers_lived(stand: Rig) -> None:
    assert all(worker.process.poll() is None for worker in stand.workers)


def pauses(stand: Rig, refusal: str) -> list[float]:
    """How long the workers' consumers waited before they connected again because of this refusal."""
    lines = [line for line in stand.log_lines() if line["event"] == "broker_unavailable"]
    return [float(str(line["again_in_s"])) for line in lines if refusal in str(line["error"])]


def threads_that_heard(stand: Rig) -> set[object]:
    """Threads of the workers that said so."""
    return {line.get("thread") for line in stand.log_lines() if "MISCONF" in str(line.get("error"))}
