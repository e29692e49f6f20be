"""Records of webhooks and deliveries in Redis <-> the values that the rooms read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import SecretStr

from shared.webhook import Attempt, Delivery, DeliveryStatus, Event, Webhook

_ATTEMPT = "a:"


def encode_events(events: Iterable[Event]) -> str:
    """What a webhook asked for, as the scripts look for it."""
    return ",".join(event.value for event in events)


def decode_webhook(webhook_id: str, fields: Mapping[str, str], *, now_s: float) -> Webhook:
    """The webhook that a record describes. An old secret that has ended by now is left out."""
    old_until = _seconds(fields.get("old_until"))
    has_old = old_until is not None and old_until > now_s
    return Webhook(
        id=webhook_id,
        tenant=fields["tenant"],
        url=fields["url"],
        events=tuple(Event(name) for name in fields["events"].split(",") if name),
        secret=SecretStr(fields["secret"]),
        old_secret=SecretStr(fields["old"]) if has_old else None,
        old_secret_until=old_until if has_old else None,
        created_at=float(fields["at"]),
        disabled_at=_seconds(fields.get("off")),
        failing_since=_seconds(fields.get("failing")),
    )


def decode_delivery(delivery_id: str, fields: Mapping[str, str], *, due_at: float | None = None) -> Delivery:
    """The delivery that a record describes."""
    attempts = {
        int(name.removeprefix(_ATTEMPT)): Attempt.model_validate_json(text)
        for name, text in fields.items()
        if name.startswith(_ATTEMPT)
    }
    return Delivery(
        id=delivery_id,
        webhook=fields["webhook"],
        message=fields["message"],
        kind=fields["kind"],
        data=fields["data"],
        created_at=float(fields["at"]),
        status=DeliveryStatus(fields.get("s", DeliveryStatus.WAITING)),
        due_at=due_at,
        finished_at=_seconds(fields.get("ended")),
        attempts=dict(sorted(attempts.items())),
    )


def _seconds(text: str | None) -> float | None:
    return float(text) if text else None
