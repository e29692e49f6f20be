"""Webhooks over HTTP: what a caller may make of them, and that nobody sees another's."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from shared.webhook import MAX_WEBHOOKS, Outcome
from tests.support.api_server import ApiServer
from tests.support.webhook_records import WebhookRecords

URL = "https://example.com/troupe?token=1"


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"webhook_networks": "203.0.113.0/24"}


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
        for webhook in client.get("/v1/webhooks").json()["webhooks"]:
            client.delete(f"/v1/webhooks/{webhook['id']}")


@pytest.fixture
def records(server: ApiServer) -> Iterator[WebhookRecords]:
    made = WebhookRecords(settings=server.settings)
    yield made
    made.close()


def made(client: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = client.post("/v1/webhooks", json={"url": URL, **changes})
    assert answer.status_code == 201, answer.text
    webhook: dict[str, Any] = answer.json()
    return webhook


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), answer.text
    return body


def test_a_webhook_is_made_with_a_secret_that_is_shown_once(client: httpx.Client) -> None:
    answer = client.post("/v1/webhooks", json={"url": URL, "events": ["job.failed", "job.failed", "batch.succeeded"]})
    webhook = answer.json()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert len(base64.b64decode(webhook["secret"].removeprefix("whsec_"))) == 32
    found = client.get(answer.headers["location"])
    assert found.json() == {name: value for name, value in webhook.items() if name != "secret"}
    assert (found.json()["url"], found.json()["events"]) == (URL, ["job.failed", "batch.succeeded"])
    assert client.get("/v1/webhooks").json()["webhooks"] == [found.json()]
    assert webhook["secret"] not in client.get("/v1/webhooks").text


def test_the_same_request_with_a_key_makes_one_webhook(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first, again = (client.post("/v1/webhooks", json={"url": URL}, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert len(client.get("/v1/webhooks").json()["webhooks"]) == 1


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/", "address_not_allowed"),
        ("https://example.com:22/", "address_not_allowed"),
        ("https://127.0.0.1/", "address_not_allowed"),
        ("https://[::1]/", "address_not_allowed"),
        ("https://[::ffff:10.0.0.1]/", "address_not_allowed"),
        ("https://[64:ff9b::7f00:1]/", "address_not_allowed"),
        ("https://169.254.169.254/latest/meta-data", "address_not_allowed"),
        ("https://10.0.0.1:8443/", "address_not_allowed"),
        ("https://0177.0.0.1/", "invalid_field"),
        ("ftp://example.com/", "invalid_field"),
        ("file:///etc/passwd", "invalid_field"),
        ("https://", "invalid_field"),
        ("example.com/hook", "invalid_field"),
        ("https://user:word@example.com/", "invalid_field"),
        ("https://example.com/#part", "invalid_field"),
        ("https://example.com:99999/", "invalid_field"),
        ("https://example.com:0/", "invalid_field"),
        ("https://exa\nmple.com/", "invalid_field"),
        ("https://example.com/\r\nX-Injected: 1", "invalid_field"),
        ("https://" + "a" * 64 + ".com/", "invalid_field"),
        ("https://example.com/" + "x" * 2000, "invalid_field"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(client: httpx.Client, url: str, code: str) -> None:
    body = refused(client.post("/v1/webhooks", json={"url": url}), 422, code)
    assert body["errors"][0]["pointer"] == "/url"
    assert client.get("/v1/webhooks").json()["webhooks"] == []


def test_a_network_that_the_settings_open_may_be_named(client: httpx.Client) -> None:
    assert made(client, url="https://203.0.113.9/hook")["url"] == "https://203.0.113.9/hook"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_field"),
        ({"url": 7}, 422, "invalid_field"),
        ({"url": URL, "events": ["job.started"]}, 422, "invalid_field"),
        ({"url": URL, "events": ["job.failed"] * 50}, 422, "invalid_field"),
        ({"url": URL, "secret": "whsec_mine"}, 422, "invalid_field"),
        ([], 422, "invalid_field"),
    ],
)
def test_a_body_that_is_wrong_is_told(client: httpx.Client, body: object, status: int, code: str) -> None:
    refused(client.post("/v1/webhooks", json=body), status, code)


def test_a_body_that_is_no_json_or_too_long_is_told(client: httpx.Client) -> None:
    json_type = {"Content-Type": "application/json"}
    refused(client.post("/v1/webhooks", content=b"{", headers=json_type), 400, "malformed_body")
    refused(client.post("/v1/webhooks", content=b"\xff", headers=json_type), 400, "malformed_body")
    refused(client.post("/v1/webhooks", content=b" " * 20_000, headers=json_type), 413, "body_too_large")
    refused(client.post("/v1/webhooks", data={"url": URL}), 415, "unsupported_media")


def test_there_are_only_so_many(client: httpx.Client) -> None:
    for _ in range(MAX_WEBHOOKS):
        made(client)
    refused(client.post("/v1/webhooks", json={"url": URL}), 409, "too_many_webhooks")


def test_a_secret_is_changed_with_and_without_a_body(client: httpx.Client) -> None:
    webhook = made(client)
    address = f"/v1/webhooks/{webhook['id']}/rotate"
    rotated = client.post(address)
    assert rotated.status_code == 200
    assert rotated.json()["secret"] != webhook["secret"]
    assert rotated.json()["old_secret_until"] is not None
    at_once = client.post(address, json={"old_valid_s": 0})
    assert at_once.json()["old_secret_until"] is None
    for body in ({"old_valid_s": -1}, {"old_valid_s": 1e9}, {"old_valid_s": "soon"}):
        refused(client.post(address, json=body), 422, "invalid_field")


def test_the_log_is_read_page_by_page(client: httpx.Client, records: WebhookRecords) -> None:
    webhook = made(client)
    for _ in range(5):
        records.end_a_job()
    told = [one.id for one in records.log_of(webhook["id"])]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(f"/v1/webhooks/{webhook['id']}/deliveries", params={"limit": "2", **cursor}).json()
        seen += [one["id"] for one in page["deliveries"]]
        records.end_a_job()
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == told
    for query in ({"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"cursor": "x"}):
        refused(client.get(f"/v1/webhooks/{webhook['id']}/deliveries", params=query), 422, "invalid_field")
    nothing = client.get(f"/v1/webhooks/{webhook['id']}/deliveries", params={"cursor": "0" * 32}).json()
    assert nothing == {"deliveries": [], "next": None}


def test_the_log_shows_every_attempt_and_a_replay_starts_again(client: httpx.Client, records: WebhookRecords) -> None:
    webhook = made(client)
    sent = client.post(f"/v1/webhooks/{webhook['id']}/test")
    assert (sent.status_code, sent.json()["event"], sent.json()["status"]) == (202, "webhook.test", "waiting")
    delivery_id = sent.json()["id"]
    assert records.collect() == [delivery_id]
    records.attempt(delivery_id, Outcome.ACCEPTED)
    [delivery] = client.get(f"/v1/webhooks/{webhook['id']}/deliveries").json()["deliveries"]
    assert (delivery["status"], delivery["message_id"]) == ("delivered", sent.json()["message_id"])
    assert [(one["number"], one["outcome"]) for one in delivery["attempts"]] == [(1, "accepted")]
    again = client.post(f"/v1/webhooks/{webhook['id']}/deliveries/{delivery_id}/replay")
    assert (again.status_code, again.json()["status"]) == (202, "waiting")
    assert again.json()["message_id"] == delivery["message_id"]
    assert records.collect() == [delivery_id]


def test_a_disabled_webhook_says_so_until_it_is_enabled(client: httpx.Client, records: WebhookRecords) -> None:
    webhook = made(client)
    address = f"/v1/webhooks/{webhook['id']}"
    delivery_id = client.post(f"{address}/test").json()["id"]
    records.collect()
    records.attempt(delivery_id, Outcome.GONE)
    assert client.get(address).json()["disabled_at"] is not None
    refused(client.post(f"{address}/test"), 409, "webhook_disabled")
    refused(client.post(f"{address}/deliveries/{delivery_id}/replay"), 409, "webhook_disabled")
    assert client.post(f"{address}/enable").json()["disabled_at"] is None
    assert client.post(f"{address}/deliveries/{delivery_id}/replay").status_code == 202


def test_another_tenants_webhook_answers_as_one_that_never_was(client: httpx.Client, records: WebhookRecords) -> None:
    theirs, own = records.add_webhook("someone"), made(client)["id"]
    records.end_a_job("someone")
    delivery = records.log_of(theirs)[0].id
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/rotate"),
        ("POST", "/enable"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("POST", f"/deliveries/{delivery}/replay"),
    ):
        there = client.request(method, f"/v1/webhooks/{theirs}{path}")
        never = client.request(method, f"/v1/webhooks/{'0' * 32}{path}")
        no_id = client.request(method, f"/v1/webhooks/x{path}")
        refused(there, 404, "webhook_not_found")
        assert there.content == never.content == no_id.content
    refused(client.post(f"/v1/webhooks/{own}/deliveries/{delivery}/replay"), 404, "delivery_not_found")
    refused(client.post(f"/v1/webhooks/{own}/deliveries/x/replay"), 404, "delivery_not_found")
    assert records.webhooks(lambda store: store.get("someone", theirs)) is not None


def test_a_deleted_webhook_is_gone(client: httpx.Client) -> None:
    webhook = made(client)
    address = f"/v1/webhooks/{webhook['id']}"
    assert client.delete(address).status_code == 204
    refused(client.get(address), 404, "webhook_not_found")
    refused(client.delete(address), 404, "webhook_not_found")
