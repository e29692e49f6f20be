"""Troupe from Python: `Client`, or `AsyncClient` inside an event loop.

    from troupe_client import Client, scene

    with Client("http://127.0.0.1:8000") as troupe:
        job = troupe.submit(scene("a man and a woman on the beach", {"the man": "ben.png", "the woman": "anna.png"}))
        troupe.wait(job.id).check()
        picture = troupe.picture(job.id)

Requests that fail for a reason that may pass (no connection, 429, 502, 503, 504) are repeated with the same
`Idempotency-Key`, so a job is created once. Other failures raise the exception of the answer's code (`errors`).
"""

from __future__ import annotations

from api.client.aio import AsyncClient
from api.client.batch_values import Batch, BatchEstimate, BatchPage, BatchPicture, Item, ItemPage, WrongLine
from api.client.client import Client
from api.client.photos import Photo
from api.client.scenes import scene
from api.client.service_values import (
    AuditEntry,
    AuditPage,
    Check,
    LaneLoad,
    Queue,
    Readiness,
    Work,
    Worker,
)
from api.client.values import (
    Estimate,
    Job,
    JobPage,
    JobState,
    PhotoFaces,
    PhotoRecord,
    Place,
    Progress,
    Region,
    Try,
)
from api.client.webhook_values import Attempt, Delivery, DeliveryPage, NewWebhook, Webhook
from shared import errors
from shared.batch import Outcome
from shared.errors import RateLimited, RequestError, TransientError, TroupeError
from shared.job import Concept, Failure, JobSpec, Lora, Sampling, Status
from shared.stages import Stage
from shared.verification import Verification
from shared.version import VERSION

__version__ = VERSION

__all__ = [
    "AsyncClient",
    "Attempt",
    "AuditEntry",
    "AuditPage",
    "Batch",
    "BatchEstimate",
    "BatchPage",
    "BatchPicture",
    "Check",
    "Client",
    "Concept",
    "Delivery",
    "DeliveryPage",
    "Estimate",
    "Failure",
    "Item",
    "ItemPage",
    "Job",
    "JobPage",
    "JobSpec",
    "JobState",
    "LaneLoad",
    "Lora",
    "NewWebhook",
    "Outcome",
    "Photo",
    "PhotoFaces",
    "PhotoRecord",
    "Place",
    "Progress",
    "Queue",
    "RateLimited",
    "Readiness",
    "Region",
    "RequestError",
    "Sampling",
    "Stage",
    "Status",
    "TransientError",
    "TroupeError",
    "Try",
    "Verification",
    "Webhook",
    "Work",
    "Worker",
    "WrongLine",
    "__version__",
    "errors",
    "scene",
]
