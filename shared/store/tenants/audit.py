"""A tenant's audit log: which key uploaded, submitted, read, took back and erased what, and when.

Entries hold ids, never prompts, addresses or pictures. The script that changes a record also writes the entry, so
no change lacks its entry and none costs a round trip. Consents given with uploads are stored beside the log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import redis.asyncio

from shared.settings import Settings
from shared.store import keys, scripts
from shared.store.connection import redis_errors

# Stands for a key where none is required.
NO_KEY = "-"
# Entries that one page may scan, and how many are fetched at once.
_MAX_LOOKED_AT = 1000
_AT_ONCE = 200
_MARK = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


class Action(StrEnum):
    """What was done. A job's template, masks and previews are pictures, too."""

    PHOTO_UPLOADED = "photo.uploaded"
    PHOTO_READ = "photo.read"
    PHOTO_DELETED = "photo.deleted"
    JOB_SUBMITTED = "job.submitted"
    JOB_RETRIED = "job.retried"
    JOB_CANCELED = "job.canceled"
    JOB_DELETED = "job.deleted"
    PICTURE_READ = "picture.read"
    BATCH_SUBMITTED = "batch.submitted"
    BATCH_RETRIED = "batch.retried"
    BATCH_CANCELED = "batch.canceled"
    BATCH_DELETED = "batch.deleted"
    BATCH_FILES_READ = "batch.files.read"
    TENANT_ERASED = "tenant.erased"


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One thing that was done. subject: id of the job, photo or batch, or the tenant's name. at: since the epoch (s).

    detail: which picture or file was read; the job that is retried. consent: given with an upload.
    """

    id: str
    at: float
    tenant: str
    key: str
    action: Action
    subject: str
    detail: str | None
    consent: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """Entries, the newest first. next: where the next page begins, None at the end."""

    entries: tuple[AuditEntry, ...]
    next: str | None


class AuditLog:
    """The logs of all tenants. Every call may raise RecordsUnavailable."""

    def __init__(self, redis: redis.asyncio.Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._prefix = settings.key_prefix
        self._record = scripts.Script(redis, self._prefix, "tenants/record_action")

    async def record(
        self, tenant: str, by: str, action: Action, subject: str, detail: str = "", *, once_s: int = 0
    ) -> None:
        """Records an action that no other script records. once_s: a key's same action is recorded once in it."""
        if asked_by := recorded_by(by, self._settings):
            with redis_errors():
                await self._record(
                    tenant=tenant, by=asked_by, action=action.value, subject=subject, detail=detail, once_s=once_s
                )

    async def page(
        self, tenant: str, *, limit: int, after: str | None = None, action: Action | None = None
    ) -> AuditPage:
        """A tenant's entries after this one (`next` of the page before), all of one action if that is asked for.

        May hold fewer than `limit` although there are more: a page scans a limited number.
        """
        entries, following = await self._found(tenant, limit, after, action)
        return AuditPage(entries=await self._with_consents(tenant, entries), next=following)

    async def _found(
        self, tenant: str, limit: int, after: str | None, action: Action | None
    ) -> tuple[list[AuditEntry], str | None]:
        key = keys.audit_key(self._prefix, tenant)
        found: list[AuditEntry] = []
        looked, at_once = 0, limit + 1 if action is None else _AT_ONCE
        with redis_errors():
            seconds, _ = await self._redis.time()
            oldest = max(0, seconds - self._settings.audit_expiry_s) * 1000
            while looked < _MAX_LOOKED_AT:
                rows: Any = await self._redis.xrevrange(key, f"({after}" if after else "+", oldest, count=at_once)
                for name, fields in rows:
                    if len(found) == limit:
                        return found, after
                    after = name
                    if action is None or fields["a"] == action:
                        found.append(_entry(tenant, name, fields))
                looked += len(rows)
                if len(rows) < at_once:
                    return found, None
        return found, after

    async def _with_consents(self, tenant: str, entries: Sequence[AuditEntry]) -> tuple[AuditEntry, ...]:
        uploads = [entry.id for entry in entries if entry.action is Action.PHOTO_UPLOADED]
        if not uploads:
            return tuple(entries)
        key = keys.consents_key(self._prefix, tenant)
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in uploads:
                    pipe.xrange(key, name, name)
                found = await pipe.execute()
        said = {name: rows[0][1]["c"] for name, rows in zip(uploads, found, strict=True) if rows}
        return tuple(replace(entry, consent=said.get(entry.id)) for entry in entries)


def recorded_by(by: str, settings: Settings) -> str:
    """The argument `by` of scripts (lib/audit.lua). by: id of a key, NO_KEY, or empty without one."""
    return f"{by} {settings.audit_entries} {settings.audit_expiry_s}" if by and settings.audit_entries else ""


def is_cursor(text: str) -> bool:
    """Whether the text has the form of a cursor of a page."""
    return _MARK.fullmatch(text) is not None


def _entry(tenant: str, name: str, fields: dict[str, str]) -> AuditEntry:
    return AuditEntry(
        id=name,
        at=int(name.partition("-")[0]) / 1000,
        tenant=tenant,
        key=fields["k"],
        action=Action(fields["a"]),
        subject=fields["i"],
        detail=fields.get("d"),
    )
