"""A whole worker goes, by force or when it is asked to: its job goes on elsewhere."""

from __future__ import annotations

import time
from pathlib import Path

from shared.settings import Settings
from shared.stages import Stage
from tests.faults.conftest import SharedWorkers
from tests.support.queue_harness import QueueHarness, queue_harness


def test_a_worker_killed_with_its_executor_loses_its_job_to_another(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    job_id = harness.submit("personalize=wait")
    first = harness.wait_for_run(job_id, Stage.PERSONALIZE)
    harness.kill_worker(harness.worker_of(first))
    again = harness.wait_for_run(job_id, Stage.PERSONALIZE, attempt=first.attempt + 1)
    assert again.pid != first.pid
    harness.unblock(job_id)
    job = harness.check_one_picture(job_id)
    # And then the picture is verified.
    assert job.attempt == again.attempt + 1


def test_with_default_settings_a_lost_job_runs_again_within_45_s(settings: Settings, tmp_path: Path) -> None:
    with queue_harness(settings, tmp_path) as harness:
        harness.start_workers("all", "all")
        job_id = harness.submit("render=wait")
        first = harness.wait_for_run(job_id, Stage.RENDER)
        killed_s = time.monotonic()
        harness.kill_worker(harness.worker_of(first))
        harness.wait_for_run(job_id, Stage.RENDER, attempt=first.attempt + 1)
        assert time.monotonic() - killed_s < 45
        harness.unblock(job_id)
        harness.check_one_picture(job_id)


def test_a_worker_that_drains_gives_its_job_back_and_it_goes_first_elsewhere(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    job_id, other = harness.submit("render=wait"), harness.submit("identify=wait")
    first = harness.wait_for_run(job_id, Stage.RENDER)
    harness.wait_for_run(other, Stage.IDENTIFY)
    newer = [harness.submit("identify=wait") for _ in range(5)]
    draining = harness.worker_of(first)
    harness.stop_worker(draining)
    assert draining.process.returncode == 0
    job = harness.jobs.get(job_id)
    assert (job.status, job.stage, job.attempt) == ("queued", Stage.RENDER, first.attempt)
    # Given back on purpose, so it is no loss.
    assert "losses" not in harness.fields(job_id)
    for busy in (other, *newer):
        harness.unblock(busy)
    harness.wait_for_run(job_id, Stage.RENDER, attempt=first.attempt + 1)
    # Jobs that were in Celery's hands already may come before it; those that still waited may not.
    assert harness.runs(newer[-1]) == []
    harness.unblock(job_id)
    for every in (job_id, other, *newer):
        harness.check_one_picture(every)


def test_a_job_goes_through_workers_of_two_roles(harness: QueueHarness) -> None:
    harness.start_workers("detection", "generation")
    job_id = harness.submit()
    job = harness.check_one_picture(job_id)
    runs = {run.stage: run.pid for run in harness.runs(job_id)}
    assert runs[Stage.IDENTIFY] == runs[Stage.DETECT] != runs[Stage.RENDER] == runs[Stage.PERSONALIZE]
    assert job.warnings == ("identify warns", "render warns", "detect warns", "personalize warns", "verify warns")
