"""A picture that falls short is drawn again from another seed, and the best is kept, whatever happens meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

from shared.job import Job
from shared.stages import SEEDED_STAGES, Stage
from tests.faults.conftest import SharedWorkers
from tests.support.queue_harness import QueueHarness

# Sooner than the reaper publishes a lost message again.
SOON_S = 8.0


def scores(job: Job) -> list[float | None]:
    return [one.verification.min_identity for one in job.tries]


def check_kept(job: Job, number: int) -> None:
    """The job has all that this try left, and nothing of another."""
    kept = job.tries[number]
    assert (job.picture, job.verification) == (kept.picture, kept.verification)
    assert {stage.value: digest for stage, digest in job.outputs.items()} == kept.outputs
    assert [one.seed for one in job.tries] == list(range(len(job.tries)))


def stages(harness: QueueHarness, job_id: str) -> Counter[Stage]:
    return Counter(run.stage for run in harness.runs(job_id))


def test_a_picture_that_falls_short_is_drawn_again_at_once_and_faces_are_not_read_again(
    shared_workers: SharedWorkers,
) -> None:
    harness = shared_workers.harness
    started_s = time.monotonic()
    job_id = harness.submit("identity=0.3,0.8,0.9", min_identity=0.5, max_tries=4)
    job = harness.wait_until_done(job_id)
    assert time.monotonic() - started_s < SOON_S
    assert (job.status, scores(job)) == ("succeeded", [0.3, 0.8])
    check_kept(job, 1)
    assert stages(harness, job_id) == {Stage.IDENTIFY: 1, **dict.fromkeys(SEEDED_STAGES, 2)}


def test_of_tries_that_all_fall_short_the_best_is_kept(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    job = harness.wait_until_done(harness.submit("identity=0.2,0.4,0.3", min_identity=0.5, max_tries=3))
    assert (job.status, scores(job)) == ("succeeded", [0.2, 0.4, 0.3])
    check_kept(job, 1)
    assert harness.blobs.get(job.picture or "") is not None


def test_one_try_is_all_unless_more_are_asked_for(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    job = harness.check_one_picture(harness.submit("identity=0.2", min_identity=0.5))
    assert job.tries == ()
    assert job.verification is not None
    assert job.verification.min_identity == 0.2


def test_a_worker_killed_while_it_verifies_costs_no_try(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    job_id = harness.submit("identity=0.3,0.8 verify=wait", min_identity=0.5, max_tries=2)
    first = harness.wait_for_run(job_id, Stage.VERIFY)
    os.kill(first.pid, signal.SIGKILL)
    harness.wait_for_run(job_id, Stage.VERIFY, attempt=first.attempt + 1)
    harness.unblock(job_id)
    job = harness.wait_until_done(job_id)
    assert (job.status, scores(job)) == ("succeeded", [0.3, 0.8])
    check_kept(job, 1)


def test_jobs_that_share_their_work_decide_each_for_itself(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    asked = [0.1, 0.5, 0.5, 0.9]
    jobs = [
        harness.submit("share=tries identity=0.3,0.6,0.7 render=wait", min_identity=least, max_tries=3)
        for least in asked
    ]
    harness.until("a maker", lambda: any(stages(harness, job_id)[Stage.RENDER] for job_id in jobs))
    for job_id in jobs:
        harness.unblock(job_id)
    done = [harness.wait_until_done(job_id) for job_id in jobs]
    assert [scores(job) for job in done] == [[0.3], [0.3, 0.6], [0.3, 0.6], [0.3, 0.6, 0.7]]
    for job in done:
        check_kept(job, len(job.tries) - 1)
    assert sum((stages(harness, job_id) for job_id in jobs), Counter()) == {
        Stage.IDENTIFY: 1,
        **dict.fromkeys(SEEDED_STAGES, 3),
    }
