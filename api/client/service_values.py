"""The service as the API returns it: queue, workers, health, audit log."""

from __future__ import annotations

from datetime import datetime

from api.client.values import Value


class AuditEntry(Value):
    """One entry of the audit log. key: id of the API key, "-" if the server does not require keys.

    subject: id of the job, photo or batch, or the tenant's name. detail: the picture or file that was read; for a
    retry, the job that is repeated. consent: the consent that an upload came with.
    """

    id: str
    at: datetime
    tenant: str
    key: str
    action: str
    subject: str
    detail: str | None = None
    consent: str | None = None


class AuditPage(Value):
    """Entries of an audit log, the newest first. next: `cursor` of the following page, None at the end."""

    entries: tuple[AuditEntry, ...]
    next: str | None


class LaneLoad(Value):
    """How busy one lane is. eta_s: until the last waiting job is done. Only the backlog counts other tenants too."""

    depth: int
    running: int
    pictures_per_min: float
    eta_s: float | None = None
    backlog_s: float | None = None


class Queue(Value):
    """How busy the service is. backlog_s: seconds that the workers need for all waiting jobs of all tenants."""

    lanes: dict[str, LaneLoad]
    backlog_s: float | None = None


class Work(Value):
    """The job that a worker works on."""

    id: str
    stage: str
    step: int
    steps: int


class Worker(Value):
    """A worker. busy: it works on a job; job: that job, if it belongs to the caller's tenant.

    Unknown values of the device are empty or 0; memory in 10^6 bytes. reason: why it is not ready.
    """

    name: str
    host: str
    role: str
    bundle: str
    device: str = ""
    memory_mb: int = 0
    free_mb: int = 0
    steps_per_s: float = 0.0
    state: str
    reason: str = ""
    busy: bool
    job: Work | None = None


class Workers(Value):
    """All live workers."""

    workers: list[Worker]


class Check(Value):
    """One thing that the service needs. detail: its state in words."""

    name: str
    ok: bool
    detail: str


class Readiness(Value):
    """Whether a job that is submitted now can be served. warnings: problems that do not prevent that."""

    ready: bool
    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()
