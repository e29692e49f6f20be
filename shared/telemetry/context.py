"""The trace of the current operation as a W3C `traceparent`; none unless tracing is on.

Spans are created by `shared.telemetry.spans`, which is imported only when the settings name a collector.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""Set while a request is served, and stored in the record of a job that it submits."""

_HEX32 = re.compile(r"(?!0{32})[0-9a-f]{32}")


def trace_of(job_id: str) -> str | None:
    """A trace for a job without a traced request, such as a batch's line: the job's id is the trace id, too."""
    return f"00-{job_id}-{job_id[:15]}1-01" if _HEX32.fullmatch(job_id) else None
