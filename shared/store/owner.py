"""Whose bucket it is: a marker object and Redis carry the same id, so that neither is mistaken for another.

A Redis that came back empty, from another volume or under another key prefix knows none of the blobs of the bucket, and
would take all of them for orphans. Without its own id in the bucket an installation deletes none until an operator
decides.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import redis

from shared.blob_store import OWNER_KEY, BlobStore
from shared.errors import BlobDamaged
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import redis_errors
from shared.telemetry.log import get_logger

_DECIDE = "nothing is collected until an operator decides (compose/README.md, `records adopt`)"

log = get_logger(__name__)


class BucketNotOwned(Exception):
    """The bucket is not, or no longer, this installation's; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """Whether the bucket belongs to this installation. words: why it does not; empty when it does."""

    words: str = ""

    @property
    def owned(self) -> bool:
        """Whether blobs without a record may be erased."""
        return not self.words


@dataclass(frozen=True, kw_only=True)
class _Own:
    """What Redis says. marked: the marker with this id was written once. forgotten: an operator gave the bucket up."""

    id: str
    marked: bool
    forgotten: bool


class BucketOwner:
    """The marker of one installation. Blocks. Calls raise RecordsUnavailable, BlobsUnavailable or BlobsRefused."""

    def __init__(self, client: redis.Redis, settings: Settings, blobs: BlobStore) -> None:
        self._redis = client
        self._prefix = settings.key_prefix
        self._key = keys.fleet_key(settings.key_prefix)
        self._bucket = settings.s3_bucket
        self._blobs = blobs
        self._looked_s = float("-inf")
        self._id = ""
        # What was found last; None before the first look.
        self.last: Ownership | None = None

    def look(self) -> Ownership:
        """Compares the ids. Takes a bucket without owner if none of its blobs can belong to another installation."""
        found = self._compare()
        if found != self.last and not found.owned:
            log.warning("bucket_not_owned", bucket=self._bucket, reason=found.words)
        self.last, self._looked_s = found, time.monotonic()
        return found

    def look_again(self, every_s: float) -> None:
        """Looks, unless that was less than this long ago."""
        if time.monotonic() - self._looked_s >= every_s:
            self.look()

    def confirm(self) -> None:
        """Raises BucketNotOwned when Redis has not the id that was found by the last look.

        Asked between an answer of Redis that nobody has a blob and its end: the answer of an emptied Redis counts not.
        """
        if self.last is None or not self.last.owned or self._own().id != self._id:
            self._looked_s = float("-inf")
            raise BucketNotOwned(f"the id of bucket {self._bucket} is no longer in Redis")

    def adopt(self) -> None:
        """Gives the bucket to this installation. A previous owner finds another id there and deletes nothing more."""
        self._id = uuid.uuid4().hex
        with redis_errors():
            self._redis.delete(self._key)
            self._redis.hset(self._key, mapping={"id": self._id, "marked": 0})
        self._blobs.put(OWNER_KEY, _marker_of(self._id), "application/json")
        with redis_errors():
            self._redis.hset(self._key, "marked", 1)
        log.info("bucket_adopted", bucket=self._bucket)

    def forget(self) -> None:
        """Gives the bucket up: removes the marker of this installation, which then deletes nothing more."""
        own = self._own()
        with redis_errors():
            self._redis.hset(self._key, "forgotten", 1)
        if own.id and self._marker() == own.id:
            self._blobs.delete([OWNER_KEY])
        log.info("bucket_forgotten", bucket=self._bucket)

    def _compare(self) -> Ownership:
        own, marker = self._own(), self._marker()
        if own.forgotten:
            return Ownership(words=f"an operator gave bucket {self._bucket} up for this installation; {_DECIDE}")
        if marker and marker == own.id:
            self._id = own.id
            return Ownership()
        if marker and not own.id:
            return Ownership(
                words=f"bucket {self._bucket} belongs to an installation whose records are not in this Redis under the "
                f"key prefix {self._prefix}: Redis lost its data, or it is the Redis of another installation; {_DECIDE}"
            )
        if marker:
            return Ownership(words=f"bucket {self._bucket} belongs to another installation; {_DECIDE}")
        if self._may_claim(own) and self._claim():
            return Ownership()
        return Ownership(
            words=f"bucket {self._bucket} has blobs that are not known to be of this installation; {_DECIDE}"
        )

    def _may_claim(self, own: _Own) -> bool:
        """Whether a bucket without a marker is this installation's."""
        if own.id and not own.marked:
            # Somebody broke off between the two writes.
            return True
        if next(iter(self._blobs.listed("")), None) is None:
            return True
        # Before there were markers, an installation with records had its bucket already.
        return not own.id and self._has_records()

    def _has_records(self) -> bool:
        with redis_errors():
            if self._redis.exists(*keys.history_keys(self._prefix)):
                return True
            # A photo that came before the first look, while S3 was only just back.
            photos = self._redis.scan_iter(keys.photo_key(self._prefix, "*", "*"), count=1000)
            return next(iter(photos), None) is not None

    def _claim(self) -> bool:
        """Processes that start together share the first id. Of two installations the first marker stays."""
        with redis_errors():
            self._redis.hsetnx(self._key, "id", uuid.uuid4().hex)
            self._redis.hsetnx(self._key, "marked", 0)
        self._id = self._own().id
        self._blobs.put_new(OWNER_KEY, _marker_of(self._id), "application/json")
        if self._marker() != self._id:
            return False
        with redis_errors():
            self._redis.hset(self._key, "marked", 1)
        log.info("bucket_claimed", bucket=self._bucket)
        return True

    def _own(self) -> _Own:
        with redis_errors():
            fields: Any = self._redis.hgetall(self._key)
        return _Own(id=fields.get("id", ""), marked=fields.get("marked") == "1", forgotten="forgotten" in fields)

    def _marker(self) -> str:
        try:
            data = self._blobs.get(OWNER_KEY)
            if data is None:
                return ""
            return str(json.loads(data)["fleet"])
        except (BlobDamaged, ValueError, LookupError, TypeError):
            # Cut or changed: it is somebody's.
            return "unreadable"


def _marker_of(owner_id: str) -> bytes:
    return json.dumps({"fleet": owner_id}).encode()
