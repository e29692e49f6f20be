"""Webhooks: where a tenant hears of what ended, what it hears of, and how each delivery went."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, SecretStr

MAX_URL_CHARS = 2000
MAX_WEBHOOKS = 10


class Event(StrEnum):
    """What a webhook may ask to hear of. A job or batch ends exactly once, so it is told exactly once."""

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
    """Where a delivery is. `waiting` includes the moments in which it is being made."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(BaseModel):
    """One address of a tenant. Times are seconds since the epoch; secrets are base64 with the prefix `whsec_`.

    events: what it hears of; all of it when empty. old_secret signs as well until old_secret_until.
    failing_since: when the last delivery that succeeded was followed by one that did not.
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
    """One try to deliver: when (seconds since the epoch), how long it took, what came back."""

    model_config = ConfigDict(frozen=True)

    at: float
    outcome: Outcome
    seconds: float | None = None
    http_status: int | None = None


class Delivery(BaseModel):
    """One message to one webhook. message is the `webhook-id` of every attempt; data is a JSON object, as text.

    attempts: the latest, by their number. due_at: when it is tried next; None while it is tried, and when it is over.
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
