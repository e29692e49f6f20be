"""Webhooks over HTTP: create, read, rotate the secret, test, enable, delete."""

from __future__ import annotations

import base64
import re
import secrets
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.auth.middleware import tenant_of
from api.context import Context, context_of
from api.http.bodies import media_type, read_body
from api.http.paths import WEBHOOKS
from api.http.problems import parse_json
from api.http.proxies import link_to
from api.idempotency import new_id
from api.webhooks import openapi
from api.webhooks.schemas import NewWebhook, Rotation, WebhooksView, delivery_view, secret_view, webhook_view
from api.webhooks.urls import checked_url
from shared.errors import (
    DeliveryNotFound,
    TooManyWebhooks,
    UnsupportedMedia,
    WebhookDisabled,
    WebhookNotFound,
)
from shared.job import RequestModel
from shared.store.webhooks.store import OFF
from shared.webhook import MAX_WEBHOOKS, Webhook

router = APIRouter(prefix=WEBHOOKS, tags=["webhooks"])

_JSON = "application/json"
_ID = re.compile(r"[0-9a-f]{32}")
_SECRET_BYTES = 32
_BODY_BYTES = 16_384
_Body = TypeVar("_Body", bound=RequestModel)


@router.post("", status_code=201, responses=openapi.MADE, openapi_extra=openapi.NEW_BODY, summary="Create a webhook")
async def create_webhook(request: Request) -> Response:
    """Sends events of jobs and batches that end to the URL. Only this response and a rotation show the secret."""
    context, tenant = context_of(request), tenant_of(request)
    body = await _body(request, NewWebhook)
    url = checked_url(body.url, context.settings.webhook_destinations)
    webhook_id, events = new_id(request), tuple(dict.fromkeys(body.events))
    if not await context.webhooks.add(webhook_id, tenant, url=url, events=events, secret=_new_secret()):
        message = f"a tenant may have {MAX_WEBHOOKS} webhooks: delete one first"
        raise TooManyWebhooks(message)
    made = secret_view(await find(context, tenant, webhook_id))
    return answer(made, 201, {"Location": link_to(f"{WEBHOOKS}/{webhook_id}")})


@router.get("", responses=openapi.ALL, summary="List webhooks")
async def list_webhooks(request: Request) -> Response:
    """All webhooks of the tenant."""
    found = await context_of(request).webhooks.all_of(tenant_of(request))
    return answer(WebhooksView(webhooks=tuple(webhook_view(webhook) for webhook in found)))


@router.get("/{webhook_id}", responses=openapi.ONE, summary="Get a webhook")
async def get_webhook(request: Request, webhook_id: str) -> Response:
    """The webhook, without its secret."""
    return answer(webhook_view(await find(context_of(request), tenant_of(request), webhook_id)))


@router.delete("/{webhook_id}", status_code=204, responses=openapi.DELETED, summary="Delete a webhook")
async def delete_webhook(request: Request, webhook_id: str) -> Response:
    """Deletes the webhook, its deliveries, and pending messages."""
    _check_id(webhook_id)
    if not await context_of(request).webhooks.drop(tenant_of(request), webhook_id):
        raise _no_webhook()
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/rotate", responses=openapi.ROTATED, openapi_extra=openapi.ROTATE_BODY, summary="Rotate the secret"
)
async def rotate_webhook_secret(request: Request, webhook_id: str) -> Response:
    """Creates a new secret. Messages have signatures of both secrets until the old one expires."""
    context, tenant = context_of(request), tenant_of(request)
    body = await _body(request, Rotation, empty=True)
    _check_id(webhook_id)
    if not await context.webhooks.rotate(tenant, webhook_id, secret=_new_secret(), old_valid_s=body.old_valid_s):
        raise _no_webhook()
    return answer(secret_view(await find(context, tenant, webhook_id)))


@router.post("/{webhook_id}/enable", responses=openapi.ONE, summary="Enable a webhook")
async def enable_webhook(request: Request, webhook_id: str) -> Response:
    """Enables a webhook that a 410 disabled: pending deliveries continue. Events since then are not sent."""
    context, tenant = context_of(request), tenant_of(request)
    _check_id(webhook_id)
    if not await context.webhooks.enable(tenant, webhook_id):
        raise _no_webhook()
    return answer(webhook_view(await find(context, tenant, webhook_id)))


@router.post("/{webhook_id}/test", status_code=202, responses=openapi.SENT, summary="Send a test message")
async def test_webhook(request: Request, webhook_id: str) -> Response:
    """Sends a message of the type `webhook.test`, whichever events the webhook has subscribed to."""
    context = context_of(request)
    _check_id(webhook_id)
    found = await context.webhooks.test(tenant_of(request), webhook_id)
    if found is None:
        raise _no_webhook()
    return await sent(context, webhook_id, found if found == OFF else "ok", found)


async def find(context: Context, tenant: str, webhook_id: str) -> Webhook:
    """The tenant's webhook with this id. Raises WebhookNotFound, also for another tenant's, or RecordsUnavailable."""
    _check_id(webhook_id)
    found = await context.webhooks.get(tenant, webhook_id)
    if found is None:
        raise _no_webhook()
    return found


async def sent(context: Context, webhook_id: str, became: str, delivery_id: str) -> Response:
    """The response with a delivery that was started. Raises WebhookDisabled, DeliveryNotFound or RecordsUnavailable."""
    if became == OFF:
        raise WebhookDisabled(
            "the webhook is disabled because its receiver answered 410: enable it first with POST .../enable"
        )
    delivery = await context.webhooks.delivery(webhook_id, delivery_id)
    if delivery is None:
        raise no_delivery()
    return answer(delivery_view(delivery), 202)


async def _body(request: Request, kind: type[_Body], *, empty: bool = False) -> _Body:
    """The body as this model; without a body, the defaults if `empty` allows it."""
    type_ = media_type(request)
    data = await read_body(request, limit_bytes=_BODY_BYTES)
    if empty and not data:
        return kind()
    if type_ != _JSON:
        message = f"send the body as {_JSON}, not as {type_[:80] or 'a body without a type'}"
        raise UnsupportedMedia(message)
    return parse_json(kind, data)


def answer(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The view as JSON that must not be cached."""
    return Response(view.model_dump_json(), status, {"Cache-Control": "no-store", **(headers or {})}, _JSON)


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _check_id(webhook_id: str) -> None:
    if not _ID.fullmatch(webhook_id):
        raise _no_webhook()


def _no_webhook() -> WebhookNotFound:
    return WebhookNotFound("no webhook has this id")


def no_delivery() -> DeliveryNotFound:
    """The error for an unknown delivery."""
    return DeliveryNotFound("the webhook has no delivery with this id; deliveries expire after seven days")
