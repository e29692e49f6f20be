"""Deliveries by the real process: many at once, past dead receivers, through kills and outages of everything."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from compose.processes import Processes, Program, Running
from shared.broker import WORKER_ARGS
from shared.settings import Settings
from shared.webhook import Delivery, DeliveryStatus, Outcome
from tests.support.api_server import api_server, environment_of
from tests.support.receiver import Answer, Receiver, receiver
from tests.support.servers import redis_server
from tests.support.webhook_records import SECRET, WebhookRecords

PATIENCE_S = 60.0
# As in production, only sooner.
_QUICK = {
    "webhook_origins": "http:*",
    "webhook_networks": "127.0.0.0/8",
    "webhook_timeout_s": 2.0,
    "webhook_retry_s": 0.1,
}


@dataclass(kw_only=True)
class WebhookHarness(WebhookRecords):
    """The records, and the processes that deliver."""

    processes: Processes
    deliverers: list[Running] = field(default_factory=list)

    def start_deliverer(self) -> Running:
        """Starts one; it need not be waited for."""
        program = Program(
            name=f"webhooks-{len(self.deliverers)}",
            command=[sys.executable, "-m", "celery", "-A", "worker.webhooks.app", "worker", *WORKER_ARGS],
            environment=environment_of(self.settings),
            grace_s=20.0,
        )
        self.deliverers.append(self.processes.start(program))
        return self.deliverers[-1]

    def until(self, what: str, true: Callable[[], bool]) -> None:
        """Returns when it is true; fails with the end of the logs when it never is."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline, f"no {what}\n" + "\n".join(one.tail() for one in self.deliverers)
            time.sleep(0.02)

    def only(self, webhook_id: str) -> Delivery:
        """The one delivery of a webhook."""
        [delivery] = self.log_of(webhook_id)
        return delivery

    def wait_for_status(self, webhook_id: str, status: DeliveryStatus) -> Delivery:
        """The one delivery of a webhook once it has this status."""
        self.until(f"{status} delivery", lambda: self.only(webhook_id).status is status)
        return self.only(webhook_id)


def quick(settings: Settings) -> Settings:
    return Settings.model_validate({**settings.model_dump(exclude_unset=True), **_QUICK})


@pytest.fixture
def harness(settings: Settings, tmp_path: Path) -> Iterator[WebhookHarness]:
    """Without a deliverer."""
    with Processes(tmp_path / "logs") as processes:
        made = WebhookHarness(settings=quick(settings), processes=processes)
        yield made
        made.close()


@pytest.fixture
def post(harness: WebhookHarness) -> WebhookHarness:
    """With one."""
    harness.start_deliverer()
    return harness


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def test_a_job_that_ends_is_heard_of_signed_and_once(post: WebhookHarness, other: Receiver) -> None:
    webhook = post.add_webhook(url=other.url)
    job = post.finish_a_job()
    delivery = post.wait_for_status(webhook, DeliveryStatus.DELIVERED)
    [request] = other.received
    message = Verifier(SECRET).verify(request.body, request.headers)
    assert (message["type"], message["data"]["id"]) == ("job.succeeded", job.id)
    assert request.headers["webhook-id"] == delivery.message


def test_what_is_refused_is_tried_again_with_the_same_id_until_it_is_accepted(
    post: WebhookHarness, other: Receiver
) -> None:
    other.answer = lambda _: Answer(status=500 if len(other.received) < 4 else 200)
    webhook = post.add_webhook(url=other.url)
    post.end_a_job()
    delivery = post.wait_for_status(webhook, DeliveryStatus.DELIVERED)
    assert len({request.headers["webhook-id"] for request in other.received}) == 1
    assert len({request.body for request in other.received}) == 1
    outcomes = [attempt.outcome for attempt in delivery.attempts.values()]
    assert outcomes == [Outcome.REFUSED] * 3 + [Outcome.ACCEPTED]
    # 0.1 s, 0.4 s, 1.6 s, each a fifth more or less.
    pauses = [later.at - earlier.at for earlier, later in zip(other.received, other.received[1:], strict=False)]
    assert [pause > least for pause, least in zip(pauses, (0.08, 0.32, 1.28), strict=True)] == [True] * 3


def test_retry_after_is_obeyed(post: WebhookHarness, other: Receiver) -> None:
    other.answer = lambda _: Answer(status=429, headers={"Retry-After": "2"}) if len(other.received) < 2 else Answer()
    post.add_webhook(url=other.url)
    post.end_a_job()
    first, second = other.wait_for(2)
    assert second.at - first.at >= 2.0


def test_410_disables_the_webhook(post: WebhookHarness, other: Receiver) -> None:
    other.answer = lambda _: Answer(status=410)
    webhook = post.add_webhook(url=other.url)
    post.end_a_job()
    post.wait_for_status(webhook, DeliveryStatus.FAILED)
    found = post.webhooks(lambda store: store.get("default", webhook))
    assert found is not None
    assert found.disabled_at is not None
    post.end_a_job()
    assert len(post.log_of(webhook)) == 1
    assert len(other.received) == 1


def test_a_private_address_is_never_asked(harness: WebhookHarness, other: Receiver) -> None:
    harness.settings = harness.settings.model_copy(update={"webhook_networks": "203.0.113.0/24"})
    harness.start_deliverer()
    webhook = harness.add_webhook(url=other.url.replace("127.0.0.1", "localhost"))
    harness.end_a_job()
    harness.until("an attempt", lambda: bool(harness.only(webhook).attempts))
    assert {one.outcome for one in harness.only(webhook).attempts.values()} == {Outcome.ADDRESS_NOT_ALLOWED}
    assert other.received == []


def test_receivers_that_hang_delay_nobody_else(post: WebhookHarness, other: Receiver) -> None:
    with receiver() as dead:
        dead.answer = lambda _: Answer(hang=True)
        for _ in range(10):
            post.add_webhook("crowd", url=dead.url)
        webhook = post.add_webhook("quiet", url=other.url)
        for _ in range(40):
            post.end_a_job("crowd")
        dead.wait_for(16)
        began = time.monotonic()
        post.end_a_job("quiet")
        other.wait_for(1)
        took_s = time.monotonic() - began
        assert took_s < 1.5
        assert post.only(webhook).attempts.keys() <= {1}
        # However many webhooks the tenant has, and however much waits.
        assert dead.most_busy <= 16


def test_a_slow_receiver_is_sent_several_at_once_and_each_message_once(post: WebhookHarness, other: Receiver) -> None:
    other.answer = lambda _: Answer(delay_s=0.1)
    webhook = post.add_webhook(url=other.url)
    for _ in range(30):
        post.end_a_job()
    post.until("all", lambda: all(one.status is DeliveryStatus.DELIVERED for one in post.log_of(webhook)))
    assert len({request.headers["webhook-id"] for request in other.received}) == len(other.received) == 30
    assert 2 <= other.most_busy <= 8


def test_a_deliverer_killed_in_mid_flight_loses_nothing(harness: WebhookHarness, other: Receiver) -> None:
    other.answer = lambda _: Answer(hang=len(other.received) == 1)
    webhook = harness.add_webhook(url=other.url)
    killed = harness.start_deliverer()
    harness.end_a_job()
    other.wait_for(1)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.process.wait()
    harness.processes.stop(killed)
    assert harness.only(webhook).status is DeliveryStatus.WAITING
    # Nobody else may have it before the lease is over.
    harness.start_deliverer()
    harness.end_leases(webhook)
    delivery = harness.wait_for_status(webhook, DeliveryStatus.DELIVERED)
    assert [one.outcome for one in delivery.attempts.values()] == [Outcome.LOST, Outcome.ACCEPTED]
    assert len({request.headers["webhook-id"] for request in other.received}) == 1


def test_a_deliverer_that_is_asked_to_stop_finishes_what_is_under_way(harness: WebhookHarness, other: Receiver) -> None:
    other.answer = lambda _: Answer(delay_s=0.5)
    webhook = harness.add_webhook(url=other.url)
    asked = harness.start_deliverer()
    harness.end_a_job()
    other.wait_for(1)
    asked.ask_to_stop()
    assert asked.process.wait(PATIENCE_S) == 0
    harness.processes.stop(asked)
    assert harness.only(webhook).status is DeliveryStatus.DELIVERED


def test_two_deliverers_share_the_work_and_send_nothing_twice(harness: WebhookHarness, other: Receiver) -> None:
    for _ in range(2):
        harness.start_deliverer()
    webhooks = [harness.add_webhook(f"t{number}", url=other.url) for number in range(6)]
    for _ in range(20):
        for number in range(6):
            harness.end_a_job(f"t{number}")
    requests = other.wait_for(120)
    done = [one for webhook in webhooks for one in harness.log_of(webhook)]
    harness.until(
        "all", lambda: all(one.status is DeliveryStatus.DELIVERED for w in webhooks for one in harness.log_of(w))
    )
    assert len({request.headers["webhook-id"] for request in requests}) == len(done) == len(other.received) == 120


def test_what_was_told_before_redis_was_killed_is_delivered_after_it(
    settings: Settings, tmp_path: Path, other: Receiver
) -> None:
    with redis_server(tmp_path / "own") as server, Processes(tmp_path / "logs") as processes:
        own = settings.model_copy(update={"redis_url": server.url})
        harness = WebhookHarness(settings=quick(own), processes=processes)
        other.answer = lambda _: Answer(status=503 if len(other.received) == 1 else 200)
        webhook = harness.add_webhook(url=other.url)
        harness.start_deliverer()
        harness.end_a_job()
        other.wait_for(1)
        # Until it is on the disk: a crash may cost the last second.
        harness.redis.execute_command("WAITAOF", 1, 0, 5000)
        server.kill()
        server.start()
        harness.wait_for_status(webhook, DeliveryStatus.DELIVERED)
        # The process that outlived the outage hears of what comes after it.
        heard = len(other.received)
        harness.end_a_job()
        other.wait_for(heard + 1)
        harness.close()


def test_a_log_names_no_address_and_no_secret(post: WebhookHarness, other: Receiver) -> None:
    webhook = post.add_webhook(url=f"{other.url}?token=hush")
    post.end_a_job()
    post.wait_for_status(webhook, DeliveryStatus.DELIVERED)
    log = post.deliverers[0].log.read_text()
    assert "delivery_made" in log
    assert "hush" not in log
    assert SECRET.removeprefix("whsec_") not in log
    line = next(json.loads(text) for text in log.splitlines() if '"delivery_made"' in text)
    assert (line["outcome"], line["webhook_id"], line["status"]) == ("accepted", webhook, "delivered")


def test_over_http_a_secret_is_changed_and_a_message_replayed(
    harness: WebhookHarness, s3_url: str, tmp_path: Path, other: Receiver
) -> None:
    harness.start_deliverer()
    with api_server(harness.settings, tmp_path / "api") as server, server.client() as client:
        webhook = client.post("/v1/webhooks", json={"url": other.url, "events": ["job.canceled"]}).json()
        address = f"/v1/webhooks/{webhook['id']}"
        secrets = [webhook["secret"], client.post(f"{address}/rotate").json()["secret"]]
        job_id = harness.end_a_job()
        [first] = other.wait_for(1)
        for secret in secrets:
            assert Verifier(secret).verify(first.body, first.headers)["data"]["id"] == job_id
        harness.until("a delivery", lambda: harness.only(webhook["id"]).status is DeliveryStatus.DELIVERED)
        secrets.append(client.post(f"{address}/rotate", json={"old_valid_s": 0}).json()["secret"])
        client.post(f"{address}/deliveries/{harness.only(webhook['id']).id}/replay")
        _, again = other.wait_for(2)
        assert again.headers["webhook-id"] == first.headers["webhook-id"]
        assert again.body == first.body
        assert Verifier(secrets[2]).verify(again.body, again.headers)
        for secret in secrets[:2]:
            with pytest.raises(WebhookVerificationError):
                Verifier(secret).verify(again.body, again.headers)
