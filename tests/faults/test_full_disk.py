"""Redis that refuses writes because its disk is full: everybody is told so and waits, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compose.processes import Running
from shared.stages import Stage
from tests.faults.conftest import CREW, WorkerRegistry
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
            # Celery takes the refusal of its next look for one that never passes.
            stand.until("the idle worker's end", lambda: len(ended(stand)) == CREW - 1)
            stand.let_go(running)
        start_again(stand)
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


def ended(stand: Rig) -> list[Running]:
    return [worker for worker in stand.workers if worker.process.poll() is not None]


def start_again(stand: Rig) -> None:
    """What runs workers does with those that ended."""
    gone = ended(stand)
    for worker in gone:
        stand.stop_worker(worker)
    stand.start_workers(*["all"] * len(gone))


def threads_that_heard(stand: Rig) -> set[object]:
    """Threads of the workers that said so."""
    return {line.get("thread") for line in stand.log_lines() if "MISCONF" in str(line.get("error"))}
