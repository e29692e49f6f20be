"""Webhooks in the OpenAPI document: responses and request bodies."""

from __future__ import annotations

from api.http.openapi import (
    BODY_ERRORS,
    LOCATION,
    json_body,
    schemas_of,
    with_problems,
)
from api.webhooks.schemas import (
    DeliveryPageView,
    DeliveryView,
    NewWebhook,
    Rotation,
    SecretView,
    WebhooksView,
    WebhookView,
)
from shared import errors as tree

_HERE = (tree.WebhookNotFound, tree.RecordsUnavailable)

MADE = with_problems(
    {201: {"model": SecretView, "description": "Created; `Location` is its path", "headers": LOCATION}},
    *BODY_ERRORS,
    tree.AddressNotAllowed,
    tree.TooManyWebhooks,
    # The webhook may be deleted before it is read back.
    *_HERE,
)
ALL = with_problems({200: {"model": WebhooksView, "description": "The webhooks"}}, tree.RecordsUnavailable)
ONE = with_problems({200: {"model": WebhookView, "description": "The webhook"}}, *_HERE)
DELETED = with_problems({204: {"description": "Deleted"}}, *_HERE)
ROTATED = with_problems(
    {200: {"model": SecretView, "description": "The webhook with its new secret"}}, *BODY_ERRORS, *_HERE
)
SENT = with_problems(
    {202: {"model": DeliveryView, "description": "The delivery"}}, *_HERE, tree.DeliveryNotFound, tree.WebhookDisabled
)
REPLAYED = SENT
LOG = with_problems({200: {"model": DeliveryPageView, "description": "One page"}}, *_HERE, tree.InvalidField)


NEW_BODY = json_body(NewWebhook, {"url": "https://example.com/troupe", "events": ["job.succeeded", "job.failed"]})
ROTATE_BODY = json_body(Rotation, {"old_valid_s": 3600}, required=False)
COMPONENTS = schemas_of(NewWebhook, Rotation)
