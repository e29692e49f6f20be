"""What the OpenAPI document says of webhooks beyond the routes' own words."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.http.openapi import (
    BODY_ERRORS,
    LOCATION,
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
    {201: {"model": SecretView, "description": "Made; `Location` is its address", "headers": LOCATION}},
    *BODY_ERRORS,
    tree.AddressNotAllowed,
    tree.TooManyWebhooks,
    # Before it was read back, somebody deleted it.
    *_HERE,
)
ALL = with_problems({200: {"model": WebhooksView, "description": "As it is"}}, tree.RecordsUnavailable)
ONE = with_problems({200: {"model": WebhookView, "description": "As it is"}}, *_HERE)
DELETED = with_problems({204: {"description": "Deleted"}}, *_HERE)
ROTATED = with_problems({200: {"model": SecretView, "description": "As it is"}}, *BODY_ERRORS, *_HERE)
SENT = with_problems(
    {202: {"model": DeliveryView, "description": "Under way"}}, *_HERE, tree.DeliveryNotFound, tree.WebhookDisabled
)
REPLAYED = SENT
LOG = with_problems({200: {"model": DeliveryPageView, "description": "As it is"}}, *_HERE, tree.InvalidField)


def _body(kind: type[BaseModel], example: dict[str, Any], *, required: bool) -> dict[str, Any]:
    # The kinds that it refers to are in the answers as well, so the document has them.
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": required, "content": content}}


NEW_BODY = _body(
    NewWebhook, {"url": "https://example.com/troupe", "events": ["job.succeeded", "job.failed"]}, required=True
)
ROTATE_BODY = _body(Rotation, {"old_valid_s": 3600}, required=False)
