"""Troupe from Python: `Client`, or `AsyncClient` inside an event loop. Needs httpx and pydantic, nothing of the server.

    from api.client import Client, scene

    with Client("http://127.0.0.1:8000") as troupe:
        job = troupe.submit(scene("a man and a woman on the beach", {"the man": "ben.png", "the woman": "anna.png"}))
        troupe.wait(job.id).check()
        picture = troupe.picture(job.id)

What can pass by itself (no connection, 429, 502, 503, 504) is tried again with the same `Idempotency-Key`, so a job is
made once. What cannot is raised as the error of the tree (shared/errors.py) with the answer's code.
"""

from __future__ import annotations

from api.client.aio import AsyncClient
from api.client.batch_values import Batch, BatchEstimate, BatchPicture, WrongLine
from api.client.client import Client
from api.client.photos import Photo, scene
from api.client.values import (
    AuditEntry,
    AuditPage,
    Estimate,
    Job,
    JobState,
    LaneLoad,
    PhotoFaces,
    Place,
    Progress,
    Queue,
    Region,
    Try,
    Work,
    Worker,
)
from shared.batch import Outcome
from shared.verification import Verification

__all__ = [
    "AsyncClient",
    "AuditEntry",
    "AuditPage",
    "Batch",
    "BatchEstimate",
    "BatchPicture",
    "Client",
    "Estimate",
    "Job",
    "JobState",
    "LaneLoad",
    "Outcome",
    "Photo",
    "PhotoFaces",
    "Place",
    "Progress",
    "Queue",
    "Region",
    "Try",
    "Verification",
    "Work",
    "Worker",
    "WrongLine",
    "scene",
]
