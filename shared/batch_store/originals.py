"""What the record of a finished line does without, read from the batch's lines."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from shared.batch_store.chunks import LineChunks
from shared.blob_store import BlobStore
from shared.job_store.record import Origin, Originals, encode_spec


def originals_in(blobs: BlobStore) -> Originals:
    """Reads the lines of batches in this store. The reader may raise BlobsUnavailable."""

    async def read(origin: Origin) -> Mapping[str, str] | None:
        source, _, number = origin.chunk.partition("-")
        chunks = LineChunks(blobs=blobs, tenant=origin.tenant, batch_id=origin.batch, source=source)
        line = await asyncio.to_thread(chunks.find, int(number), origin.line)
        return None if line is None else {"spec": encode_spec(line.spec), "custom": line.custom_id}

    return read
