"""Webhooks and deliveries as the API returns them."""

from __future__ import annotations

from datetime import datetime

from api.client.values import Value


class Webhook(Value):
    """A webhook without its secret. events: those it receives; all of them if empty.

    disabled_at: since when nothing is sent, because the receiver answered 410. failing_since: the time of the first
    failure after the last success. old_secret_until: until when messages are signed with the previous secret too.
    """

    id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None
    failing_since: datetime | None
    old_secret_until: datetime | None


class NewWebhook(Webhook):
    """A webhook with its secret, which the API returns once."""

    secret: str


class Webhooks(Value):
    """All webhooks of the tenant, the oldest first."""

    webhooks: list[Webhook]


class Attempt(Value):
    """One attempt of a delivery. seconds and http_status are None if no answer came."""

    number: int
    at: datetime
    outcome: str
    http_status: int | None
    seconds: float | None


class Delivery(Value):
    """One message to one webhook. message_id: the header `webhook-id`; due_at: when the next attempt is made."""

    id: str
    message_id: str
    event: str
    status: str
    created_at: datetime
    due_at: datetime | None
    finished_at: datetime | None
    attempts: tuple[Attempt, ...]


class DeliveryPage(Value):
    """Some deliveries of a webhook, the newest first. next: `cursor` of the following page, None on the last one."""

    deliveries: tuple[Delivery, ...]
    next: str | None
