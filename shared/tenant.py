"""Whose a job, a photo, a batch is, and what a tenant may have.

A tenant's name is safe as a word of a key in Redis and of a path in S3.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_TENANT = "default"
TENANT_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"

_NAME = re.compile(TENANT_NAME)


def check_tenant(name: str) -> str:
    """The name, if it may be a tenant's. Raises ValueError."""
    if not _NAME.fullmatch(name):
        message = f"{name[:40]!r} is no tenant's name: up to 32 small letters, digits and dashes, no dash first"
        raise ValueError(message)
    return name


class TenantLimits(BaseModel):
    """What a tenant may have; None is no limit. weight: its share of the fleet while others wait too."""

    model_config = ConfigDict(frozen=True)

    weight: float = Field(1.0, ge=0.01, le=100)
    concurrency: int | None = Field(None, ge=1, description="Jobs at work at once")
    daily_units: int | None = Field(None, ge=1, description="Units of the jobs submitted in a day (UTC)")
    rate: int | None = Field(None, ge=1, description="Requests that make or change something, in a window")
    rate_window_s: int = Field(60, ge=1, le=86_400)
