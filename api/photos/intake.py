"""Checks and stores the photos of a tenant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from api.context import Context
from api.photos.decode import Photo, photo_id, read_photo
from shared.blob_store import photo_key
from shared.errors import BlobsUnavailable

# Attempts to store a photo while an erasure deletes its old bytes, which takes moments.
_ATTEMPTS = 50
_ATTEMPT_EVERY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class PhotoSource:
    """The origin of a photo. by: id of the key; consent: as sent, or ""."""

    by: str
    consent: str = ""


async def accept_photo(
    context: Context, tenant: str, data: bytes, source: PhotoSource, *, pointer: str | None = None
) -> tuple[str, bool]:
    """Checks and stores a photo of a tenant. Gives its id, and whether it is new; a known one expires later again.

    Raises the errors of `read_photo`, RecordsUnavailable or BlobsUnavailable.
    """
    name = await asyncio.to_thread(photo_id, data)
    known = not await context.jobs.unknown_photos(tenant, [name])
    if (
        known
        and await asyncio.to_thread(context.blobs.exists, photo_key(tenant, name))
        # False if it was erased meanwhile: then it is stored like a new one.
        and await context.jobs.keep_photo(tenant, name, source.by, source.consent, known=True)
    ):
        return name, False
    photo = await decode_photo(context, data, pointer=pointer)
    await keep_photo(context, tenant, replace(photo, consent=source.consent), source.by)
    return name, True


async def decode_photo(context: Context, data: bytes, *, pointer: str | None = None) -> Photo:
    """Checks a photo without storing it. Raises the errors of `read_photo`."""
    max_pixels = context.settings.max_photo_pixels
    return await context.decoded(lambda: read_photo(data, max_pixels=max_pixels, pointer=pointer))


async def keep_photo(context: Context, tenant: str, photo: Photo, by: str) -> None:
    """Stores a checked photo. Raises RecordsUnavailable or BlobsUnavailable."""
    # Bytes first: every known id must have bytes.
    key = photo_key(tenant, photo.id)
    await asyncio.to_thread(context.blobs.put, key, photo.png, "image/png")
    for _ in range(_ATTEMPTS):
        if await context.jobs.keep_photo(tenant, photo.id, by, photo.consent):
            break
        await asyncio.sleep(_ATTEMPT_EVERY_S)
    else:
        raise BlobsUnavailable(f"photo {photo.id} is being erased")
    # An erasure until then deleted these bytes as the old ones. From now on none does.
    if not await asyncio.to_thread(context.blobs.exists, key):
        await asyncio.to_thread(context.blobs.put, key, photo.png, "image/png")
