"""Advances batches: lines from S3 into the queue, outcomes into S3. Every supervisor runs a feeder; one of them feeds.

A feeder remembers nothing that it cannot read again, and every step changes a batch by one script that has no effect
when the batch has changed meanwhile. So a feeder may die, or continue late, at any moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import cached_property

from shared.batch import Batch, BatchStatus, Cursor, Line, Log, Outcome, outcome_of
from shared.batch_files import (
    CHUNK_LINES,
    ChunkLog,
    LineChunks,
    decode_line,
    encode_outcome,
    lines_in,
)
from shared.blob_store import BlobStore
from shared.job import Status
from shared.settings import Settings
from shared.store.batches.feed import BatchStore, Chunk, Skip
from shared.telemetry.log import get_logger

# Lines to queue by one script: Redis does nothing else meanwhile.
_FEED_AT_ONCE = 100
# Minimum time between two writes while jobs of the batch are open: each write replaces the last chunk of a log.
_WRITE_EVERY_S = 2.0
_LEAST_PAUSE_S = 0.05
_LOGS: tuple[Log, ...] = ("output", "errors")

log = get_logger(__name__)


class BatchFeeder:
    """Keeps a window of each batch's lines in the queue. Opens no connection to S3 before there is a batch."""

    def __init__(self, batches: BatchStore, settings: Settings, name: str) -> None:
        self._batches = batches
        self._settings = settings
        self._name = name
        self._written_s: dict[tuple[str, Log], float] = {}
        self._lines: dict[str, tuple[Cursor, list[bytes]]] = {}

    @cached_property
    def _blobs(self) -> BlobStore:
        return BlobStore(self._settings)

    def tick(self, stop: threading.Event) -> None:
        """Advances every batch as far as possible, then waits for a notification. Raises TransientError."""
        if not self._batches.acquire_lock(self._name):
            self._forget(set())
            stop.wait(self._settings.dispatch_every_s)
            return
        batches = self._batches.unfinished()
        self._forget({batch.id for batch in batches})
        is_busy = False
        for batch in batches:
            if stop.is_set() or not self._batches.acquire_lock(self._name):
                return
            is_busy |= self.advance(batch)
        stop.wait(_LEAST_PAUSE_S)
        if not is_busy:
            self._batches.wait_for_notification(min(self._settings.dispatch_every_s, _WRITE_EVERY_S))

    def advance(self, batch: Batch) -> bool:
        """One step of a batch. Returns whether the next step can follow at once."""
        if batch.status is BatchStatus.VALIDATING:
            self._drop_if_abandoned(batch)
            return False
        is_on = batch.status is BatchStatus.RUNNING and batch.stop is None
        if is_on and batch.deadline_s is not None and batch.now_s >= batch.deadline_s:
            log.info("batch_expired", batch=batch.id)
            self._batches.stop(batch.id, "expired")
            return True
        is_busy = False
        for name in _LOGS:
            is_busy |= self._write(batch, name)
        if is_on:
            is_busy |= self._feed(batch)
        if batch.stop is not None and batch.status is BatchStatus.FINALIZING and not batch.cursor.is_at_end:
            self._skip(batch, Status(batch.stop))
            return True
        if batch.open == 0:
            status = self._batches.close(batch.id)
            is_busy |= status is not batch.status
            if status is not batch.status:
                log.info("batch_status_changed", batch=batch.id, status=status)
        return is_busy

    def _feed(self, batch: Batch) -> bool:
        """Fills the window once half of it is free."""
        window = self._settings.batch_window
        if batch.open > window // 2 or batch.cursor.is_at_end:
            return False
        room, cursor = window - batch.open, batch.cursor
        while room > 0 and not cursor.is_at_end:
            found = self._waiting(batch, cursor)[cursor.at : cursor.at + min(room, _FEED_AT_ONCE)]
            lines = [decode_line(data) for data in found]
            following = self._moved(batch, cursor, len(lines))
            if not self._batches.feed(batch.model_copy(update={"cursor": cursor}), lines, following):
                return True
            room, cursor = room - len(lines), following
        return False

    def _skip(self, batch: Batch, status: Status) -> None:
        """Writes lines that will not run to the errors log."""
        last = self._batches.names(batch, "errors")
        tail = self._tail(batch, "errors", last[1])
        cursor = batch.cursor
        found = self._waiting(batch, cursor)[cursor.at : cursor.at + CHUNK_LINES - len(tail)]
        lines = [decode_line(data) for data in found]
        skip = Skip(at=cursor, to=self._moved(batch, cursor, len(lines)), status=status, lines=len(lines))
        self._append(batch, "errors", last, tail, [_skipped(line, status) for line in lines], skip=skip)

    def _write(self, batch: Batch, name: Log) -> bool:
        """Writes outcomes, when it is time. Returns whether there may be more."""
        key = (batch.id, name)
        if batch.open and time.monotonic() - self._written_s.get(key, float("-inf")) < _WRITE_EVERY_S:
            return False
        # Read before the outcomes: if another feeder writes some of them in between, this name is outdated.
        last = self._batches.names(batch, name)
        ended = self._batches.ended(batch, name, CHUNK_LINES)
        self._written_s[key] = time.monotonic()
        if not ended:
            return False
        tail = self._tail(batch, name, last[1])
        taken = ended[: CHUNK_LINES - len(tail)]
        outcomes = [outcome_of(job) for _, job in taken if job is not None]
        self._append(batch, name, last, tail, outcomes, jobs=[job_id for job_id, _ in taken])
        if len(taken) < len(ended) or len(ended) == CHUNK_LINES:
            del self._written_s[key]
            return True
        return False

    def _tail(self, batch: Batch, name: Log, last: str) -> list[bytes]:
        """The lines of a log's last chunk, empty when that chunk is full."""
        return [] if not last or lines_in(last) >= CHUNK_LINES else self._log(batch, name).read(last)

    def _append(
        self,
        batch: Batch,
        name: Log,
        last: tuple[int, str],
        tail: Sequence[bytes],
        outcomes: Sequence[Outcome],
        *,
        jobs: Sequence[str] = (),
        skip: Skip | None = None,
    ) -> None:
        count, last_name = last
        chunks = self._log(batch, name)
        number = count - 1 if tail else count
        written = chunks.put(number, [*tail, *map(encode_outcome, outcomes)])
        chunk = Chunk(log=name, before=count, last=last_name, replaces=bool(tail), name=written, jobs=len(jobs))
        if not self._batches.write(batch, chunk, skip):
            return
        self._batches.compact(jobs)
        # Delete only a chunk that was replaced: a late one may have the name of the current one.
        if tail and written != last_name:
            chunks.delete([last_name])

    def _waiting(self, batch: Batch, cursor: Cursor) -> list[bytes]:
        """The lines of the cursor's chunk."""
        at_start = cursor.model_copy(update={"at": 0})
        known = self._lines.get(batch.id)
        if known is not None and known[0] == at_start:
            return known[1]
        chunks = LineChunks(blobs=self._blobs, tenant=batch.tenant, batch_id=batch.id, source=cursor.source)
        try:
            lines = chunks.read(cursor.chunk)
        except LookupError as error:
            # The bucket was emptied. The batch goes on without these lines, and ends as partially failed.
            log.error("batch_lines_missing", batch=batch.id, chunk=cursor.chunk, error=str(error))  # noqa: TRY400
            lines = []
        self._lines[batch.id] = (at_start, lines)
        return lines

    def _moved(self, batch: Batch, cursor: Cursor, by: int) -> Cursor:
        at = cursor.at + by
        if at >= len(self._waiting(batch, cursor)):
            return cursor.model_copy(update={"chunk": cursor.chunk + 1, "at": 0})
        return cursor.model_copy(update={"at": at})

    def _drop_if_abandoned(self, batch: Batch) -> None:
        if not self._batches.has_intake(batch.id):
            log.warning("batch_abandoned", batch=batch.id)
            self._batches.drop(batch.id)

    def _log(self, batch: Batch, name: Log) -> ChunkLog:
        return ChunkLog(blobs=self._blobs, tenant=batch.tenant, batch_id=batch.id, log=name)

    def _forget(self, but: set[str]) -> None:
        self._lines = {batch_id: held for batch_id, held in self._lines.items() if batch_id in but}
        self._written_s = {key: at_s for key, at_s in self._written_s.items() if key[0] in but}


def _skipped(line: Line, status: Status) -> Outcome:
    return Outcome.model_validate({"line": line.line, "custom_id": line.custom_id, "status": status.value})
