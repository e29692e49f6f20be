"""What is told, to whom, when it is tried again, and what a lost worker or a disabled webhook changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.app import create_app
from shared.job import Failure
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.webhooks.deliveries import DeliveryLease
from shared.webhook import MAX_WEBHOOKS, Attempt, DeliveryStatus, Event, Outcome
from tests.support.webhook_records import URL, WebhookRecords
from worker.webhooks.sender import body_of


@pytest.fixture
def records(settings: Settings) -> Iterator[WebhookRecords]:
    made = WebhookRecords(settings=settings)
    yield made
    made.close()


def test_a_job_that_ends_is_told_to_every_webhook_of_its_tenant(records: WebhookRecords) -> None:
    first, second, foreign = records.add_webhook(), records.add_webhook(), records.add_webhook("someone")
    job = records.finish_a_job()
    told = records.log_of(first) + records.log_of(second)
    assert [one.kind for one in told] == ["job.succeeded"] * 2
    assert len({one.message for one in told}) == 1
    assert len({one.id for one in told}) == 2
    assert json.loads(told[0].data) == {
        "id": job.id,
        "status": "succeeded",
        "lane": "interactive",
        "batch": None,
        "line": None,
        "attempt": len(STAGES),
        "error": None,
    }
    assert records.log_of(foreign) == []


def test_a_failed_and_a_canceled_job_are_told_with_the_reason(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    claim = records.claimed()
    failure = Failure(code="no_face", message='no face in "photo" 1', retryable=False, stage=Stage.IDENTIFY)
    records.jobs.fail(claim.job.id, claim.attempt, failure)
    records.end_a_job()
    canceled, failed = records.log_of(webhook)
    assert (canceled.kind, failed.kind) == ("job.canceled", "job.failed")
    assert json.loads(failed.data)["error"] == failure.model_dump(mode="json")


def test_what_is_told_is_what_the_document_says(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.finish_a_job()
    claim = records.claimed()
    failure = Failure(code="no_face", message="no face", retryable=False, stage=Stage.IDENTIFY)
    records.jobs.fail(claim.job.id, claim.attempt, failure)
    long = records.claimed()
    records.jobs.fail(long.job.id, long.attempt, failure.model_copy(update={"message": "x" * 20_000}))
    records.webhooks(lambda store: store.test("default", webhook))
    document = create_app(records.settings).openapi()
    told = records.log_of(webhook)
    assert {one.kind for one in told} == {"job.succeeded", "job.failed", "webhook.test"}
    for one in told:
        schema = document["webhooks"][one.kind]["post"]["requestBody"]["content"]["application/json"]["schema"]
        whole = {"components": document["components"], "allOf": [schema]}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(json.loads(body_of(one)))


def test_a_webhook_hears_only_what_it_asked_for(records: WebhookRecords) -> None:
    webhook = records.add_webhook(events=[Event.JOB_FAILED, Event.BATCH_FAILED])
    records.finish_a_job()
    assert records.log_of(webhook) == []


def test_a_tenant_without_webhooks_leaves_nothing_behind(records: WebhookRecords) -> None:
    records.finish_a_job()
    names = {key.split(":")[1] for key in records.redis.scan_iter(f"{records.settings.key_prefix}:*")}
    assert not names & {"webhook", "webhooks", "deliveries", "delivery", "due", "delivering", "webhook_schedule"}


def test_a_message_too_long_to_tell_says_what_to_ask_for(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    claim = records.claimed()
    failure = Failure(code="no_face", message="x" * 20_000, retryable=False, stage=Stage.IDENTIFY)
    records.jobs.fail(claim.job.id, claim.attempt, failure)
    assert json.loads(records.log_of(webhook)[0].data) == {"id": claim.job.id}


def test_a_delivery_is_collected_once_and_claimed_by_one(records: WebhookRecords) -> None:
    records.add_webhook()
    records.end_a_job()
    [delivery_id] = records.collect()
    assert records.collect() == []
    delivery_lease = records.deliveries.claim(delivery_id, token="mine")
    assert delivery_lease is not None
    assert (delivery_lease.attempt, delivery_lease.tries, delivery_lease.webhook.url) == (1, 1, URL)
    assert records.deliveries.claim(delivery_id, token="other") is None
    assert records.deliveries.claim(delivery_id, token="mine") == delivery_lease


def test_a_delivery_that_nobody_collected_cannot_be_claimed(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.end_a_job()
    assert records.deliveries.claim(records.log_of(webhook)[0].id, token="mine") is None


def test_a_delivered_message_is_over_and_its_log_says_how(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.end_a_job()
    [delivery_id] = records.collect()
    assert records.attempt(delivery_id) == "delivered"
    [delivery] = records.log_of(webhook)
    assert (delivery.status, delivery.due_at) == (DeliveryStatus.DELIVERED, None)
    assert [attempt.outcome for attempt in delivery.attempts.values()] == [Outcome.ACCEPTED]
    assert records.deliveries.collect(10).next_s is None


def test_what_did_not_arrive_waits_for_its_pause(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.end_a_job()
    [delivery_id] = records.collect()
    assert records.attempt(delivery_id, Outcome.TIMED_OUT, pause_s=100.0) == "waiting"
    collected = records.deliveries.collect(10)
    assert collected.ids == ()
    assert collected.next_s == pytest.approx(100.0, abs=5.0)
    records.make_due(webhook)
    assert records.collect() == [delivery_id]
    assert records.claimed_delivery(delivery_id).tries == 2


def test_what_did_not_arrive_for_a_day_has_failed(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.end_a_job()
    [delivery_id] = records.collect()
    day_ago = records.log_of(webhook)[0].created_at - 86_400
    records.redis.hset(f"{records.settings.key_prefix}:delivery:{delivery_id}", "since", str(day_ago))
    assert records.attempt(delivery_id, Outcome.REFUSED) == "failed"
    assert records.log_of(webhook)[0].status is DeliveryStatus.FAILED


def test_the_last_try_is_when_the_day_is_over(records: WebhookRecords) -> None:
    records.add_webhook()
    records.end_a_job()
    [delivery_id] = records.collect()
    records.attempt(delivery_id, Outcome.REFUSED, pause_s=10 * 86_400.0)
    assert records.deliveries.collect(1).next_s == pytest.approx(86_400, abs=5.0)


def test_a_receiver_that_wants_quiet_gets_it_for_all_its_deliveries(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.end_a_job()
    [delivery_id] = records.collect()
    records.attempt(delivery_id, Outcome.REFUSED, asked_s=1000.0)
    records.end_a_job()
    collected = records.deliveries.collect(10)
    assert collected.ids == ()
    assert collected.next_s == pytest.approx(1000.0, abs=5.0)
    assert records.log_of(webhook)[1].due_at == pytest.approx(records.log_of(webhook)[1].created_at + 1000, abs=5.0)


def test_a_receiver_cannot_ask_for_quiet_for_ever(records: WebhookRecords) -> None:
    records.add_webhook()
    records.end_a_job()
    [delivery_id] = records.collect()
    records.attempt(delivery_id, Outcome.REFUSED, asked_s=1e12)
    assert records.deliveries.collect(10).next_s == pytest.approx(86_400, abs=5.0)


def test_a_webhook_that_is_gone_is_disabled_and_goes_on_when_it_is_enabled(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    for _ in range(2):
        records.end_a_job()
    gone, other = records.collect()
    assert records.attempt(gone, Outcome.GONE) == "failed"
    assert records.attempt(other, Outcome.REFUSED) == "waiting"
    records.end_a_job()
    assert len(records.log_of(webhook)) == 2
    records.make_due(webhook)
    assert records.collect() == []
    assert records.webhooks(lambda store: store.test("default", webhook)) == "off"
    assert records.webhooks(lambda store: store.enable("default", webhook))
    assert records.collect() == [other]


def test_a_delivery_whose_message_got_lost_is_due_again(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.end_a_job()
    ids = records.collect()
    records.end_leases(webhook)
    assert records.collect() == ids
    assert records.claimed_delivery(ids[0]).attempt == 1


def test_a_delivery_whose_worker_died_is_made_by_another_and_the_first_has_no_say(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.end_a_job()
    [delivery_id] = records.collect()
    dead = records.claimed_delivery(delivery_id)
    records.end_leases(webhook)
    assert records.collect() == [delivery_id]
    alive = records.claimed_delivery(delivery_id)
    assert alive.delivery.message == dead.delivery.message
    assert settle(records, dead) == "lost"
    assert settle(records, alive) == "delivered"
    assert settle(records, alive) == "lost"
    outcomes = [attempt.outcome for attempt in records.log_of(webhook)[0].attempts.values()]
    assert outcomes == [Outcome.LOST, Outcome.ACCEPTED]


def test_a_webhook_takes_a_few_at_once_and_one_at_a_time_while_it_fails(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    for _ in range(20):
        records.end_a_job()
    batch = records.collect()
    assert len(batch) == 8
    records.attempt(batch[0], Outcome.NOT_CONNECTED)
    for delivery_id in batch[1:]:
        records.attempt(delivery_id, Outcome.NOT_CONNECTED)
    [probe] = records.collect()
    assert records.collect() == []
    records.attempt(probe)
    assert len(records.collect()) == 8
    records.make_due(webhook)


def test_a_tenants_webhooks_together_leave_room_for_everybody_elses(records: WebhookRecords) -> None:
    webhooks = [records.add_webhook("crowd") for _ in range(5)]
    records.add_webhook("quiet")
    for _ in range(10):
        records.end_a_job("crowd")
    taken = records.collect()
    assert len(taken) == 16
    assert records.collect() == []
    records.end_a_job("quiet")
    assert len(records.collect()) == 1
    # A place that comes free goes to whichever of them waits.
    records.attempt(taken[0])
    assert len(records.collect()) == 1
    holder = records.claimed_delivery(taken[1]).webhook.id
    held: Any = records.redis.zcard(f"{records.settings.key_prefix}:delivering:{holder}")
    records.webhooks(lambda store: store.drop("crowd", holder))
    assert len(records.collect()) == held > 1
    # So does one whose holder was lost.
    for webhook in webhooks:
        records.end_leases(webhook)
    assert len(records.collect()) == 16


def test_webhooks_take_turns(records: WebhookRecords) -> None:
    crowd, quiet = records.add_webhook("crowd"), records.add_webhook("quiet")
    for _ in range(20):
        records.end_a_job("crowd")
    records.end_a_job("quiet")
    first, second = records.collect(1), records.collect(1)
    owners = [records.claimed_delivery(delivery_id).webhook.id for delivery_id in (*first, *second)]
    assert owners == [crowd, quiet]


def test_the_oldest_deliveries_are_forgotten_when_there_are_too_many(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    prefix = records.settings.key_prefix
    records.end_a_job()
    [oldest] = records.log_of(webhook)
    fillers = {f"filler-{number}": oldest.created_at + 0.0001 for number in range(9_999)}
    records.redis.zadd(f"{prefix}:deliveries:{webhook}", fillers)
    records.end_a_job()
    assert records.redis.zcard(f"{prefix}:deliveries:{webhook}") == 10_000
    assert records.redis.exists(f"{prefix}:delivery:{oldest.id}") == 0
    assert records.collect() == [records.log_of(webhook)[0].id]


def test_a_replay_sends_the_same_message_with_a_day_before_it(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.end_a_job()
    [delivery_id] = records.collect()
    first = records.claimed_delivery(delivery_id)
    assert replay(records, "default", webhook, delivery_id) == "ok"
    assert records.collect() == []
    settle(records, first)
    assert replay(records, "default", webhook, delivery_id) == "ok"
    assert records.collect() == [delivery_id]
    again = records.claimed_delivery(delivery_id)
    assert (again.attempt, again.tries, again.delivery.message) == (2, 1, first.delivery.message)


def test_another_tenants_webhook_is_not_there(records: WebhookRecords) -> None:
    webhook = records.add_webhook("mine")
    records.end_a_job("mine")
    [delivery] = records.log_of(webhook)
    assert records.webhooks(lambda store: store.get("other", webhook)) is None
    assert records.webhooks(lambda store: store.all_of("other")) == []
    assert records.webhooks(lambda store: store.test("other", webhook)) is None
    assert not records.webhooks(lambda store: store.enable("other", webhook))
    assert not records.webhooks(lambda store: store.rotate("other", webhook, secret="whsec_eA==", old_valid_s=1))
    assert not records.webhooks(lambda store: store.drop("other", webhook))
    assert replay(records, "other", webhook, delivery.id) is None
    own = records.add_webhook("other")
    assert replay(records, "other", own, delivery.id) is None
    assert records.webhooks(lambda store: store.delivery(own, delivery.id)) is None


def test_a_dropped_webhook_takes_everything_with_it(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    for _ in range(3):
        records.end_a_job()
    held = records.claimed_delivery(records.collect()[0])
    assert records.webhooks(lambda store: store.drop("default", webhook))
    assert settle(records, held) == "lost"
    left = {key.split(":")[1] for key in records.redis.scan_iter(f"{records.settings.key_prefix}:*")}
    assert not left & {"webhook", "webhooks", "deliveries", "delivery", "due", "posting", "post"}


def test_a_tenant_has_a_bounded_number_of_webhooks(records: WebhookRecords) -> None:
    for _ in range(MAX_WEBHOOKS):
        records.add_webhook()
    assert not records.webhooks(lambda store: store.add("one-more", "default", url=URL, events=(), secret="whsec_eA=="))


def test_two_secrets_are_valid_until_the_old_one_ends(records: WebhookRecords) -> None:
    webhook = records.add_webhook()
    records.webhooks(lambda store: store.rotate("default", webhook, secret="whsec_bmV3", old_valid_s=100))
    found = records.webhooks(lambda store: store.get("default", webhook))
    assert found is not None
    assert found.old_secret is not None
    assert found.secret.get_secret_value() == "whsec_bmV3"
    records.webhooks(lambda store: store.rotate("default", webhook, secret="whsec_bmV3Mg==", old_valid_s=0))
    found = records.webhooks(lambda store: store.get("default", webhook))
    assert found is not None
    assert found.old_secret is None


def settle(records: WebhookRecords, delivery_lease: DeliveryLease) -> str:
    return records.deliveries.settle(
        delivery_lease, Attempt(at=1.0, outcome=Outcome.ACCEPTED), pause_s=1.0, asked_s=None
    )


def replay(records: WebhookRecords, tenant: str, webhook_id: str, delivery_id: str) -> str | None:
    return records.webhooks(lambda store: store.replay(tenant, webhook_id, delivery_id))
