"""A photo of a tenant: checked, and kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from api.context import Context
from api.photos.decode import Photo, photo_id, read_photo
from shared.blob_store import photo_key
from shared.errors import BlobsUnavailable

# How often, and how far apart, who keeps a photo asks whether its old bytes are gone: deleting them takes moments.
_ASKED = 50
_ASKED_EVERY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class PhotoSource:
    """How a photo comes. by: the key that sends it; consent: what is said of it, "" for nothing."""

    by: str
    consent: str = ""


async def accept_photo(
    context: Context, tenant: str, data: bytes, sending: PhotoSource, *, pointer: str | None = None
) -> tuple[str, bool]:
    """Checks and keeps one photo of a tenant. Gives its id, and whether it is new; sending it again renews its expiry.

    Raises the errors of `read_photo`, RecordsUnavailable or BlobsUnavailable.
    """
    name = await asyncio.to_thread(photo_id, data)
    known = not await context.jobs.unknown_photos(tenant, [name])
    if (
        known
        and await asyncio.to_thread(context.blobs.exists, photo_key(tenant, name))
        # Not if it was erased meanwhile: then it is kept like a new one.
        and await context.jobs.keep_photo(tenant, name, sending.by, sending.consent, known=True)
    ):
        return name, False
    photo = await decode_photo(context, data, pointer=pointer)
    await keep_photo(context, tenant, replace(photo, consent=sending.consent), sending.by)
    return name, True


async def decode_photo(context: Context, data: bytes, *, pointer: str | None = None) -> Photo:
    """Checks one photo without keeping it. Raises the errors of `read_photo`."""
    max_pixels = context.settings.max_photo_pixels
    return await context.decoded(lambda: read_photo(data, max_pixels=max_pixels, pointer=pointer))


async def keep_photo(context: Context, tenant: str, photo: Photo, by: str) -> None:
    """Keeps a photo that was checked. Raises RecordsUnavailable or BlobsUnavailable."""
    # Bytes first: an id that is remembered has bytes.
    key = photo_key(tenant, photo.id)
    await asyncio.to_thread(context.blobs.put, key, photo.png, "image/png")
    for _ in range(_ASKED):
        if await context.jobs.keep_photo(tenant, photo.id, by, photo.consent):
            break
        await asyncio.sleep(_ASKED_EVERY_S)
    else:
        raise BlobsUnavailable(f"photo {photo.id} is being erased just now")
    # An erasure until then deleted these bytes as the old ones. From now on none does.
    if not await asyncio.to_thread(context.blobs.exists, key):
        await asyncio.to_thread(context.blobs.put, key, photo.png, "image/png")
