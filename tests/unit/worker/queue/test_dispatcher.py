from __future__ import annotations

import threading
from typing import Any

from shared import broker
from shared.stages import Stage
from shared.store.queue.dispatch import MOST_AT_ONCE
from shared.store.queue.values import DispatchedJob
from tests.support.fakes import FakeQueueStore, app, fleet
from worker.queue.dispatcher import Dispatcher

ONE = DispatchedJob(job_id="one", stage=Stage.RENDER, has_priority=True)


def tick(parents: FakeQueueStore, prefix: str) -> Dispatcher:
    celery, settings = app(prefix)
    pump = Dispatcher(celery, fleet(parents), settings, "me")
    stop = threading.Event()
    stop.set()
    pump.tick(stop)
    return pump


def messages(prefix: str) -> int:
    celery, settings = app(prefix)
    with celery.connection_for_read() as connection:
        queue: Any = connection.SimpleQueue(broker.queue_name(settings, Stage.RENDER))
        count = int(queue.qsize())
        queue.close()
    return count


def test_what_is_handed_out_is_rung() -> None:
    parents = FakeQueueStore(rings=[ONE])
    tick(parents, "pump-one")
    assert messages("pump-one") == 1
    assert parents.waited == 1


def test_places_are_twice_the_slots_that_can_take_jobs() -> None:
    parents = FakeQueueStore(slots=3)
    tick(parents, "pump-places")
    assert parents.asked_for == [6]


def test_slots_are_not_counted_for_every_job() -> None:
    parents = FakeQueueStore(slots=1)
    pump = tick(parents, "pump-count")
    parents.slots = 5
    pump.tick(threading.Event())
    assert parents.asked_for == [2, 2]


def test_whoever_does_not_pump_neither_rings_nor_takes_the_bell_away() -> None:
    parents = FakeQueueStore(rings=None)
    tick(parents, "pump-none")
    assert parents.waited == 0


def test_a_full_portion_is_followed_by_the_next_one_at_once() -> None:
    parents = FakeQueueStore(rings=[ONE] * MOST_AT_ONCE)
    tick(parents, "pump-many")
    assert parents.waited == 0
    assert messages("pump-many") == MOST_AT_ONCE


class Clockwork(threading.Event):
    """Notes how long the pump wanted to pause, and lets it go on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses_s.append(timeout or 0.0)
        return False


def test_a_job_that_comes_after_a_quiet_time_waits_for_no_pause() -> None:
    celery, settings = app("pump-quiet")
    pump, stop = Dispatcher(celery, fleet(FakeQueueStore()), settings, "me"), Clockwork()
    pump.tick(stop)
    assert stop.pauses_s == [0.0]


def test_a_flood_of_bells_with_nothing_to_hand_out_does_not_keep_the_pump_spinning() -> None:
    celery, settings = app("pump-flood")
    pump, stop = Dispatcher(celery, fleet(FakeQueueStore()), settings, "me"), Clockwork()
    for _ in range(2):
        pump.tick(stop)
    assert 0.0 < stop.pauses_s[1] <= 0.02
