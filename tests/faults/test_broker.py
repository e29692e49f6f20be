"""The way to Redis breaks, or a doorbell rings twice or not at all: nothing is lost and nothing is done twice."""

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
from tests.faults.conftest import CREW, WorkerRegistry
from tests.support.fault_stages import load_stages
from tests.support.queue_rig import Rig
from worker.app import create_app

_PAGE = os.sysconf("SC_PAGESIZE")


def test_cut_connections_disturb_no_job(crew: WorkerRegistry) -> None:
    stand = crew.rig
    running, waiting = stand.submit("render=wait"), [stand.submit() for _ in range(3)]
    stand.wait_for_run(running, Stage.RENDER)
    assert stand.cut_connections() > 2 * CREW
    for job_id in waiting:
        stand.wait_until_done(job_id)
    assert stand.cut_connections() > 2 * CREW
    stand.let_go(running)
    job = stand.check_one_picture(running)
    assert job.attempt == len(STAGES)
    for job_id in waiting:
        stand.check_one_picture(job_id)


def test_redis_restarted_in_the_middle_of_a_job_loses_nothing(crew: WorkerRegistry) -> None:
    stand = crew.rig
    running, waiting = stand.submit("personalize=wait"), stand.submit("identify=wait")
    stand.wait_for_run(running, Stage.PERSONALIZE)
    stand.wait_for_run(waiting, Stage.IDENTIFY)
    stand.redis.waitaof(1, 0, 10_000)
    crew.redis.kill()
    crew.redis.start()
    stand.let_go(running)
    stand.let_go(waiting)
    stand.check_one_picture(running)
    stand.check_one_picture(waiting)
    # And the workers take new jobs.
    stand.check_one_picture(stand.submit())


def test_a_connection_that_breaks_in_the_middle_of_a_childs_answer_leaves_no_worker_deaf(stand: Rig) -> None:
    [worker] = stand.start_workers("all")
    job_id = cut_an_answer_in_two(stand, worker)
    stand.check_one_picture(job_id)
    stand.check_one_picture(stand.submit())


def test_a_worker_that_is_deaf_for_whatever_reason_ends_itself_and_says_so(stand: Rig) -> None:
    # With Celery's own pool, which the cut makes deaf.
    worker = stand.start_worker(app="tests.support.forgetful_app", stuck_after_s=3.0)
    stand.until("a ready worker", stand.ready)
    cut_an_answer_in_two(stand, worker)
    job_id = stand.submit()
    stand.until("its end", lambda: worker.process.poll() is not None)
    assert [line["level"] for line in stand.log_lines() if line["event"] == "worker_deaf"] == ["error"]
    stand.stop_worker(worker)
    stand.start_workers("all")
    stand.check_one_picture(job_id)


def cut_an_answer_in_two(stand: Rig, worker: Running) -> str:
    """Runs a job; the worker's connections break when its parent has read half of what its child answers at the end."""
    job_id = stand.submit("verify=wait")
    child = stand.wait_for_run(job_id, Stage.VERIFY).pid
    connected = times_connected(stand)
    with ExitStack() as frozen, narrow_pipes(child) as fullest:
        # The child writes as much of its answer as the pipe holds, the parent reads that, and loses its connection.
        os.kill(worker.pid, signal.SIGSTOP)
        frozen.callback(os.kill, worker.pid, signal.SIGCONT)
        stand.let_go(job_id)
        stand.until("a full pipe", lambda: fullest() >= _PAGE)
        os.kill(child, signal.SIGSTOP)
        frozen.callback(os.kill, child, signal.SIGCONT)
        os.kill(worker.pid, signal.SIGCONT)
        stand.until("an empty pipe", lambda: fullest() == 0)
        stand.cut_connections()
        stand.until("a new connection", lambda: times_connected(stand) > connected)
    return job_id


def test_workers_that_redis_forgot_take_jobs_again(crew: WorkerRegistry) -> None:
    stand = crew.rig
    # As after an outage that outlasts the expiry of a worker's facts.
    stand.redis.delete(*stand.redis.scan_iter(f"{stand.settings.key_prefix}:worker*"))
    stand.check_one_picture(stand.submit())
    stand.until("both workers", lambda: len(stand.ready()) == CREW)


def test_a_doorbell_that_rings_twice_is_answered_once(crew: WorkerRegistry) -> None:
    stand = crew.rig
    job_id = stand.submit("render=wait")
    run = stand.wait_for_run(job_id, Stage.RENDER)
    for stage in (Stage.IDENTIFY, Stage.RENDER, Stage.PERSONALIZE):
        ring_by_hand(stand, job_id, stage)
    stand.until("three refusals", lambda: len(refusals(stand, job_id)) == 3)
    stand.let_go(job_id)
    job = stand.check_one_picture(job_id)
    ring_by_hand(stand, job_id, Stage.PERSONALIZE)
    stand.until("a fourth refusal", lambda: "over" in refusals(stand, job_id))
    assert stand.jobs.get(job_id) == job
    assert len(stand.runs(job_id)) == len(STAGES)
    assert run.attempt == 2


def test_a_doorbell_that_got_lost_is_rung_again(crew: WorkerRegistry) -> None:
    stand = crew.rig
    busy = [stand.submit("identify=wait") for _ in range(CREW)]
    for job_id in busy:
        stand.wait_for_run(job_id, Stage.IDENTIFY)
    lost = stand.submit()
    queue = f"{stand.settings.key_prefix}:celery:{broker.queue_name(stand.settings, Stage.IDENTIFY)}"
    stand.until("the doorbell", lambda: stand.redis.llen(queue))
    stand.redis.delete(queue)
    stand.make_older("dispatched", lost, 60.0)
    for job_id in busy:
        stand.let_go(job_id)
    for job_id in (*busy, lost):
        stand.check_one_picture(job_id)
    assert [line["job_id"] for line in stand.log_lines() if line["event"] == "doorbell_lost"][-1] == lost


def times_connected(stand: Rig) -> int:
    """How often Celery's consumers have connected to the broker."""
    return sum(str(line["event"]).startswith("Connected to ") for line in stand.log_lines())


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


def ring_by_hand(stand: Rig, job_id: str, stage: Stage) -> None:
    """One more doorbell for a job, as a broker may deliver it."""
    app = create_app(stand.settings, load_stages)
    broker.ring(app, stand.settings, DispatchedJob(job_id=job_id, stage=stage, has_priority=True))
    app.close()


def refusals(stand: Rig, job_id: str) -> list[object]:
    """Why doorbells of this job were turned away."""
    turned_away = [line for line in stand.log_lines() if line["event"] == "doorbell_turned_away"]
    return [line["why"] for line in turned_away if line["job_id"] == job_id]
