"""The cost of a batch: all checks of a real submission, but nothing is stored, queued or charged."""

from __future__ import annotations

from fastapi import Response

from api.batches.intake import LineEstimate
from api.context import Context
from api.jobs.estimate import estimate_response, eta_of
from shared.store.tenants.charge import Charge


async def estimate_batch(context: Context, tenant: str, charge: Charge, found: LineEstimate) -> Response:
    """The response to a dry run. Raises RateLimited, QuotaExceeded or RecordsUnavailable."""
    eta_s = await eta_of(context, tenant, charge, "batch", found.units)
    return estimate_response(
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
