"""From lines to a running batch: checks photos, writes full chunks to S3, and starts the record at the end.

Memory holds a block of lines, the chunk that fills, the chunk that is written, and 8 bytes for each custom id. If the
request breaks off, or a strict batch has an invalid line, nothing remains of the batch.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from api.batches.lines import CheckedLine, InvalidLine, ValidLine
from api.context import Context
from api.http.problems import FieldError, InvalidFields, pointer_to
from shared.batch import LineError, Outcome
from shared.batch_files import CHUNK_BYTES, CHUNK_LINES, ChunkLog, LineChunks, encode_outcome
from shared.errors import BatchRefused, BatchTooLarge, InvalidField, MalformedBody, TroupeError, UnknownPhoto
from shared.job import JobSpec, encode_spec
from shared.store.batches.store import INTAKE_S
from shared.store.jobs.record import pixels, units
from shared.store.tenants.charge import Charge, too_large
from shared.telemetry.log import get_logger

MOST_EXPIRES_AFTER_S = 31_536_000
_SHOWN_ERRORS = 20
_SHOWN_OF_A_LINE = 5
_HEAR_EVERY_S = INTAKE_S / 8
# Known photos are cached up to this number.
_PHOTOS_KEPT = 50_000

_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Options of a batch. unsent_photos: unknown photos are no error."""

    name: str = ""
    strict: bool = False
    expires_after_s: int | None = None
    dry_run: bool = False
    unsent_photos: bool = False


@dataclass(frozen=True, kw_only=True)
class LineEstimate:
    """Counts of the lines of a dry run. first: the first invalid lines."""

    good: int
    invalid: int
    units: float
    first: Sequence[InvalidLine]


@dataclass(kw_only=True)
class _Writer:
    """Fills chunks; at most one is written while the next one fills."""

    chunks: LineChunks | ChunkLog
    written: int = 0
    names: list[str] = field(default_factory=list)
    _lines: list[bytes] = field(default_factory=list)
    _bytes: int = 0
    _writing: asyncio.Task[str] | None = None

    async def add(self, line: bytes) -> None:
        """Adds a line. Raises BlobsUnavailable."""
        self._lines.append(line)
        self._bytes += len(line)
        if len(self._lines) >= CHUNK_LINES or self._bytes >= CHUNK_BYTES:
            await self._flush()

    async def close(self) -> None:
        """Writes the remaining lines. Raises BlobsUnavailable."""
        if self._lines:
            await self._flush()
        await self._wait()

    async def drop(self) -> None:
        """Deletes all written chunks. Raises BlobsUnavailable."""
        self._lines = []
        await self._wait()
        if isinstance(self.chunks, LineChunks):
            await asyncio.to_thread(self.chunks.delete, range(self.written))
        else:
            await asyncio.to_thread(self.chunks.delete, self.names)

    async def _flush(self) -> None:
        await self._wait()
        lines, number = self._lines, self.written
        self._lines, self._bytes, self.written = [], 0, number + 1
        self._writing = asyncio.create_task(asyncio.to_thread(self.chunks.put, number, lines))

    async def _wait(self) -> None:
        task, self._writing = self._writing, None
        if task is not None:
            self.names.append(await task)


class BatchIntake:
    """Takes in one batch. Use it once."""

    def __init__(self, context: Context, tenant: str, batch_id: str, options: BatchOptions) -> None:
        self._context = context
        self._tenant = tenant
        self._id = batch_id
        self._options = options
        self._source = secrets.token_hex(4)
        blobs = context.blobs
        lines = LineChunks(blobs=blobs, tenant=tenant, batch_id=batch_id, source=self._source)
        self._good = _Writer(chunks=lines)
        self._bad = _Writer(chunks=ChunkLog(blobs=blobs, tenant=tenant, batch_id=batch_id, log="errors"))
        self._counts = {"good": 0, "bad": 0}
        self._units = 0.0
        self._first: list[InvalidLine] = []
        self._known: set[str] = set()
        self._most_pixels: int | None = None

    async def take(self, blocks: AsyncIterator[Sequence[CheckedLine]], charge: Charge) -> list[InvalidLine]:
        """Reads the lines and starts the batch; gives the first invalid lines. A rejected batch leaves nothing.

        Raises BatchTooLarge, InvalidFields, MalformedBody, QuotaExceeded, RecordsUnavailable or BlobsUnavailable.
        """
        context, options = self._context, self._options
        made = await context.batches.open(
            self._id, tenant=self._tenant, name=options.name, expires_after_s=options.expires_after_s
        )
        if not made:
            # A repeated request whose first process died after the batch had started.
            return []
        try:
            self._most_pixels = await context.jobs.largest_pixels()
            heard_s = time.monotonic()
            async for block in blocks:
                await self._take_block(block)
                if time.monotonic() - heard_s > _HEAR_EVERY_S:
                    heard_s = time.monotonic()
                    await self._renew_intake()
            self._check()
            await self._good.close()
            await self._bad.close()
            await self._start(charge)
        except BaseException:
            # Shielded: a disconnected caller must not leave parts of the batch behind.
            await asyncio.shield(self._drop())
            raise
        return self._first

    async def estimate(self, blocks: AsyncIterator[Sequence[CheckedLine]]) -> LineEstimate:
        """Counts the lines of a dry run. Raises BatchTooLarge, InvalidFields, MalformedBody or RecordsUnavailable."""
        self._most_pixels = await self._context.jobs.largest_pixels()
        async for block in blocks:
            await self._take_block(block)
        self._check()
        good, invalid = self._counts["good"], self._counts["bad"]
        return LineEstimate(good=good, invalid=invalid, units=self._units, first=self._first)

    async def _take_block(self, block: Sequence[CheckedLine]) -> None:
        unknown = set() if self._options.unsent_photos else await self._unknown_photos(block)
        for number, read in enumerate(block):
            line = self._served(read, unknown) if isinstance(read, ValidLine) else read
            total = self._counts["good"] + self._counts["bad"]
            if total >= self._context.settings.max_batch_lines:
                raise too_many(self._context.settings.max_batch_lines)
            if isinstance(line, InvalidLine):
                await self._take_bad(line)
            elif not (self._options.strict and self._first):
                await self._take_good(line)
            if number % 200 == 199:
                # Gives other requests of this process a turn.
                await asyncio.sleep(0)

    def _served(self, line: ValidLine, unknown: set[str]) -> CheckedLine:
        """The line, or why it cannot be served. The workers were read once for all lines."""
        errors = _missing_photos(line.spec, unknown) if unknown else []
        if self._most_pixels is not None and pixels(line.spec) > self._most_pixels:
            error = too_large(self._most_pixels)
            errors = [LineError(code=error.code, message=error.message, pointer=error.pointer), *errors]
        if not errors:
            return line
        return InvalidLine(number=line.number, custom_id=line.custom_id, errors=tuple(errors[:_SHOWN_OF_A_LINE]))

    async def _take_good(self, line: ValidLine) -> None:
        self._counts["good"] += 1
        self._units += units(line.spec)
        if not self._options.dry_run:
            await self._good.add(encode_line(line))

    async def _take_bad(self, line: InvalidLine) -> None:
        self._counts["bad"] += 1
        if len(self._first) < _SHOWN_ERRORS:
            self._first.append(line)
        if not (self._options.strict or self._options.dry_run):
            outcome = Outcome(line=line.number, custom_id=line.custom_id, status="invalid", errors=line.errors)
            await self._bad.add(encode_outcome(outcome))

    async def _unknown_photos(self, block: Sequence[CheckedLine]) -> set[str]:
        used = {
            photo
            for line in block
            if isinstance(line, ValidLine)
            for concept in line.spec.concepts
            for photo in concept.photos
        }
        new = sorted(used - self._known)
        unknown = await self._context.jobs.unknown_photos(self._tenant, new)
        if len(self._known) > _PHOTOS_KEPT:
            self._known.clear()
        self._known.update(photo for photo in new if photo not in unknown)
        return unknown

    def _check(self) -> None:
        if not self._counts["good"] and not self._counts["bad"]:
            raise InvalidField("the batch has no lines", pointer="")
        if self._options.strict and self._first:
            count = self._counts["bad"]
            fields = [field_of(line, error) for line in self._first for error in line.errors]
            message = f"the batch is strict and has {count} invalid lines; the first is line {self._first[0].number}"
            raise InvalidFields(BatchRefused, message, fields)

    async def _start(self, charge: Charge) -> None:
        started = await self._context.batches.start(
            self._id,
            source=self._source,
            chunks=self._good.written,
            good=self._counts["good"],
            invalid=self._counts["bad"],
            units=self._units,
            errors=self._bad.names,
            charge=charge,
        )
        if not started:
            raise _given_up()

    async def _renew_intake(self) -> None:
        if not await self._context.batches.renew_intake(self._id):
            raise _given_up()

    async def _drop(self) -> None:
        try:
            # If only the reply to the start was lost, the batch runs and keeps its lines.
            if await self._context.batches.drop(self._id):
                await self._good.drop()
                await self._bad.drop()
        except TroupeError as error:
            # The batch feeder deletes the record as well, and the objects of the batch are collected as orphans.
            _log.warning("batch_drop_failed", batch=self._id, code=error.code)


def encode_line(line: ValidLine) -> bytes:
    """A line as stored in S3; `shared.batch.Line` reads it."""
    # Assembled by hand, so that the spec is encoded once, as in the job's record.
    custom_id, spec = json.dumps(line.custom_id), encode_spec(line.spec)
    return f'{{"line":{line.number},"custom_id":{custom_id},"spec":{spec}}}'.encode()


def field_of(line: InvalidLine, error: LineError) -> FieldError:
    """The error of a line as a field of a problem."""
    return FieldError(code=error.code, message=error.message, pointer=error.pointer or "", line=line.number)


def too_many(most: int) -> BatchTooLarge:
    """The error for too many lines."""
    return BatchTooLarge(f"the batch has more than {most} lines; split it")


def _given_up() -> MalformedBody:
    return MalformedBody("the lines arrived too slowly: send the batch again")


def _missing_photos(spec: JobSpec, unknown: set[str]) -> list[LineError]:
    return [
        LineError(
            code=UnknownPhoto.code,
            message=f"photo {photo} was never uploaded or has expired",
            pointer=pointer_to("concepts", concept, "photos", number),
        )
        for concept, person in enumerate(spec.concepts)
        for number, photo in enumerate(person.photos)
        if photo in unknown
    ]
