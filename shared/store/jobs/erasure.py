"""Erasure in the records: what is to be erased, and which results are still referred to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import redis.asyncio

from shared.batch import ReadLine
from shared.settings import Settings
from shared.stages import Stage
from shared.store import keys, scripts
from shared.store.connection import redis_errors
from shared.store.jobs import record
from shared.store.tenants.audit import recorded_by

_SCRIPTS = (
    "jobs/erase",
    "photos/release_reference",
    "jobs/forget",
    "photos/drop",
    "photos/begin_delete",
    "photos/end_delete",
    "photos/begin_erase_faces",
    "photos/end_erase_faces",
)
_SCANNED_AT_ONCE = 500


class Erasing(StrEnum):
    """The state of an erasure: nothing to erase, erased, or erased as soon as it stops running."""

    NONE = "none"
    OVER = "over"
    RUNNING = "running"


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """What remains of a job that is over. results: (stage, digest) of every stage that it went through."""

    job_id: str
    tenant: str
    results: tuple[tuple[str, str], ...]


class Erasures:
    """Every call may raise RecordsUnavailable. All may be repeated: an eraser that dies at any point starts again.

    by: id of the key that asks, for the audit log; empty where something expires or is erased with more.
    """

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings, read_line: ReadLine = record.no_lines) -> None:
        self._redis = redis
        self._read_line = read_line
        self._prefix = settings.key_prefix
        self._settings = settings
        self._scripts = scripts.load(redis, self._prefix, _SCRIPTS)

    async def erase_job(self, job_id: str, tenant: str, by: str = "") -> Erasing:
        """Erases the tenant's job: at once, or when its holder has stopped."""
        return Erasing(await self._run("jobs/erase", id=job_id, tenant=tenant, by=recorded_by(by, self._settings)))

    async def due(self, most: int) -> list[Remaining]:
        """Jobs that are over and due to be erased, the longest due first."""
        with redis_errors():
            seconds, microseconds = await self._redis.time()
            until_s = seconds + microseconds / 1e6
            ids: Any = await self._redis.zrangebyscore(keys.kept_key(self._prefix), "-inf", until_s, start=0, num=most)
            return [await self.remaining(job_id) for job_id in ids]

    async def remaining(self, job_id: str) -> Remaining:
        """What remains of a job, by its record."""
        with redis_errors():
            fields: Any = await self._redis.hgetall(keys.job_key(self._prefix, job_id))
        found = [(name[2:], digest) for name, digest in fields.items() if name.startswith("o:")]
        found += [one for drawn in record.tries_in(fields) for one in drawn.outputs.items()]
        # Each once: tries have what did not change in common.
        results = tuple(dict.fromkeys(found))
        return Remaining(job_id=job_id, tenant=fields.get("tenant", ""), results=results)

    async def release(self, remaining: Remaining, stage: str, digest: str) -> bool:
        """Removes a job's reference to a result. True when it was the last: delete the blobs within a minute."""
        return await self._release(remaining.job_id, remaining.tenant, stage, digest)

    async def forget_faces_of(self, remaining: Remaining, digest: str) -> None:
        """Forgets the faces of an identify result that was deleted with this job. May raise BlobsUnavailable, too."""
        with redis_errors():
            fields: Any = await self._redis.hgetall(keys.job_key(self._prefix, remaining.job_id))
        whole = await record.whole(fields, self._read_line)
        if whole is None:
            return
        spec = record.decode(remaining.job_id, whole).spec
        photos = {photo for concept in spec.concepts for photo in concept.photos}
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for photo in photos:
                    pipe.srem(keys.faces_key(self._prefix, remaining.tenant, photo), digest)
                await pipe.execute()

    async def forget(self, job_id: str) -> None:
        """Deletes the record of a job whose blobs are deleted."""
        await self._run("jobs/forget", id=job_id)

    async def drop_photo(self, tenant: str, photo_id: str, by: str = "") -> bool:
        """Erases the photo: from now on no job may use it. False when there is nothing of it."""
        asked_by = recorded_by(by, self._settings)
        return bool(
            await self._run(
                "photos/drop", tenant=tenant, photo=photo_id, marked_s=self._settings.job_expiry_s, by=asked_by
            )
        )

    async def begin_delete(self, tenant: str, photo_id: str) -> bool:
        """The caller deletes the bytes of an erased photo within a minute. False when it was uploaded again.

        Uploads of it wait until `end_delete`.
        """
        return bool(await self._run("photos/begin_delete", tenant=tenant, photo=photo_id))

    async def end_delete(self, tenant: str, photo_id: str, *, deleted: bool) -> None:
        """The caller has deleted the photo's bytes, or failed to."""
        await self._run("photos/end_delete", tenant=tenant, photo=photo_id, deleted=deleted)

    async def pending_deletes(self, most: int) -> list[tuple[str, str]]:
        """Some (tenant, photo id) of erased photos whose bytes are still stored."""
        return await self._some_photos("pending_delete", most)

    async def begin_erase_faces(self, tenant: str, photo_id: str, most: int) -> list[str]:
        """Digests of some identify results with faces of an erased photo: delete them within a minute."""
        return list(
            await self._run(
                "photos/begin_erase_faces", tenant=tenant, photo=photo_id, stage=Stage.IDENTIFY.value, most=most
            )
        )

    async def end_erase_faces(self, tenant: str, photo_id: str, digests: Sequence[str]) -> bool:
        """These results are deleted. True when none is left."""
        return bool(await self._run("photos/end_erase_faces", tenant=tenant, photo=photo_id, digests=digests))

    async def pending_face_deletes(self, most: int) -> list[tuple[str, str]]:
        """Some (tenant, photo id) of erased photos of which faces are still stored."""
        return await self._some_photos("pending_face_delete", most)

    async def pending_face_deletes_of(self, tenant: str) -> list[str]:
        """Ids of such photos of one tenant."""
        with redis_errors():
            names = self._redis.sscan_iter(
                keys.pending_key(self._prefix, "pending_face_delete"), match=f"{tenant}/*", count=_SCANNED_AT_ONCE
            )
            found = {str(name).partition("/")[2] async for name in names}
        return sorted(found)

    async def orphans(self) -> list[str]:
        """Results (`{tenant}/{stage}/{digest}`) to erase whichever jobs refer to them."""
        with redis_errors():
            found: Any = await self._redis.smembers(keys.pending_key(self._prefix, "orphans"))
        return sorted(found)

    async def forget_orphan(self, result: str) -> None:
        """The orphan is erased."""
        with redis_errors():
            await self._redis.srem(keys.pending_key(self._prefix, "orphans"), result)

    async def unreferenced(self, results: Sequence[str]) -> list[str]:
        """The results (`{tenant}/{stage}/{digest}`) that no job refers to."""
        known = await self._known([keys.references_key(self._prefix, result) for result in results])
        return [one for one, is_known in zip(results, known, strict=True) if not is_known]

    async def release_unreferenced(self, result: str) -> bool:
        """True when no job refers to the result: delete its blobs within a minute."""
        return await self._release("", *result.split("/"))

    async def unknown_photos(self, photos: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The photos (tenant, id) that no job may use."""
        known = await self._known([keys.photo_key(self._prefix, tenant, photo_id) for tenant, photo_id in photos])
        return [one for one, is_known in zip(photos, known, strict=True) if not is_known]

    async def existing(self, job_ids: Sequence[str]) -> list[str]:
        """The ids that belong to a job."""
        known = await self._known([keys.job_key(self._prefix, job_id) for job_id in job_ids])
        return [job_id for job_id, is_known in zip(job_ids, known, strict=True) if is_known]

    async def begin_erase_tenant(self, tenant: str) -> None:
        """Marks all that the tenant has for erasure."""
        with redis_errors():
            seconds, _ = await self._redis.time()
            await self._redis.zadd(keys.pending_key(self._prefix, "pending_tenants"), {tenant: seconds}, nx=True)

    async def pending_tenants(self) -> list[str]:
        """Tenants that are being erased."""
        with redis_errors():
            found: Any = await self._redis.zrange(keys.pending_key(self._prefix, "pending_tenants"), 0, -1)
        return list(found)

    async def end_erase_tenant(self, tenant: str) -> None:
        """Deletes the rest of a tenant, but for its keys and limits, which are the operator's, and its audit log."""
        with redis_errors():
            async for name in self._redis.scan_iter(
                keys.responses_pattern(self._prefix, tenant), count=_SCANNED_AT_ONCE
            ):
                await self._redis.delete(name)
            await self._redis.delete(keys.jobs_key(self._prefix, tenant), keys.consents_key(self._prefix, tenant))
            await self._redis.zrem(keys.pending_key(self._prefix, "pending_tenants"), tenant)

    async def jobs_of(self, tenant: str) -> list[str]:
        """Ids of all jobs of the tenant, those of batches too. Looks at every record there is."""
        found: list[str] = []
        start = keys.job_key(self._prefix, "")
        names: Any
        with redis_errors():
            cursor = 0
            while True:
                cursor, names = await self._redis.scan(cursor, match=f"{start}*", count=_SCANNED_AT_ONCE)
                async with self._redis.pipeline(transaction=False) as pipe:
                    for name in names:
                        pipe.hget(name, "tenant")
                    whose = await pipe.execute()
                found += [name[len(start) :] for name, one in zip(names, whose, strict=True) if one == tenant]
                if cursor == 0:
                    return found

    async def take_lock(self, what: Literal["erase", "collect"], every_s: float) -> bool:
        """Whether no process has done this for `every_s`; the caller that gets true must do it now."""
        with redis_errors():
            return bool(
                await self._redis.set(keys.lock_key(self._prefix, what), 1, nx=True, px=max(1, int(every_s * 900)))
            )

    async def _release(self, job_id: str, tenant: str, stage: str, digest: str) -> bool:
        answer = await self._run("photos/release_reference", id=job_id, tenant=tenant, stage=stage, digest=digest)
        return bool(answer)

    async def _known(self, names: Sequence[str]) -> list[bool]:
        """Of each key whether it is there."""
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.exists(name)
                return [bool(found) for found in await pipe.execute()]

    async def _some_photos(self, name: keys.Pending, most: int) -> list[tuple[str, str]]:
        with redis_errors():
            found: Any = await self._redis.srandmember(keys.pending_key(self._prefix, name), most)
        return [(tenant, photo_id) for tenant, _, photo_id in (one.partition("/") for one in found)]

    async def _run(self, script: str, **values: Any) -> Any:
        with redis_errors():
            return await self._scripts[script](**values)
