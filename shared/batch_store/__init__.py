"""Batches: a small record each in Redis, their lines and what became of them in the blob store."""

from __future__ import annotations

from shared.batch_store.async_store import AsyncBatchStore, Page, Retry
from shared.batch_store.chunks import ChunkLog, LineChunks
from shared.batch_store.originals import originals_in
from shared.batch_store.store import BatchStore

__all__ = ["AsyncBatchStore", "BatchStore", "ChunkLog", "LineChunks", "Page", "Retry", "originals_in"]
