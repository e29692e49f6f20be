"""The lines of a batch, and their outcomes, as numbered objects of some thousand lines in the blob store.

    lines/{source}-{number}.jsonl                   lines to queue, in their order
    output/{number}-{lines}-{digest}.jsonl          outcomes with a picture, in the order in which they ended
    errors/{number}-{lines}-{digest}.jsonl          outcomes without one

Chunks of a log are named after their content, and Redis holds the names: nothing refers to the object of
a late writer. A chunk that is not full is replaced by a longer one, so that a slow batch has few.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.batch import Line, LineSource, Log, Outcome, ReadLine
from shared.blob_store import BlobStore, batch_key
from shared.job import encode_spec

CHUNK_LINES = 1000
CHUNK_BYTES = 4_000_000
JSONL = "application/x-ndjson"


@dataclass(frozen=True, kw_only=True)
class LineChunks:
    """The waiting lines of one source of a batch."""

    blobs: BlobStore
    tenant: str
    batch_id: str
    source: str

    def put(self, number: int, lines: Sequence[bytes]) -> str:
        """Writes lines as the chunk of this number and gives its key. Raises BlobsUnavailable."""
        self.blobs.put(self._key(number), b"\n".join(lines), JSONL)
        return self._key(number)

    def read(self, number: int) -> list[bytes]:
        """The lines of a chunk, not yet parsed. Raises LookupError when it is gone, or BlobsUnavailable."""
        data = self.blobs.get(self._key(number))
        if data is None:
            message = f"chunk {number} of the lines of batch {self.batch_id} is no longer stored"
            raise LookupError(message)
        return data.splitlines()

    def find(self, number: int, line: int) -> Line | None:
        """The line of this number in a chunk; None when it is gone. Raises BlobsUnavailable."""
        start = b'{"line":%d,' % line
        data = self.blobs.get(self._key(number)) or b""
        return next((decode_line(row) for row in data.splitlines() if row.startswith(start)), None)

    def delete(self, numbers: range) -> None:
        """Deletes chunks. Raises BlobsUnavailable."""
        self.blobs.delete([self._key(number) for number in numbers])

    def _key(self, number: int) -> str:
        return batch_key(self.tenant, self.batch_id, f"lines/{self.source}-{number:05d}.jsonl")


@dataclass(frozen=True, kw_only=True)
class ChunkLog:
    """The output log or the errors log of a batch."""

    blobs: BlobStore
    tenant: str
    batch_id: str
    log: Log

    def put(self, number: int, lines: Sequence[bytes]) -> str:
        """Writes lines as the chunk of this number and gives its name. Raises BlobsUnavailable."""
        data = b"".join(line + b"\n" for line in lines)
        name = f"{number:05d}-{len(lines)}-{hashlib.sha256(data).hexdigest()[:16]}"
        self.blobs.put(self._key(name), data, JSONL)
        return name

    def read(self, name: str) -> list[bytes]:
        """The lines of a chunk, not yet parsed; none when it is gone. Raises BlobsUnavailable."""
        return (self.raw(name) or b"").splitlines()

    def raw(self, name: str) -> bytes | None:
        """The chunk as it is stored, or None when it is gone. Raises BlobsUnavailable."""
        return self.blobs.get(self._key(name))

    def delete(self, names: Sequence[str]) -> None:
        """Deletes chunks that no log refers to. Raises BlobsUnavailable."""
        self.blobs.delete([self._key(name) for name in names])

    def _key(self, name: str) -> str:
        return batch_key(self.tenant, self.batch_id, f"{self.log}/{name}.jsonl")


def lines_in(name: str) -> int:
    """How many lines the chunk of a log has, by its name."""
    return int(name.split("-")[1])


def encode_outcome(outcome: Outcome) -> bytes:
    """A line of a log."""
    return outcome.model_dump_json(exclude_defaults=True).encode()


def decode_line(data: bytes) -> Line:
    """A waiting line."""
    return Line.model_validate_json(data)


def line_reader(blobs: BlobStore) -> ReadLine:
    """Reads the lines of batches in this store. The reader may raise BlobsUnavailable."""

    async def read(origin: LineSource) -> Mapping[str, str] | None:
        source, _, number = origin.chunk.partition("-")
        chunks = LineChunks(blobs=blobs, tenant=origin.tenant, batch_id=origin.batch, source=source)
        line = await asyncio.to_thread(chunks.find, int(number), origin.line)
        return None if line is None else {"spec": encode_spec(line.spec), "custom": line.custom_id}

    return read
