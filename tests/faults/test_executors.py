"""An executor dies, hangs or breaks: its worker goes on, and its job runs again or fails with a reason."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from compose.servers import HOST, free_port
from shared.stages import Stage
from tests.faults.conftest import SharedWorkers
from tests.support.queue_harness import QueueHarness
from tests.support.s3_stand_in import s3_stand_in
from tests.support.servers import s3_server


def test_an_executor_killed_in_the_middle_of_a_job_costs_one_attempt(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    job_id = harness.submit("render=wait")
    first = harness.wait_for_run(job_id, Stage.RENDER)
    killed_s = time.monotonic()
    os.kill(first.pid, signal.SIGKILL)
    again = harness.wait_for_run(job_id, Stage.RENDER, attempt=first.attempt + 1)
    assert time.monotonic() - killed_s < 45
    assert again.pid != first.pid
    harness.unblock(job_id)
    job = harness.check_one_picture(job_id)
    # Identify was stored and is not done again: the job went on where it was lost.
    assert [run.stage for run in harness.runs(job_id)].count(Stage.IDENTIFY) == 1
    assert job.attempt == 6


def test_a_job_that_kills_its_worker_every_time_fails_after_three(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    poison, innocent = harness.submit("render=die"), harness.submit()
    job = harness.wait_until_done(poison)
    assert (job.status, job.picture) == ("failed", None)
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("worker_lost", True)
    deaths = [run for run in harness.runs(poison) if run.stage is Stage.RENDER]
    assert len(deaths) == len({run.pid for run in deaths}) == harness.settings.max_losses == 3
    harness.check_one_picture(innocent)


def test_an_executor_whose_device_does_not_answer_ends_and_its_job_runs_on_in_a_fresh_one(
    shared_workers: SharedWorkers,
) -> None:
    harness = shared_workers.harness
    job_id, others = harness.submit("render=break_device_first"), [harness.submit() for _ in range(4)]
    for other in (job_id, *others):
        harness.check_one_picture(other)
    first, again = [run for run in harness.runs(job_id) if run.stage is Stage.RENDER]
    assert again.pid != first.pid


def test_a_stage_that_hangs_is_ended_and_its_job_runs_again(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    job_id = harness.submit("identify=hang")
    hung = harness.wait_for_run(job_id, Stage.IDENTIFY)
    assert harness.wait_for_run(job_id, Stage.IDENTIFY, attempt=2).pid != hung.pid
    harness.check_one_picture(job_id)


def test_a_worker_whose_bundle_is_broken_takes_no_job(harness: QueueHarness) -> None:
    (harness.folder / "broken").touch()
    broken = harness.start_worker()
    harness.until("the bundle's own words", lambda: "says so" in reasons(harness))
    (harness.folder / "broken").unlink()
    job_id = harness.submit()
    harness.start_worker()
    harness.until("one ready worker", lambda: len(harness.ready()) == 1)
    job = harness.check_one_picture(job_id)
    assert job.attempt == 5
    assert broken.process.poll() is None


def test_a_worker_without_room_to_warm_up_takes_no_job_and_says_why(harness: QueueHarness) -> None:
    (harness.folder / "cramped").touch()
    harness.start_worker()
    harness.until("the device's own words", lambda: "no room" in reasons(harness))
    assert harness.ready() == []


def test_a_worker_that_had_no_room_to_warm_up_loads_again_and_is_ready_once_there_is_room(
    harness: QueueHarness,
) -> None:
    (harness.folder / "cramped").touch()
    worker = harness.start_worker()
    harness.until("two tries", lambda: told(harness, "bundle_load_postponed") > 1)
    assert harness.ready() == []
    (harness.folder / "cramped").unlink()
    harness.until("a ready worker", harness.ready)
    assert worker.process.poll() is None


def test_a_worker_whose_checkpoint_is_wrong_loads_it_once(harness: QueueHarness) -> None:
    (harness.folder / "broken").touch()
    harness.start_worker()
    harness.until("the bundle's own words", lambda: "says so" in reasons(harness))
    # Meanwhile one whose device has no room loads again.
    cramped = harness.folder / "small"
    cramped.mkdir()
    (cramped / "cramped").touch()
    harness.start_worker(bundle_folder=str(cramped))
    harness.until("another's second try", lambda: told(harness, "bundle_load_postponed") > 1)
    assert told(harness, "bundle_unusable") == 1


def test_a_worker_that_loads_while_s3_is_away_is_ready_once_s3_is_back_without_loading_again(
    harness: QueueHarness, tmp_path: Path
) -> None:
    port = free_port()
    away = {"bundle": "mini", "s3_endpoint_url": f"http://{HOST}:{port}"}
    worker = harness.start_worker("detection", app="worker.app", **away)
    harness.until("that S3 is missed", lambda: "S3 server did not open the bucket" in reasons(harness))
    assert harness.ready() == []
    with s3_server(tmp_path / "late", port):
        harness.until("a ready worker", harness.ready)
    assert worker.process.poll() is None
    assert told(harness, "bundle_loaded") == 1


def test_a_worker_that_waits_for_s3_stops_when_it_is_asked_to(harness: QueueHarness) -> None:
    worker = harness.start_worker(s3_endpoint_url=f"http://{HOST}:{free_port()}")
    harness.until("that S3 is missed", lambda: "S3 server did not open the bucket" in reasons(harness))
    harness.stop_worker(worker)
    assert worker.process.returncode == 0


def test_a_worker_whose_rights_at_s3_were_taken_fails_one_job_with_a_code_and_takes_the_next_when_they_are_back(
    harness: QueueHarness,
) -> None:
    with s3_stand_in() as server:
        harness.start_worker("all", s3_endpoint_url=server.url)
        harness.until("a ready worker", harness.ready)
        server.quirks.refused["PUT"] = (403, "AccessDenied")
        job = harness.wait_until_done(harness.submit())
        assert job.error is not None
        assert (job.error.code, job.error.retryable, job.error.stage) == ("blobs_refused", False, Stage.VERIFY)
        harness.until("that it says so", lambda: "the S3 server refuses to put" in reasons(harness))
        assert harness.ready() == []
        other = harness.submit()
        del server.quirks.refused["PUT"]
        assert harness.wait_until_done(other).status == "succeeded"


def test_a_worker_tells_of_its_device_and_its_pace(harness: QueueHarness) -> None:
    harness.start_workers("all")
    harness.check_one_picture(harness.submit())
    harness.until("its pace", lambda: harness.ready()[0].steps_per_s > 0)
    seen = harness.ready()[0]
    assert (seen.device, seen.memory_mb, seen.free_mb, seen.max_pixels) == ("a test's", 2, 1, 4_194_304)


def test_the_celery_command_in_a_checkout_starts_executors_that_find_the_worker(harness: QueueHarness) -> None:
    celery = str(Path(sys.executable).with_name("celery"))
    worker = harness.start_worker(celery=[celery], app="worker.app", bundle="mini")
    harness.until("a reason of an executor", lambda: "loading" in reasons(harness))
    harness.kill_worker(worker)


def told(harness: QueueHarness, event: str) -> int:
    """How often workers logged this."""
    return sum(line.get("event") == event for line in harness.log_lines())


def reasons(harness: QueueHarness) -> str:
    """Why workers are not ready, in the words of their executors."""
    return "\n".join(facts.reason for facts in harness.ask(lambda store: store.workers()) if not facts.ready)
