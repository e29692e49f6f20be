"""Erasure of a tenant in the OpenAPI document."""

from __future__ import annotations

from api.http.openapi import (
    RETRY_AFTER,
    STORES,
    with_problems,
)
from shared import errors as tree

ERASE_TENANT_ANSWERS = with_problems(
    {
        204: {"description": "Everything is erased"},
        202: {"description": "Some jobs are still running and are erased when they stop", "headers": RETRY_AFTER},
    },
    tree.InvalidField,
    *STORES,
)
