"""When a worker counts as stuck, and when it only has nothing to do, with real messages on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from celery import Celery

from shared import broker
from shared.settings import Settings
from shared.stages import Stage
from shared.store.queue.values import DispatchedJob
from tests.support.fakes import no_stages
from tests.support.queue_records import Records
from tests.support.servers import redis_server
from worker.app import create_app
from worker.queue.stuck import StuckDetector

NAME = "detection@here.7"
STUCK_AFTER_S, LOOK_EVERY_S = 60.0, 5.0


@dataclass(kw_only=True)
class Worker:
    """A worker of detection that takes nothing, with a clock and a count of messages that the test sets."""

    settings: Settings
    now_s: float = 1000.0
    taken: int = 0
    may_take: bool = True
    detector: StuckDetector = field(init=False)
    records: Records = field(init=False)
    app: Celery = field(init=False)

    def __post_init__(self) -> None:
        self.settings = self.settings.model_copy(update={"role": "detection", "stuck_after_s": STUCK_AFTER_S})
        self.records = Records(settings=self.settings)
        self.app = create_app(self.settings, no_stages)
        self.detector = StuckDetector(
            self.app,
            self.records.queue_store,
            self.settings,
            NAME,
            clock=lambda: self.now_s,
            taken=lambda: self.taken,
        )

    def send(self, stage: Stage = Stage.IDENTIFY) -> None:
        """A message for the queue of this stage."""
        broker.send_job(self.app, self.settings, DispatchedJob(job_id="a job", stage=stage, has_priority=True))

    def is_stuck_within(self, seconds: float) -> bool:
        """Whether it was found stuck at one of the checks of the next seconds."""
        for _ in range(int(seconds / LOOK_EVERY_S)):
            self.now_s += LOOK_EVERY_S
            if self.detector.is_stuck(may_take=self.may_take):
                return True
        return False

    def close(self) -> None:
        self.app.close()
        self.records.close()


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    made = Worker(settings=settings)
    yield made
    made.close()


def test_a_worker_that_lets_a_message_wait_and_works_on_nothing_is_stuck_in_the_end(worker: Worker) -> None:
    worker.send()
    assert not worker.is_stuck_within(STUCK_AFTER_S)
    assert worker.is_stuck_within(10)


def test_a_worker_without_messages_is_not_stuck(worker: Worker) -> None:
    worker.send(Stage.RENDER)
    assert not worker.is_stuck_within(3 * STUCK_AFTER_S)


def test_a_worker_that_works_on_a_job_is_not_stuck(worker: Worker) -> None:
    worker.records.claimed(worker=NAME)
    worker.send()
    assert not worker.is_stuck_within(3 * STUCK_AFTER_S)


def test_that_another_worker_works_is_no_excuse(worker: Worker) -> None:
    worker.records.claimed(worker="detection@there.7")
    worker.send()
    assert worker.is_stuck_within(STUCK_AFTER_S + 10)


def test_a_worker_that_took_a_message_meanwhile_is_not_stuck(worker: Worker) -> None:
    worker.send()
    for _ in range(3):
        assert not worker.is_stuck_within(STUCK_AFTER_S - 10)
        worker.taken += 1


def test_a_worker_that_may_not_take_messages_is_not_stuck(worker: Worker) -> None:
    worker.send()
    worker.may_take = False
    assert not worker.is_stuck_within(3 * STUCK_AFTER_S)


def test_after_an_outage_it_has_all_the_time_again(settings: Settings, tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        worker = Worker(settings=settings.model_copy(update={"redis_url": server.url}))
        worker.send()
        assert not worker.is_stuck_within(STUCK_AFTER_S - 10)
        worker.records.redis.waitaof(1, 0, 10_000)
        server.kill()
        assert not worker.is_stuck_within(10)
        server.start()
        assert not worker.is_stuck_within(STUCK_AFTER_S)
        assert worker.is_stuck_within(10)
        worker.close()
