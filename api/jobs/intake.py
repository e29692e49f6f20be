"""From the bytes of a request to a queued job: parse, check, complete, store the photos, submit.

Nothing is stored and nothing starts before all checks have passed.
"""

from __future__ import annotations

import secrets
from collections.abc import Container, Mapping

from pydantic import ValidationError

from api.context import Context
from api.http.problems import (
    FieldError,
    InvalidFields,
    invalid_fields_of,
    pointer_to,
)
from api.photos.decode import Photo
from api.photos.intake import keep_photo
from shared.errors import InvalidField, UnknownPhoto
from shared.job import Job, JobSpec, Sampling
from shared.limits import BundleLimits
from shared.presets import filled
from shared.store.tenants.charge import Charge

SEEDS = 2**32


def spec_of_value(value: object) -> JobSpec:
    """The spec from a value that was assembled from form fields. Raises InvalidFields."""
    try:
        return JobSpec.model_validate(value)
    except ValidationError as error:
        raise invalid_fields_of(error) from error


def complete_spec(spec: JobSpec, limits: BundleLimits) -> JobSpec:
    """The spec with all sampling values: from the preset, then from the bundle, and a random seed.

    Raises SizeNotAllowed, or InvalidFields for boxes outside the picture.
    """
    sampling = filled(spec.sampling, limits)
    if sampling.seed is None:
        sampling = sampling.model_copy(update={"seed": secrets.randbelow(SEEDS)})
    width_px, height_px = _size_px(sampling, limits)
    limits.check(width_px, height_px)
    _check_boxes(spec, width_px, height_px)
    return spec.model_copy(update={"sampling": sampling})


async def accept_job(
    context: Context,
    tenant: str,
    spec: JobSpec,
    photos: Mapping[str, Photo] | None = None,
    *,
    job_id: str,
    charge: Charge | None = None,
    retry_of: str | None = None,
) -> Job:
    """Checks the spec, stores the photos of the request (by id) and queues the tenant's job under the id.

    Raises SizeNotAllowed, InvalidFields, RateLimited, QuotaExceeded, RecordsUnavailable or BlobsUnavailable.
    """
    brought = photos or {}
    full = await checked_job(context, tenant, spec, brought)
    by = "" if charge is None else charge.by
    for photo in brought.values():
        await keep_photo(context, tenant, photo, by)
    return await context.jobs.submit(job_id, full, tenant=tenant, charge=charge, retry_of=retry_of)


async def checked_job(context: Context, tenant: str, spec: JobSpec, brought: Container[str]) -> JobSpec:
    """The spec as it would be queued. brought: ids of the photos in the request. Stores nothing.

    Raises SizeNotAllowed, InvalidFields or RecordsUnavailable.
    """
    full = complete_spec(spec, context.limits)
    await _check_photos(context, tenant, full, brought)
    return full


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
        raise InvalidFields(UnknownPhoto, missing[0].message, missing)


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
        raise InvalidFields(InvalidField, outside[0].message, outside)


def _size_px(sampling: Sampling, limits: BundleLimits) -> tuple[int, int]:
    return sampling.width_px or limits.width_px, sampling.height_px or limits.height_px
