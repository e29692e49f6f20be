"""Audit of reads: no picture, photo or file is sent before its entry is in the tenant's audit log.

A signed URL counts as the picture. Reading the state of a job, with its faces and boxes, is not audited.
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

# Unfinished pictures and lines of batches are polled: one entry an hour for each key.
REPEAT_S = 3600
_PNG = "image/png"


@dataclass(frozen=True, kw_only=True)
class AuditedRead:
    """A read. subject: id of the job, photo or batch; detail: its picture or file; once_s: one entry in it."""

    action: Action
    subject: str
    detail: str = ""
    once_s: int = 0


async def record_read(request: Request, reading: AuditedRead) -> None:
    """Writes the entry; call it once the data to send is known to exist. Raises RecordsUnavailable."""
    await context_of(request).audit.record(
        tenant_of(request),
        key_of(request),
        reading.action,
        reading.subject,
        reading.detail,
        once_s=reading.once_s,
    )


async def png_response(request: Request, context: Context, key: str, reading: AuditedRead) -> Response:
    """A redirect to the stored PNG with this key, or its bytes for `Accept: image/png`.

    Raises NoPicture when the blob is gone, RecordsUnavailable or BlobsUnavailable.
    """
    if request.headers.get("accept") != _PNG:
        await record_read(request, reading)
        # The signature in the URL expires, so the redirect must not be cached.
        return RedirectResponse(context.blobs.url(key), 307, {"Cache-Control": "no-store", "Vary": "Accept"})
    data = await asyncio.to_thread(context.blobs.get, key)
    if data is None:
        raise NoPicture("the picture is no longer stored")
    await record_read(request, reading)
    return Response(data, 200, {"Cache-Control": "private, max-age=3600", "Vary": "Accept"}, _PNG)
