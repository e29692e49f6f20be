"""Jobs that need the same work, with real workers: it is done once, whatever happens to the one that does it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence

from shared.job import Job
from shared.stages import STAGES, Stage
from tests.faults.conftest import SharedWorkers
from tests.support.queue_harness import QueueHarness, Run


def made(harness: QueueHarness, jobs: Sequence[str]) -> Counter[Stage]:
    """How often each stage was made, over all jobs."""
    return Counter(run.stage for job_id in jobs for run in harness.runs(job_id))


def wait_for_maker(harness: QueueHarness, jobs: Sequence[str], stage: Stage) -> tuple[str, Run]:
    """The job that makes the stage, and its run."""

    def found() -> tuple[str, Run] | None:
        runs = [(job_id, run) for job_id in jobs for run in harness.runs(job_id) if run.stage is stage]
        return max(runs, key=lambda one: one[1].attempt, default=None)

    return harness.until(f"a maker of {stage.value}", found)


def wait_until_parked(harness: QueueHarness, jobs: Sequence[str]) -> None:
    """All but the maker wait, and none of them holds a worker."""

    def parked() -> bool:
        return sum(harness.where(job_id) == ["waiting"] for job_id in jobs) == len(jobs) - 1

    harness.until("parked jobs", parked)


def check_all_done(harness: QueueHarness, jobs: Sequence[str]) -> list[Job]:
    """Every job has the one picture."""
    done = [harness.wait_until_done(job_id) for job_id in jobs]
    assert {job.status for job in done} == {"succeeded"}
    assert len({job.picture for job in done}) == 1
    harness.until("quiet", harness.is_quiet)
    assert [harness.jobs.get(job.id) for job in done] == done
    return done


def test_twenty_equal_jobs_make_each_stage_once(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    jobs = [harness.submit("share=twenty render=wait") for _ in range(20)]
    maker, _ = wait_for_maker(harness, jobs, Stage.RENDER)
    wait_until_parked(harness, jobs)
    # They hold nobody up.
    assert harness.wait_until_done(harness.submit()).status == "succeeded"
    harness.unblock(maker)
    done = check_all_done(harness, jobs)
    assert made(harness, jobs) == dict.fromkeys(STAGES, 1)
    saved = Counter(stage for job in done for stage in job.reused)
    assert saved == dict.fromkeys(STAGES, 19)


def test_a_killed_maker_is_followed_by_another(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    jobs = [harness.submit("share=killed render=wait") for _ in range(5)]
    _, run = wait_for_maker(harness, jobs, Stage.RENDER)
    wait_until_parked(harness, jobs)
    os.kill(run.pid, signal.SIGKILL)
    harness.until("a second maker", lambda: made(harness, jobs)[Stage.RENDER] == 2)
    for job_id in jobs:
        harness.unblock(job_id)
    check_all_done(harness, jobs)
    assert made(harness, jobs) == {**dict.fromkeys(STAGES, 1), Stage.RENDER: 2}


def test_a_maker_whose_machine_goes_is_followed_when_its_lease_is_over(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    jobs = [harness.submit("share=gone personalize=wait") for _ in range(5)]
    _, run = wait_for_maker(harness, jobs, Stage.PERSONALIZE)
    wait_until_parked(harness, jobs)
    harness.kill_worker(harness.worker_of(run))
    harness.until("a second maker", lambda: made(harness, jobs)[Stage.PERSONALIZE] == 2)
    for job_id in jobs:
        harness.unblock(job_id)
    check_all_done(harness, jobs)


def test_a_maker_that_is_taken_back_passes_the_work_on(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    jobs = [harness.submit("share=canceled render=wait") for _ in range(5)]
    maker, _ = wait_for_maker(harness, jobs, Stage.RENDER)
    wait_until_parked(harness, jobs)
    harness.cancel(maker)
    assert harness.wait_until_done(maker).status == "canceled"
    others = [job_id for job_id in jobs if job_id != maker]
    wait_for_maker(harness, others, Stage.RENDER)
    for job_id in others:
        harness.unblock(job_id)
    check_all_done(harness, others)
    assert made(harness, jobs)[Stage.RENDER] == 2


def test_what_fails_for_its_maker_fails_for_all(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    jobs = [harness.submit("share=refused render=no_face_when_let_go") for _ in range(5)]
    maker, _ = wait_for_maker(harness, jobs, Stage.RENDER)
    wait_until_parked(harness, jobs)
    harness.unblock(maker)
    failed = [harness.wait_until_done(job_id) for job_id in jobs]
    assert {job.status for job in failed} == {"failed"}
    assert {job.error.code for job in failed if job.error} == {"no_face"}
    assert made(harness, jobs)[Stage.RENDER] == 1


def test_an_outage_is_waited_out_together(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    jobs = [harness.submit("share=outage identify=outage_first") for _ in range(5)]
    check_all_done(harness, jobs)
