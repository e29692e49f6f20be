"""How long the desk waits, and what the process that delivers is made of."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any, cast

import httpx
import pytest

from compose.servers import HOST, free_port
from shared import broker
from shared.settings import Settings
from shared.store.webhooks.deliveries import Collected, DeliveryStore
from worker.webhooks.app import create_app
from worker.webhooks.delivery_worker import DeliveryWorker, pause_s
from worker.webhooks.resolver import Resolver
from worker.webhooks.sender import Sender

SETTINGS = Settings(broker_url="memory://", webhook_slots=3)


class Deliveries:
    """The calls of the records that a delivery worker makes to send messages."""

    def __init__(self, *found: Collected) -> None:
        self.found = list(found)
        self.asked_for: list[int] = []
        self.waited_s: list[float] = []

    def collect(self, most: int) -> Collected:
        self.asked_for.append(most)
        return self.found.pop(0)

    def wait_for_notification(self, timeout_s: float) -> None:
        self.waited_s.append(timeout_s)


def desk(deliveries: Deliveries, prefix: str, **changed: str) -> tuple[DeliveryWorker, Any]:
    settings = SETTINGS.model_copy(update={"key_prefix": prefix, **changed})
    app = create_app(settings)
    post = Sender(
        destinations=settings.webhook_destinations,
        tls=httpx.create_ssl_context(),
        timeout_s=1.0,
        resolve=Resolver(1),
    )
    return DeliveryWorker(app, cast("DeliveryStore", deliveries), settings, post), app


def stopped() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def test_due_deliveries_are_sent_on_their_own_queue() -> None:
    deliveries = Deliveries(Collected(ids=("one", "two"), next_s=None))
    made, app = desk(deliveries, "desk-sends")
    made.tick(stopped())
    with app.connection_for_read() as connection:
        queue: Any = connection.SimpleQueue("desk-sends.webhooks")
        messages = [queue.get(block=False).payload[0] for _ in range(queue.qsize())]
        queue.close()
    assert messages == [["one"], ["two"]]
    assert deliveries.asked_for == [3]
    assert deliveries.waited_s == []


@pytest.mark.parametrize(("next_s", "waits_s"), [(None, 1.0), (0.3, 0.3), (500.0, 1.0), (-5.0, 0.02)])
def test_when_nothing_is_due_it_waits_for_the_bell_or_for_what_comes_next(next_s: float | None, waits_s: float) -> None:
    deliveries = Deliveries(Collected(ids=(), next_s=next_s))
    desk(deliveries, "desk-waits")[0].tick(stopped())
    assert deliveries.waited_s == [waits_s]


def test_a_message_that_the_broker_does_not_take_does_not_end_the_process() -> None:
    nobody = f"redis://{HOST}:{free_port()}/0"
    deliveries = Deliveries(Collected(ids=("one",), next_s=None))
    made, _ = desk(deliveries, "desk-away", broker_url=nobody)
    made.tick(stopped())
    assert deliveries.asked_for == [3]


def test_pauses_grow_by_four_up_to_eight_hours_and_differ_by_chance() -> None:
    for tries, middle_s in enumerate((5.0, 20.0, 80.0, 320.0, 1280.0, 5120.0, 20_480.0, 28_800.0, 28_800.0), 1):
        drawn = [pause_s(tries, first_s=5.0) for _ in range(50)]
        assert all(0.8 * middle_s <= one <= 1.2 * middle_s for one in drawn)
        assert len(set(drawn)) > 40
    assert pause_s(10_000, first_s=5.0) <= 1.2 * 28_800


def test_a_day_holds_about_ten_tries() -> None:
    day_s, tries, spent_s = Settings().webhook_give_up_s, 1, 0.0
    while spent_s < day_s:
        spent_s += min(5.0 * 4.0 ** (tries - 1), 28_800.0)
        tries += 1
    assert 9 <= tries <= 11


def test_the_process_has_threads_for_its_slots_and_only_its_own_queue() -> None:
    app = create_app(SETTINGS)
    assert (app.conf.worker_pool, app.conf.worker_concurrency) == ("threads", 3)
    assert list(app.amqp.queues) == ["troupe.webhooks"]
    assert "troupe.webhooks" not in broker.queue_names(SETTINGS, "all")
    assert app.conf.worker_disable_prefetch


def test_the_process_loads_no_model_library() -> None:
    program = (
        "import sys, worker.webhooks.app\n"
        "worker.webhooks.app.create_app(__import__('shared.settings').settings.Settings())\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'cv2', 'numpy', 'fastapi', 'boto3'} & set(sys.modules)))\n"
    )
    seen = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert seen.stdout.strip() == "[]"
