"""How an S3 server is spoken to: one place for every option of boto3."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import boto3
from botocore.client import Config

from shared.settings import Settings


def s3_client(settings: Settings, endpoint_url: str) -> Any:  # boto3 makes its classes at run time
    """A client that speaks to any server of the protocol. Makes no connection.

    Without an access key in the settings the credentials are found as every AWS client finds them: environment, web
    identity, container or instance role.
    """
    # boto3 reads an empty key as a key.
    key = settings.s3_access_key or None
    client = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value() if key else None,
        verify=settings.s3_ca_file or None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": settings.s3_addressing},
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=32,
            # Newer checksums go behind the bytes over HTTPS (aws-chunked). A server that does not know them stores the
            # frame with the bytes: 10,000 put, 10,044 read (boto3 4400).
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    client.meta.events.register("before-sign.s3.DeleteObjects", _with_md5)
    return client


def _with_md5(request: Any, **_: Any) -> None:
    """DeleteObjects needs a checksum. Every server knows Content-MD5, many do not know botocore's CRC32."""
    for name in [
        name for name in request.headers if name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-checksum"))
    ]:
        del request.headers[name]
    body = request.data if isinstance(request.data, bytes) else str(request.data).encode()
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()
