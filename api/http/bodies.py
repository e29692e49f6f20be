"""Request bodies, read up to their size limit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from shared.errors import BodyTooLarge, MalformedBody, RequestError, UnsupportedMedia


def media_type(request: Request) -> str:
    """The body's type in lower case without parameters, or "". Raises UnsupportedMedia for a compressed body."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        message = "compressed bodies are not supported; send the body without Content-Encoding"
        raise UnsupportedMedia(message)
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, *, limit_bytes: int, refusal: RequestError | None = None) -> bytes:
    """The whole body. Raises the refusal (BodyTooLarge) as soon as it is known to be longer than the limit."""
    chunks = [chunk async for chunk in stream_body(request, limit_bytes=limit_bytes, refusal=refusal)]
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


@asynccontextmanager
async def read_form(
    request: Request, *, limit_bytes: int, max_files: int, refusal: RequestError | None = None
) -> AsyncIterator[FormData]:
    """The parts of a multipart body; large files are temporary files until the block ends.

    Raises MalformedBody, or the refusal (BodyTooLarge) as soon as the body is known to be longer than the limit.
    """
    try:
        form = await MultiPartParser(
            request.headers,
            stream_body(request, limit_bytes=limit_bytes, refusal=refusal),
            max_files=max_files,
            max_fields=64,
        ).parse()
    except MultiPartException as error:
        message = f"the multipart body is not readable: {error.message}"
        raise MalformedBody(message) from error
    except UnicodeError as error:
        # The parser decodes text with the charset that the body declares.
        message = f"the multipart body is not readable in its charset: {error}"
        raise MalformedBody(message) from error
    try:
        yield form
    finally:
        await form.close()


async def stream_body(
    request: Request, *, limit_bytes: int, refusal: RequestError | None = None
) -> AsyncGenerator[bytes, None]:
    """The chunks of the body. Raises the refusal (BodyTooLarge) as soon as it is known to be longer than the limit."""
    too_large = refusal or BodyTooLarge(f"the body has more than {limit_bytes} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit_bytes:
        raise too_large
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit_bytes:
            raise too_large
        if chunk:
            yield chunk
