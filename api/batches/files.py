"""The pictures of a batch: a manifest of signed URLs, or a zip file; both are streamed."""

from __future__ import annotations

import asyncio
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Sequence

from api.batches.items import ItemReader
from api.context import Context
from shared.batch import Outcome

# A zip file ends with a list of its files, which stays in memory: some hundred bytes for each picture.
MOST_ZIPPED = 10_000
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_SIGNED_AT_ONCE = 200
# A fixed time makes every download of a batch the same.
_MOMENT = (1980, 1, 1, 0, 0, 0)


async def manifest(context: Context, items: ItemReader) -> AsyncIterator[bytes]:
    """One line of JSON for each picture, with a signed URL. Raises RecordsUnavailable or BlobsUnavailable."""
    async for data in items.lines("output"):
        rows = data.splitlines()
        for first in range(0, len(rows), _SIGNED_AT_ONCE):
            part = rows[first : first + _SIGNED_AT_ONCE]
            yield await asyncio.to_thread(_signed, context, part)


async def archive(context: Context, items: ItemReader) -> AsyncIterator[bytes]:
    """The pictures as a zip file, named after their lines. Holds one picture at a time.

    Raises RecordsUnavailable or BlobsUnavailable.
    """
    out = _Stream()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        async for data in items.lines("output"):
            for row in data.splitlines():
                outcome = Outcome.model_validate_json(row)
                if outcome.picture is None:
                    continue
                picture = await asyncio.to_thread(context.blobs.get, outcome.picture)
                if picture is None:
                    # The picture has been erased.
                    continue
                made.writestr(zipfile.ZipInfo(_name(outcome), _MOMENT), picture)
                yield out.take()
    yield out.take()


def _signed(context: Context, rows: Sequence[bytes]) -> bytes:
    return b"".join(_entry(context, row) for row in rows)


def _entry(context: Context, row: bytes) -> bytes:
    outcome = Outcome.model_validate_json(row)
    if outcome.picture is None:
        # The line ended at an earlier stage, as requested.
        return b""
    entry = {
        "line": outcome.line,
        "custom_id": outcome.custom_id,
        "job": outcome.job,
        "picture": outcome.picture,
        "url": context.blobs.url(outcome.picture),
    }
    return json.dumps(entry).encode() + b"\n"


def _name(outcome: Outcome) -> str:
    """A unique file name that is safe to unpack."""
    word = _NOT_IN_A_NAME.sub("_", outcome.custom_id or "").strip(".")[:64]
    return f"{outcome.line:06d}-{word}.png"


class _Stream(io.RawIOBase):
    """A write-only stream for zipfile, without seeking."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, data: object) -> int:
        """Buffers the bytes until `take`."""
        piece = bytes(data)  # type: ignore[call-overload]
        self._held.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """The bytes written since the last call."""
        held, self._held = self._held, []
        return b"".join(held)
