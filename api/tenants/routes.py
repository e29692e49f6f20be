"""Erasing over HTTP: a job, a photo, a batch, or all that a tenant has."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.auth.middleware import key_of, tenant_of
from api.context import context_of
from api.erasure import LATER
from api.http import parameters
from api.tenants.openapi import ERASE_TENANT_ANSWERS, ERASE_TENANT_PARAMETERS

router = APIRouter()


@router.delete(
    "/v1/tenant",
    status_code=204,
    responses=ERASE_TENANT_ANSWERS,
    openapi_extra=ERASE_TENANT_PARAMETERS,
    tags=["tenant"],
    summary="Erase all of yours",
)
async def erase_tenant(request: Request) -> Response:
    """Every job, picture, stage result, photo and embedding of the caller's tenant, and what comes while it goes.

    Its audit log stays until its time is over, with ids only: what uploads said of consent goes with the rest.
    `confirm` must be the tenant's name. 202 while jobs that ran have not stopped yet: it goes on by itself.
    """
    tenant = tenant_of(request)
    if parameters.text(request, "confirm") != tenant:
        raise parameters.wrong("confirm", "not_confirmed", f"to erase all there is, say confirm={tenant}")
    gone = await context_of(request).eraser.erase_tenant(tenant, key_of(request))
    return Response(status_code=204) if gone else Response(status_code=202, headers=LATER)
