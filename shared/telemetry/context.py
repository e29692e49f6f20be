"""The trace of what is being done right now, as a W3C `traceparent`: none unless traces are on.

What makes spans is in `shared.telemetry.spans`, and is imported only where the settings name an address for them.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""Set while a request is served, kept in the record of a job that it submits."""

_HEX32 = re.compile(r"(?!0{32})[0-9a-f]{32}")


def trace_of(job_id: str) -> str | None:
    """A trace for a job that no request was traced for, such as a batch's line: its id is the trace's as well."""
    return f"00-{job_id}-{job_id[:15]}1-01" if _HEX32.fullmatch(job_id) else None
