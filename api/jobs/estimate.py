"""What a job would cost: every check as in earnest, and nothing stored, queued or taken from a quota."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response

from api.context import Context
from api.jobs.intake import checked_job
from api.jobs.schemas import BatchEstimate, JobEstimate, estimate_body
from api.photos.decode import Photo
from shared.job import JobSpec, Lane
from shared.store.jobs.record import pixels, units
from shared.store.tenants.charge import Charge


async def estimate_job(
    context: Context, tenant: str, charge: Charge, spec: JobSpec, photos: Mapping[str, Photo]
) -> Response:
    """The answer to a job that is not to run. Raises as `accept_job` does."""
    full = await checked_job(context, tenant, spec, photos)
    size = units(full)
    eta_s = await eta_of(context, tenant, charge, full.lane, size, pixels(full))
    return estimate_response({"dry_run": True, "lane": full.lane, "units": round(size, 3), "eta_s": eta_s})


async def eta_of(
    context: Context, tenant: str, charge: Charge, lane: Lane, size: float, most_pixels: int = 0
) -> float | None:
    """Seconds that the backlog takes with the job or batch in it. Raises RateLimited or QuotaExceeded."""
    # It counts as a request, or it would be a way around the rate limit.
    await context.jobs.admit(tenant, charge, pixels=most_pixels)
    charge.check(size)
    eta_s = await context.queue.eta_s(tenant, lane, size)
    return None if eta_s is None else round(eta_s, 1)


def estimate_response(estimate: JobEstimate | BatchEstimate) -> Response:
    """The estimate as an answer."""
    return Response(estimate_body(estimate), media_type="application/json")
