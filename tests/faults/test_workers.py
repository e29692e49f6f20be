"""A whole worker goes, by force or when it is asked to: its job goes on elsewhere."""

from __future__ import annotations

import time
from pathlib import Path

from shared.settings import Settings
from shared.stages import Stage
from tests.faults.conftest import WorkerRegistry
from tests.support.queue_rig import Rig, rig


def test_a_worker_killed_with_its_child_loses_its_job_to_another(crew: WorkerRegistry) -> None:
    stand = crew.rig
    job_id = stand.submit("personalize=wait")
    first = stand.wait_for_run(job_id, Stage.PERSONALIZE)
    stand.kill_worker(stand.worker_of(first))
    again = stand.wait_for_run(job_id, Stage.PERSONALIZE, attempt=first.attempt + 1)
    assert again.pid != first.pid
    stand.let_go(job_id)
    job = stand.check_one_picture(job_id)
    # And then the picture is verified.
    assert job.attempt == again.attempt + 1


def test_with_default_settings_a_lost_job_runs_again_within_45_s(settings: Settings, tmp_path: Path) -> None:
    with rig(settings, tmp_path) as stand:
        stand.start_workers("all", "all")
        job_id = stand.submit("render=wait")
        first = stand.wait_for_run(job_id, Stage.RENDER)
        killed_s = time.monotonic()
        stand.kill_worker(stand.worker_of(first))
        stand.wait_for_run(job_id, Stage.RENDER, attempt=first.attempt + 1)
        assert time.monotonic() - killed_s < 45
        stand.let_go(job_id)
        stand.check_one_picture(job_id)


def test_a_worker_that_drains_gives_its_job_back_and_it_goes_first_elsewhere(crew: WorkerRegistry) -> None:
    stand = crew.rig
    job_id, other = stand.submit("render=wait"), stand.submit("identify=wait")
    first = stand.wait_for_run(job_id, Stage.RENDER)
    stand.wait_for_run(other, Stage.IDENTIFY)
    newer = [stand.submit("identify=wait") for _ in range(5)]
    draining = stand.worker_of(first)
    stand.stop_worker(draining)
    assert draining.process.returncode == 0
    job = stand.jobs.get(job_id)
    assert (job.status, job.stage, job.attempt) == ("queued", Stage.RENDER, first.attempt)
    # Given back on purpose, so it is no loss.
    assert "losses" not in stand.fields(job_id)
    for busy in (other, *newer):
        stand.let_go(busy)
    stand.wait_for_run(job_id, Stage.RENDER, attempt=first.attempt + 1)
    # Jobs that were in Celery's hands already may come before it; those that still waited may not.
    assert stand.runs(newer[-1]) == []
    stand.let_go(job_id)
    for every in (job_id, other, *newer):
        stand.check_one_picture(every)


def test_a_job_goes_through_workers_of_two_roles(stand: Rig) -> None:
    stand.start_workers("detection", "generation")
    job_id = stand.submit()
    job = stand.check_one_picture(job_id)
    runs = {run.stage: run.pid for run in stand.runs(job_id)}
    assert runs[Stage.IDENTIFY] == runs[Stage.DETECT] != runs[Stage.RENDER] == runs[Stage.PERSONALIZE]
    assert job.warnings == ("identify warns", "render warns", "detect warns", "personalize warns", "verify warns")
