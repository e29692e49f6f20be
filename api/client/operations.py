"""Everything a client can do. Each operation is written once; the two clients differ only in how they wait."""

from __future__ import annotations

from api.client.batch_operations import BatchOperations
from api.client.job_operations import JobOperations
from api.client.service_operations import ServiceOperations
from api.client.webhook_operations import WebhookOperations


class Operations(JobOperations, BatchOperations, WebhookOperations, ServiceOperations):
    """The steps of every operation."""
