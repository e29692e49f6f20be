from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from shared.errors import JobCanceled, LeaseLost, WorkerDraining
from shared.settings import Settings
from shared.store.queue.values import Claim, Renewal
from tests.support.fakes import (
    ATTEMPT,
    QUICK,
    FakeJobStore,
    job,
    store,
)
from worker.queue.lease import Lease

PATIENCE_S = 30.0


def lease(jobs: FakeJobStore, *, settings: Settings = QUICK, on_stall: Callable[[], None] = lambda: None) -> Lease:
    claim = Claim(job=job(), attempt=ATTEMPT)
    return Lease(store(jobs), claim, worker="worker", settings=settings, on_stall=on_stall)


def until(found: Callable[[], bool]) -> None:
    """Waits for what a thread does; fails when it never does it."""
    tick = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if found():
            return
        tick.wait(0.01)
    pytest.fail(f"not seen in {PATIENCE_S:.0f} s")


def test_a_lease_is_renewed_while_the_stage_works() -> None:
    jobs = FakeJobStore()
    with lease(jobs):
        until(lambda: len(jobs.said) >= 3)
    assert set(jobs.said) == {"renew"}


def test_nothing_is_renewed_once_the_stage_is_over() -> None:
    with lease(FakeJobStore()):
        during = threading.active_count()
    assert threading.active_count() < during


@pytest.mark.parametrize(
    ("renewal", "error"),
    [(Renewal.CANCELED, JobCanceled), (Renewal.DRAINING, WorkerDraining), (Renewal.LOST, LeaseLost)],
)
def test_the_first_step_tells_why_to_stop(renewal: Renewal, error: type[Exception]) -> None:
    with lease(FakeJobStore(renewal=renewal)) as held, pytest.raises(error):
        held.on_step(0, 10)


def test_a_word_heard_between_two_looks_stops_the_next_step() -> None:
    jobs = FakeJobStore()
    with lease(jobs) as held:
        held.on_step(0, 10)
        jobs.renewal = Renewal.CANCELED
        heard = len(jobs.said)
        until(lambda: len(jobs.said) > heard + 1)
        with pytest.raises(JobCanceled):
            held.on_step(1, 10)


def test_progress_is_written_at_most_so_often() -> None:
    jobs = FakeJobStore()
    with lease(jobs) as held:
        for step in range(100):
            held.on_step(step, 100)
    assert jobs.progress == [(0, 100)]


def test_progress_is_written_again_after_a_while() -> None:
    jobs = FakeJobStore()
    settings = QUICK.model_copy(update={"progress_every_s": 1e-6})
    with lease(jobs, settings=settings) as held:

        def step_on() -> bool:
            held.on_step(len(jobs.progress), 100)
            return len(jobs.progress) >= 3

        until(step_on)
    assert jobs.progress[:3] == [(0, 100), (1, 100), (2, 100)]


def test_the_work_goes_on_through_an_outage_without_asking_at_every_step() -> None:
    jobs = FakeJobStore(outages=10**6)
    settings = QUICK.model_copy(update={"renew_every_s": 1000.0})
    with lease(jobs, settings=settings) as held:
        for step in range(1000):
            held.on_step(step, 1000)
    assert jobs.said == []
    assert 10**6 - jobs.outages < 10


def test_a_step_that_somebody_watches_can_show_its_picture_once_a_second() -> None:
    jobs = FakeJobStore(renewal=Renewal.PREVIEW)
    with lease(jobs) as held:
        show = held.on_step(3, 100)
        assert show is not None
        show(b"jpeg")
        assert [held.on_step(step, 100) for step in range(4, 100)] == [None] * 96
    assert jobs.words == ["show 3"]


def test_nobody_watches_and_nothing_is_shown() -> None:
    with lease(FakeJobStore()) as held:
        assert held.on_step(3, 100) is None


def test_a_picture_that_cannot_be_shown_stops_nothing() -> None:
    jobs = FakeJobStore(renewal=Renewal.PREVIEW)
    with lease(jobs, settings=QUICK.model_copy(update={"renew_every_s": 1000.0})) as held:
        show = held.on_step(3, 100)
        assert show is not None
        jobs.outages = 1
        show(b"jpeg")
    assert jobs.words == []


def test_progress_that_an_outage_swallowed_is_written_later() -> None:
    jobs = FakeJobStore(outages=1)
    settings = QUICK.model_copy(update={"renew_every_s": 1000.0})
    with lease(jobs, settings=settings) as held:

        def step_on() -> bool:
            held.on_step(5, 100)
            return bool(jobs.progress)

        until(step_on)


def test_a_stage_that_makes_no_step_is_given_up_and_no_longer_renewed() -> None:
    stalled = threading.Event()
    jobs = FakeJobStore()
    settings = QUICK.model_copy(update={"stall_s": 0.05})
    with lease(jobs, settings=settings, on_stall=stalled.set) as held:
        assert stalled.wait(PATIENCE_S)
        held._thread.join(PATIENCE_S)
        assert not held._thread.is_alive()


def test_steps_keep_a_slow_stage_from_being_given_up() -> None:
    stalled = threading.Event()
    jobs = FakeJobStore()
    settings = QUICK.model_copy(update={"stall_s": 5.0})
    with lease(jobs, settings=settings, on_stall=stalled.set) as held:

        def step_on() -> bool:
            held.on_step(1, 2)
            return len(jobs.said) > 20

        until(step_on)
    assert not stalled.is_set()


def test_the_pace_is_that_of_the_steps_after_the_first() -> None:
    with lease(FakeJobStore()) as held:
        assert held.pace == (0, 0.0)
        for step in (3, 4, 7):
            held.on_step(step, 9)
        steps, seconds = held.pace
    assert steps == 4
    assert seconds > 0
