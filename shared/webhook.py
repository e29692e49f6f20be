"""Webhooks of a tenant: their addresses, the events they receive, and their deliveries."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, SecretStr

MAX_URL_CHARS = 2000
MAX_WEBHOOKS = 10


class Event(StrEnum):
    """The events of webhooks. A job or batch ends exactly once, so it has exactly one event."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    JOB_EXPIRED = "job.expired"
    BATCH_SUCCEEDED = "batch.succeeded"
    BATCH_PARTIALLY_FAILED = "batch.partially_failed"
    BATCH_FAILED = "batch.failed"
    BATCH_CANCELED = "batch.canceled"
    BATCH_EXPIRED = "batch.expired"


class Outcome(StrEnum):
    """How one attempt ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    GONE = "gone"
    TIMED_OUT = "timed_out"
    NAME_NOT_FOUND = "name_not_found"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    NOT_CONNECTED = "not_connected"
    BAD_CERTIFICATE = "bad_certificate"
    BROKEN_ANSWER = "broken_answer"
    INTERNAL = "internal"
    LOST = "lost"


class DeliveryStatus(StrEnum):
    """The state of a delivery; `waiting` includes the time of an attempt."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(BaseModel):
    """One address of a tenant. Times are seconds since the epoch; secrets are base64 with the prefix `whsec_`.

    events: those it receives; all if empty. old_secret also signs messages until old_secret_until.
    failing_since: time of the first failure after the last success.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    tenant: str
    url: str
    events: tuple[Event, ...]
    secret: SecretStr
    old_secret: SecretStr | None = None
    old_secret_until: float | None = None
    created_at: float
    disabled_at: float | None = None
    failing_since: float | None = None


class Attempt(BaseModel):
    """One attempt of a delivery. at: seconds since the epoch."""

    model_config = ConfigDict(frozen=True)

    at: float
    outcome: Outcome
    seconds: float | None = None
    http_status: int | None = None


class Delivery(BaseModel):
    """One message to one webhook. message is the `webhook-id` of every attempt; data is a JSON object, as text.

    attempts: the latest, by number. due_at: time of the next attempt; None during an attempt and after the last one.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    webhook: str
    message: str
    kind: str
    data: str
    created_at: float
    status: DeliveryStatus
    due_at: float | None = None
    finished_at: float | None = None
    attempts: dict[int, Attempt]
