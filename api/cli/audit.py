"""`troupe audit`: who did what, as a table."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from api.cli import show
from api.cli.connection import client_of
from api.client import AuditEntry, Client

_A_PAGE = 100


def add(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(audit)


def audit(
    context: typer.Context,
    action: Annotated[
        str | None, typer.Option(help="Only entries of this action, such as picture.read.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Entries to show at most.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON an entry.")] = False,
) -> None:
    """Show which key uploaded, submitted, read and erased what, the newest first."""
    with client_of(context) as client:
        entries = _entries(client, action, limit)
    if as_json:
        for entry in entries:
            show.out.print(json.dumps(entry.model_dump(mode="json")), markup=False)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("when", "key", "action", "what", "detail"):
        table.add_column(name, no_wrap=name != "detail", overflow="fold")
    for entry in entries:
        when = entry.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(when, entry.key, entry.action, entry.subject, Text(entry.detail or entry.consent or ""))
    show.out.print(table)


def _entries(client: Client, action: str | None, limit: int) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    cursor: str | None = None
    while len(found) < limit:
        page = client.audit(cursor=cursor, limit=min(_A_PAGE, limit - len(found)), action=action)
        found += page.entries
        if page.next is None:
            break
        cursor = page.next
    return found
