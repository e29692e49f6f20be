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

# Paths that need no key: they show nothing of any tenant.
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"})
# Prefix of the page's files, which need no key either.
PAGE = "/page/"
# Reads are cheap: each process counts them by itself, with a high limit.
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "


def tenant_of(request: Request) -> str:
    """The tenant of this request: `default` while authentication is off.

    Raises Unauthorized for a request without a key.
    """
    tenant: str | None = request.scope.get("tenant")
    if tenant is None:
        raise Unauthorized("this path needs an API key")
    return tenant


def key_of(request: Request) -> str:
    """Id of this request's key, for the audit log; NO_KEY while authentication is off."""
    key: str = request.scope["key"]
    return key


def is_authenticated(request: Request) -> bool:
    """Whether the request has a valid key, which open paths do not need."""
    return request.scope.get("tenant") is not None


def charge_of(request: Request) -> Charge:
    """The charge of this request, which is not a read: what it counts against the tenant's limits."""
    charge: Charge = request.scope["charge"]
    return charge


class AccessMiddleware:
    """Adds the tenant to the scope of every request; None on an open path without a key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or responds with the problem."""
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
        """Serves a read; the response tells what remains of the read limit."""
        read = context.read_limit.count(scope["tenant"])

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].extend(read.headers)
            await send(message)

        if read.wait_s:
            error = RateLimited(
                f"the tenant has reached its read limit; retry in {read.wait_s} s",
                retry_after_s=read.wait_s,
            )
            await problem_of_error(error)(scope, receive, send_with_limits)
        else:
            await self._app(scope, receive, send_with_limits)

    async def _serve_write(self, scope: Scope, receive: Receive, send: Send, context: Context) -> None:
        """Serves a request that is not a read; the response tells what remains of the limits."""
        charge = scope["charge"] = Charge(by=scope["key"])

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start" and charge.allowances:
                MutableHeaders(scope=message).update(rate_limit_headers(charge.allowances))
            await send(message)

        try:
            if not _is_charged_later(scope):
                await context.jobs.admit(scope["tenant"], charge)
        except TroupeError as error:
            await problem_of_error(error)(scope, receive, send_with_limits)
            return
        await self._app(scope, receive, send_with_limits)


def rate_limit_headers(allowances: tuple[LimitState, ...]) -> dict[str, str]:
    """The limits and what remains of them (draft-ietf-httpapi-ratelimit-headers-10)."""
    policies, limits = [], []
    for one in allowances:
        unit = "" if one.name != "units" else f';qu="{one.name}"'
        policies.append(f'"{one.name}";q={one.quota};w={one.window_s}{unit}')
        limits.append(f'"{one.name}";r={one.left};t={one.reset_s}')
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(limits)}


def _is_charged_later(scope: Scope) -> bool:
    """Whether the route charges it: a job as JSON is charged by the script that queues it, without another round trip.

    A form is charged before its photos are read.
    """
    if scope["path"] != JOBS or scope["method"] != "POST":
        return False
    # Of several headers the routes use the first.
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return kind.startswith(b"application/json")


async def _authenticate(scope: Scope, context: Context) -> tuple[str, str]:
    """The tenant, and the id of its key."""
    if not context.settings.auth:
        return DEFAULT_TENANT, NO_KEY
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        raise Unauthorized("this path needs one API key, as `Authorization: Bearer ...`")
    words = given[0].decode("latin-1")
    if words[: len(_BEARER)].lower() != _BEARER:
        raise Unauthorized("send the API key as `Authorization: Bearer ...`")
    key = await context.keys.key_of(words[len(_BEARER) :].strip())
    return key.tenant, key.id
