"""Uploads to a signed address, as they are asked for and taken in."""

from __future__ import annotations

import asyncio
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from api.context import Context
from api.http.problems import invalid_fields_of
from api.photos.intake import PhotoSource, accept_photo
from shared.blob_store import upload_key
from shared.errors import PictureTooLarge, RequestError, UnknownUpload
from shared.job import RequestModel

_UPLOAD_ID = r"^[0-9a-f]{32}$"
_Body = TypeVar("_Body", bound=RequestModel)


class NewUpload(RequestModel):
    """A photo that is to be uploaded."""

    bytes: int = Field(ge=1, description="Its size: the address takes exactly so many", examples=[2_500_000])


class UploadedPhoto(RequestModel):
    """A photo that was uploaded to a signed address."""

    upload: Annotated[str, StringConstraints(pattern=_UPLOAD_ID)] = Field(
        description="The upload's id", examples=["7c1f0a9be2d7436f8a5b3e6d9c0f1a72"]
    )


class UploadView(BaseModel):
    """Where to send a photo: `PUT url` with exactly `bytes` bytes and no other header that matters."""

    id: str = Field(description="For `POST /v1/photos`", examples=["7c1f0a9be2d7436f8a5b3e6d9c0f1a72"])
    url: str = Field(description="A signed address", json_schema_extra={"format": "uri"})
    bytes: int = Field(examples=[2_500_000])
    expires_in_s: int = Field(description="How long the address takes it", examples=[900])


def asked_of(kind: type[_Body], body: bytes) -> _Body:
    """The request as JSON bytes. Raises MalformedBody, or a Refusal that names every wrong field."""
    try:
        return kind.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise invalid_fields_of(error) from error


def upload_view(upload: str, url: str, size_bytes: int, expires_in_s: int) -> str:
    """Where to send it, as JSON."""
    return UploadView(id=upload, url=url, bytes=size_bytes, expires_in_s=expires_in_s).model_dump_json()


async def accept_upload(context: Context, tenant: str, body: bytes, sending: PhotoSource) -> tuple[str, bool]:
    """Checks what was uploaded like any photo and keeps it. Then, or when it is refused, the upload is thrown away.

    Through an outage the upload stays, so that the same request can be sent again.
    Gives the photo's id, and whether it is new. Raises as `asked_of` and `accept_photo`, and UnknownUpload.
    """
    key = upload_key(tenant, asked_of(UploadedPhoto, body).upload)
    data = await asyncio.to_thread(context.blobs.get, key)
    if data is None:
        message = "nothing was uploaded under this id, or it was taken or thrown away since"
        raise UnknownUpload(message, pointer="/upload")
    limit_bytes = context.settings.max_photo_bytes
    try:
        if len(data) > limit_bytes:
            raise PictureTooLarge(f"the photo has more than {limit_bytes} bytes", pointer="/upload")
        kept = await accept_photo(context, tenant, data, sending, pointer="/upload")
    except RequestError:
        await asyncio.to_thread(context.blobs.delete, [key])
        raise
    await asyncio.to_thread(context.blobs.delete, [key])
    return kept
