"""Deliveries of a webhook over HTTP: list and replay."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response

from api.auth.middleware import tenant_of
from api.context import context_of
from api.http.parameters import LIMIT, cursor, takes
from api.http.paths import WEBHOOKS
from api.webhooks import openapi
from api.webhooks.routes import (
    answer,
    find,
    no_delivery,
    sent,
)
from api.webhooks.schemas import DeliveryPageView, delivery_view

router = APIRouter(prefix=WEBHOOKS, tags=["webhooks"])

_ID = re.compile(r"[0-9a-f]{32}")
_CURSOR = cursor(lambda text: text if _ID.fullmatch(text) else None)


@router.get("/{webhook_id}/deliveries", responses=openapi.LOG, summary="List deliveries")
@takes(after=_CURSOR, limit=LIMIT)
async def list_deliveries(request: Request, webhook_id: str, *, after: str | None, limit: int) -> Response:
    """The deliveries of the last seven days with their attempts, newest first; at most 10,000 are kept."""
    context = context_of(request)
    webhook = await find(context, tenant_of(request), webhook_id)
    found, following = await context.webhooks.deliveries(webhook.id, after=after, limit=limit)
    return answer(DeliveryPageView(deliveries=tuple(delivery_view(one) for one in found), next=following))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    responses=openapi.REPLAYED,
    summary="Replay a delivery",
)
async def replay_delivery(request: Request, webhook_id: str, delivery_id: str) -> Response:
    """Sends the same message again, with the same `webhook-id`; a delivery in progress continues unchanged."""
    context, tenant = context_of(request), tenant_of(request)
    await find(context, tenant, webhook_id)
    if not _ID.fullmatch(delivery_id):
        raise no_delivery()
    found = await context.webhooks.replay(tenant, webhook_id, delivery_id)
    if found is None:
        raise no_delivery()
    return await sent(context, webhook_id, found, delivery_id)
