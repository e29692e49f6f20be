"""Retry of the lines of a batch that ended without a picture."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence

from pydantic_core import from_json

from api.context import Context
from shared.batch import Batch
from shared.batch_files import CHUNK_LINES, ChunkLog, LineChunks, decode_line
from shared.errors import BatchNotOver, NothingToRetry, RateLimited
from shared.job import Status
from shared.store.batches.store import Retry
from shared.store.jobs.record import units
from shared.store.tenants.charge import Charge


async def retry_failed(context: Context, batch: Batch, charge: Charge | None = None) -> None:
    """Queues the lines that failed, were canceled or expired again; lines with a picture stay.

    With a charge, lines that a worker had started are charged like new jobs; the first charge of the batch was for one
    run of each line. Raises BatchNotOver, NothingToRetry, QuotaExceeded, RecordsUnavailable or BlobsUnavailable.
    """
    if not batch.done:
        message = f"the batch is {batch.status}: wait until it has ended, or cancel it"
        raise BatchNotOver(message)
    names = await context.batches.names(batch, "errors")
    lines = await asyncio.to_thread(_collected, context, batch, names)
    try:
        runs = await context.batches.retry(batch, lines, charge)
    except RateLimited:
        # Only the lines: names of log chunks come from their content and may be in use.
        await asyncio.to_thread(_lines(context, batch, lines.source).delete, range(lines.chunks))
        raise
    if not runs:
        raise BatchNotOver("the batch is already running again")
    old = [name for name in names if name not in lines.errors]
    await asyncio.to_thread(_log(context, batch).delete, old)


def _collected(context: Context, batch: Batch, names: Sequence[str]) -> Retry:
    log = _log(context, batch)
    again: set[int] = set()
    counts: Counter[Status] = Counter()
    kept: list[str] = []
    invalid: list[bytes] = []
    for name in names:
        for row in log.read(name):
            value = from_json(row)
            if value["status"] == "invalid":
                invalid.append(row)
            else:
                again.add(value["line"])
                counts[Status(value["status"])] += 1
        while len(invalid) >= CHUNK_LINES:
            kept.append(log.put(len(kept), invalid[:CHUNK_LINES]))
            invalid = invalid[CHUNK_LINES:]
    if not again:
        raise NothingToRetry("no line of the batch ended without a picture")
    if invalid:
        kept.append(log.put(len(kept), invalid))
    source = secrets.token_hex(4)
    chunks, size = _copied(context, batch, again, source)
    return Retry(source=source, chunks=chunks, counts=counts, units=size, errors=kept)


def _copied(context: Context, batch: Batch, again: set[int], source: str) -> tuple[int, float]:
    """Writes the lines with these numbers as a new source; gives the numbers of chunks and units."""
    old, new = _lines(context, batch, batch.cursor.source), _lines(context, batch, source)
    chunks, size = 0, 0.0
    for number in range(batch.cursor.chunks):
        rows = [row for row in old.read(number) if from_json(row)["line"] in again]
        if rows:
            new.put(chunks, rows)
            chunks += 1
            size += sum(units(decode_line(row).spec) for row in rows)
    return chunks, size


def _lines(context: Context, batch: Batch, source: str) -> LineChunks:
    return LineChunks(blobs=context.blobs, tenant=batch.tenant, batch_id=batch.id, source=source)


def _log(context: Context, batch: Batch) -> ChunkLog:
    return ChunkLog(blobs=context.blobs, tenant=batch.tenant, batch_id=batch.id, log="errors")
