from __future__ import annotations

from typing import Any

from shared import broker
from shared.stages import STAGES, Stage
from shared.store.queue.values import DispatchedJob, Sweep
from tests.support.fakes import FakeQueueStore, app, queue_store
from worker.queue.reaper import Reaper


def test_lost_messages_are_published_again() -> None:
    celery, settings = app("reaper-send")
    lost = DispatchedJob(job_id="one", stage=Stage.DETECT, has_priority=False)
    Reaper(celery, queue_store(FakeQueueStore(found=Sweep(redispatched=(lost,)))), settings).sweep()
    with celery.connection_for_read() as connection:
        queue: Any = connection.SimpleQueue(broker.queue_name(settings, Stage.DETECT))
        assert queue.get(block=False).headers["task"] == broker.TASK_OF[Stage.DETECT]
        queue.close()


def test_the_messages_of_every_stage_are_counted() -> None:
    celery, settings = app("reaper-count")
    broker.send_job(celery, settings, DispatchedJob(job_id="one", stage=Stage.RENDER, has_priority=True))
    fake = FakeQueueStore()
    Reaper(celery, queue_store(fake), settings).sweep()
    assert fake.counted is not None
    assert [one.stage for one in fake.counted] == list(STAGES)
    assert [(one.queue, one.messages) for one in fake.counted] == [
        ("detection", 0),
        ("generation", 1),
        ("detection", 0),
        ("generation", 1),
        ("detection", 0),
    ]


def test_nothing_is_counted_out_of_turn() -> None:
    celery, settings = app("reaper-turn")
    fake = FakeQueueStore(turn=False)
    Reaper(celery, queue_store(fake), settings).sweep()
    assert fake.counted is None
