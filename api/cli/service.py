"""`troupe queue | workers | health | metrics | audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli import show
from api.cli.connection import FAILED, AsJson, Limit, client_of, gather
from api.client import AuditEntry, Queue, Worker


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (queue, workers, health, metrics, audit):
        app.command()(command)


def queue(context: typer.Context, as_json: AsJson = False) -> None:
    """Show how busy the service is."""
    with client_of(context) as client:
        found = client.queue()
    show.value(found, "\n".join(queue_lines(found)), as_json=as_json)


def workers(context: typer.Context, as_json: AsJson = False) -> None:
    """List the workers. `top` shows them live."""
    with client_of(context) as client:
        found = client.workers()
    show.rows(
        found,
        {
            "worker": lambda one: one.name,
            "role": lambda one: one.role,
            "bundle": lambda one: one.bundle,
            "device": lambda one: one.device,
            "state": lambda one: one.state,
            "job": _job_of,
            "reason": lambda one: one.reason,
        },
        as_json=as_json,
    )


def health(context: typer.Context, as_json: AsJson = False) -> None:
    """Show whether the server can serve a job now. The exit status is 1 if it cannot."""
    with client_of(context) as client:
        client.ping()
        found = client.ready()
    cells = [(one.name, "ok" if one.ok else "missing", one.detail) for one in found.checks]
    lines = [*show.table(cells), *(f"warning: {warning}" for warning in found.warnings)]
    show.value(found, "\n".join(lines), as_json=as_json)
    if not found.ready:
        raise typer.Exit(FAILED)


def metrics(context: typer.Context) -> None:
    """Print the server's metrics as Prometheus text."""
    with client_of(context) as client:
        show.text(client.metrics().rstrip("\n"))


def audit(
    context: typer.Context,
    action: Annotated[
        str | None, typer.Option(help="Only entries of this action, such as picture.read.", show_default=False)
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List which key uploaded, submitted, read and erased what, the newest entry first."""
    with client_of(context) as client:

        def page(cursor: str | None, size: int) -> tuple[tuple[AuditEntry, ...], str | None]:
            found = client.audit(action=action, cursor=cursor, limit=size)
            return found.entries, found.next

        entries = gather(page, limit)
    show.rows(
        entries,
        {
            "time": lambda one: show.moment(one.at),
            "key": lambda one: one.key,
            "action": lambda one: one.action,
            "subject": lambda one: one.subject,
            "detail": lambda one: one.detail or one.consent or "",
        },
        as_json=as_json,
    )


def queue_lines(found: Queue) -> list[str]:
    """The lanes as a table, and the backlog of all tenants."""
    cells = [("lane", "waiting", "running", "pictures/min", "eta", "backlog")]
    for name, lane in found.lanes.items():
        numbers = str(lane.depth), str(lane.running), f"{lane.pictures_per_min:.1f}"
        cells.append((name, *numbers, _seconds(lane.eta_s), _seconds(lane.backlog_s)))
    backlog = "unknown" if found.backlog_s is None else _seconds(found.backlog_s)
    return [*show.table(cells), f"backlog of all tenants: {backlog}"]


def _job_of(worker: Worker) -> str:
    if worker.job is None:
        return "of another tenant" if worker.busy else ""
    steps = f" {worker.job.step}/{worker.job.steps}" if worker.job.steps else ""
    return f"{worker.job.id} {worker.job.stage}{steps}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f} s"
