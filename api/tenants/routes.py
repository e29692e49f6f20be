"""Erasing over HTTP: a job, a photo, a batch, or all that a tenant has."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.auth.middleware import key_of, tenant_of
from api.context import context_of
from api.erasure import RETRY_LATER
from api.http.parameters import Parameter, takes
from api.tenants.openapi import ERASE_TENANT_ANSWERS

router = APIRouter()
_CONFIRM = Parameter(
    name="confirm",
    description="The tenant's name, as a safeguard against erasing everything by mistake",
    parse=str,
    default="",
    required=True,
    example="default",
)


@router.delete(
    "/v1/tenant",
    status_code=204,
    responses=ERASE_TENANT_ANSWERS,
    tags=["tenant"],
    summary="Erase everything of the tenant",
)
@takes(confirm=_CONFIRM)
async def erase_tenant(request: Request, *, confirm: str) -> Response:
    """Every job, picture, stage result, photo and embedding of the caller's tenant, and what comes while it goes.

    Its audit log stays until its time is over, with ids only: what uploads said of consent goes with the rest.
    `confirm` must be the tenant's name. 202 while jobs that ran have not stopped yet: it goes on by itself.
    """
    tenant = tenant_of(request)
    if confirm != tenant:
        raise _CONFIRM.wrong("not_confirmed", f"to erase everything, set confirm={tenant}")
    gone = await context_of(request).eraser.erase_tenant(tenant, key_of(request))
    return Response(status_code=204) if gone else Response(status_code=202, headers=RETRY_LATER)
