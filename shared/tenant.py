"""Whose a job, a photo, a batch is: a name that is safe as a word of a key in Redis and of a path in S3."""

from __future__ import annotations

import re

DEFAULT_TENANT = "default"
TENANT_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"

_NAME = re.compile(TENANT_NAME)


def check_tenant(name: str) -> str:
    """The name, if it may be a tenant's. Raises ValueError."""
    if not _NAME.fullmatch(name):
        message = f"{name[:40]!r} is no tenant's name: up to 32 small letters, digits and dashes, no dash first"
        raise ValueError(message)
    return name
