"""What the OpenAPI document says about erasing a tenant."""

from __future__ import annotations

from api.http.openapi import (
    RETRY_AFTER,
    STORES,
    with_problems,
)
from shared import errors as tree

ERASE_TENANT_ANSWERS = with_problems(
    {
        204: {"description": "All is gone"},
        202: {"description": "Some jobs ran, and go when they stop", "headers": RETRY_AFTER},
    },
    tree.InvalidField,
    *STORES,
)
