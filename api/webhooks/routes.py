"""Webhooks over HTTP: make, look, rotate, test, switch on, delete."""

from __future__ import annotations

import base64
import re
import secrets
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError

from api.auth.middleware import tenant_of
from api.context import Context, context_of
from api.http.bodies import media_type, read_body
from api.http.paths import WEBHOOKS
from api.http.problems import InvalidFields, fields_of
from api.http.proxies import link_to
from api.idempotency import new_id
from api.webhooks import openapi as said
from api.webhooks.schemas import NewWebhook, Rotation, WebhooksView, delivery_view, secret_view, webhook_view
from api.webhooks.urls import checked_url
from shared.errors import (
    DeliveryNotFound,
    InvalidField,
    MalformedBody,
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


@router.post("", status_code=201, responses=said.MADE, openapi_extra=said.NEW_BODY, summary="Create a webhook")
async def create_webhook(request: Request) -> Response:
    """From now on the address hears of what ends. The answer is the only one that shows the secret."""
    context, tenant = context_of(request), tenant_of(request)
    asked = await _body(request, NewWebhook)
    url = checked_url(asked.url, context.settings.webhook_destinations)
    webhook_id, events = new_id(request), tuple(dict.fromkeys(asked.events))
    if not await context.webhooks.add(webhook_id, tenant, url=url, events=events, secret=_new_secret()):
        message = f"there are {MAX_WEBHOOKS} webhooks already, which is the most: delete one first"
        raise TooManyWebhooks(message)
    made = secret_view(await find(context, tenant, webhook_id))
    return answer(made, 201, {"Location": link_to(f"{WEBHOOKS}/{webhook_id}")})


@router.get("", responses=said.ALL, summary="List webhooks")
async def list_webhooks(request: Request) -> Response:
    """All webhooks of the caller."""
    found = await context_of(request).webhooks.all_of(tenant_of(request))
    return answer(WebhooksView(webhooks=tuple(webhook_view(webhook) for webhook in found)))


@router.get("/{webhook_id}", responses=said.ONE, summary="Get a webhook")
async def get_webhook(request: Request, webhook_id: str) -> Response:
    """The webhook, without its secret."""
    return answer(webhook_view(await find(context_of(request), tenant_of(request), webhook_id)))


@router.delete("/{webhook_id}", status_code=204, responses=said.DELETED, summary="Delete a webhook")
async def delete_webhook(request: Request, webhook_id: str) -> Response:
    """Forgets the webhook, its log, and what it was still to hear."""
    _check_id(webhook_id)
    if not await context_of(request).webhooks.drop(tenant_of(request), webhook_id):
        raise _no_webhook()
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/rotate", responses=said.ROTATED, openapi_extra=said.ROTATE_BODY, summary="Rotate the secret"
)
async def rotate_webhook_secret(request: Request, webhook_id: str) -> Response:
    """Gives a new secret. Messages carry signatures with both until the old one ends; one before that ends at once."""
    context, tenant = context_of(request), tenant_of(request)
    asked = await _body(request, Rotation, empty=True)
    _check_id(webhook_id)
    if not await context.webhooks.rotate(tenant, webhook_id, secret=_new_secret(), old_valid_s=asked.old_valid_s):
        raise _no_webhook()
    return answer(secret_view(await find(context, tenant, webhook_id)))


@router.post("/{webhook_id}/enable", responses=said.ONE, summary="Enable a webhook")
async def enable_webhook(request: Request, webhook_id: str) -> Response:
    """Ends what a 410 began: deliveries that waited go on. Of what ended meanwhile it hears nothing."""
    context, tenant = context_of(request), tenant_of(request)
    _check_id(webhook_id)
    if not await context.webhooks.enable(tenant, webhook_id):
        raise _no_webhook()
    return answer(webhook_view(await find(context, tenant, webhook_id)))


@router.post("/{webhook_id}/test", status_code=202, responses=said.SENT, summary="Send a test message")
async def test_webhook(request: Request, webhook_id: str) -> Response:
    """Sends a message of the type `webhook.test`, whatever the webhook asked to hear of."""
    context = context_of(request)
    _check_id(webhook_id)
    found = await context.webhooks.test(tenant_of(request), webhook_id)
    if found is None:
        raise _no_webhook()
    return await sent(context, webhook_id, found if found == OFF else "ok", found)


async def find(context: Context, tenant: str, webhook_id: str) -> Webhook:
    """The tenant's webhook of this id. Raises WebhookNotFound, for another tenant's as well, or RecordsUnavailable."""
    _check_id(webhook_id)
    found = await context.webhooks.get(tenant, webhook_id)
    if found is None:
        raise _no_webhook()
    return found


async def sent(context: Context, webhook_id: str, became: str, delivery_id: str) -> Response:
    """The answer about a delivery that was sent off. Raises WebhookDisabled, DeliveryNotFound or RecordsUnavailable."""
    if became == OFF:
        raise WebhookDisabled("the receiver said that it is gone: switch the webhook on with POST .../enable first")
    delivery = await context.webhooks.delivery(webhook_id, delivery_id)
    if delivery is None:
        raise no_delivery()
    return answer(delivery_view(delivery), 202)


async def _body(request: Request, kind: type[_Body], *, empty: bool = False) -> _Body:
    """The body as this kind; nothing at all is as good as {} where it may be empty."""
    type_ = media_type(request)
    data = await read_body(request, limit_bytes=_BODY_BYTES)
    if empty and not data:
        return kind()
    if type_ != _JSON:
        message = f"send it as {_JSON}, not as {type_[:80] or 'no type at all'}"
        raise UnsupportedMedia(message)
    try:
        return kind.model_validate_json(data, strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        if details[0]["type"] == "json_invalid":
            message = f"the body is not readable as JSON: {details[0]['msg']}"
            raise MalformedBody(message) from error
        raise InvalidFields(InvalidField, "some fields are not valid", list(fields_of(details))) from error


def answer(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The view as JSON that nobody keeps."""
    return Response(view.model_dump_json(), status, {"Cache-Control": "no-store", **(headers or {})}, _JSON)


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _check_id(webhook_id: str) -> None:
    if not _ID.fullmatch(webhook_id):
        raise _no_webhook()


def _no_webhook() -> WebhookNotFound:
    return WebhookNotFound("there is no webhook of this id")


def no_delivery() -> DeliveryNotFound:
    """What is said of a delivery that is not there."""
    return DeliveryNotFound("the webhook has no delivery of this id; deliveries are forgotten after seven days")
