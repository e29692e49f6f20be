"""What a job or a batch would cost: every check as in earnest, and nothing stored, queued or taken from a quota."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response

from api.batches.intake import Weighed
from api.context import Context
from api.intake import checked_job
from api.pictures import Photo
from api.views import BatchEstimate, JobEstimate, estimate_body
from shared.job import JobSpec, Lane
from shared.job_store import Receipt
from shared.job_store.record import pixels, units


async def weigh_job(
    context: Context, tenant: str, receipt: Receipt, spec: JobSpec, photos: Mapping[str, Photo]
) -> Response:
    """The answer to a job that is not to run. Raises as `accept_job` does."""
    full = await checked_job(context, tenant, spec, photos)
    size = units(full)
    eta_s = await _eta_s(context, tenant, receipt, full.lane, size, pixels(full))
    return _answer({"dry_run": True, "lane": full.lane, "units": round(size, 3), "eta_s": eta_s})


async def weigh_batch(context: Context, tenant: str, receipt: Receipt, found: Weighed) -> Response:
    """The answer to a batch that is not to run. Raises RateLimited, QuotaExceeded or RecordsUnavailable."""
    eta_s = await _eta_s(context, tenant, receipt, "batch", found.units)
    return _answer(
        {
            "dry_run": True,
            "lane": "batch",
            "units": round(found.units, 3),
            "eta_s": eta_s,
            "lines": found.good + found.invalid,
            "invalid": found.invalid,
            "errors": tuple(
                {"line": one.number, "custom_id": one.custom_id, "errors": one.errors} for one in found.first
            ),
        }
    )


async def _eta_s(
    context: Context, tenant: str, receipt: Receipt, lane: Lane, size: float, most_pixels: int = 0
) -> float | None:
    # It counts as a request, or it would be a way around the rate limit.
    await context.jobs.admit(tenant, receipt, pixels=most_pixels)
    receipt.check(size)
    eta_s = await context.queue.eta_s(tenant, lane, size)
    return None if eta_s is None else round(eta_s, 1)


def _answer(estimate: JobEstimate | BatchEstimate) -> Response:
    return Response(estimate_body(estimate), media_type="application/json")
