"""Erasure of a tenant over HTTP."""

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
    """Erases every job, picture, stage result, photo and embedding of the tenant.

    The audit log stays until it expires, with ids only: consents are erased. `confirm` must be the tenant's name. 202
    while running jobs have not stopped yet; the erasure then continues in the background.
    """
    tenant = tenant_of(request)
    if confirm != tenant:
        raise _CONFIRM.wrong("not_confirmed", f"to erase everything, set confirm={tenant}")
    gone = await context_of(request).eraser.erase_tenant(tenant, key_of(request))
    return Response(status_code=204) if gone else Response(status_code=202, headers=RETRY_LATER)
