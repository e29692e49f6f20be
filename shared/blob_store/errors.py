"""What the S3 server and the way to it can do to a call, as errors of ours."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import SSLError as BotoSSLError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from shared.errors import BlobsRefused, BlobsUnavailable
from shared.telemetry.metrics import meters

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
# The same request meets the same answer until an operator changes keys, rights, addresses or settings. An answer to
# HEAD has no body, so its code is the status.
_LASTING = frozenset(
    {
        "301",
        "401",
        "403",
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "Forbidden",
        "InvalidAccessKeyId",
        "InvalidBucketName",
        "InvalidSecurity",
        "NoSuchBucket",
        "NotSignedUp",
        "PermanentRedirect",
        "SignatureDoesNotMatch",
        "Unauthorized",
    }
)
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
# A connection that breaks in the middle of an answer surfaces in the layer that was reading: botocore, its XML parser,
# urllib3, http.client or the socket.
_BROKEN = (BotoCoreError, ResponseParserError, HTTPError, HTTPException, OSError)


class BlobMissing(Exception):
    """There is no such blob. Stays in this package."""


@contextmanager
def s3_errors(verb: str, what: str) -> Iterator[None]:
    """Turns a failed call into BlobMissing, BlobsRefused or BlobsUnavailable. verb: for people and metrics."""
    try:
        yield
    except ClientError as error:
        if code_of(error) in _MISSING:
            raise BlobMissing(what) from error
        _count(verb)
        if code_of(error) in _LASTING:
            raise BlobsRefused(f"the S3 server refuses to {verb} {what}: {error}") from error
        raise BlobsUnavailable(f"the S3 server did not {verb} {what}: {error}") from error
    except _BROKEN as error:
        _count(verb)
        if isinstance(error, _NO_CREDENTIALS):
            raise BlobsRefused(f"no credentials to {verb} {what}: {error}") from error
        if isinstance(error, (BotoSSLError, ssl.SSLError)) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise BlobsRefused(f"the certificate of the S3 server is not trusted: {error}") from error
        raise BlobsUnavailable(f"the S3 server did not {verb} {what}: {error}") from error


def code_of(error: ClientError) -> str:
    """The code of an answer: a name, or the status where the answer has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The HTTP status of an answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


def _count(verb: str) -> None:
    meters().s3_errors.labels(verb.partition(" ")[0]).inc()
