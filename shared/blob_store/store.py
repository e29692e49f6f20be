"""The bucket as the rest of Troupe sees it: whole blobs by key, and signed addresses."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

from botocore.exceptions import ClientError

from shared.blob_store.client import s3_client
from shared.blob_store.errors import BlobMissing, code_of, s3_errors, status_of
from shared.blob_store.keys import PROBES
from shared.blob_store.probe import Probe, probe_bucket
from shared.errors import BlobDamaged
from shared.settings import Settings
from shared.telemetry.log import get_logger

# How long a signed address takes an upload.
UPLOAD_S = 900
# As many as one request may name (DeleteObjects).
_MOST_DELETED = 1000
# Two processes may start at once: a bucket made by the other one is what was wanted.
_MADE_ALREADY = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_WRONG_PLACE = frozenset({"IllegalLocationConstraintException", "InvalidLocationConstraint", "MalformedXML"})
_DIGEST = "sha256"
_NO_SUCH_OPERATION = frozenset({405, 501})

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A blob that is there. written_at: seconds since the epoch, on the S3 server's clock."""

    key: str
    written_at: float


class BlobStore:
    """One bucket of an S3 server. Safe to share between threads; makes no connection until it is used.

    Every call may raise BlobsUnavailable, which may pass, and BlobsRefused, which an operator must mend. The digest of
    a blob is stored with it and compared when it is read: disks and proxies cut and change files.
    """

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.s3_bucket
        self._region = settings.s3_region
        self._ca_file = settings.s3_ca_file
        self._expiry_s = settings.s3_url_expiry_s
        self._client = s3_client(settings, settings.s3_endpoint_url)
        # A signature covers the host, so addresses for people are signed for the public one. Signing is local.
        self._signer = s3_client(settings, settings.s3_public_url or settings.s3_endpoint_url)
        self._deletes_many = True
        self._puts_new = True

    def ensure_bucket(self) -> None:
        """Makes the bucket where it is missing."""
        with suppress(BlobMissing), s3_errors("open the bucket", self._bucket):
            self._client.head_bucket(Bucket=self._bucket)
            return
        with s3_errors("make the bucket", self._bucket):
            try:
                self._create_bucket()
            except ClientError as error:
                if code_of(error) not in _MADE_ALREADY:
                    raise

    def _create_bucket(self) -> None:
        # us-east-1 is the region without a name (AWS, CreateBucket); servers of others may know no places at all.
        if self._region == "us-east-1":
            self._client.create_bucket(Bucket=self._bucket)
            return
        place = {"LocationConstraint": self._region}
        try:
            self._client.create_bucket(Bucket=self._bucket, CreateBucketConfiguration=place)
        except ClientError as error:
            if code_of(error) not in _WRONG_PLACE:
                raise
            self._client.create_bucket(Bucket=self._bucket)

    def probe(self) -> Probe:
        """What this server can do of all that Troupe asks of one. Makes the bucket where it is missing.

        Writes and deletes blobs of its own.
        """
        return probe_bucket(self._client, self._bucket, self.ensure_bucket, ca_file=self._ca_file)

    def reach(self) -> None:
        """Returns when a blob can be written and deleted here. Makes the bucket where it is missing."""
        self.ensure_bucket()
        key = f"{PROBES}/{uuid.uuid4().hex}"
        self.put(key, b"", "application/octet-stream")
        self.delete([key])

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Writes one blob."""
        with s3_errors("put", key):
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=data, ContentType=content_type, Metadata=_metadata_of(data)
            )

    def put_new(self, key: str, data: bytes, content_type: str) -> None:
        """Writes one blob unless there is one: the first writer's stays.

        Servers without conditional writes refuse the condition or pass over it: of two writers within the same moment
        the later one's stays there.
        """
        if self.exists(key):
            return
        if self._puts_new and self._put_if_new(key, data, content_type):
            return
        self.put(key, data, content_type)

    def _put_if_new(self, key: str, data: bytes, content_type: str) -> bool:
        """False where the server knows no such condition."""
        with s3_errors("put", key):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=data,
                    ContentType=content_type,
                    Metadata=_metadata_of(data),
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if status_of(error) in _NO_SUCH_OPERATION:
                    self._puts_new = False
                elif code_of(error) not in {"PreconditionFailed", "412"}:
                    raise
        return self._puts_new

    def get(self, key: str) -> bytes | None:
        """The blob's bytes, or None when there is no such blob. Raises BlobDamaged.

        What came to a signed address has no digest, and is taken as it is.
        """
        with suppress(BlobMissing), s3_errors("get", key):
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            body: bytes = answer["Body"].read()
            wanted = answer.get("Metadata", {}).get(_DIGEST)
            if wanted is not None and wanted != _metadata_of(body)[_DIGEST]:
                log.error("blob_damaged", key=key, bytes=len(body))
                raise BlobDamaged(f"{PurePosixPath(key).name} in the blob store is not what was written")
            return body
        return None

    def exists(self, key: str) -> bool:
        """Whether there is such a blob."""
        with suppress(BlobMissing), s3_errors("head", key):
            self._client.head_object(Bucket=self._bucket, Key=key)
            return True
        return False

    def listed(self, prefix: str) -> Iterator[Blob]:
        """Every blob of a tenant whose key begins so, in the order of the keys."""
        pages = iter(self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix))
        while True:
            # Only the requests: what a reader of this iterator raises is its own.
            with s3_errors("list", prefix or "the bucket"):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", ()):
                # The owner's marker and the blobs of the start-up check are no tenant's.
                if found["Key"].startswith("."):
                    continue
                yield Blob(key=found["Key"], written_at=found["LastModified"].timestamp())

    def erase(self, prefix: str) -> int:
        """Deletes every blob whose key begins so; gives how many."""
        blobs, count = self.listed(prefix), 0
        while chunk := [blob.key for blob in islice(blobs, _MOST_DELETED)]:
            if not self._delete_many(chunk):
                self.delete(chunk)
            count += len(chunk)
        return count

    def _delete_many(self, keys: Sequence[str]) -> bool:
        """Deletes them by one request. False when the server did not delete all of them, whatever the reason.

        Erasure must end on every server, and one key at a time is what each can do; it also says what is wrong.
        """
        if not self._deletes_many:
            return False
        objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        with s3_errors("delete", keys[0]):
            try:
                answer = self._client.delete_objects(Bucket=self._bucket, Delete=objects)
            except ClientError as error:
                # A server that has no such operation is asked once. Its limits and moods are asked for again.
                self._deletes_many = status_of(error) not in _NO_SUCH_OPERATION
                log.warning("blobs_deleted_singly", blobs=len(keys), reason=str(error))
                return False
        return not answer.get("Errors")

    def delete(self, keys: Sequence[str]) -> None:
        """Takes blobs away, those that are there."""
        for key in keys:
            with suppress(BlobMissing), s3_errors("delete", key):
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def url(self, key: str) -> str:
        """A signed address of the blob that anybody can read until it expires. Makes no request."""
        params = {"Bucket": self._bucket, "Key": key}
        with s3_errors("sign an address of", key):
            address: str = self._signer.generate_presigned_url("get_object", Params=params, ExpiresIn=self._expiry_s)
        return address

    def put_url(self, key: str, size_bytes: int) -> str:
        """A signed address that takes one blob of exactly this size, for `UPLOAD_S`. Makes no request."""
        params = {"Bucket": self._bucket, "Key": key, "ContentLength": size_bytes}
        with s3_errors("sign an address of", key):
            address: str = self._signer.generate_presigned_url("put_object", Params=params, ExpiresIn=UPLOAD_S)
        return address


def _metadata_of(data: bytes) -> dict[str, str]:
    return {_DIGEST: hashlib.sha256(data).hexdigest()}
