"""From a request's bytes to a job that can be served: read, check, fill in, store the photos, hand it over.

Nothing is stored and nothing starts before every check has passed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from api.context import Context
from api.errors import FieldError, Refusal, fields_of, pointer_to
from api.pictures import Photo, photo_id, read_photo
from shared.blob_store import photo_key
from shared.errors import BlobsUnavailable, InvalidField, MalformedBody, UnknownPhoto
from shared.job import Job, JobSpec, Sampling
from shared.job_store import Receipt
from shared.limits import BundleLimits
from shared.presets import filled

SEEDS = 2**32
# How often, and how far apart, who keeps a photo asks whether its old bytes are gone: deleting them takes moments.
_ASKED = 50
_ASKED_EVERY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Sending:
    """How a photo comes. by: the key that sends it; consent: what is said of it, "" for nothing."""

    by: str
    consent: str = ""


def spec_of(body: bytes) -> JobSpec:
    """The request as JSON bytes; a number is no string. Raises MalformedBody, or a Refusal of every wrong field."""
    try:
        return JobSpec.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise refusal_of(error) from error


def spec_of_value(value: object) -> JobSpec:
    """The request as a value that was put together from a form's fields. Raises a Refusal."""
    try:
        return JobSpec.model_validate(value)
    except ValidationError as error:
        raise refusal_of(error) from error


def completed(spec: JobSpec, limits: BundleLimits) -> JobSpec:
    """The spec with every empty value of its sampling filled in: the preset's, the bundle's own, and a random seed.

    Raises SizeNotAllowed, or a Refusal where boxes leave the picture.
    """
    sampling = filled(spec.sampling, limits)
    if sampling.seed is None:
        sampling = sampling.model_copy(update={"seed": secrets.randbelow(SEEDS)})
    width_px, height_px = _size_px(sampling, limits)
    limits.check(width_px, height_px)
    _check_boxes(spec, width_px, height_px)
    return spec.model_copy(update={"sampling": sampling})


async def accept_photo(
    context: Context, tenant: str, data: bytes, sending: Sending, *, pointer: str | None = None
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
        and await context.jobs.remember_photo(tenant, name, sending.by, sending.consent, known=True)
    ):
        return name, False
    photo = await decode_photo(context, data, pointer=pointer)
    await _keep(context, tenant, replace(photo, consent=sending.consent), sending.by)
    return name, True


async def decode_photo(context: Context, data: bytes, *, pointer: str | None = None) -> Photo:
    """Checks one photo without keeping it. Raises the errors of `read_photo`."""
    max_pixels = context.settings.max_photo_pixels
    return await context.decoded(lambda: read_photo(data, max_pixels=max_pixels, pointer=pointer))


async def accept_job(
    context: Context,
    tenant: str,
    spec: JobSpec,
    photos: Mapping[str, Photo] | None = None,
    *,
    job_id: str,
    receipt: Receipt | None = None,
    retry_of: str | None = None,
) -> Job:
    """Checks the rest, keeps the photos that came along (by id), and queues the tenant's job under the id.

    Raises SizeNotAllowed, Refusal, RateLimited, QuotaExceeded, RecordsUnavailable or BlobsUnavailable.
    """
    brought = photos or {}
    full = await checked_job(context, tenant, spec, brought)
    by = "" if receipt is None else receipt.by
    for photo in brought.values():
        await _keep(context, tenant, photo, by)
    return await context.jobs.submit(job_id, full, tenant=tenant, receipt=receipt, retry_of=retry_of)


async def checked_job(context: Context, tenant: str, spec: JobSpec, brought: Container[str]) -> JobSpec:
    """The spec as it would be queued; brought: ids of photos that came along. Stores nothing.

    Raises SizeNotAllowed, Refusal or RecordsUnavailable.
    """
    full = completed(spec, context.limits)
    await _check_photos(context, tenant, full, brought)
    return full


async def _keep(context: Context, tenant: str, photo: Photo, by: str) -> None:
    # Bytes first: an id that is remembered has bytes.
    key = photo_key(tenant, photo.id)
    await asyncio.to_thread(context.blobs.put, key, photo.png, "image/png")
    for _ in range(_ASKED):
        if await context.jobs.remember_photo(tenant, photo.id, by, photo.consent):
            break
        await asyncio.sleep(_ASKED_EVERY_S)
    else:
        raise BlobsUnavailable(f"photo {photo.id} is being erased just now")
    # Whoever erased the photo until then took these bytes for the old ones. From now on nobody does.
    if not await asyncio.to_thread(context.blobs.exists, key):
        await asyncio.to_thread(context.blobs.put, key, photo.png, "image/png")


async def _check_photos(context: Context, tenant: str, spec: JobSpec, brought: Container[str]) -> None:
    places = {
        pointer_to("concepts", concept, "photos", photo): name
        for concept, asked in enumerate(spec.concepts)
        for photo, name in enumerate(asked.photos)
        if name not in brought
    }
    if not places:
        return
    unknown = await context.jobs.unknown_photos(tenant, sorted(set(places.values())))
    missing = [
        FieldError(code=UnknownPhoto.code, message=f"photo {name} was never uploaded or has expired", pointer=pointer)
        for pointer, name in places.items()
        if name in unknown
    ]
    if missing:
        raise Refusal(UnknownPhoto, missing[0].message, missing)


def _check_boxes(spec: JobSpec, width_px: int, height_px: int) -> None:
    outside = [
        FieldError(
            code="box_outside",
            message=f"box_px {concept.box_px} leaves the picture of {width_px} x {height_px} pixels",
            pointer=pointer_to("concepts", index, "box_px"),
        )
        for index, concept in enumerate(spec.concepts)
        if concept.box_px is not None and (concept.box_px[2] > width_px or concept.box_px[3] > height_px)
    ]
    if outside:
        raise Refusal(InvalidField, outside[0].message, outside)


def _size_px(sampling: Sampling, limits: BundleLimits) -> tuple[int, int]:
    return sampling.width_px or limits.width_px, sampling.height_px or limits.height_px


def refusal_of(error: ValidationError) -> Refusal | MalformedBody:
    """What a body that was not valid is answered with."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    fields: Sequence[FieldError] = list(fields_of(details))
    if details[0]["type"] == "json_invalid":
        return MalformedBody(f"the body is not readable as JSON: {fields[0].message.removeprefix('Invalid JSON: ')}")
    first = f"{fields[0].pointer or 'the body'}: {fields[0].message}"
    message = first if len(fields) == 1 else f"{len(fields)} fields are not valid; {first}"
    return Refusal(InvalidField, message, fields)
