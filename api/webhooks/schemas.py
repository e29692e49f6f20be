"""Schemas of webhooks and deliveries."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, Field

from shared.job import RequestModel
from shared.webhook import MAX_URL_CHARS, Attempt, Delivery, DeliveryStatus, Event, Outcome, Webhook

_ID = "9b2d6a0c4e8f4d53a1c7e0b5f2d86a94"
_DAY_S = 86_400


class NewWebhook(RequestModel):
    """A webhook to create."""

    url: str = Field(
        max_length=MAX_URL_CHARS, examples=["https://example.com/troupe"], json_schema_extra={"format": "uri"}
    )
    events: tuple[Event, ...] = Field((), max_length=len(Event), description="Events to send; empty: all events")


class Rotation(RequestModel):
    """Options of a rotation."""

    old_valid_s: float = Field(
        _DAY_S, ge=0, le=7 * _DAY_S, description="Seconds during which messages are also signed with the old secret"
    )


class WebhookView(BaseModel):
    """A webhook. Its secret is shown only when it is created or rotated."""

    id: str = Field(examples=[_ID])
    url: str
    events: tuple[Event, ...]
    created_at: datetime
    disabled_at: datetime | None = Field(description="Time of a response 410; nothing is sent since then")
    failing_since: datetime | None = Field(description="Time since which no delivery has succeeded")
    old_secret_until: datetime | None = Field(
        description="Time until which messages are also signed with the old secret"
    )


class SecretView(WebhookView):
    """A webhook with its secret, in the format of Standard Webhooks."""

    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD0L2sQ0lNzPE="])


class WebhooksView(BaseModel):
    """All webhooks of the tenant, oldest first."""

    webhooks: tuple[WebhookView, ...]


class AttemptView(BaseModel):
    """One attempt of a delivery. http_status and seconds (its duration) are null if the delivery worker was lost."""

    number: int
    at: datetime
    outcome: Outcome
    http_status: int | None
    seconds: float | None


class DeliveryView(BaseModel):
    """One message to one webhook, with its latest attempts."""

    id: str = Field(examples=[_ID])
    message_id: str = Field(
        description="The header `webhook-id` of every attempt and replay", examples=["msg_0f4b7d2c9a6e"]
    )
    event: str = Field(description="The message's `type`", examples=["job.succeeded"])
    status: DeliveryStatus
    created_at: datetime
    due_at: datetime | None = Field(description="Time of the next attempt")
    finished_at: datetime | None
    attempts: tuple[AttemptView, ...]


class DeliveryPageView(BaseModel):
    """One page of a webhook's deliveries, newest first."""

    deliveries: tuple[DeliveryView, ...]
    next: str | None = Field(description="`cursor` of the next page; null on the last one")


def webhook_view(webhook: Webhook) -> WebhookView:
    """A webhook without its secret."""
    return WebhookView.model_validate(_fields_of(webhook))


def secret_view(webhook: Webhook) -> SecretView:
    """A webhook with its secret, for the responses that show it."""
    return SecretView.model_validate({**_fields_of(webhook), "secret": webhook.secret.get_secret_value()})


def delivery_view(delivery: Delivery) -> DeliveryView:
    """A delivery with its attempts."""
    return DeliveryView(
        id=delivery.id,
        message_id=delivery.message,
        event=delivery.kind,
        status=delivery.status,
        created_at=datetime.fromtimestamp(delivery.created_at, UTC),
        due_at=_moment(delivery.due_at),
        finished_at=_moment(delivery.finished_at),
        attempts=tuple(_attempt_view(number, attempt) for number, attempt in delivery.attempts.items()),
    )


def _fields_of(webhook: Webhook) -> dict[str, object]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "created_at": _moment(webhook.created_at),
        "disabled_at": _moment(webhook.disabled_at),
        "failing_since": _moment(webhook.failing_since),
        "old_secret_until": _moment(webhook.old_secret_until),
    }


def _attempt_view(number: int, attempt: Attempt) -> AttemptView:
    return AttemptView(
        number=number,
        at=datetime.fromtimestamp(attempt.at, UTC),
        outcome=attempt.outcome,
        http_status=attempt.http_status,
        seconds=attempt.seconds,
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
