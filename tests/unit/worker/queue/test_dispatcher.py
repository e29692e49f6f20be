from __future__ import annotations

import threading
from typing import Any

from shared import broker
from shared.stages import Stage
from shared.store.queue.dispatch import MOST_AT_ONCE
from shared.store.queue.values import DispatchedJob
from tests.support.fakes import FakeQueueStore, app, queue_store
from worker.queue.dispatcher import Dispatcher

ONE = DispatchedJob(job_id="one", stage=Stage.RENDER, has_priority=True)


def tick(fake: FakeQueueStore, prefix: str) -> Dispatcher:
    celery, settings = app(prefix)
    dispatcher = Dispatcher(celery, queue_store(fake), settings, "me")
    stop = threading.Event()
    stop.set()
    dispatcher.tick(stop)
    return dispatcher


def messages(prefix: str) -> int:
    celery, settings = app(prefix)
    with celery.connection_for_read() as connection:
        queue: Any = connection.SimpleQueue(broker.queue_name(settings, Stage.RENDER))
        count = int(queue.qsize())
        queue.close()
    return count


def test_dispatched_jobs_are_sent() -> None:
    fake = FakeQueueStore(dispatched=[ONE])
    tick(fake, "dispatch-one")
    assert messages("dispatch-one") == 1
    assert fake.waited == 1


def test_places_are_twice_the_slots_that_can_take_jobs() -> None:
    fake = FakeQueueStore(slots=3)
    tick(fake, "dispatch-places")
    assert fake.asked_for == [6]


def test_slots_are_not_counted_for_every_job() -> None:
    fake = FakeQueueStore(slots=1)
    dispatcher = tick(fake, "dispatch-count")
    fake.slots = 5
    dispatcher.tick(threading.Event())
    assert fake.asked_for == [2, 2]


def test_a_process_that_may_not_dispatch_sends_nothing_and_takes_no_notification() -> None:
    fake = FakeQueueStore(dispatched=None)
    tick(fake, "dispatch-none")
    assert fake.waited == 0


def test_a_full_portion_is_followed_by_the_next_one_at_once() -> None:
    fake = FakeQueueStore(dispatched=[ONE] * MOST_AT_ONCE)
    tick(fake, "dispatch-many")
    assert fake.waited == 0
    assert messages("dispatch-many") == MOST_AT_ONCE


class Clockwork(threading.Event):
    """Records how long the dispatcher wanted to pause, and ends the pause at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses_s.append(timeout or 0.0)
        return False


def test_a_job_that_comes_after_a_quiet_time_waits_for_no_pause() -> None:
    celery, settings = app("dispatch-quiet")
    dispatcher, stop = Dispatcher(celery, queue_store(FakeQueueStore()), settings, "me"), Clockwork()
    dispatcher.tick(stop)
    assert stop.pauses_s == [0.0]


def test_many_notifications_with_nothing_to_dispatch_do_not_keep_the_dispatcher_busy() -> None:
    celery, settings = app("dispatch-flood")
    dispatcher, stop = Dispatcher(celery, queue_store(FakeQueueStore()), settings, "me"), Clockwork()
    for _ in range(2):
        dispatcher.tick(stop)
    assert 0.0 < stop.pauses_s[1] <= 0.02
