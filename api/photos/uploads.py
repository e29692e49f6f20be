"""Uploads to a signed address, as they are asked for and taken in."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from api.context import Context
from api.http.problems import parse_json
from api.photos.intake import PhotoSource, accept_photo
from shared.blob_store import upload_key
from shared.errors import PictureTooLarge, RequestError, UnknownUpload
from shared.job import RequestModel

_UPLOAD_ID = r"^[0-9a-f]{32}$"


class NewUpload(RequestModel):
    """A photo to upload."""

    bytes: int = Field(
        ge=1, description="Size of the photo; the URL accepts exactly this many bytes", examples=[2_500_000]
    )


class UploadedPhoto(RequestModel):
    """A photo that was uploaded to a signed URL."""

    upload: Annotated[str, StringConstraints(pattern=_UPLOAD_ID)] = Field(
        description="The upload's id", examples=["7c1f0a9be2d7436f8a5b3e6d9c0f1a72"]
    )


class UploadView(BaseModel):
    """Where to send a photo: `PUT url` with exactly `bytes` bytes; no header is needed."""

    id: str = Field(description="For `POST /v1/photos`", examples=["7c1f0a9be2d7436f8a5b3e6d9c0f1a72"])
    url: str = Field(description="A signed URL", json_schema_extra={"format": "uri"})
    bytes: int = Field(examples=[2_500_000])
    expires_in_s: int = Field(description="Seconds until the URL expires", examples=[900])


def upload_view(upload: str, url: str, size_bytes: int, expires_in_s: int) -> str:
    """The response with the URL, as JSON."""
    return UploadView(id=upload, url=url, bytes=size_bytes, expires_in_s=expires_in_s).model_dump_json()


async def accept_upload(context: Context, tenant: str, body: bytes, source: PhotoSource) -> tuple[str, bool]:
    """Checks the uploaded bytes like any photo and stores them; then, or if they are rejected, deletes the upload.

    An outage does not delete the upload, so that the request can be repeated.
    Gives the photo's id, and whether it is new. Raises those of `parse_json` and `accept_photo`, and UnknownUpload.
    """
    key = upload_key(tenant, parse_json(UploadedPhoto, body).upload)
    data = await asyncio.to_thread(context.blobs.get, key)
    if data is None:
        message = "nothing was uploaded with this id, or the upload was already used or deleted"
        raise UnknownUpload(message, pointer="/upload")
    limit_bytes = context.settings.max_photo_bytes
    try:
        if len(data) > limit_bytes:
            raise PictureTooLarge(f"the photo has more than {limit_bytes} bytes", pointer="/upload")
        kept = await accept_photo(context, tenant, data, source, pointer="/upload")
    except RequestError:
        await asyncio.to_thread(context.blobs.delete, [key])
        raise
    await asyncio.to_thread(context.blobs.delete, [key])
    return kept
