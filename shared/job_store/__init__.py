"""Job records in Redis: the one truth about every job. A Celery message is only a doorbell with a job's id."""

from __future__ import annotations

from shared.job_store.answers import Answer, Answers, Kept
from shared.job_store.async_store import AsyncJobStore
from shared.job_store.audit import NO_KEY, Action, AuditEntry, AuditLog, AuditPage
from shared.job_store.connection import connect, connect_async
from shared.job_store.crew import Crew, Work
from shared.job_store.deliveries import Collected, DeliveryStore, Posting
from shared.job_store.erasures import Erasing, Erasures, Left
from shared.job_store.facts import (
    Claim,
    Ending,
    JobPage,
    Mark,
    QueuePlace,
    Readiness,
    Refusal,
    Renewal,
    Ring,
    Sweep,
    Waiting,
    Wish,
    WorkerFacts,
)
from shared.job_store.fleet import Fleet
from shared.job_store.live import LiveJobs, Snapshot, Watch
from shared.job_store.queue_state import LaneState, QueueStates
from shared.job_store.receipt import Allowance, Receipt
from shared.job_store.store import JobStore
from shared.job_store.tenants import Tenants
from shared.job_store.totals import QueueTotals, Totals
from shared.job_store.webhooks import WebhookStore

__all__ = [
    "NO_KEY",
    "Action",
    "Allowance",
    "Answer",
    "Answers",
    "AsyncJobStore",
    "AuditEntry",
    "AuditLog",
    "AuditPage",
    "Claim",
    "Collected",
    "Crew",
    "DeliveryStore",
    "Ending",
    "Erasing",
    "Erasures",
    "Fleet",
    "JobPage",
    "JobStore",
    "Kept",
    "LaneState",
    "Left",
    "LiveJobs",
    "Mark",
    "Posting",
    "QueuePlace",
    "QueueStates",
    "QueueTotals",
    "Readiness",
    "Receipt",
    "Refusal",
    "Renewal",
    "Ring",
    "Snapshot",
    "Sweep",
    "Tenants",
    "Totals",
    "Waiting",
    "Watch",
    "WebhookStore",
    "Wish",
    "Work",
    "WorkerFacts",
    "connect",
    "connect_async",
]
