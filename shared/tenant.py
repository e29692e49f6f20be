"""Tenants: their names and limits.

A tenant's name is safe in Redis keys and S3 paths.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_TENANT = "default"
TENANT_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"

_NAME = re.compile(TENANT_NAME)


def check_tenant(name: str) -> str:
    """The name, if it is valid. Raises ValueError."""
    if not _NAME.fullmatch(name):
        message = (
            f"{name[:40]!r} is not a tenant name: use up to 32 lowercase letters, digits and dashes, no dash first"
        )
        raise ValueError(message)
    return name


class TenantLimits(BaseModel):
    """Limits of a tenant; None means no limit. weight: its share of the workers while other tenants wait as well."""

    model_config = ConfigDict(frozen=True)

    weight: float = Field(1.0, ge=0.01, le=100)
    concurrency: int | None = Field(None, ge=1, description="Maximum number of running jobs")
    daily_units: int | None = Field(None, ge=1, description="Units of the jobs submitted in a day (UTC)")
    rate: int | None = Field(None, ge=1, description="Requests that make or change something, in a window")
    rate_window_s: int = Field(60, ge=1, le=86_400)
