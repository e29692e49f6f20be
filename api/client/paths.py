"""Addresses of the API, relative to its server. An id is one step of a path, whatever it contains."""

from __future__ import annotations

from urllib.parse import quote

JOBS, PHOTOS, BATCHES, WEBHOOKS = "/v1/jobs", "/v1/photos", "/v1/batches", "/v1/webhooks"
UPLOADS, TENANT, AUDIT = "/v1/photos/uploads", "/v1/tenant", "/v1/audit"
QUEUE, WORKERS = "/v1/queue", "/v1/workers"
HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"


def job_path(job_id: str) -> str:
    """Address of a job."""
    return f"{JOBS}/{_step(job_id)}"


def photo_path(photo_id: str) -> str:
    """Address of a photo."""
    return f"{PHOTOS}/{_step(photo_id)}"


def batch_path(batch_id: str) -> str:
    """Address of a batch."""
    return f"{BATCHES}/{_step(batch_id)}"


def webhook_path(webhook_id: str) -> str:
    """Address of a webhook."""
    return f"{WEBHOOKS}/{_step(webhook_id)}"


def delivery_path(webhook_id: str, delivery_id: str) -> str:
    """Address of a delivery in the log of its webhook."""
    return f"{webhook_path(webhook_id)}/deliveries/{_step(delivery_id)}"


def _step(word: str) -> str:
    return quote(word, safe="")
