"""`troupe top`: workers, lanes and running jobs, live."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from api.cli import show
from api.cli.connection import AsJson, Connection
from api.cli.service import queue_lines
from api.client import Client, Queue, Worker
from shared.errors import TransientError

_LOOK_EVERY_S = 1.0
_SHOWN_ID = 8
# In 80 columns, names are cut so that the numbers stay whole.
_MOST = {"host": 12, "bundle": 6, "device": 10}
_WIDE = 110
_HEADINGS = ["host", "role", "bundle", "device", "job", "stage", "step", "/s", "free"]
_COLOURS = {"ready": "green", "loading": "yellow", "draining": "yellow", "broken": "red"}


def add(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(top)


def top(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Print the current state and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show workers, lanes and running jobs until Ctrl-C. Jobs of other tenants are only counted.

    In a pipe, and with --once or --json, the current state is printed once.
    """
    connection: Connection = context.obj
    if once or as_json or not show.out.is_terminal:
        with connection.open() as client:
            look = _look(client)
        if as_json:
            show.out.print_json(look.model_dump_json())
        else:
            show.out.print(
                frame(look, connection.url) if show.out.is_terminal else text(look, connection.url), markup=False
            )
        return
    # A failed request is repeated by the next look.
    with connection.open(tries=1) as client, Live(console=show.out, screen=True, auto_refresh=False) as live:
        try:
            _follow(client, live, connection.url)
        except KeyboardInterrupt:
            return


class Look(BaseModel):
    """The service at one moment."""

    workers: list[Worker]
    queue: Queue


def _look(client: Client) -> Look:
    return Look(workers=client.workers(), queue=client.queue())


def _follow(client: Client, live: Live, url: str) -> None:
    last: RenderableType = Text()
    while True:
        began_s = time.monotonic()
        try:
            last = frame(_look(client), url)
            live.update(last, refresh=True)
        except TransientError as error:
            # The view goes on, so that people see the server come back.
            live.update(Group(Text(f"no answer: {error.message}", "red", overflow="fold"), last), refresh=True)
        time.sleep(max(0.0, began_s + _LOOK_EVERY_S - time.monotonic()))


def text(look: Look, url: str) -> str:
    """One look as plain text, with every name and id whole."""
    workers = show.table([_HEADINGS, *(_cells(worker) for worker in look.workers)])
    return "\n".join([_head(look, url), "", *workers, *_broken(look), "", *queue_lines(look.queue)])


def frame(look: Look, url: str) -> RenderableType:
    """One look on a terminal; it fits into 80 columns."""
    broken = [Text(line, "red", overflow="fold") for line in _broken(look)]
    head = Text(_head(look, url), "bold", overflow="fold")
    return Group(head, Text(), _workers(look.workers), *broken, Text(), _lanes(look.queue))


def _head(look: Look, url: str) -> str:
    busy = sum(worker.busy for worker in look.workers)
    own = sum(worker.job is not None for worker in look.workers)
    return f"{url}  {len(look.workers)} workers, {busy} busy ({own} with your jobs)"


def _broken(look: Look) -> list[str]:
    return [f"{worker.name}: {worker.reason}" for worker in look.workers if worker.state == "broken"]


def _cells(worker: Worker) -> list[str]:
    job = worker.job
    return [
        worker.host,
        worker.role,
        worker.bundle,
        worker.device.removeprefix("NVIDIA "),
        job.id if job else "",
        job.stage if job else _doing(worker),
        f"{job.step}/{job.steps}" if job and job.steps else "",
        f"{worker.steps_per_s:.1f}" if worker.steps_per_s else "",
        f"{worker.free_mb / 1000:.1f}G" if worker.memory_mb else "",
    ]


def _doing(worker: Worker) -> str:
    return "other tenant" if worker.busy else worker.state


def _workers(workers: list[Worker]) -> Table:
    table = _table(*_HEADINGS[:6], *(f">{name}" for name in _HEADINGS[6:]), narrow=show.out.width < _WIDE)
    for worker in workers:
        host, role, bundle, device, job, stage, *numbers = _cells(worker)
        table.add_row(host, role, bundle, device, job[:_SHOWN_ID], Text(stage, _COLOURS.get(stage, "")), *numbers)
    return table


def _lanes(queue: Queue) -> Table:
    table = _table("lane", ">waiting", ">running", ">pictures/min", ">eta", ">backlog")
    for name, lane in queue.lanes.items():
        numbers = str(lane.depth), str(lane.running), f"{lane.pictures_per_min:.1f}"
        table.add_row(name, *numbers, _seconds(lane.eta_s), _seconds(lane.backlog_s))
    return table


def _table(*names: str, narrow: bool = False) -> Table:
    """A table with these columns; those that begin with > are aligned to the right."""
    table = Table(box=None, padding=(0, 1 if narrow else 2, 0, 0), pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(
            name.lstrip(">"),
            justify="right" if name.startswith(">") else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=_MOST.get(name) if narrow else None,
        )
    return table


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f} s"
