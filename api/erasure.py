"""Erasure of jobs, photos, batches and tenants: pictures, stage results, faces, lines and records.

Blobs first, records last: after an interruption, the next sweep finds the record and starts again. A result that
several jobs share goes with the last of them. A blob that a worker writes later is an orphan: no job has it, and
`collect` finds it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, islice
from typing import get_args

from pydantic_core import from_json

from shared.batch import Batch, Log, job_id_of
from shared.batch_files import ChunkLog
from shared.blob_store import Blob, BlobStore, batch_folder, photo_key, photos_folder, stage_folder
from shared.errors import BlobsRefused, TransientError
from shared.settings import Settings
from shared.stages import Stage
from shared.store.batches.store import AsyncBatchStore
from shared.store.jobs.erasure import Erasing, Erasures, Remaining
from shared.store.owner import BucketNotOwned, BucketOwner
from shared.store.tenants.audit import Action, AuditLog
from shared.store.webhooks.store import WebhookStore
from shared.telemetry.log import get_logger

# Headers of a response while the erasure continues in the background.
RETRY_LATER = {"Retry-After": "2"}
_AT_ONCE = 100
_TOGETHER = 8
_LOOKED_AT_ONCE = 1000
# How soon an API process says that the bucket is no longer its installation's.
_LOOK_EVERY_S = 30.0
_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Eraser:
    """Erases data. Every call may raise RecordsUnavailable or BlobsUnavailable, and can be repeated.

    by: id of the key for the audit log; empty for an expiry, or for a part of a larger erasure.
    """

    records: Erasures
    audit: AuditLog
    batches: AsyncBatchStore
    webhooks: WebhookStore
    blobs: BlobStore
    owner: BucketOwner
    settings: Settings

    async def erase_job(self, job_id: str, tenant: str, by: str = "") -> Erasing:
        """Erases the tenant's job: at once, or in the sweep after its worker has stopped."""
        answer = await self.records.erase_job(job_id, tenant, by)
        if answer is Erasing.OVER:
            await self._erase(await self.records.remaining(job_id))
        return answer

    async def erase_photo(self, photo_id: str, tenant: str, by: str = "") -> Erasing:
        """Erases the photo and its face embeddings; if there are many, the sweep continues."""
        if not await self.records.drop_photo(tenant, photo_id, by):
            return Erasing.NONE
        await self._clear(tenant, photo_id)
        return Erasing.OVER if await self._erase_faces(tenant, photo_id) else Erasing.RUNNING

    async def erase_tenant(self, tenant: str, by: str = "") -> bool:
        """Erases everything of the tenant. False while some of its jobs run: the sweep continues until none does.

        The audit log stays and holds ids only: no key can remove the traces of its own actions.
        """
        await self.audit.record(tenant, by, Action.TENANT_ERASED, tenant)
        await self.records.begin_erase_tenant(tenant)
        # First, so that no batch creates new jobs meanwhile.
        await self.batches.stop_all(tenant)
        ids, answers = await self.records.jobs_of(tenant), list[Erasing]()
        for start in range(0, len(ids), _TOGETHER):
            some = (self.erase_job(job_id, tenant) for job_id in ids[start : start + _TOGETHER])
            answers += await asyncio.gather(*some)
        folder = photos_folder(tenant)
        for blob in await asyncio.to_thread(lambda: list(self.blobs.listed(folder))):
            await self.erase_photo(blob.key.removeprefix(folder).removesuffix(".png"), tenant)
        for photo_id in await self.records.pending_face_deletes_of(tenant):
            await self._erase_all_faces(tenant, photo_id)
        if Erasing.RUNNING in answers:
            return False
        await self.batches.forget_all(tenant)
        await self._delete(f"{tenant}/")
        # Last, because webhooks get an event for every job that ends.
        for webhook in await self.webhooks.all_of(tenant):
            await self.webhooks.drop(tenant, webhook.id)
        await self.records.end_erase_tenant(tenant)
        return True

    async def run(self, stop: asyncio.Event) -> None:
        """Sweeps until `stop` is set. One of several processes does it at a time."""
        while not stop.is_set():
            try:
                await self._look_at_owner()
                if await self.records.take_lock("erase", self.settings.sweep_every_s):
                    await self.sweep()
                if await self.records.take_lock("collect", self.settings.orphan_s):
                    await self.collect(older_than_s=self.settings.orphan_s)
            except (TransientError, BlobsRefused) as error:
                _log.warning("sweep_postponed", code=error.code, detail=error.message)
            except Exception:  # noqa: BLE001 - a sweep that ended would keep pictures for ever
                _log.exception("sweep_failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.settings.sweep_every_s)

    async def _look_at_owner(self) -> None:
        try:
            await asyncio.to_thread(self.owner.look_again, _LOOK_EVERY_S)
        except (TransientError, BlobsRefused) as error:
            _log.warning("owner_not_known", code=error.code, detail=error.message)

    async def sweep(self) -> None:
        """Erases expired jobs and batches, and continues pending erasures of photos and tenants."""
        while due := await self.records.due(_AT_ONCE):
            for start in range(0, len(due), _TOGETHER):
                await asyncio.gather(*(self._erase(left) for left in due[start : start + _TOGETHER]))
            _log.info("jobs_erased", jobs=len(due))
        # After the jobs, whose records do not need the lines of the batch.
        for batch in await self.batches.due(_AT_ONCE):
            await self._erase_batch(batch)
            _log.info("batch_erased", batch=batch.id)
        for result in await self.records.orphans():
            tenant, stage, digest = result.split("/")
            await self._delete(stage_folder(tenant, stage, digest))
            await self.records.forget_orphan(result)
        for tenant, photo_id in await self.records.pending_deletes(_AT_ONCE):
            await self._clear(tenant, photo_id)
        for tenant, photo_id in await self.records.pending_face_deletes(_AT_ONCE):
            await self._erase_all_faces(tenant, photo_id)
        for tenant in await self.records.pending_tenants():
            await self.erase_tenant(tenant)

    async def collect(self, *, older_than_s: float) -> int:
        """Erases stage results that no job has, files of no batch, expired photos and idle uploads, if they are older.

        Gives how many results, batches, photos and uploads. What nobody has of one page goes before the next is looked
        at. Erases nothing in a bucket that is not this installation's: whose records name its blobs is not known here.
        """
        if not (await asyncio.to_thread(self.owner.look)).owned:
            return 0
        counts = Counter[str]()
        try:
            await self._collect(counts, older_than_s)
        except BucketNotOwned as error:
            _log.warning("collecting_stopped", reason=str(error))
        if counts.total():
            _log.info("orphans_erased", **counts)
        return counts.total()

    async def _collect(self, counts: Counter[str], older_than_s: float) -> None:
        before = time.time() - older_than_s
        pages = entries_in(self.blobs.listed(""))
        while page := await asyncio.to_thread(lambda: list(islice(pages, _LOOKED_AT_ONCE))):
            old = [entry for entry in page if entry.written_at <= before]
            counts["results"] += await self._collect_results([one.name for one in old if one.kind is Kind.RESULT])
            photos = [(one.tenant, one.name) for one in old if one.kind is Kind.PHOTO]
            counts["photos"] += await self._collect_photos(photos)
            batches = {one.name: one.tenant for one in old if one.kind is Kind.BATCH}
            dropped = await self.batches.unknown(sorted(batches))
            for batch_id in sorted(dropped):
                await self._delete_orphan(batch_folder(batches[batch_id], batch_id))
            counts["batches"] += len(dropped)
            stale = [one.name for one in old if one.kind is Kind.UPLOAD]
            if stale:
                await asyncio.to_thread(self.owner.confirm)
                await asyncio.to_thread(self.blobs.delete, stale)
            counts["uploads"] += len(stale)

    async def _collect_results(self, results: Sequence[str]) -> int:
        """Deletes the unreferenced ones of these results (`{tenant}/{stage}/{digest}`); gives their number."""
        count = 0
        for result in await self.records.unreferenced(results):
            # Checked again: a job may use it since.
            if await self.records.release_unreferenced(result):
                await self._delete_orphan(stage_folder(*result.split("/")))
                count += 1
        return count

    async def _collect_photos(self, photos: Sequence[tuple[str, str]]) -> int:
        """Deletes the expired ones of these photos (tenant, id); gives their number."""
        unknown = await self.records.unknown_photos(photos)
        # Each is checked again: it may have been uploaded since.
        return sum([await self._clear(tenant, photo_id, orphan=True) for tenant, photo_id in unknown])

    async def _erase_batch(self, batch: Batch) -> None:
        """Erases a batch that has ended: the jobs of its lines, its files, then its record."""
        for log in get_args(Log):
            chunks = ChunkLog(blobs=self.blobs, tenant=batch.tenant, batch_id=batch.id, log=log)
            for name in await self.batches.names(batch, log):
                lines = [from_json(row)["line"] for row in await asyncio.to_thread(chunks.read, name)]
                ids = [job_id_of(batch.id, line, round_) for round_ in range(batch.round + 1) for line in lines]
                there = await self.records.existing(ids)
                for start in range(0, len(there), _TOGETHER):
                    some = (self.erase_job(job_id, batch.tenant) for job_id in there[start : start + _TOGETHER])
                    await asyncio.gather(*some)
        await self._delete(batch_folder(batch.tenant, batch.id))
        await self.batches.forget(batch.tenant, batch.id)

    async def _erase(self, left: Remaining) -> None:
        for stage, digest in left.results:
            if await self.records.release(left, stage, digest):
                await self._delete(stage_folder(left.tenant, stage, digest))
                if Stage(stage).info.from_photos:
                    await self.records.forget_faces_of(left, digest)
        await self.records.forget(left.job_id)

    async def _clear(self, tenant: str, photo_id: str, *, orphan: bool = False) -> bool:
        """Deletes the bytes of a photo that nobody may use. False when it was uploaded again: then it stays.

        orphan: nobody asked for it; raises BucketNotOwned where it may be another installation's.
        """
        if not await self.records.begin_delete(tenant, photo_id):
            return False
        try:
            await (self._delete_orphan if orphan else self._delete)(photo_key(tenant, photo_id))
        except (TransientError, BlobsRefused, BucketNotOwned):
            await self.records.end_delete(tenant, photo_id, deleted=False)
            raise
        await self.records.end_delete(tenant, photo_id, deleted=True)
        return True

    async def _erase_faces(self, tenant: str, photo_id: str) -> bool:
        """Erases some identify results with faces of an erased photo. True if none remain."""
        # Few enough to be deleted long before their marks in the records expire.
        digests = await self.records.begin_erase_faces(tenant, photo_id, _AT_ONCE)
        for start in range(0, len(digests), _TOGETHER):
            some = (stage_folder(tenant, Stage.IDENTIFY, digest) for digest in digests[start : start + _TOGETHER])
            await asyncio.gather(*(self._delete(folder) for folder in some))
        return await self.records.end_erase_faces(tenant, photo_id, digests)

    async def _erase_all_faces(self, tenant: str, photo_id: str) -> None:
        while not await self._erase_faces(tenant, photo_id):
            pass

    async def _delete_orphan(self, prefix: str) -> None:
        """Deletes what Redis said that nobody has, unless it is no longer the Redis that knows."""
        await asyncio.to_thread(self.owner.confirm)
        await self._delete(prefix)

    async def _delete(self, prefix: str) -> None:
        await asyncio.to_thread(self.blobs.erase, prefix)


class Kind(StrEnum):
    """What an entry of the bucket is."""

    RESULT = "result"
    PHOTO = "photo"
    BATCH = "batch"
    UPLOAD = "upload"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Blobs that belong together.

    name: a result's `{tenant}/{stage}/{digest}`, an upload's key, the id of a photo or batch; written_at: the newest.
    """

    kind: Kind
    tenant: str
    name: str
    written_at: float


def entries_in(blobs: Iterable[Blob]) -> Iterator[Entry]:
    """The entries of these blobs, in the order of their keys; other blobs are skipped. Holds one entry at a time."""
    for place, some in groupby(blobs, key=lambda blob: _place_of(blob.key)):
        if place is not None:
            kind, tenant, name = place
            yield Entry(kind=kind, tenant=tenant, name=name, written_at=max(blob.written_at for blob in some))


def _place_of(key: str) -> tuple[Kind, str, str] | None:
    match key.split("/"):
        case [tenant, "stages", stage, digest, _]:
            return Kind.RESULT, tenant, f"{tenant}/{stage}/{digest}"
        case [tenant, "batches", batch_id, *_]:
            return Kind.BATCH, tenant, batch_id
        # Detected faces are stored beside the photo, possibly after its erasure.
        case [tenant, "photos", file] | [tenant, "photos", file, _]:
            return Kind.PHOTO, tenant, file.removesuffix(".faces").removesuffix(".png")
        case [tenant, "uploads", *_]:
            return Kind.UPLOAD, tenant, key
        case _:
            return None
