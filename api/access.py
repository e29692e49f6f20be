"""Who asks: the tenant that a request acts for."""

from __future__ import annotations

from fastapi import Request

from shared.tenant import DEFAULT_TENANT


def tenant_of(request: Request) -> str:
    """The tenant whose things this request may see and make: `default` while authentication is off."""
    tenant: str = request.scope.get("tenant", DEFAULT_TENANT)
    return tenant
