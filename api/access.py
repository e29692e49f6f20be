"""Who asks: every request belongs to a tenant, or it is turned away at the door."""

from __future__ import annotations

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.context import Context
from api.errors import answer_to
from shared.errors import TroupeError, Unauthorized
from shared.tenant import DEFAULT_TENANT

# What answers without a key: it tells nothing of anybody.
OPEN = frozenset({"/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"})
_BEARER = "bearer "


def tenant_of(request: Request) -> str:
    """The tenant whose things this request may see and make: `default` while authentication is off.

    Raises Unauthorized where nobody has said who asks.
    """
    tenant: str | None = request.scope.get("tenant")
    if tenant is None:
        raise Unauthorized("this address needs an API key")
    return tenant


def is_known(request: Request) -> bool:
    """Whether it is known who asks: on an open address nobody has to say."""
    return request.scope.get("tenant") is not None


class Access:
    """The app behind the door: what passes has its tenant in its scope; on an open address it may be None."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or says why not."""
        if scope["type"] == "http":
            try:
                scope["tenant"] = await _tenant(scope)
            except TroupeError as error:
                if scope["path"] not in OPEN:
                    await answer_to(error)(scope, receive, send)
                    return
                scope["tenant"] = None
        await self._app(scope, receive, send)


async def _tenant(scope: Scope) -> str:
    context: Context = scope["app"].state.context
    if not context.settings.auth:
        return DEFAULT_TENANT
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        raise Unauthorized("this address needs an API key, once, as `Authorization: Bearer ...`")
    words = given[0].decode("latin-1")
    if words[: len(_BEARER)].lower() != _BEARER:
        raise Unauthorized("the key must be given as `Authorization: Bearer ...`")
    return await context.keys.tenant_of(words[len(_BEARER) :].strip())
