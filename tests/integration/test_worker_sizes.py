"""A picture that no live worker has room for is refused at submit, and so is a line; what may be served is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import NoWorkerForSize
from shared.settings import Settings
from shared.store.queue.values import DeviceStatus, WorkerStatus
from shared.store.tenants.charge import Charge
from tests.support.api_server import api_server, png_bytes
from tests.support.queue_records import Records

SMALL, LARGE = {"width_px": 512, "height_px": 512}, {"width_px": 1024, "height_px": 512}
ROOM = 512 * 512


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    found = Records(settings=settings)
    yield found
    found.close()


def worker(records: Records, name: str, *, max_pixels: int = ROOM, role: str = "all", draining: bool = False) -> None:
    """A worker that is ready, and forgets what was found out about the workers before."""
    records.queue_store.heartbeat(WorkerStatus(name=name, role=role, slots=1, bundle="mini", draining=draining))
    records.queue_store.report_readiness(name, ready=True, device=DeviceStatus(max_pixels=max_pixels))
    records.redis.delete(f"{records.settings.key_prefix}:largest")


def test_a_job_larger_than_every_worker_is_refused_and_leaves_nothing(records: Records) -> None:
    worker(records, "one")
    worker(records, "two", max_pixels=ROOM // 2)
    with pytest.raises(NoWorkerForSize, match=str(ROOM)):
        records.submit(sampling=LARGE)
    assert records.where(records.submit(sampling=SMALL)) == ["ready"]
    assert len(list(records.redis.scan_iter(f"{records.settings.key_prefix}:job:*"))) == 1


def test_a_refused_job_costs_no_units(records: Records) -> None:
    worker(records, "one")
    records.limit("default", daily_units=100.0)
    with pytest.raises(NoWorkerForSize):
        records.submit(sampling=LARGE)
    charge = Charge()
    records.ask(lambda store: store.admit("default", charge))
    assert [one.left for one in charge.allowances] == [100]


def test_a_dry_run_says_so_too(records: Records) -> None:
    worker(records, "one")
    with pytest.raises(NoWorkerForSize):
        records.ask(lambda store: store.admit("default", Charge(), pixels=ROOM + 1))
    records.ask(lambda store: store.admit("default", Charge(), pixels=ROOM))


def test_without_a_worker_every_job_waits(records: Records) -> None:
    assert records.where(records.submit(sampling=LARGE)) == ["ready"]


def test_workers_that_draw_nothing_or_go_away_do_not_count(records: Records) -> None:
    worker(records, "looks", role="detection", max_pixels=0)
    worker(records, "leaves", draining=True)
    assert records.where(records.submit(sampling=LARGE)) == ["ready"]
    worker(records, "one")
    with pytest.raises(NoWorkerForSize):
        records.submit(sampling=LARGE)


def test_a_worker_that_still_loads_may_turn_out_to_be_large_enough(records: Records) -> None:
    worker(records, "one")
    records.queue_store.heartbeat(WorkerStatus(name="two", role="generation", slots=1, bundle="mini"))
    records.queue_store.report_readiness("two", ready=False, reason="loading")
    assert records.where(records.submit(sampling=LARGE)) == ["ready"]


def test_the_workers_are_looked_at_once_a_second(records: Records) -> None:
    worker(records, "one")
    records.submit(sampling=SMALL)
    assert 0 < records.redis.pttl(f"{records.settings.key_prefix}:largest") <= 1000


def test_a_line_of_a_batch_that_is_too_large_is_an_error_of_its_line(records: Records, tmp_path: Path) -> None:
    def send(**params: str) -> tuple[int, dict[str, Any]]:
        worker(records, "one", max_pixels=128 * 128)
        answer = client.post("/v1/batches", content=text, headers={"Content-Type": "application/jsonl"}, params=params)
        return answer.status_code, answer.json()

    with api_server(records.settings, tmp_path) as server, server.client() as client:
        photo = client.post("/v1/photos", files={"photo": png_bytes()}).json()["id"]
        people = [{"phrase": "the man", "photos": [photo]}]
        asked = {"prompt": "a man", "concepts": people, "sampling": {"width_px": 256, "height_px": 128}}
        both = [{"phrase": "the man", "photos": ["f" * 64]}]
        lines = [
            {**asked, "sampling": {"width_px": 128, "height_px": 128}},
            asked,
            # Nothing is drawn.
            {**asked, "until": "identify"},
            {**asked, "concepts": both},
        ]
        text = "\n".join(json.dumps({**line, "custom_id": str(number)}) for number, line in enumerate(lines))
        wrong = {2: [("no_worker_for_size", "/sampling")], 4: [("no_worker_for_size", "/sampling")]}
        wrong[4].append(("unknown_photo", "/concepts/0/photos/0"))
        for params in ({}, {"dry_run": "true"}):
            status, found = send(**params)
            assert status == (200 if params else 202)
            told = {one["line"]: [(why["code"], why["pointer"]) for why in one["errors"]] for one in found["errors"]}
            assert told == wrong
        assert found["invalid"] == 2
        status, refused = send(strict="true")
        assert (status, refused["code"]) == (422, "batch_refused")
        assert refused["errors"][0]["code"] == "no_worker_for_size"


def test_a_line_of_any_size_waits_where_no_worker_lives(records: Records, tmp_path: Path) -> None:
    with api_server(records.settings, tmp_path) as server, server.client() as client:
        photo = client.post("/v1/photos", files={"photo": png_bytes()}).json()["id"]
        people = [{"phrase": "the man", "photos": [photo]}]
        line = {"custom_id": "a", "prompt": "a man", "concepts": people, "sampling": {"width_px": 256}}
        answer = client.post(
            "/v1/batches", content=json.dumps(line), headers={"Content-Type": "application/jsonl"}
        ).json()
        assert (answer["lines"], answer["counts"]["invalid"]) == (1, 0)
