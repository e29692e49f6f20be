"""What a client can do with webhooks and their deliveries."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from api.client.calls import Call, Steps
from api.client.paths import WEBHOOKS, delivery_path, webhook_path
from api.client.sending import Sending
from api.client.webhook_values import Delivery, DeliveryPage, NewWebhook, Webhook, Webhooks


class WebhookOperations(Sending):
    """Create, list, rotate, test, enable and delete webhooks; read and replay deliveries."""

    def create_webhook(self, url: str, *, events: Sequence[str] = ()) -> Steps[NewWebhook]:
        """A new webhook with its secret, which is shown only now.

        events: the events it receives, such as `job.succeeded`; all of them if empty.
        """
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        asked = {"url": url, "events": list(events)}
        return (yield from self.value(NewWebhook, Call(method="POST", path=WEBHOOKS, json=asked, headers=headers)))

    def webhooks(self) -> Steps[list[Webhook]]:
        """All webhooks of the tenant, the oldest first."""
        found = yield from self.get_value(Webhooks, WEBHOOKS)
        return found.webhooks

    def webhook(self, webhook_id: str) -> Steps[Webhook]:
        """The webhook, without its secret."""
        return (yield from self.get_value(Webhook, webhook_path(webhook_id)))

    def delete_webhook(self, webhook_id: str) -> Steps[None]:
        """Deletes a webhook, its delivery log and its waiting deliveries."""
        yield from self.effort.send(Call(method="DELETE", path=webhook_path(webhook_id)))

    def rotate_webhook(self, webhook_id: str, *, old_valid_s: float | None = None) -> Steps[NewWebhook]:
        """The webhook with a new secret. Messages are signed with both for `old_valid_s` seconds (a day)."""
        asked = {} if old_valid_s is None else {"old_valid_s": old_valid_s}
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        call = Call(method="POST", path=f"{webhook_path(webhook_id)}/rotate", json=asked, headers=headers)
        return (yield from self.value(NewWebhook, call))

    def enable_webhook(self, webhook_id: str) -> Steps[Webhook]:
        """Enables a webhook that was disabled because its receiver answered 410."""
        return (yield from self.value(Webhook, Call(method="POST", path=f"{webhook_path(webhook_id)}/enable")))

    def test_webhook(self, webhook_id: str) -> Steps[Delivery]:
        """Sends a message of the type `webhook.test`."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        call = Call(method="POST", path=f"{webhook_path(webhook_id)}/test", headers=headers)
        return (yield from self.value(Delivery, call))

    def deliveries(
        self, webhook_id: str, *, cursor: str | None = None, limit: int | None = None
    ) -> Steps[DeliveryPage]:
        """One page of a webhook's delivery log, the newest first. cursor: `next` of the previous page."""
        path = f"{webhook_path(webhook_id)}/deliveries"
        return (yield from self.get_value(DeliveryPage, path, cursor=cursor, limit=limit))

    def replay_delivery(self, webhook_id: str, delivery_id: str) -> Steps[Delivery]:
        """Sends the same message again, with the same `webhook-id`."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        call = Call(method="POST", path=f"{delivery_path(webhook_id, delivery_id)}/replay", headers=headers)
        return (yield from self.value(Delivery, call))
