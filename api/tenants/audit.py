"""The caller's audit log, page by page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.auth.middleware import tenant_of
from api.context import context_of
from api.http.parameters import LIMIT, choice, cursor, takes
from api.tenants.audit_schemas import AUDIT_ANSWERS, page_body
from shared.store.tenants.audit import Action, is_cursor

router = APIRouter(prefix="/v1/audit", tags=["tenant"])
_ACTION = choice("action", Action, "Only entries of this action", component="Action")
_CURSOR = cursor(lambda text: text if is_cursor(text) else None)


@router.get("", responses=AUDIT_ANSWERS, summary="List the audit log")
@takes(action=_ACTION, after=_CURSOR, limit=LIMIT)
async def list_audit_entries(request: Request, *, action: Action | None, after: str | None, limit: int) -> Response:
    """Who uploaded, submitted, read, took back and erased what of the caller's tenant, the newest first.

    Reading is getting a picture, a photo, a batch's files, or a signed address of them; looking how a job is is not.
    A picture that emerges and the lines of a batch are noted once an hour for each key. A page may hold fewer entries
    than `limit`: there are more as long as `next` is given.
    """
    found = await context_of(request).audit.page(tenant_of(request), limit=limit, after=after, action=action)
    return Response(page_body(found), media_type="application/json")
