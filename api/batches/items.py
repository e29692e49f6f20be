"""The lines and files of a batch, read chunk by chunk, also while the batch runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pydantic_core import from_json

from api.batches.schemas import Item
from api.context import Context
from shared.batch import Batch, Log, Outcome, outcome_of
from shared.batch_files import ChunkLog, LineChunks, encode_outcome, lines_in

_CURSOR = re.compile(r"(output|errors|open|waiting)\.([0-9]{1,9})\.([0-9]{1,9})")
# Chunks to read for one page at most, which may then have fewer items than its limit.
_CHUNKS_A_PAGE = 8
_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a page begins: the part of the lines, and two numbers whose meaning depends on the part."""

    part: str
    first: int = 0
    second: int = 0

    def __str__(self) -> str:
        return f"{self.part}.{self.first}.{self.second}"


FIRST = Place(part="output")


def place_of(cursor: str) -> Place | None:
    """The place that this `next` names, or None when it names none."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        return None
    return Place(part=found[1], first=int(found[2]), second=int(found[3]))


class ItemReader:
    """Reads the lines of one batch."""

    def __init__(self, context: Context, batch: Batch) -> None:
        self._context = context
        self._batch = batch

    async def page(self, status: str | None, place: Place, limit: int) -> tuple[list[Item], Place | None]:
        """At most `limit` lines in this status (None: any) from the place on, and the place of the next page."""
        parts = {"output": self._ended, "errors": self._ended, "open": self._open, "waiting": self._waiting}
        names = list(parts)
        found: list[Item] = []
        at: Place | None = place
        for _ in range(_CHUNKS_A_PAGE):
            if at is None or len(found) >= limit:
                break
            items, following = (
                ([], None) if _is_elsewhere(status, at.part) else await parts[at.part](at, status, limit - len(found))
            )
            found += items
            after = names[names.index(at.part) + 1 :]
            at = following or (Place(part=after[0]) if after else None)
        return found, at

    async def lines(self, log: Log) -> AsyncIterator[bytes]:
        """The current file of this log, in pieces of whole lines. Raises TransientError."""
        number = 0
        while True:
            names, jobs = await self._context.batches.ended(self._batch, log)
            for name in names[number:]:
                raw = await asyncio.to_thread(self._log(log).raw, name)
                if raw is None and await self._is_replaced(log, name):
                    break
                if raw:
                    yield raw
                number += 1
            else:
                if jobs:
                    yield b"".join(encode_outcome(outcome_of(job)) + b"\n" for job in jobs)
                return

    async def _is_replaced(self, log: Log, name: str) -> bool:
        return name not in await self._context.batches.names(self._batch, log)

    async def _ended(self, at: Place, status: str | None, limit: int) -> tuple[list[Item], Place | None]:
        """Ended lines of one chunk. first: number of lines before the page; second is unused."""
        log: Log = "output" if at.part == "output" else "errors"
        for _ in range(_TRIES):
            names, jobs = await self._context.batches.ended(self._batch, log)
            begin = 0
            for name in names:
                if at.first < begin + lines_in(name):
                    raw = await asyncio.to_thread(self._log(log).raw, name)
                    if raw is None:
                        break
                    rows = raw.splitlines()[at.first - begin :]
                    outcomes = [Outcome.model_validate_json(row) for row in rows]
                    return await self._chosen(outcomes, status, limit, at)
                begin += lines_in(name)
            else:
                outcomes = [outcome_of(job) for job in jobs][at.first - begin :]
                return await self._chosen(outcomes, status, limit, at) if outcomes else ([], None)
        # The chunks were replaced during every attempt: the caller can repeat from here.
        return [], None

    async def _chosen(
        self, outcomes: list[Outcome], status: str | None, limit: int, at: Place
    ) -> tuple[list[Item], Place]:
        chosen: list[Outcome] = []
        taken = 0
        for outcome in outcomes:
            if len(chosen) == limit:
                break
            taken += 1
            if status in (None, outcome.status):
                chosen.append(outcome)
        items = await asyncio.to_thread(lambda: [self._item(outcome) for outcome in chosen])
        return items, Place(part=at.part, first=at.first + taken)

    async def _open(self, at: Place, status: str | None, limit: int) -> tuple[list[Item], Place | None]:
        """Jobs that have not ended. first: the line after which the page begins."""
        jobs = [job for job in await self._context.batches.open_jobs(self._batch) if job.line > at.first]
        chosen = [job for job in jobs if status in (None, job.status.value)]
        items = [
            Item.model_validate(
                {"line": job.line, "custom_id": job.custom_id, "job": job.id, "status": job.status.value}
            )
            for job in chosen[:limit]
        ]
        return items, Place(part="open", first=items[-1].line) if len(chosen) > limit else None

    async def _waiting(self, at: Place, _: str | None, limit: int) -> tuple[list[Item], Place | None]:
        """Lines without a job. first, second: chunk, and lines of it before the page."""
        cursor = self._batch.cursor
        chunk, skip = max((at.first, at.second), (cursor.chunk, cursor.at))
        if chunk >= cursor.chunks:
            return [], None
        chunks = LineChunks(
            blobs=self._context.blobs, tenant=self._batch.tenant, batch_id=self._batch.id, source=cursor.source
        )
        try:
            rows = await asyncio.to_thread(chunks.read, chunk)
        except LookupError:
            rows = []
        items = [
            Item.model_validate({"line": value["line"], "custom_id": value["custom_id"], "status": "waiting"})
            for value in map(from_json, rows[skip : skip + limit])
        ]
        if skip + limit < len(rows):
            return items, Place(part="waiting", first=chunk, second=skip + limit)
        return items, Place(part="waiting", first=chunk + 1)

    def _item(self, outcome: Outcome) -> Item:
        url = self._context.blobs.url(outcome.picture) if outcome.picture else None
        return Item.model_validate({**outcome.model_dump(), "picture_url": url})

    def _log(self, log: Log) -> ChunkLog:
        return ChunkLog(blobs=self._context.blobs, tenant=self._batch.tenant, batch_id=self._batch.id, log=log)


def _is_elsewhere(status: str | None, part: str) -> bool:
    """Whether this part cannot have lines in this status."""
    homes = {"succeeded": "output", "waiting": "waiting", "queued": "open", "running": "open"}
    return status is not None and homes.get(status, "errors") != part
