"""Batches over HTTP: create, read (with long polling), list, cancel, retry failed lines, erase."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from api.auth.middleware import charge_of, key_of, tenant_of
from api.batches import openapi as words
from api.batches.estimate import estimate_batch
from api.batches.intake import MOST_EXPIRES_AFTER_S, BatchIntake, BatchOptions, too_many
from api.batches.lines import CheckedLine, InvalidLine, LineReader, LineSplitter
from api.batches.openapi import ERASE_BATCH_ANSWERS
from api.batches.product import MOST_NAME_CHARS, ProductBatch, lines_of
from api.batches.retry import retry_failed
from api.batches.schemas import batch_body, batch_path
from api.context import Context, context_of
from api.erasure import RETRY_LATER
from api.http.bodies import (
    media_type,
    read_body,
    read_form,
    stream_body,
)
from api.http.etags import etag, is_current
from api.http.parameters import (
    DRY_RUN,
    IF_NONE_MATCH,
    LIMIT,
    WAIT,
    Parameter,
    UnreadableValue,
    cursor,
    flag,
    takes,
    whole_number,
)
from api.http.paths import BATCHES
from api.http.problems import parse_json
from api.idempotency import IdempotentRequest
from shared.batch import Batch
from shared.errors import BatchNotFound, InvalidField, UnsupportedMedia
from shared.store.jobs.erasure import Erasing

router = APIRouter(prefix=BATCHES, tags=["batches"])

JSON = "application/json"
_T = TypeVar("_T")
_POLL_AFTER_S = 5
_BATCH_ID = re.compile(r"[0-9a-f]{32}")
_PLACE = re.compile(r"[0-9]{1,12}\.[0-9]{6}-[0-9a-f]{32}")
_READ_BYTES = 65_536
_FRAME_BYTES = 65_536
_PAIRS_AT_ONCE = 500


def _short_name(text: str) -> str:
    if len(text) > MOST_NAME_CHARS:
        raise UnreadableValue("too_long", f"may have {MOST_NAME_CHARS} characters")
    return text


_NAME = Parameter(name="name", description="A name of your choice", parse=_short_name, default="")
_STRICT = flag("strict", "Reject the whole batch when a line is not valid")
_EXPIRES_AFTER_S = whole_number(
    "expires_after_s",
    "Lines that have not ended after these seconds never run; finished ones stay",
    most=MOST_EXPIRES_AFTER_S,
    default=None,
)
_UNSENT_PHOTOS = flag(
    "unsent_photos", "With `dry_run=true`: an unknown photo is no error, because it will be uploaded later"
)
_CURSOR = cursor(lambda text: text if _PLACE.fullmatch(text) else None)


@router.post("", status_code=202, responses=words.MAKE_ANSWERS, openapi_extra=words.MAKE_BODY, summary="Create a batch")
@takes(
    name=_NAME,
    strict=_STRICT,
    expires_after_s=_EXPIRES_AFTER_S,
    dry_run=DRY_RUN,
    unsent_photos=_UNSENT_PHOTOS,
)
async def create_batch(
    request: Request, *, name: str, strict: bool, expires_after_s: int | None, dry_run: bool, unsent_photos: bool
) -> Response:
    """Queues many pictures: lines of JSON, each a job with a `custom_id`, or scenes and casts.

    Invalid lines are counted and listed, and the others run. Options are query parameters for lines of JSON, and
    fields of the body for scenes and casts.
    """
    context, tenant, charge = context_of(request), tenant_of(request), charge_of(request)
    batch_id = _new_id(request)
    if unsent_photos and not dry_run:
        raise _UNSENT_PHOTOS.wrong("not_dry", "unsent_photos needs dry_run=true: a batch that runs needs its photos")
    options = BatchOptions(
        name=name, strict=strict, expires_after_s=expires_after_s, dry_run=dry_run, unsent_photos=unsent_photos
    )
    if dry_run:
        estimate = await _taken(request, context, batch_id, options, BatchIntake.estimate)
        return await estimate_batch(context, tenant, charge, estimate)
    wrong = await _taken(request, context, batch_id, options, lambda intake, lines: intake.take(lines, charge))
    batch = _existing(await context.batches.get(tenant, batch_id))
    headers = {"Location": batch_path(batch_id), "Retry-After": str(_POLL_AFTER_S)}
    return _answer(batch, 202, headers, wrong)


@router.get("", responses=words.LIST_ANSWERS, summary="List batches")
@takes(after=_CURSOR, limit=LIMIT)
async def list_batches(request: Request, *, after: str | None, limit: int) -> Response:
    """The tenant's batches, newest first."""
    found = await context_of(request).batches.page(tenant_of(request), after=after, limit=limit)
    batches = b",".join(batch_body(batch) for batch in found.batches)
    return Response(b'{"batches":[%s],"next":%s}' % (batches, json.dumps(found.next).encode()), media_type=JSON)


@router.get("/{batch_id}", responses=words.LOOK_ANSWERS, summary="Get a batch")
@takes(wait_s=WAIT, tags=IF_NONE_MATCH)
async def get_batch(request: Request, batch_id: str, *, wait_s: float, tags: str | None) -> Response:
    """The current state; with `wait`, the next one. With `If-None-Match`, 304 if the batch has not changed."""
    context, tenant = context_of(request), tenant_of(request)
    batch = await find_batch(request, batch_id)
    if wait_s and not batch.done and (tags is None or is_current(tags, batch.sequence)):
        request.scope["waits"] = True
        timeout_s = min(wait_s, context.settings.max_wait_s)
        batch = _existing(await context.batches.wait(tenant, batch_id, after=batch.sequence, timeout_s=timeout_s))
    if tags is not None and is_current(tags, batch.sequence):
        return Response(status_code=304, headers=_tagged(batch))
    return _answer(batch, 200)


@router.post("/{batch_id}/cancel", responses=words.CANCEL_ANSWERS, summary="Cancel a batch")
async def cancel_batch(request: Request, batch_id: str) -> Response:
    """Cancels waiting lines at once and running ones at their next step. Finished pictures stay."""
    check_batch_id(batch_id)
    context, tenant, key = context_of(request), tenant_of(request), key_of(request)
    return _answer(_existing(await context.batches.cancel(tenant, batch_id, key)), 200)


@router.post("/{batch_id}/retry_failed", status_code=202, responses=words.RETRY_ANSWERS, summary="Retry failed lines")
async def retry_failed_lines(request: Request, batch_id: str) -> Response:
    """Runs the lines again that ended without a picture: failed, canceled, expired. `expires_after_s` starts again.

    Lines that a worker had started cost their units again, as with `POST /v1/jobs/{id}/retry`; lines that only waited
    do not. If too few units remain, nothing runs (`quota_exceeded`).
    """
    context = context_of(request)
    await retry_failed(context, await find_batch(request, batch_id), charge_of(request))
    return _answer(await find_batch(request, batch_id), 202, {"Location": batch_path(batch_id)})


async def _taken(
    request: Request,
    context: Context,
    batch_id: str,
    options: BatchOptions,
    take: Callable[[BatchIntake, AsyncIterator[Sequence[CheckedLine]]], Awaitable[_T]],
) -> _T:
    settings, tenant = context.settings, tenant_of(request)
    match media_type(request):
        case "application/json":
            for parameter, value in (
                (_NAME, options.name),
                (_STRICT, options.strict),
                (_EXPIRES_AFTER_S, options.expires_after_s),
            ):
                # A generated client may send defaults.
                if value != parameter.default:
                    message = f"with scenes and casts {parameter.name} is a field of the body"
                    raise parameter.wrong("belongs_in_body", message)
            batch = parse_json(ProductBatch, await read_body(request, limit_bytes=settings.max_body_bytes))
            if batch.lines > settings.max_batch_lines:
                raise too_many(settings.max_batch_lines)
            options = replace(options, name=batch.name, strict=batch.strict, expires_after_s=batch.expires_after_s)
            return await take(BatchIntake(context, tenant, batch_id, options), _pairs(context, batch))
        case "application/jsonl" | "application/x-ndjson" | "application/jsonlines":
            intake = BatchIntake(context, tenant, batch_id, options)
            data = stream_body(request, limit_bytes=settings.max_batch_bytes)
            return await take(intake, _blocks(context, data))
        case "multipart/form-data":
            limit_bytes = settings.max_batch_bytes + _FRAME_BYTES
            async with read_form(request, limit_bytes=limit_bytes, max_files=1) as form:
                file = form.get("file")
                if not isinstance(file, UploadFile) or len(form.multi_items()) != 1:
                    raise InvalidField("the form must have exactly one part: a file in the field file", pointer="/file")
                intake = BatchIntake(context, tenant, batch_id, options)
                return await take(intake, _blocks(context, _parts(file)))
        case other:
            message = (
                "send a batch as application/jsonl, as multipart/form-data with a file, or as application/json with "
                f"scenes and casts, not as {other[:80] or 'a body without a type'}"
            )
            raise UnsupportedMedia(message)


async def _blocks(context: Context, data: AsyncIterator[bytes]) -> AsyncIterator[Sequence[CheckedLine]]:
    """Blocks of lines as they arrive, checked in a thread. Raises BatchTooLarge."""
    splitter, reader = LineSplitter(), LineReader(context.limits)
    most = context.settings.max_batch_lines
    async for chunk in data:
        lines = splitter.feed(chunk)
        if splitter.lines > most:
            raise too_many(most)
        if lines:
            yield await context.checked(partial(reader.read, lines))
    yield reader.read(splitter.end())


async def _pairs(context: Context, batch: ProductBatch) -> AsyncIterator[Sequence[CheckedLine]]:
    lines = lines_of(batch, LineReader(context.limits))
    while block := await context.checked(lambda: list(islice(lines, _PAIRS_AT_ONCE))):
        yield block


async def _parts(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_READ_BYTES):
        yield chunk


def _new_id(request: Request) -> str:
    """An id that does not depend on the body, because the record exists before the lines are read.

    A repeated request with an Idempotency-Key gets the same id.
    """
    found: IdempotentRequest | None = request.scope.get("idempotent")
    if found is None:
        return secrets.token_hex(16)
    return hashlib.sha256(f"{found.seed}:batch".encode()).hexdigest()[:32]


async def find_batch(request: Request, batch_id: str) -> Batch:
    """The tenant's batch with this id. Raises BatchNotFound, also for another tenant's, or RecordsUnavailable."""
    check_batch_id(batch_id)
    return _existing(await context_of(request).batches.get(tenant_of(request), batch_id))


def check_batch_id(batch_id: str) -> None:
    """Raises BatchNotFound for a malformed id, without a call to Redis."""
    if not _BATCH_ID.fullmatch(batch_id):
        raise BatchNotFound("no batch has this id: ids are 32 hexadecimal digits")


def _existing(batch: Batch | None) -> Batch:
    if batch is None:
        raise BatchNotFound("no batch has this id; records of finished batches expire")
    return batch


def _answer(
    batch: Batch, status: int, headers: dict[str, str] | None = None, wrong: Sequence[InvalidLine] = ()
) -> Response:
    return Response(batch_body(batch, wrong), status, {**_tagged(batch), **(headers or {})}, JSON)


def _tagged(batch: Batch) -> dict[str, str]:
    return {"ETag": etag(batch.sequence), "Cache-Control": "private, no-cache"}


@router.delete(
    "/{batch_id}",
    status_code=202,
    response_class=Response,
    responses=ERASE_BATCH_ANSWERS,
    summary="Erase a batch",
)
async def erase_batch(request: Request, batch_id: str) -> Response:
    """Erases the lines, the files and the jobs with their pictures, except results that other jobs share.

    A running batch is canceled first. It returns 404 once it has ended; its files are deleted within seconds.
    """
    check_batch_id(batch_id)
    batches, tenant, key = context_of(request).batches, tenant_of(request), key_of(request)
    if await batches.erase(tenant, batch_id, key) is Erasing.NONE:
        raise BatchNotFound("no batch has this id; records of finished batches expire")
    return Response(status_code=202, headers=RETRY_LATER)
