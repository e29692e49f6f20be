"""Bytes in one S3 bucket: put, get, sign. The key layout lives here, and vendor errors become ours.

The keys and what lies under them; every key begins with the tenant, and no tenant's work finds another's blobs:

    {tenant}/photos/{photo id}.png                  a reference photo, upright, no metadata; id = sha256 of the upload
    {tenant}/photos/{photo id}.png.faces/{bundle}   what a bundle saw in it; it goes with it: the same prefix
    {tenant}/uploads/{upload id}                    a photo as it came to a signed address, until it is taken in
    {tenant}/stages/{stage}/{order digest}/{file}   what a stage made; `output.json` is written last: then it is whole
    {tenant}/batches/{batch id}/...                 lines and logs of a batch, see shared/batch_files.py
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import BlobsUnavailable
from shared.settings import Settings
from shared.stages import Stage
from shared.telemetry.metrics import meters

# How long a signed address takes an upload.
UPLOAD_S = 900
# As many as one request may name (DeleteObjects).
_MOST_DELETED = 1000
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
# What is written and deleted when a process starts. No tenant's name begins with a dot.
_PROBES = ".probe"


def photo_key(tenant: str, photo_id: str) -> str:
    """Key of a tenant's reference photo."""
    return f"{tenant}/photos/{photo_id}.png"


def photos_folder(tenant: str) -> str:
    """What the keys of all reference photos of a tenant begin with."""
    return f"{tenant}/photos/"


def upload_key(tenant: str, upload_id: str) -> str:
    """Key of what was uploaded to a signed address."""
    return f"{tenant}/uploads/{upload_id}"


def stage_folder(tenant: str, stage: str, digest: str) -> str:
    """What the keys of all files of one order of a tenant begin with."""
    return f"{tenant}/stages/{stage}/{digest}/"


def faces_key(tenant: str, photo_id: str, bundle: str) -> str:
    """Key of what a bundle saw in a reference photo. bundle: its name with the fingerprint, which alone is used."""
    return f"{photo_key(tenant, photo_id)}.faces/{bundle.rpartition('@')[2]}"


def stage_key(tenant: str, stage: Stage, digest: str, file: str) -> str:
    """Key of one file that a stage made for a tenant's order with this digest."""
    return f"{tenant}/stages/{stage.value}/{digest}/{file}"


def batch_key(tenant: str, batch_id: str, file: str) -> str:
    """Key of one file of a batch; `shared/batch_files.py` says which there are."""
    return f"{tenant}/batches/{batch_id}/{file}"


def batch_folder(tenant: str, batch_id: str) -> str:
    """What the keys of all files of a batch begin with."""
    return batch_key(tenant, batch_id, "")


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A blob that is there. written_at: seconds since the epoch, on the S3 server's clock."""

    key: str
    written_at: float


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How the S3 server took one blob.

    refused: its words when it did not and will not; empty when all is well. clock_s: its clock, in seconds since the
    epoch, to a second; None when it tells none.
    """

    refused: str = ""
    clock_s: float | None = None


class BlobStore:
    """One bucket of an S3 server. Safe to share between threads; makes no connection until it is used."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.s3_bucket
        self._expiry_s = settings.s3_url_expiry_s
        self._client = _client(settings, settings.s3_endpoint_url)
        # A signature covers the host, so addresses for people are signed for the public one. Signing is local.
        self._signer = _client(settings, settings.s3_public_url or settings.s3_endpoint_url)

    def ensure_bucket(self) -> None:
        """Makes the bucket where it is missing. Raises BlobsUnavailable."""
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if _code(error) not in {*_MISSING, "NoSuchBucket"}:
                raise _unavailable("open the bucket", self._bucket, error) from error
            try:
                self._client.create_bucket(Bucket=self._bucket)
            except ClientError as refused:
                # Two processes may start at once: a bucket made by the other one is what was wanted.
                if _code(refused) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise _unavailable("open the bucket", self._bucket, refused) from refused
        except BotoCoreError as error:
            raise _unavailable("open the bucket", self._bucket, error) from error

    def probe(self) -> Probe:
        """Makes the bucket where it is missing, writes one blob and deletes it. Raises BlobsUnavailable."""
        # Processes start together: each has a key of its own.
        key = f"{_PROBES}/{uuid.uuid4().hex}"
        try:
            self.ensure_bucket()
            self.put(key, b"", "application/octet-stream")
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except (BlobsUnavailable, ClientError, BotoCoreError) as error:
            cause = error.__cause__ if isinstance(error, BlobsUnavailable) else error
            if isinstance(cause, ClientError) and 400 <= _http_status(cause) < 500:
                return Probe(refused=str(cause), clock_s=_clock_s(cause.response))
            if isinstance(error, BlobsUnavailable):
                raise
            raise _unavailable("probe", self._bucket, error) from error
        return Probe(clock_s=_clock_s(answer))

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Writes one blob. Raises BlobsUnavailable."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise _unavailable("put", key, error) from error

    def put_new(self, key: str, data: bytes, content_type: str) -> None:
        """Writes one blob unless there is one: the first writer's stays. Raises BlobsUnavailable.

        Servers that know no conditional writes pass over the condition: of two writers within the same moment the later
        one's stays there.
        """
        if self.exists(key):
            return
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=content_type, IfNoneMatch="*")
        except ClientError as error:
            if _code(error) not in {"PreconditionFailed", "412"}:
                raise _unavailable("put", key, error) from error
        except BotoCoreError as error:
            raise _unavailable("put", key, error) from error

    def get(self, key: str) -> bytes | None:
        """The blob's bytes, or None when there is no such blob. Raises BlobsUnavailable."""
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise _unavailable("get", key, error) from error
        except BotoCoreError as error:
            raise _unavailable("get", key, error) from error
        return body

    def exists(self, key: str) -> bool:
        """Whether there is such a blob. Raises BlobsUnavailable."""
        try:
            self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _code(error) in _MISSING:
                return False
            raise _unavailable("head", key, error) from error
        except BotoCoreError as error:
            raise _unavailable("head", key, error) from error
        return True

    def listed(self, prefix: str) -> Iterator[Blob]:
        """Every blob whose key begins so, in the order of the keys. Raises BlobsUnavailable."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Blob(key=found["Key"], written_at=found["LastModified"].timestamp())
        except (ClientError, BotoCoreError) as error:
            raise _unavailable("list", prefix, error) from error

    def erase(self, prefix: str) -> int:
        """Deletes every blob whose key begins so; gives how many. Raises BlobsUnavailable."""
        blobs, count = self.listed(prefix), 0
        while chunk := [{"Key": blob.key} for blob in islice(blobs, _MOST_DELETED)]:
            try:
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": chunk, "Quiet": True})
            except (ClientError, BotoCoreError) as error:
                raise _unavailable("delete", prefix, error) from error
            if refused := answer.get("Errors"):
                message = f"the S3 server did not delete {refused[0].get('Key')}: {refused[0].get('Message')}"
                meters().s3_errors.labels("delete").inc()
                raise BlobsUnavailable(message)
            count += len(chunk)
        return count

    def delete(self, keys: Sequence[str]) -> None:
        """Takes blobs away, those that are there. Raises BlobsUnavailable."""
        for key in keys:
            try:
                self._client.delete_object(Bucket=self._bucket, Key=key)
            except (ClientError, BotoCoreError) as error:
                raise _unavailable("delete", key, error) from error

    def url(self, key: str) -> str:
        """A signed address of the blob that anybody can read until it expires. Makes no request."""
        address: str = self._signer.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=self._expiry_s
        )
        return address

    def put_url(self, key: str, size_bytes: int) -> str:
        """A signed address that takes one blob of exactly this size, for `UPLOAD_S`. Makes no request."""
        params = {"Bucket": self._bucket, "Key": key, "ContentLength": size_bytes}
        address: str = self._signer.generate_presigned_url("put_object", Params=params, ExpiresIn=UPLOAD_S)
        return address


def _client(settings: Settings, endpoint_url: str) -> Any:  # boto3 makes its classes at run time
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=32,
        ),
    )


def _http_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


def _clock_s(answer: Any) -> float | None:
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date).timestamp() if date else None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _unavailable(verb: str, what: str, error: Exception) -> BlobsUnavailable:
    meters().s3_errors.labels(verb.partition(" ")[0]).inc()
    return BlobsUnavailable(f"the S3 server did not {verb} {what}: {error}")
