"""What an S3 server can do: the check at the start of a process tries each operation on blobs of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3
from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from shared.blob_store.errors import BlobMissing, code_of, s3_errors, status_of
from shared.blob_store.keys import PROBES
from shared.errors import BlobsRefused, BlobsUnavailable

# More than one read of a socket, and the size at which the frame of a checksum was seen (boto3 4400).
_BYTES = bytes(range(250)) * 40
_OTHER = b"other bytes"
_SIGNED_S = 60
_PATIENCE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Lack:
    """An operation that this server does not do as S3 does. fatal: no job can be served, or nothing can be erased."""

    operation: str
    words: str
    fatal: bool


@dataclass(kw_only=True)
class Probe:
    """What was found. clock_s: the server's clock, in seconds since the epoch, to a second; None when it tells none."""

    lacks: list[Lack] = field(default_factory=list)
    clock_s: float | None = None

    @contextmanager
    def trying(self, operation: str, *, fatal: bool) -> Iterator[Callable[[str], None]]:
        """Tries an operation; gives a way to say what is wrong with its outcome. Raises BlobsUnavailable."""

        def lack(words: str) -> None:
            self.lacks.append(Lack(operation=operation, words=words, fatal=fatal))

        try:
            with s3_errors(operation, "a blob of the start-up check"):
                yield lack
        except (BlobsRefused, BlobsUnavailable) as error:
            cause = error.__cause__
            if isinstance(cause, ClientError):
                # A server that refuses for the difference of the clocks tells its own, too.
                self.clock_s = self.clock_s or _clock_s(cause.response)
            if isinstance(error, BlobsUnavailable) and not (
                isinstance(cause, ClientError) and _lasts(status_of(cause))
            ):
                raise
            lack(error.message)
        except BlobMissing as error:
            lack(f"the blob is not there: {error.__cause__}")


def probe_bucket(client: Any, bucket: str, ensure_bucket: Callable[[], None], *, ca_file: str = "") -> Probe:
    """Tries every operation that Troupe uses. Raises BlobsUnavailable when the server is away or in trouble."""
    # Processes start together: each has a folder of its own.
    folder = f"{PROBES}/{uuid.uuid4().hex}"
    first, second, third = (f"{folder}/{name}" for name in ("a", "b", "c"))
    probe = Probe()
    with probe.trying("open", fatal=True):
        ensure_bucket()
    if not probe.lacks:
        _write_and_read(probe, client, bucket, first)
    if any(lack.fatal for lack in probe.lacks):
        return probe
    _put_on_condition(probe, client, bucket, first)
    _sign(probe, client, bucket, second, ca_file)
    _list(probe, client, bucket, folder, first)
    _delete(probe, client, bucket, (first, second, third))
    return probe


def _write_and_read(probe: Probe, client: Any, bucket: str, key: str) -> None:
    with probe.trying("look for a missing blob", fatal=True) as lack:
        try:
            client.head_object(Bucket=bucket, Key=key)
            lack("it says that a blob is there which was never written")
        except ClientError as error:
            # S3 hides what is missing from a key that may not list (s3:ListBucket), and every stage looks for results.
            if code_of(error) not in {"404", "NoSuchKey", "NotFound"}:
                raise
    with probe.trying("write", fatal=True):
        client.put_object(Bucket=bucket, Key=key, Body=_BYTES, ContentType="application/octet-stream")
    if probe.lacks:
        return
    with probe.trying("read", fatal=True) as lack:
        answer = client.get_object(Bucket=bucket, Key=key)
        probe.clock_s = _clock_s(answer)
        found = answer["Body"].read()
        if found != _BYTES:
            lack(f"{len(_BYTES)} bytes were written and {len(found)} others were read, beginning {found[:12]!r}")


def _put_on_condition(probe: Probe, client: Any, bucket: str, key: str) -> None:
    with probe.trying("conditional write", fatal=False) as lack:
        try:
            client.put_object(Bucket=bucket, Key=key, Body=_OTHER, IfNoneMatch="*")
        except ClientError as error:
            if code_of(error) not in {"PreconditionFailed", "412"}:
                raise
        else:
            lack(
                "If-None-Match is passed over: a worker that lost its lease may write over what a later one made "
                "in the same moment"
            )


def _sign(probe: Probe, client: Any, bucket: str, key: str, ca_file: str) -> None:
    # Redirects would hide that the address itself does not work.
    with urllib3.PoolManager(retries=False, timeout=_PATIENCE_S, ca_certs=ca_file or None) as http:

        def ask(method: str, operation: str, body: bytes | None, **params: object) -> urllib3.BaseHTTPResponse | None:
            given = {"Bucket": bucket, "Key": key, **params}
            address = client.generate_presigned_url(operation, Params=given, ExpiresIn=_SIGNED_S)
            with suppress(HTTPError):
                return http.request(method, address, body=body)
            return None

        with probe.trying("signed PUT", fatal=False) as lack:
            answer = ask("PUT", "put_object", _BYTES, ContentLength=len(_BYTES))
            if answer is None or answer.status != 200:
                lack(f"uploads to a signed address fail: {_said(answer)}")
                client.put_object(Bucket=bucket, Key=key, Body=_BYTES)
        with probe.trying("signed GET", fatal=False) as lack:
            answer = ask("GET", "get_object", None)
            if answer is None or answer.status != 200:
                lack(f"people cannot fetch pictures from signed addresses: {_said(answer)}")
            elif answer.data != _BYTES:
                lack(f"{len(_BYTES)} bytes were written and {len(answer.data)} others were read")


def _list(probe: Probe, client: Any, bucket: str, folder: str, key: str) -> None:
    with probe.trying("list", fatal=True) as lack:
        found = client.list_objects_v2(Bucket=bucket, Prefix=f"{folder}/").get("Contents", ())
        if key not in {one["Key"] for one in found}:
            lack("a blob that was just written is not listed: it could not be erased with its folder")


def _delete(probe: Probe, client: Any, bucket: str, keys: tuple[str, ...]) -> None:
    first, *others = keys
    with probe.trying("delete several at once", fatal=False) as lack:
        objects = {"Objects": [{"Key": key} for key in others], "Quiet": True}
        answer = client.delete_objects(Bucket=bucket, Delete=objects)
        if errors := answer.get("Errors"):
            lack(f"{errors[0].get('Code')}: {errors[0].get('Message')}")
    with probe.trying("delete", fatal=True) as lack:
        for key in keys:
            client.delete_object(Bucket=bucket, Key=key)
        with suppress(ClientError):
            client.head_object(Bucket=bucket, Key=first)
            lack("a blob that was deleted is still there")


def _lasts(status: int) -> bool:
    """Whether a server that answered so will answer so again. 408 and 429 ask for patience."""
    return status == 501 or (400 <= status < 500 and status not in {408, 429})


def _said(answer: urllib3.BaseHTTPResponse | None) -> str:
    if answer is None:
        return "no answer"
    return f"{answer.status} {answer.data[:200].decode(errors='replace')}"


def _clock_s(answer: Any) -> float | None:
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date).timestamp() if date else None
