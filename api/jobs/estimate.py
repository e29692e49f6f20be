"""The cost of a job: all checks of a real submission, but nothing is stored, queued or charged."""

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
    """The response to a dry run. Raises the errors of `accept_job`."""
    full = await checked_job(context, tenant, spec, photos)
    size = units(full)
    eta_s = await eta_of(context, tenant, charge, full.lane, size, pixels(full))
    return estimate_response({"dry_run": True, "lane": full.lane, "units": round(size, 3), "eta_s": eta_s})


async def eta_of(
    context: Context, tenant: str, charge: Charge, lane: Lane, size: float, most_pixels: int = 0
) -> float | None:
    """Seconds until the backlog and this job or batch are done. Raises RateLimited or QuotaExceeded."""
    # A dry run counts as a request, or it would bypass the rate limit.
    await context.jobs.admit(tenant, charge, pixels=most_pixels)
    charge.check(size)
    eta_s = await context.queue.eta_s(tenant, lane, size)
    return None if eta_s is None else round(eta_s, 1)


def estimate_response(estimate: JobEstimate | BatchEstimate) -> Response:
    """The estimate as a response."""
    return Response(estimate_body(estimate), media_type="application/json")
