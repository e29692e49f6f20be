"""Results of a batch: its lines page by page, its files, a manifest of URLs, and a zip file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from api.auth.audit_trail import REPEAT_S, AuditedRead, record_read
from api.batches import openapi as words
from api.batches.files import MOST_ZIPPED, archive, manifest
from api.batches.items import FIRST, ItemReader, Place, place_of
from api.batches.routes import find_batch
from api.batches.schemas import ItemPageView, ItemStatus
from api.context import context_of
from api.http.parameters import LIMIT, choice, cursor, takes
from api.http.paths import BATCHES
from shared.batch import Batch
from shared.batch_files import JSONL
from shared.errors import ZipTooLarge
from shared.job import Status
from shared.store.tenants.audit import Action

router = APIRouter(prefix=BATCHES, tags=["batches"])
_ITEM_STATUS: tuple[ItemStatus, ...] = get_args(ItemStatus)
_STATUS = choice("status", _ITEM_STATUS, "Only lines in this status")
_CURSOR = cursor(place_of)


@router.get("/{batch_id}/items", responses=words.ITEMS_ANSWERS, summary="List the lines of a batch")
@takes(status=_STATUS, place=_CURSOR, limit=LIMIT)
async def list_batch_items(
    request: Request, batch_id: str, *, status: ItemStatus | None, place: Place | None, limit: int
) -> Response:
    """The lines of the batch: ended ones in the order of their end, then queued and running, then waiting ones.

    A line that changes its state between two pages may appear twice or not at all. A page may have fewer lines than
    `limit`: more follow while `next` is not null.
    """
    batch = await find_batch(request, batch_id)
    found, following = await ItemReader(context_of(request), batch).page(status, place or FIRST, limit)
    if any(item.picture_url for item in found):
        await record_read(request, _audited(batch, "items", once_s=REPEAT_S))
    view = ItemPageView(items=tuple(found), next=None if following is None else str(following))
    return Response(view.model_dump_json(), media_type="application/json")


@router.get(
    "/{batch_id}/output", response_class=Response, responses=words.FILE_ANSWERS, summary="Download the output file"
)
async def download_batch_output(request: Request, batch_id: str) -> Response:
    """The lines with a picture as JSONL, in the order of their end; in a running batch, those so far."""
    batch = await find_batch(request, batch_id)
    return await _file(request, ItemReader(context_of(request), batch).lines("output"), _audited(batch, "output"))


@router.get(
    "/{batch_id}/errors", response_class=Response, responses=words.FILE_ANSWERS, summary="Download the errors file"
)
async def download_batch_errors(request: Request, batch_id: str) -> Response:
    """The lines without a picture as JSONL (invalid, failed, canceled, expired); in a running batch, those so far."""
    batch = await find_batch(request, batch_id)
    return await _file(request, ItemReader(context_of(request), batch).lines("errors"), _audited(batch, "errors"))


@router.get(
    "/{batch_id}/manifest", response_class=Response, responses=words.FILE_ANSWERS, summary="Download the manifest"
)
async def download_batch_manifest(request: Request, batch_id: str) -> Response:
    """One line of JSON for each picture, with a signed URL that expires."""
    batch = await find_batch(request, batch_id)
    context = context_of(request)
    return await _file(request, manifest(context, ItemReader(context, batch)), _audited(batch, "manifest"))


@router.get(
    "/{batch_id}/zip",
    response_class=Response,
    responses=words.ZIP_ANSWERS,
    summary="Download all pictures as a zip file",
)
async def download_batch_zip(request: Request, batch_id: str) -> Response:
    """The pictures so far as a zip file, streamed; at most 10,000. The manifest has no limit."""
    batch = await find_batch(request, batch_id)
    if batch.over.get(Status.SUCCEEDED, 0) > MOST_ZIPPED:
        message = f"the batch has more than {MOST_ZIPPED} pictures: download them with the manifest"
        raise ZipTooLarge(message)
    context = context_of(request)
    answer = await _file(
        request, archive(context, ItemReader(context, batch)), _audited(batch, "zip"), "application/zip"
    )
    answer.headers["Content-Disposition"] = f'attachment; filename="{batch_id}.zip"'
    return answer


async def _file(
    request: Request, data: AsyncIterator[bytes], read: AuditedRead, type_: str = JSONL
) -> StreamingResponse:
    """A stream that begins once its first bytes exist: an outage before that is a problem response."""
    first = await anext(data, b"")
    await record_read(request, read)

    async def all_of_it() -> AsyncIterator[bytes]:
        yield first
        async for piece in data:
            yield piece

    return StreamingResponse(all_of_it(), media_type=type_)


def _audited(batch: Batch, name: str, *, once_s: int = 0) -> AuditedRead:
    return AuditedRead(action=Action.BATCH_FILES_READ, subject=batch.id, detail=name, once_s=once_s)
