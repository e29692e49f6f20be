"""The tenant's audit log, page by page."""

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
    """Which key uploaded, submitted, read, canceled and erased what, newest first.

    A read is the download of a picture, a photo or a file of a batch, or of a signed URL for one; reading the state of
    a job is not logged. Previews and lines of batches are logged once an hour for each key. A page may have fewer
    entries than `limit`: more follow while `next` is not null.
    """
    found = await context_of(request).audit.page(tenant_of(request), limit=limit, after=after, action=action)
    return Response(page_body(found), media_type="application/json")
