"""What is given out is noted first: no picture, photo or file leaves without its entry in the tenant's audit log.

A signed address is as good as the picture. Looking at how a job is, at its faces and boxes, is no reading of a picture.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from api.auth.middleware import key_of, tenant_of
from api.context import Context, context_of
from shared.errors import NoPicture
from shared.store.tenants.audit import Action

# What is looked at again and again while it changes, a picture that emerges or a batch's lines, is one reading an hour.
REPEAT_S = 3600
_PNG = "image/png"


@dataclass(frozen=True, kw_only=True)
class AuditedRead:
    """What is about to be given out. subject: id of the job, photo or batch; detail: which of its pictures or files."""

    action: Action
    subject: str
    detail: str = ""
    once_s: int = 0


async def record_read(request: Request, reading: AuditedRead) -> None:
    """Notes it; call this when it is sure that there is something to give. Raises RecordsUnavailable."""
    await context_of(request).audit.record(
        tenant_of(request),
        key_of(request),
        reading.action,
        reading.subject,
        reading.detail,
        once_s=reading.once_s,
    )


async def png_response(request: Request, context: Context, key: str, reading: AuditedRead) -> Response:
    """A redirect to the stored PNG of this key, or its bytes where the request says `Accept: image/png`.

    Raises NoPicture when the bytes are no longer stored, RecordsUnavailable or BlobsUnavailable.
    """
    if request.headers.get("accept") != _PNG:
        await record_read(request, reading)
        # The signature in the address expires, so the redirect itself must not be kept.
        return RedirectResponse(context.blobs.url(key), 307, {"Cache-Control": "no-store", "Vary": "Accept"})
    data = await asyncio.to_thread(context.blobs.get, key)
    if data is None:
        raise NoPicture("the picture is no longer stored")
    await record_read(request, reading)
    return Response(data, 200, {"Cache-Control": "private, max-age=3600", "Vary": "Accept"}, _PNG)
