"""What is given out is noted first: no picture, photo or file leaves without its entry in the tenant's audit log.

A signed address is as good as the picture. Looking at how a job is, at its faces and boxes, is no reading of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from api.access import key_of, tenant_of
from api.context import context_of
from shared.job_store import Action

# What is looked at again and again while it changes, a picture that emerges or a batch's lines, is one reading an hour.
AGAIN_S = 3600


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is about to be given out. subject: id of the job, photo or batch; detail: which of its pictures or files."""

    action: Action
    subject: str
    detail: str = ""
    once_s: int = 0


async def note_reading(request: Request, reading: Reading) -> None:
    """Notes it; call this when it is sure that there is something to give. Raises RecordsUnavailable."""
    await context_of(request).audit.note(
        tenant_of(request),
        key_of(request),
        reading.action,
        reading.subject,
        reading.detail,
        once_s=reading.once_s,
    )
