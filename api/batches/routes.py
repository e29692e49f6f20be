"""Batches over HTTP: make, look (with long-poll), list, cancel, ask for failed lines again, and their files."""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from api.auth.middleware import key_of, receipt_of, tenant_of
from api.batches import openapi as words
from api.batches.estimate import estimate_batch
from api.batches.intake import MOST_EXPIRES_AFTER_S, BatchIntake, Options, too_many
from api.batches.lines import BadLine, LineReader, LineSplitter, ReadLine
from api.batches.openapi import ERASE_BATCH_ANSWERS
from api.batches.product import MOST_NAME_CHARS, ProductBatch, lines_of, product_of
from api.batches.retry import retry_failed
from api.batches.schemas import batch_body, batch_path
from api.context import Context, context_of
from api.erasure import LATER
from api.http import parameters
from api.http.bodies import (
    media_type,
    read_body,
    read_form,
    stream_body,
)
from api.http.paths import BATCHES
from api.idempotency import Turn
from shared.batch import Batch
from shared.errors import BatchNotFound, InvalidField, UnsupportedMedia
from shared.store.jobs.erasure import Erasing

router = APIRouter(prefix=BATCHES, tags=["batches"])

JSON = "application/json"
_T = TypeVar("_T")
_POLL_AFTER_S = 5
_BATCH_ID = re.compile(r"[0-9a-f]{32}")
_MARK = re.compile(r"[0-9]{1,12}\.[0-9]{6}-[0-9a-f]{32}")
_READ_BYTES = 65_536
_FRAME_BYTES = 65_536
_PAIRS_AT_ONCE = 500
_OPTIONS = ("name", "strict", "expires_after_s")
_UNSENT = "unsent_photos"


@router.post("", status_code=202, responses=words.MAKE_ANSWERS, openapi_extra=words.MAKE_BODY, summary="Make a batch")
async def make(request: Request) -> Response:
    """Queues many pictures: a line of JSON each, as `POST /v1/jobs` takes it with a `custom_id`, or scenes and casts.

    Lines that are not valid are counted and listed, and the others run. Options of JSONL are parameters of the query,
    those of scenes and casts fields of the body.
    """
    context, tenant, charge = context_of(request), tenant_of(request), receipt_of(request)
    batch_id = _new_id(request)
    if _is_dry(request):
        weighed = await _taken(request, context, batch_id, BatchIntake.weigh)
        return await estimate_batch(context, tenant, charge, weighed)
    wrong = await _taken(request, context, batch_id, lambda intake, lines: intake.take(lines, charge))
    batch = _there(await context.batches.get(tenant, batch_id))
    headers = {"Location": batch_path(batch_id), "Retry-After": str(_POLL_AFTER_S)}
    return _answer(batch, 202, headers, wrong)


@router.get("", responses=words.LIST_ANSWERS, openapi_extra=words.LIST_BATCHES, summary="List batches")
async def page(request: Request) -> Response:
    """The caller's batches, the newest first."""
    cursor = parameters.text(request, "cursor")
    if cursor is not None and not _MARK.fullmatch(cursor):
        raise parameters.wrong("cursor", "not_a_cursor", "cursor must be the `next` of the page before")
    limit = parameters.limit(request)
    found = await context_of(request).batches.page(tenant_of(request), after=cursor, limit=limit)
    batches = b",".join(batch_body(batch) for batch in found.batches)
    return Response(b'{"batches":[%s],"next":%s}' % (batches, json.dumps(found.next).encode()), media_type=JSON)


@router.get("/{batch_id}", responses=words.LOOK_ANSWERS, openapi_extra=words.LOOK_BATCH, summary="Look at a batch")
async def look(request: Request, batch_id: str) -> Response:
    """The batch as it is; with `wait` as soon as it changes. `If-None-Match` answers 304 while it has not."""
    context, tenant = context_of(request), tenant_of(request)
    wait_s = _wait_s(request)
    batch = await find_batch(request, batch_id)
    tags = request.headers.get("if-none-match")
    if wait_s and not batch.done and (tags is None or _same(tags, batch)):
        request.scope["waits"] = True
        timeout_s = min(wait_s, context.settings.max_wait_s)
        batch = _there(await context.batches.wait(tenant, batch_id, after=batch.sequence, timeout_s=timeout_s))
    if tags is not None and _same(tags, batch):
        return Response(status_code=304, headers=_tagged(batch))
    return _answer(batch, 200)


@router.post("/{batch_id}/cancel", responses=words.CANCEL_ANSWERS, summary="Take a batch back")
async def cancel(request: Request, batch_id: str) -> Response:
    """Nothing more is queued, what waits ends now, what runs at its next step; pictures that are there stay."""
    check_batch_id(batch_id)
    context, tenant, key = context_of(request), tenant_of(request), key_of(request)
    return _answer(_there(await context.batches.cancel(tenant, batch_id, key)), 200)


@router.post(
    "/{batch_id}/retry_failed", status_code=202, responses=words.RETRY_ANSWERS, summary="Ask for failed lines again"
)
async def again(request: Request, batch_id: str) -> Response:
    """Runs the lines again that ended without a picture: failed, canceled, expired. `expires_after_s` begins anew.

    Lines that a worker had begun cost their units again, as `POST /v1/jobs/{id}/retry` does; those that only waited do
    not. When fewer units are left, nothing runs (`quota_exceeded`).
    """
    context = context_of(request)
    await retry_failed(context, await find_batch(request, batch_id), receipt_of(request))
    return _answer(await find_batch(request, batch_id), 202, {"Location": batch_path(batch_id)})


async def _taken(
    request: Request,
    context: Context,
    batch_id: str,
    take: Callable[[BatchIntake, AsyncIterator[Sequence[ReadLine]]], Awaitable[_T]],
) -> _T:
    settings, tenant = context.settings, tenant_of(request)
    match media_type(request):
        case "application/json":
            for name in _OPTIONS:
                if parameters.text(request, name) is not None:
                    raise parameters.wrong(
                        name, "belongs_in_body", f"with scenes and casts {name} is a field of the body"
                    )
            asked = product_of(await read_body(request, limit_bytes=settings.max_body_bytes))
            if asked.lines > settings.max_batch_lines:
                raise too_many(settings.max_batch_lines)
            options = Options(
                name=asked.name,
                strict=asked.strict,
                expires_after_s=asked.expires_after_s,
                dry_run=_is_dry(request),
                unsent_photos=parameters.flag(request, _UNSENT),
            )
            return await take(BatchIntake(context, tenant, batch_id, options), _pairs(context, asked))
        case "application/jsonl" | "application/x-ndjson" | "application/jsonlines":
            intake = BatchIntake(context, tenant, batch_id, _options(request))
            data = stream_body(request, limit_bytes=settings.max_batch_bytes)
            return await take(intake, _blocks(context, data))
        case "multipart/form-data":
            options = _options(request)
            limit_bytes = settings.max_batch_bytes + _FRAME_BYTES
            async with read_form(request, limit_bytes=limit_bytes, max_files=1) as form:
                file = form.get("file")
                if not isinstance(file, UploadFile) or len(form.multi_items()) != 1:
                    raise InvalidField("the form must hold one file, in the field file", pointer="/file")
                intake = BatchIntake(context, tenant, batch_id, options)
                return await take(intake, _blocks(context, _parts(file)))
        case other:
            message = (
                "send a batch as application/jsonl, as multipart/form-data with a file, or as application/json with "
                f"scenes and casts, not as {other[:80] or 'no type at all'}"
            )
            raise UnsupportedMedia(message)


async def _blocks(context: Context, data: AsyncIterator[bytes]) -> AsyncIterator[Sequence[ReadLine]]:
    """Lines, checked in a thread, as many at once as came at once. Raises BatchTooLarge."""
    splitter, reader = LineSplitter(), LineReader(context.limits)
    most = context.settings.max_batch_lines
    async for chunk in data:
        lines = splitter.feed(chunk)
        if splitter.lines > most:
            raise too_many(most)
        if lines:
            yield await context.checked(partial(reader.read, lines))
    yield reader.read(splitter.end())


async def _pairs(context: Context, asked: ProductBatch) -> AsyncIterator[Sequence[ReadLine]]:
    lines = lines_of(asked, LineReader(context.limits))
    while block := await context.checked(lambda: list(islice(lines, _PAIRS_AT_ONCE))):
        yield block


async def _parts(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_READ_BYTES):
        yield chunk


def _options(request: Request) -> Options:
    name = parameters.text(request, "name") or ""
    if len(name) > MOST_NAME_CHARS:
        raise parameters.wrong("name", "too_long", f"name may have {MOST_NAME_CHARS} characters")
    strict = parameters.flag(request, "strict")
    given = parameters.text(request, "expires_after_s")
    expires_after_s = (
        None if given is None else parameters.whole(request, "expires_after_s", default=1, most=MOST_EXPIRES_AFTER_S)
    )
    return Options(
        name=name,
        strict=strict,
        expires_after_s=expires_after_s,
        dry_run=_is_dry(request),
        unsent_photos=parameters.flag(request, _UNSENT),
    )


def _is_dry(request: Request) -> bool:
    dry_run = parameters.flag(request, "dry_run")
    if parameters.flag(request, _UNSENT) and not dry_run:
        raise parameters.wrong(_UNSENT, "not_dry", f"{_UNSENT} goes with dry_run=true alone: a batch needs its photos")
    return dry_run


def _new_id(request: Request) -> str:
    """An id that does not need the whole body: the record is there while the lines are read.

    The same again when a request with an Idempotency-Key has to be done over.
    """
    turn: Turn | None = request.scope.get("turn")
    if turn is None:
        return secrets.token_hex(16)
    return hashlib.sha256(f"{turn.seed}:batch".encode()).hexdigest()[:32]


async def find_batch(request: Request, batch_id: str) -> Batch:
    """The caller's batch of this id. Raises BatchNotFound, for another tenant's as well, or RecordsUnavailable."""
    check_batch_id(batch_id)
    return _there(await context_of(request).batches.get(tenant_of(request), batch_id))


def check_batch_id(batch_id: str) -> None:
    """Raises BatchNotFound for what can be no batch's id, without asking Redis."""
    if not _BATCH_ID.fullmatch(batch_id):
        raise BatchNotFound("there is no batch of this id: ids are 32 hexadecimal digits")


def _there(batch: Batch | None) -> Batch:
    if batch is None:
        raise BatchNotFound("there is no batch of this id; records of finished batches expire")
    return batch


def _wait_s(request: Request) -> float:
    text = parameters.text(request, "wait") or "0"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise parameters.wrong("wait", "not_seconds", "wait must be a number of seconds")
    return seconds


def _answer(
    batch: Batch, status: int, headers: dict[str, str] | None = None, wrong: Sequence[BadLine] = ()
) -> Response:
    return Response(batch_body(batch, wrong), status, {**_tagged(batch), **(headers or {})}, JSON)


def _tagged(batch: Batch) -> dict[str, str]:
    # Weak: rate and ETA change without a change of the batch itself.
    return {"ETag": f'W/"{batch.sequence}"', "Cache-Control": "private, no-cache"}


def _same(tags: str, batch: Batch) -> bool:
    given = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    return "*" in given or f'"{batch.sequence}"' in given


@router.delete(
    "/{batch_id}",
    status_code=202,
    response_class=Response,
    responses=ERASE_BATCH_ANSWERS,
    summary="Erase a batch",
)
async def erase_batch(request: Request, batch_id: str) -> Response:
    """Its lines, its files, and its jobs with their pictures, but for what other jobs of yours have.

    A batch that runs is taken back first. It is not found any more once it is over; its files go in the seconds after.
    """
    check_batch_id(batch_id)
    batches, tenant, key = context_of(request).batches, tenant_of(request), key_of(request)
    if await batches.erase(tenant, batch_id, key) is Erasing.NONE:
        raise BatchNotFound("there is no batch of this id; records of finished batches expire")
    return Response(status_code=202, headers=LATER)
