"""The way to Redis breaks, or a message comes twice or not at all: nothing is lost and nothing is done twice."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from compose.processes import Running
from shared import broker
from shared.stages import STAGES, Stage
from shared.store.queue.values import DispatchedJob
from tests.faults.conftest import WORKERS, SharedWorkers
from tests.support.fault_stages import load_stages
from tests.support.queue_harness import QueueHarness
from worker.app import create_app

_PAGE = os.sysconf("SC_PAGESIZE")


def test_cut_connections_disturb_no_job(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    running, waiting = harness.submit("render=wait"), [harness.submit() for _ in range(3)]
    harness.wait_for_run(running, Stage.RENDER)
    assert harness.cut_connections() > 2 * WORKERS
    for job_id in waiting:
        harness.wait_until_done(job_id)
    assert harness.cut_connections() > 2 * WORKERS
    harness.unblock(running)
    job = harness.check_one_picture(running)
    assert job.attempt == len(STAGES)
    for job_id in waiting:
        harness.check_one_picture(job_id)


def test_redis_restarted_in_the_middle_of_a_job_loses_nothing(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    running, waiting = harness.submit("personalize=wait"), harness.submit("identify=wait")
    harness.wait_for_run(running, Stage.PERSONALIZE)
    harness.wait_for_run(waiting, Stage.IDENTIFY)
    harness.redis.waitaof(1, 0, 10_000)
    shared_workers.redis.kill()
    shared_workers.redis.start()
    harness.unblock(running)
    harness.unblock(waiting)
    harness.check_one_picture(running)
    harness.check_one_picture(waiting)
    # And the workers take new jobs.
    harness.check_one_picture(harness.submit())


def test_a_connection_that_breaks_in_the_middle_of_an_executors_answer_leaves_no_worker_stuck(
    harness: QueueHarness,
) -> None:
    [worker] = harness.start_workers("all")
    job_id = cut_an_answer_in_two(harness, worker)
    harness.check_one_picture(job_id)
    harness.check_one_picture(harness.submit())


def test_a_worker_that_is_stuck_for_any_reason_ends_itself_and_says_so(harness: QueueHarness) -> None:
    # With Celery's own pool, which gets stuck by the cut.
    worker = harness.start_worker(app="tests.support.forgetful_app", stuck_after_s=3.0)
    harness.until("a ready worker", harness.ready)
    cut_an_answer_in_two(harness, worker)
    job_id = harness.submit()
    harness.until("its end", lambda: worker.process.poll() is not None)
    assert [line["level"] for line in harness.log_lines() if line["event"] == "worker_stuck"] == ["error"]
    harness.stop_worker(worker)
    harness.start_workers("all")
    harness.check_one_picture(job_id)


def cut_an_answer_in_two(harness: QueueHarness, worker: Running) -> str:
    """Runs a job; the worker's connections break when its supervisor has read half of the executor's answer."""
    job_id = harness.submit("verify=wait")
    executor = harness.wait_for_run(job_id, Stage.VERIFY).pid
    connected = times_connected(harness)
    with ExitStack() as frozen, narrow_pipes(executor) as fullest:
        # The executor writes as much of its answer as the pipe holds; the supervisor reads it and loses its connection.
        os.kill(worker.pid, signal.SIGSTOP)
        frozen.callback(os.kill, worker.pid, signal.SIGCONT)
        harness.unblock(job_id)
        harness.until("a full pipe", lambda: fullest() >= _PAGE)
        os.kill(executor, signal.SIGSTOP)
        frozen.callback(os.kill, executor, signal.SIGCONT)
        os.kill(worker.pid, signal.SIGCONT)
        harness.until("an empty pipe", lambda: fullest() == 0)
        harness.cut_connections()
        harness.until("a new connection", lambda: times_connected(harness) > connected)
    return job_id


def test_workers_that_redis_forgot_take_jobs_again(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    # As after an outage that outlasts the expiry of a worker's facts.
    harness.redis.delete(*harness.redis.scan_iter(f"{harness.settings.key_prefix}:worker*"))
    harness.check_one_picture(harness.submit())
    harness.until("both workers", lambda: len(harness.ready()) == WORKERS)


def test_a_message_that_comes_twice_runs_once(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    job_id = harness.submit("render=wait")
    run = harness.wait_for_run(job_id, Stage.RENDER)
    for stage in (Stage.IDENTIFY, Stage.RENDER, Stage.PERSONALIZE):
        publish_by_hand(harness, job_id, stage)
    harness.until("three refusals", lambda: len(refusals(harness, job_id)) == 3)
    harness.unblock(job_id)
    job = harness.check_one_picture(job_id)
    publish_by_hand(harness, job_id, Stage.PERSONALIZE)
    harness.until("a fourth refusal", lambda: "over" in refusals(harness, job_id))
    assert harness.jobs.get(job_id) == job
    assert len(harness.runs(job_id)) == len(STAGES)
    assert run.attempt == 2


def test_a_message_that_got_lost_is_published_again(shared_workers: SharedWorkers) -> None:
    harness = shared_workers.harness
    busy = [harness.submit("identify=wait") for _ in range(WORKERS)]
    for job_id in busy:
        harness.wait_for_run(job_id, Stage.IDENTIFY)
    lost = harness.submit()
    queue = f"{harness.settings.key_prefix}:celery:{broker.queue_name(harness.settings, Stage.IDENTIFY)}"
    harness.until("the message", lambda: harness.redis.llen(queue))
    harness.redis.delete(queue)
    harness.make_older("dispatched", lost, 60.0)
    for job_id in busy:
        harness.unblock(job_id)
    for job_id in (*busy, lost):
        harness.check_one_picture(job_id)
    assert [line["job_id"] for line in harness.log_lines() if line["event"] == "message_lost"][-1] == lost


def times_connected(harness: QueueHarness) -> int:
    """How often Celery's consumers have connected to the broker."""
    return sum(str(line["event"]).startswith("Connected to ") for line in harness.log_lines())


@contextmanager
def narrow_pipes(pid: int) -> Iterator[Callable[[], int]]:
    """Makes a process' pipes hold two pages, less than an answer that ends a chain; gives how much the fullest has."""
    with ExitStack() as opened:
        pipes = []
        for link in Path(f"/proc/{pid}/fd").iterdir():
            if str(link.readlink()).startswith("pipe:"):
                pipes.append(os.open(link, os.O_RDONLY | os.O_NONBLOCK))
                opened.callback(os.close, pipes[-1])
                fcntl.fcntl(pipes[-1], fcntl.F_SETPIPE_SZ, 2 * _PAGE)

        def bytes_waiting(pipe: int) -> int:
            [waiting] = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
            return int(waiting)

        yield lambda: max(bytes_waiting(pipe) for pipe in pipes)


def publish_by_hand(harness: QueueHarness, job_id: str, stage: Stage) -> None:
    """One more message for a job, as a broker may deliver it."""
    app = create_app(harness.settings, load_stages)
    broker.send_job(app, harness.settings, DispatchedJob(job_id=job_id, stage=stage, has_priority=True))
    app.close()


def refusals(harness: QueueHarness, job_id: str) -> list[object]:
    """Why claims of this job were rejected."""
    rejected = [line for line in harness.log_lines() if line["event"] == "claim_rejected"]
    return [line["reason"] for line in rejected if line["job_id"] == job_id]
