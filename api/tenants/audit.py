"""The caller's audit log, page by page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.auth.middleware import tenant_of
from api.context import context_of
from api.http import parameters
from api.tenants.audit_schemas import AUDIT_ANSWERS, AUDIT_PARAMETERS, page_body
from shared.store.tenants.audit import Action, is_mark

router = APIRouter(prefix="/v1/audit", tags=["tenant"])


@router.get("", responses=AUDIT_ANSWERS, openapi_extra=AUDIT_PARAMETERS, summary="Who did what")
async def page(request: Request) -> Response:
    """Who uploaded, submitted, read, took back and erased what of the caller's tenant, the newest first.

    Reading is getting a picture, a photo, a batch's files, or a signed address of them; looking how a job is is not.
    A picture that emerges and the lines of a batch are noted once an hour for each key. A page may hold fewer entries
    than `limit`: there are more as long as `next` is given.
    """
    cursor = parameters.text(request, "cursor")
    if cursor is not None and not is_mark(cursor):
        raise parameters.wrong("cursor", "not_a_cursor", "cursor must be the `next` of the page before")
    action = parameters.choice(request, "action", Action)
    found = await context_of(request).audit.page(
        tenant_of(request),
        limit=parameters.limit(request),
        after=cursor,
        action=None if action is None else Action(action),
    )
    return Response(page_body(found), media_type="application/json")
