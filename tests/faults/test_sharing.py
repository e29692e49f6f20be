"""Jobs that need the same work, with real workers: it is done once, whatever happens to the one that does it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence

from shared.job import Job
from shared.stages import STAGES, Stage
from tests.faults.conftest import WorkerRegistry
from tests.support.queue_rig import Rig, Run


def made(stand: Rig, jobs: Sequence[str]) -> Counter[Stage]:
    """How often each stage was made, over all jobs."""
    return Counter(run.stage for job_id in jobs for run in stand.runs(job_id))


def wait_for_maker(stand: Rig, jobs: Sequence[str], stage: Stage) -> tuple[str, Run]:
    """The job that makes the stage, and its run."""

    def found() -> tuple[str, Run] | None:
        runs = [(job_id, run) for job_id in jobs for run in stand.runs(job_id) if run.stage is stage]
        return max(runs, key=lambda one: one[1].attempt, default=None)

    return stand.until(f"a maker of {stage.value}", found)


def wait_until_parked(stand: Rig, jobs: Sequence[str]) -> None:
    """All but the maker wait, and none of them holds a worker."""

    def parked() -> bool:
        return sum(stand.where(job_id) == ["waiting"] for job_id in jobs) == len(jobs) - 1

    stand.until("parked jobs", parked)


def check_all_done(stand: Rig, jobs: Sequence[str]) -> list[Job]:
    """Every job has the one picture."""
    done = [stand.wait_until_done(job_id) for job_id in jobs]
    assert {job.status for job in done} == {"succeeded"}
    assert len({job.picture for job in done}) == 1
    stand.until("quiet", stand.is_quiet)
    assert [stand.jobs.get(job.id) for job in done] == done
    return done


def test_twenty_equal_jobs_make_each_stage_once(crew: WorkerRegistry) -> None:
    stand = crew.rig
    jobs = [stand.submit("share=twenty render=wait") for _ in range(20)]
    maker, _ = wait_for_maker(stand, jobs, Stage.RENDER)
    wait_until_parked(stand, jobs)
    # They hold nobody up.
    assert stand.wait_until_done(stand.submit()).status == "succeeded"
    stand.let_go(maker)
    done = check_all_done(stand, jobs)
    assert made(stand, jobs) == dict.fromkeys(STAGES, 1)
    saved = Counter(stage for job in done for stage in job.reused)
    assert saved == dict.fromkeys(STAGES, 19)


def test_a_killed_maker_is_followed_by_another(crew: WorkerRegistry) -> None:
    stand = crew.rig
    jobs = [stand.submit("share=killed render=wait") for _ in range(5)]
    _, run = wait_for_maker(stand, jobs, Stage.RENDER)
    wait_until_parked(stand, jobs)
    os.kill(run.pid, signal.SIGKILL)
    stand.until("a second maker", lambda: made(stand, jobs)[Stage.RENDER] == 2)
    for job_id in jobs:
        stand.let_go(job_id)
    check_all_done(stand, jobs)
    assert made(stand, jobs) == {**dict.fromkeys(STAGES, 1), Stage.RENDER: 2}


def test_a_maker_whose_machine_goes_is_followed_when_its_lease_is_over(crew: WorkerRegistry) -> None:
    stand = crew.rig
    jobs = [stand.submit("share=gone personalize=wait") for _ in range(5)]
    _, run = wait_for_maker(stand, jobs, Stage.PERSONALIZE)
    wait_until_parked(stand, jobs)
    stand.kill_worker(stand.worker_of(run))
    stand.until("a second maker", lambda: made(stand, jobs)[Stage.PERSONALIZE] == 2)
    for job_id in jobs:
        stand.let_go(job_id)
    check_all_done(stand, jobs)


def test_a_maker_that_is_taken_back_passes_the_work_on(crew: WorkerRegistry) -> None:
    stand = crew.rig
    jobs = [stand.submit("share=canceled render=wait") for _ in range(5)]
    maker, _ = wait_for_maker(stand, jobs, Stage.RENDER)
    wait_until_parked(stand, jobs)
    stand.cancel(maker)
    assert stand.wait_until_done(maker).status == "canceled"
    others = [job_id for job_id in jobs if job_id != maker]
    wait_for_maker(stand, others, Stage.RENDER)
    for job_id in others:
        stand.let_go(job_id)
    check_all_done(stand, others)
    assert made(stand, jobs)[Stage.RENDER] == 2


def test_what_fails_for_its_maker_fails_for_all(crew: WorkerRegistry) -> None:
    stand = crew.rig
    jobs = [stand.submit("share=refused render=no_face_when_let_go") for _ in range(5)]
    maker, _ = wait_for_maker(stand, jobs, Stage.RENDER)
    wait_until_parked(stand, jobs)
    stand.let_go(maker)
    failed = [stand.wait_until_done(job_id) for job_id in jobs]
    assert {job.status for job in failed} == {"failed"}
    assert {job.error.code for job in failed if job.error} == {"no_face"}
    assert made(stand, jobs)[Stage.RENDER] == 1


def test_an_outage_is_waited_out_together(crew: WorkerRegistry) -> None:
    stand = crew.rig
    jobs = [stand.submit("share=outage identify=outage_first") for _ in range(5)]
    check_all_done(stand, jobs)
