"""Who asks, and how often: every request belongs to a tenant and counts against its limits, or is rejected here."""

from __future__ import annotations

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import Context
from api.http.paths import JOBS
from api.http.problems import problem_of_error
from shared.errors import RateLimited, TroupeError, Unauthorized
from shared.store.tenants.audit import NO_KEY
from shared.store.tenants.charge import Charge, LimitState
from shared.tenant import DEFAULT_TENANT

# What answers without a key: it tells nothing of anybody.
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"})
# What the files of the page begin with, which are the same for everybody.
PAGE = "/page/"
# Looks are cheap: they are counted in this process alone, and generously.
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "


def tenant_of(request: Request) -> str:
    """The tenant whose things this request may see and make: `default` while authentication is off.

    Raises Unauthorized where nobody has said who asks.
    """
    tenant: str | None = request.scope.get("tenant")
    if tenant is None:
        raise Unauthorized("this address needs an API key")
    return tenant


def key_of(request: Request) -> str:
    """Id of the key that this request shows, for the audit log; NO_KEY while authentication is off."""
    key: str = request.scope["key"]
    return key


def is_authenticated(request: Request) -> bool:
    """Whether it is known who asks: on an open address nobody has to say."""
    return request.scope.get("tenant") is not None


def charge_of(request: Request) -> Charge:
    """Where it is written what this request, which makes or changes something, counts as."""
    charge: Charge = request.scope["charge"]
    return charge


class AccessMiddleware:
    """The app behind the door: what passes has its tenant in its scope; on an open address it may be None."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or says why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context: Context = scope["app"].state.context
        try:
            scope["tenant"], scope["key"] = await _authenticate(scope, context)
        except TroupeError as error:
            if scope["path"] not in OPEN_PATHS and not scope["path"].startswith(PAGE):
                await problem_of_error(error)(scope, receive, send)
                return
            scope["tenant"] = None
        if scope["tenant"] is None:
            await self._app(scope, receive, send)
        elif scope["method"] not in READ_METHODS:
            await self._serve_write(scope, receive, send, context)
        elif context.read_limit.is_enabled and scope["path"] not in OPEN_PATHS:
            await self._serve_read(scope, receive, send, context)
        else:
            await self._app(scope, receive, send)

    async def _serve_read(self, scope: Scope, receive: Receive, send: Send, context: Context) -> None:
        """Serves a look, and says what the tenant has left of them."""
        look = context.read_limit.count(scope["tenant"])

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].extend(look.headers)
            await send(message)

        if look.wait_s:
            error = RateLimited(
                f"more looks than this tenant may take; the next one passes in {look.wait_s} s",
                retry_after_s=look.wait_s,
            )
            await problem_of_error(error)(scope, receive, told)
        else:
            await self._app(scope, receive, told)

    async def _serve_write(self, scope: Scope, receive: Receive, send: Send, context: Context) -> None:
        """Serves a request that counts; every answer to it says what the tenant has left."""
        charge = scope["charge"] = Charge(by=scope["key"])

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and charge.allowances:
                MutableHeaders(scope=message).update(rate_limit_headers(charge.allowances))
            await send(message)

        try:
            if not _is_charged_later(scope):
                await context.jobs.admit(scope["tenant"], charge)
        except TroupeError as error:
            await problem_of_error(error)(scope, receive, told)
            return
        await self._app(scope, receive, told)


def rate_limit_headers(allowances: tuple[LimitState, ...]) -> dict[str, str]:
    """What a tenant may do and what it has left (draft-ietf-httpapi-ratelimit-headers-10)."""
    policies, limits = [], []
    for one in allowances:
        unit = "" if one.name != "units" else f';qu="{one.name}"'
        policies.append(f'"{one.name}";q={one.quota};w={one.window_s}{unit}')
        limits.append(f'"{one.name}";r={one.left};t={one.reset_s}')
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(limits)}


def _is_charged_later(scope: Scope) -> bool:
    """A job as JSON is counted in the step that queues it: no round trip more, and what is refused costs nothing.

    A form is counted before its photos are read.
    """
    if scope["path"] != JOBS or scope["method"] != "POST":
        return False
    # The first of several is the one that is read as.
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return kind.startswith(b"application/json")


async def _authenticate(scope: Scope, context: Context) -> tuple[str, str]:
    """The tenant, and the id of its key."""
    if not context.settings.auth:
        return DEFAULT_TENANT, NO_KEY
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        raise Unauthorized("this address needs an API key, once, as `Authorization: Bearer ...`")
    words = given[0].decode("latin-1")
    if words[: len(_BEARER)].lower() != _BEARER:
        raise Unauthorized("the key must be given as `Authorization: Bearer ...`")
    key = await context.keys.key_of(words[len(_BEARER) :].strip())
    return key.tenant, key.id
